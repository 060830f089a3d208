//! What a client learns about a mailbox when it selects it.

use super::{MailboxGuid, ModSeq, Uid, UidValidity};

/// What makes a mailbox itself: as long as both stay, clients may keep everything they cached of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MailboxIdentity {
    /// Identifies the mailbox independent of its name.
    pub guid: MailboxGuid,
    /// The validity of its UIDs.
    pub uid_validity: UidValidity,
}

/// The counters of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxStatus {
    /// `None` if the store has not given the mailbox an identity yet: a Maildir that no server has ever opened.
    /// Whoever copies it chooses one and keeps it.
    pub identity: Option<MailboxIdentity>,
    /// The lowest UID that the next message may get; greater than every UID ever given.
    pub uid_next: Uid,
    /// How many messages there are, those without a UID included.
    pub message_count: u32,
    /// HIGHESTMODSEQ; `None` if the store has counted none yet.
    pub highest_modseq: Option<ModSeq>,
    /// Messages with this UID or a greater one are `\Recent`. 1 to `uid_next`.
    pub first_recent_uid: Uid,
}
