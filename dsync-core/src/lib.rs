//! Mailbox synchronisation without I/O of its own: the data model, the interface of a mail store, and the
//! algorithm that makes two stores equal.
//!
//! * [`model`]: the values of the mail world (UIDs, modseqs, GUIDs, flags, names) as types that cannot be wrong.
//! * [`store`]: the [`MailStore`](store::MailStore) and [`Mailbox`](store::Mailbox) traits, the only door to
//!   storage.
#![forbid(unsafe_code)]

pub mod model;
pub mod store;
