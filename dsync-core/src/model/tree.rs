//! Which mailboxes a store has and what they are called.

use std::collections::BTreeMap;

use super::{MailboxGuid, MailboxName, UidValidity};

/// What is found at a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// Nothing; the name is only subscribed.
    Absent,
    /// A level of the hierarchy that cannot be selected, kept by the store as a thing of its own. (A parent that is
    /// merely implied by its children is no node.)
    Directory,
    /// A mailbox. GUID and UIDVALIDITY are `None` if the store has not given them yet.
    Mailbox {
        /// Its identity, if it has one already.
        guid: Option<MailboxGuid>,
        /// The validity of its UIDs, if decided already.
        uid_validity: Option<UidValidity>,
    },
    /// There is a mailbox, but it cannot be read; the text says why. Nothing may be concluded about its contents.
    Unreadable(String),
}

/// One name of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxNode {
    /// What is there.
    pub kind: NodeKind,
    /// Whether the user subscribed to the name.
    pub subscribed: bool,
}

/// All names of a store that mean something, sorted: parents before children, siblings in byte order.
pub type MailboxTree = BTreeMap<MailboxName, MailboxNode>;

impl MailboxNode {
    /// The GUID of the mailbox here, if there is one and it has one.
    #[must_use]
    pub fn guid(&self) -> Option<MailboxGuid> {
        match self.kind {
            NodeKind::Mailbox { guid, .. } => guid,
            _ => None,
        }
    }

    /// Whether a mailbox is here, readable or not.
    #[must_use]
    pub fn is_mailbox(&self) -> bool {
        matches!(self.kind, NodeKind::Mailbox { .. } | NodeKind::Unreadable(_))
    }
}
