//! What a client learns about a mailbox when it selects it.

use sha1::{Digest, Sha1};

use super::{MailboxGuid, ModSeq, Uid, UidValidity};

/// What makes a mailbox itself: as long as both stay, clients may keep everything they cached of it.
///
/// Either may be undecided: a Maildir that no server has ever opened has neither, one that comes from another server
/// may have a UIDVALIDITY only. Whoever copies it chooses what is missing, and keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MailboxIdentity {
    /// Identifies the mailbox independent of its name.
    pub guid: Option<MailboxGuid>,
    /// The validity of its UIDs.
    pub uid_validity: Option<UidValidity>,
}

impl MailboxIdentity {
    /// Nothing is decided.
    pub const UNDECIDED: Self = Self { guid: None, uid_validity: None };

    /// A decided identity.
    #[must_use]
    pub const fn new(guid: MailboxGuid, uid_validity: UidValidity) -> Self {
        Self { guid: Some(guid), uid_validity: Some(uid_validity) }
    }

    /// This identity, with what it leaves undecided taken from `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { guid: self.guid.or(other.guid), uid_validity: self.uid_validity.or(other.uid_validity) }
    }

    /// Whether both are decided.
    #[must_use]
    pub const fn is_decided(self) -> bool {
        self.guid.is_some() && self.uid_validity.is_some()
    }
}

/// The counters of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxStatus {
    /// Who it is, as far as that is decided.
    pub identity: MailboxIdentity,
    /// The lowest UID that the next message may get; greater than every UID ever given.
    pub uid_next: Uid,
    /// How many messages there are, those without a UID included.
    pub message_count: u32,
    /// HIGHESTMODSEQ; `None` if the store has counted none yet.
    pub highest_modseq: Option<ModSeq>,
    /// Messages with this UID or a greater one are `\Recent`. 1 to `uid_next`; `None` if the store cannot tell.
    pub first_recent_uid: Option<Uid>,
}

impl MailboxStatus {
    /// A checksum over the counters and, by their [`digest`](super::MessageList::digest), all messages: two mailboxes
    /// with the same one are the same in every respect. `None` if something is not decided yet.
    #[must_use]
    pub fn fingerprint(&self, digest: [u8; 16]) -> Option<[u8; 16]> {
        let mut hash = Sha1::new();
        hash.update(self.identity.guid?.as_bytes());
        hash.update(self.identity.uid_validity?.get().to_le_bytes());
        hash.update(self.uid_next.get().to_le_bytes());
        hash.update(self.message_count.to_le_bytes());
        hash.update(self.highest_modseq?.get().to_le_bytes());
        hash.update(self.first_recent_uid?.get().to_le_bytes());
        hash.update(digest);
        let mut short = [0; 16];
        short.copy_from_slice(&hash.finalize()[..16]);
        Some(short)
    }
}
