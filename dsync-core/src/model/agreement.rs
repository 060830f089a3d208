//! Mailboxes that were the same on both sides, and how each side looked then: so that nothing has to be read as long as
//! neither looks any different.

use std::collections::BTreeMap;

use super::{MailboxName, MailboxStatus};

/// What a mailbox looks like from outside, without being opened. As long as it is the same, so is the mailbox; if it is
/// another one, that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Glance {
    /// What a look at the mailbox as a whole tells.
    pub outside: [u8; 16],
    /// What only a look at each of its messages tells; `None` if the other tells everything, or nobody has looked.
    pub inside: Option<[u8; 16]>,
}

/// A moment at which there was nothing left to do about a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// How it looked at this side.
    pub own: Glance,
    /// How it looked at the other side.
    pub other: Glance,
    /// Its counters at this side.
    pub status: MailboxStatus,
}

/// The last agreement about each mailbox, by its name at this side.
pub type Agreements = BTreeMap<MailboxName, Agreement>;
