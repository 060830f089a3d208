//! Mailbox names, layouts and lists.
//!
//! * [`layout`]: where a mailbox of a given name lies.
//! * [`mutf7`]: how names are spelled on disk.
//! * [`subscriptions`], [`mailbox_log`], [`uidvalidity`]: the files beside the mailboxes, as bytes; [`files`] reads
//!   and writes them.
//! * [`lock`]: keeps others from creating, deleting and renaming.

pub mod files;
pub mod layout;
pub mod list_index;
pub mod lock;
pub mod mailbox_log;
pub mod mutf7;
pub mod subscriptions;
pub mod uidvalidity;
