//! Maildir.

mod scan;
mod staging;
