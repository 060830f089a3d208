//! Maildir: one file a message, as servers share it.
//!
//! * [`file_name`], [`uidlist`], [`keywords`], [`foreign`]: the formats, as bytes.
//! * `scan`, `join`, `snapshot`: from the files to what clients see.
//! * `staging`, `commit_plan`, `commit`: from wanted changes to the files.
//! * `listing`, `tree_changes`: the tree of mailboxes.
//! * [`MaildirStore`]: all of it behind the traits.

mod commit;
mod commit_plan;
#[doc(hidden)]
pub mod file_name;
mod files;
#[doc(hidden)]
pub mod foreign;
mod indexed;
mod indexed_messages;
mod join;
#[doc(hidden)]
pub mod keywords;
mod listing;
mod mailbox;
mod scan;
mod snapshot;
mod staging;
mod store;
mod tree_changes;
#[doc(hidden)]
pub mod uidlist;

pub use store::MaildirStore;
