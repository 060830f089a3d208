//! Maildir.

pub mod file_name;
pub mod keywords;
mod scan;
mod staging;
pub mod uidlist;
