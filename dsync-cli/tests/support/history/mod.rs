//! Random work of mail users at two sides, and what a two-way sync owes them for it.
//!
//! A [`Random`] from a seed chooses [`Operation`]s ([`generator`]), a [`Worker`] carries them out at one side through
//! IMAP, and [`Side`] keeps account of what that side holds and what was touched since the sides were last equal.
//! From the accounts of both sides follow the [`Promises`] that the sync in between has to keep; whether it did, a
//! [`View`] of the outcome tells.

pub mod generator;
pub mod journal;
pub mod operation;
pub mod outcome;
pub mod promises;
pub mod random;
pub mod side;
pub mod tool;
pub mod view;
pub mod worker;

pub use generator::Phase;
pub use journal::Journal;
pub use operation::{Operation, Target};
pub use promises::{Broken, Promises};
pub use random::Random;
pub use side::Side;
pub use tool::Tool;
pub use view::View;
pub use worker::Worker;
