//! Mailbox names, layouts and lists.
//!
//! * [`layout`]: where a mailbox of a given name lies.
//! * [`mutf7`]: how names are spelled on disk.
//! * [`subscriptions`], [`mailbox_log`], [`uidvalidity`]: the files beside the mailboxes, as bytes; [`files`] reads
//!   and writes them.
//! * `context`: what all parts of an opened store share; `hidden` and `build`: where things are built before they appear;
//!   `listing` and `changes`: reading and changing the tree, as far as that is the same in every store.
//! * `agreements`: what mailboxes looked like when there was nothing left to do about them.
//! * [`lock`]: keeps others from creating, deleting and renaming.

pub(crate) mod agreements;
pub(crate) mod being_made;
pub(crate) mod build;
pub(crate) mod changes;
pub(crate) mod claim;
pub(crate) mod context;
pub mod files;
pub(crate) mod hidden;
pub mod layout;
pub mod list_index;
pub(crate) mod listing;
pub mod lock;
pub mod mailbox_log;
pub mod mutf7;
pub mod subscriptions;
pub mod uidvalidity;
