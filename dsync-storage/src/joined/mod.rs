//! Several stores as one: those of a user whose namespaces have their mail at several places.
//!
//! Each member has a prefix, and all names below that are its own: with `Public` the mailbox `News` of a store is
//! `Public/News`. Where prefixes lie in each other the longest counts, so that a mailbox under the prefix of another member cannot be
//! seen, as in a server. `INBOX` is that of one member; the `INBOX` of any other, if there is one, is a mailbox below its prefix.
//!
//! * [`JoinedStore`]: the store; [`Member`]: what it is made of.
//! * `routes`: which name is whose; decides without looking at any store.
//! * `moving`: a mailbox that is renamed from one member to another is copied.

mod moving;
mod routes;
mod store;

use dsync_core::model::MailboxName;
use dsync_core::store::MailStore;

pub use store::JoinedStore;

/// A store, and which part of the names is its own.
pub struct Member {
    /// The store.
    pub store: Box<dyn MailStore>,
    /// The level below which all of its names are; `None` if they are as they are.
    pub prefix: Option<MailboxName>,
    /// `INBOX` is here. At most one member may say so.
    pub has_inbox: bool,
    /// The subscriptions to its mailboxes are here. If not, they are with the member whose prefix is the next shorter one, if there
    /// is any (`subscriptions=no` of a namespace).
    pub has_subscriptions: bool,
}
