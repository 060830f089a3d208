//! mbox: all messages of a mailbox in one file, as servers share it.
//!
//! An mbox file is a sequence of messages and nothing else:
//!
//! ```text
//! From MAILER-DAEMON  Tue Nov 14 22:13:20 2023 +0000    the From_ line: when the message was received
//! Subject: example                                      the header of the message
//! X-IMAPbase: 1700000000 0000000005                     metadata headers: what the mailbox knows of the message;
//! X-UID: 5                                              clients do not see them
//! Status: RO
//! Content-Length: 5
//!                                                       the empty line
//! body                                                  the body
//!                                                       one line end, which belongs to the next From_ line
//! ```
//!
//! * [`from_line`]: the line by which a message begins.
//! * [`header`]: the metadata headers, and the checksum by which a message without UID is recognised.
//! * [`scan`](mod@scan): from the bytes of a file to where its messages are and what is said about them.
//! * [`visible`]: from the bytes of a message in the file to those that clients see.
//! * [`encode`]: from the bytes of a message to those that an mbox keeps.
//! * [`marks`]: how the one is the inverse of the other even for messages that an mbox cannot keep as they are.
//!
//! What is said here about Dovecot was seen with its version 2.3.19.1 and is what `dsync-storage/tests/data/mbox` and
//! `dsync-cli/tests/mbox_files_are_read_as_dovecot_does.rs` check.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

mod commit;
mod commit_plan;
mod contents;
#[doc(hidden)]
pub mod encode;
mod found;
#[doc(hidden)]
pub mod from_line;
mod head;
#[doc(hidden)]
pub mod header;
mod indexed;
mod join;
mod journal;
mod keyword_table;
mod listing;
mod lock;
mod mailbox;
#[doc(hidden)]
pub mod marks;
mod outside;
mod removal;
#[doc(hidden)]
pub mod scan;
mod shared;
mod snapshot;
mod staging;
mod store;
#[cfg(test)]
mod tests;
mod uids;
#[doc(hidden)]
pub mod visible;
mod window;

pub use store::MboxStore;
