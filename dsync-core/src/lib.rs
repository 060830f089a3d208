//! Mailbox synchronisation without I/O of its own: the data model, the interface of a mail store, and the
//! algorithm that makes two stores equal.
//!
//! * [`model`]: the values of the mail world (UIDs, modseqs, GUIDs, flags, names) as types that cannot be wrong.
//! * [`store`]: the [`MailStore`](store::MailStore) and [`Mailbox`](store::Mailbox) traits, the only door to
//!   storage.
//! * [`tree`]: the decision which mailboxes to rename, delete or create, in one direction or both. Pure.
//! * [`merge`]: the decision what to change in one mailbox. Pure.
//! * [`session`]: one side of a run, a state machine that exchanges messages with its peer.
//! * [`sync`]: two sessions in one process, joined to a run.
//! * [`mod@verify`]: whether two stores are the same.
//! * [`wire`]: what two sides on different hosts say to each other, as bytes.
//! * [`rehearsal`]: stores that only pretend to change.
//! * [`state`]: what is known after a run, as text.
//! * [`report`]: what was done, what could not be done, and the exit status that it means.
//! * [`memory`]: a store in memory, for tests and examples.
//! * [`conformance`]: what every store must pass.
#![forbid(unsafe_code)]

pub mod conformance;
pub mod memory;
pub mod merge;
pub mod model;
pub mod rehearsal;
pub mod report;
pub mod session;
pub mod state;
pub mod store;
pub mod sync;
pub mod tree;
pub mod verify;
pub mod wire;
