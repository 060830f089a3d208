//! Several stores as one: those of a user whose namespaces have their mail at several places.
//!
//! Each member has a prefix, and all names below that are its own: with `Public` the mailbox `News` of a store is
//! `Public/News`. Where prefixes lie in each other the longest counts, so that a mailbox under the prefix of another member cannot be
//! seen, as in a server. `INBOX` is that of one member; the `INBOX` of any other, if there is one, is a mailbox below its prefix.
//!
//! * [`JoinedStore`]: the store; [`Member`]: what it is made of.
//! * `routes`: which name is whose; decides without looking at any store.
//! * [`ParentSubscriptions`]: those of a namespace that has none itself.
//! * `moving`: a mailbox that is renamed from one member to another is copied.

mod moving;
mod parent_subscriptions;
mod routes;
mod store;

use dsync_core::model::MailboxName;
use dsync_core::store::MailStore;

pub use parent_subscriptions::ParentSubscriptions;
pub use store::JoinedStore;

/// A store, and which part of the names is its own.
pub struct Member {
    /// The store.
    pub store: Box<dyn MailStore>,
    /// The level below which all of its names are; `None` if they are as they are.
    pub prefix: Option<MailboxName>,
    /// `INBOX` is here. At most one member may say so.
    pub has_inbox: bool,
    /// Where the subscriptions to its mailboxes are, if they are not here: in the file of the member with this number.
    pub subscriptions: Option<(usize, ParentSubscriptions)>,
}
