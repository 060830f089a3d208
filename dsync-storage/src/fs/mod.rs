//! The file system: everything that stores do to it goes through here.
//!
//! * [`mutation`]: each single change (create, write, rename, remove, sync), with an error that names the path.
//! * [`read`]: reading without leaving a trace.
//! * [`replace`]: a file gets new contents all at once.
//! * [`permissions`]: what new files look like, taken from where they are made.
//! * [`dotlock`] and [`lock`]: keeping others out.
//! * [`sync_lock`]: keeping other synchronisations of the same user out.
//! * `fault`: what tests do to changes.
//! * [`unique`]: names that nobody else makes; [`clock`]: the time.

pub mod clock;
pub mod dotlock;
mod error;
#[cfg(feature = "fault-injection")]
pub mod fault;
pub mod lock;
pub mod mutation;
pub mod permissions;
pub mod read;
pub mod replace;
pub mod sync_lock;
pub mod unique;

pub use error::FsError;
