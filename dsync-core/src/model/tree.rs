//! Which mailboxes a store has and what they are called.

use std::collections::BTreeMap;

use sha1::{Digest, Sha1};

use super::{MailboxGuid, MailboxName, Timestamp, UidValidity};

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

/// A mailbox name as a log of changes knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameHash(pub [u8; 16]);

impl NameHash {
    /// The hash of a visible name with its separators: the first 16 bytes of its SHA-1.
    #[must_use]
    pub fn of(visible_name: &str) -> Self {
        let mut hash = [0; 16];
        hash.copy_from_slice(&Sha1::digest(visible_name.as_bytes())[..16]);
        Self(hash)
    }

    /// The hashes of a name, one for each way to spell it: with the prefix and without it, with each of the separators. Of all
    /// names but INBOX they are as many, in the same order.
    pub fn of_spellings(name: &MailboxName, prefix: &str, separators: &[char]) -> impl Iterator<Item = Self> {
        let is_prefixed = !prefix.is_empty() && !name.is_inbox();
        separators.iter().flat_map(move |separator| {
            let name = name.join(*separator);
            let prefixed = is_prefixed.then(|| Self::of(&format!("{prefix}{name}")));
            prefixed.into_iter().chain([Self::of(&name)])
        })
    }
}

/// Something that happened to the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeChange {
    /// The mailbox with this GUID was deleted.
    MailboxDeleted(MailboxGuid),
    /// The directory of this name was deleted.
    DirectoryDeleted(NameHash),
    /// A mailbox or directory was renamed to this name.
    Renamed(NameHash),
    /// The name was subscribed to.
    Subscribed(NameHash),
    /// The subscription was cancelled.
    Unsubscribed(NameHash),
}

/// When something happened to the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeEvent {
    /// What happened.
    pub change: TreeChange,
    /// When, in whole seconds.
    pub time: Timestamp,
}

/// What happened to the tree of a store, as far as it still knows: by clients and by synchronisations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeHistory {
    /// With what the names that were hashed may begin, unless it is `INBOX` itself: `INBOX.`, for example.
    pub prefix: String,
    /// What may stand between the parts of the names that were hashed: a store does not always know what its server
    /// shows to clients.
    pub separators: Vec<char>,
    /// Events, the latest last.
    pub events: Vec<TreeEvent>,
}

impl TreeHistory {
    /// The hashes under which the events may know a name.
    pub fn hashes(&self, name: &MailboxName) -> impl Iterator<Item = NameHash> {
        NameHash::of_spellings(name, &self.prefix, &self.separators)
    }
}

impl Default for TreeHistory {
    /// Nothing is known.
    fn default() -> Self {
        Self { prefix: String::new(), separators: vec!['/'], events: Vec::new() }
    }
}

impl MailboxNode {
    /// The GUID of the mailbox here, if there is one and it has one.
    #[must_use]
    pub fn guid(&self) -> Option<MailboxGuid> {
        match self.kind {
            NodeKind::Mailbox { guid, .. } => guid,
            _ => None,
        }
    }

    /// Gives the mailbox here another GUID; nothing happens if there is none.
    pub fn set_guid(&mut self, new: MailboxGuid) {
        if let NodeKind::Mailbox { guid, .. } = &mut self.kind {
            *guid = Some(new);
        }
    }

    /// Whether a mailbox is here, readable or not.
    #[must_use]
    pub fn is_mailbox(&self) -> bool {
        matches!(self.kind, NodeKind::Mailbox { .. } | NodeKind::Unreadable(_))
    }
}
