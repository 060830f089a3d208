//! Maildir.

mod commit_plan;
pub mod file_name;
mod join;
pub mod keywords;
mod scan;
mod staging;
pub mod uidlist;
