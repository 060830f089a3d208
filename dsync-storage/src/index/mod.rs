//! The mail index and its transaction log.
//!
//! * [`log`], [`main_index`], [`cache`]: the three files, as bytes.
//! * [`keywords`], [`modseqs`]: how these two extensions are kept.
//! * [`view`]: the state that a snapshot and the records since make up.
//! * [`files`], [`reading`], `replay`: the names of the files, reading them, and the log replayed over the snapshot.
//! * [`error`]: why an index cannot be used.
//! * [`history`]: what the log knows about the time since some moment.
//! * [`points`]: moments of agreement with other stores, kept in the index.
//! * [`target`]: the state that a writer wants, and the records that lead there.
//! * [`mailbox`]: the index of a mailbox in the terms of the model.
//! * [`writer`]: locking an index and bringing it into a wanted state.

pub(crate) mod bytes;
pub mod cache;
pub mod error;
pub mod files;
pub mod history;
pub mod keywords;
pub mod log;
pub mod mailbox;
pub mod main_index;
pub mod modseqs;
pub mod points;
pub mod reading;
pub(crate) mod replay;
pub mod target;
pub mod view;
pub mod writer;
