//! The file system: everything that stores do to it goes through here.
//!
//! * [`mutation`]: each single change (create, write, rename, remove, sync), with an error that names the path.
//! * [`read`]: reading without leaving a trace.
//! * [`links`]: which symbolic links are followed.
//! * [`replace`]: a file gets new contents all at once.
//! * [`marks`]: seeing from outside that somebody changed something.
//! * [`permissions`]: what new files look like, taken from where they are made.
//! * [`dotlock`] and [`lock`]: keeping others out.
//! * `saved_group`: the rights of a group, for the moment in which a dotlock is made or removed.
//! * [`sync_lock`]: keeping other synchronisations of the same user out.
//! * `fault`: what tests do to changes.
//! * [`unique`]: names that nobody else makes; [`clock`]: the time.

#[doc(hidden)]
pub mod clock;
#[doc(hidden)]
pub mod dotlock;
mod error;
#[cfg(feature = "fault-injection")]
pub mod fault;
#[doc(hidden)]
pub mod links;
#[doc(hidden)]
pub mod lock;
pub mod marks;
#[doc(hidden)]
pub mod mutation;
#[doc(hidden)]
pub mod permissions;
#[doc(hidden)]
pub mod read;
#[doc(hidden)]
pub mod replace;
mod saved_group;
pub mod sync_lock;
#[doc(hidden)]
pub mod unique;

pub use error::FsError;
