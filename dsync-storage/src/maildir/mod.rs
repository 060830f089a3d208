//! Maildir.

pub mod file_name;
mod join;
pub mod keywords;
mod scan;
mod staging;
pub mod uidlist;
