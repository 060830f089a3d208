//! Small programs against the library; see the `bin` folder beside this file. The program of the README is compiled as
//! a test of this crate.

pub mod sqlite;

#[doc = include_str!("../../README.md")]
#[cfg(doctest)]
struct Readme;
