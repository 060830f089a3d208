//! Mail stores on disk, as a live Dovecot shares them, behind the traits of `dsync-core`.
//!
//! A [`Location`] says where a store is and of which format; [`open_read_only`] and [`open`] give the store there, as a
//! [`MailStore`](dsync_core::store::MailStore), for which `dsync-core` has everything else. The whole way, from two locations to a
//! copy that is one:
//!
//! ```
//! use dsync_core::{SyncOptions, Unobserved, VerifyOptions, backup, verify};
//! use dsync_storage::{Location, Settings};
//!
//! # let directory = tempfile::tempdir()?;
//! # let root = directory.path();
//! # std::fs::create_dir_all(root.join("Maildir/new"))?;
//! # std::fs::create_dir_all(root.join("Maildir/cur"))?;
//! # std::fs::write(root.join("Maildir/new/1.host"), "Subject: hello\n\nworld\n")?;
//! // `~` in a location is the home directory, which nobody looks up in the environment.
//! let from = Location::parse("maildir:~/Maildir", Some(root))?;
//! let to = Location::parse("mdbox:~/mdbox", Some(root))?;
//! let mut mail = dsync_storage::open_read_only(&from, &Settings::default())?;
//! let mut copy = dsync_storage::open(&to, &Settings::default())?;
//! let report = backup(&mut *mail, &mut *copy, &SyncOptions::default(), &mut Unobserved)?;
//! assert_eq!((report.counts.messages_saved, report.problems.len()), (1, 0));
//! assert!(verify(&mut *mail, &mut *copy, &VerifyOptions::default(), &mut Unobserved)?.is_equal());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! * [`location`]: a location as text, such as `maildir:~/Maildir`.
//! * [`settings`]: settings of the server that change how stores are read and written.
//! * [`maildir`], [`mbox`], [`dbox`]: the stores of each format, for those who want more than [`open`] gives.
//! * [`names`]: names that a layout cannot hold, mapped to others and back.
//! * [`joined`]: several stores as one.
//! * [`mod@dump`]: files of a store as text.
//! * [`fs`]: the lock of a user, and what a failure of the file system is.
//!
//! Errors are [`StoreError`](dsync_core::store::StoreError)s with an [`ErrorKind`](dsync_core::store::ErrorKind) to decide by. There is no
//! global state, and nothing reads the environment. Modules that are not listed here are public for the fuzz targets only and may change
//! at any time.
#![deny(unsafe_op_in_unsafe_fn)]

#[doc(hidden)]
pub mod content;
pub mod dbox;
pub mod dump;
pub mod fs;
mod incoming;
#[doc(hidden)]
pub mod index;
pub mod joined;
#[doc(hidden)]
pub mod list;
pub mod location;
pub mod maildir;
pub mod mbox;
pub mod names;
mod open;
pub mod settings;
mod text;

pub use location::{Driver, Location};
pub use open::{open, open_read_only};
pub use settings::Settings;
