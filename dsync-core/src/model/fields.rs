//! What a store remembers of a message.

use super::{MessageRecord, Pop3Uidl};

/// Which facts about messages a store keeps as they were given to it. All others it keeps always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptFields {
    /// GUIDs. If not, those that its mailboxes show prove nothing, and messages are recognised by what is in them.
    pub guids: bool,
    /// POP3 UIDLs and the POP3 order. If not, a server derives them.
    pub pop3: bool,
    /// When a message was put into its mailbox. If not, it may be forgotten.
    pub save_dates: bool,
}

impl KeptFields {
    /// Everything.
    pub const ALL: Self = Self { guids: true, pop3: true, save_dates: true };
    /// Nothing but what every store keeps.
    pub const LEAST: Self = Self { guids: false, pop3: false, save_dates: false };

    /// What both of two stores keep.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self {
            guids: self.guids && other.guids,
            pop3: self.pop3 && other.pop3,
            save_dates: self.save_dates && other.save_dates,
        }
    }

    /// What a message that is `here` is after it was told to become `target`: what the store does not keep stays, but for
    /// dates that are said, which are kept for as long as they are.
    #[must_use]
    pub fn applied(self, target: MessageRecord, here: &MessageRecord) -> MessageRecord {
        let mut target = target;
        if !self.guids {
            target.guid = here.guid.clone();
        }
        if !self.pop3 {
            target.pop3_uidl.clone_from(&here.pop3_uidl);
            target.pop3_order = here.pop3_order;
        }
        if !self.save_dates {
            target.saved = target.saved.or(here.saved);
        }
        target
    }

    /// The POP3 UIDL, if that counts.
    pub(super) fn pop3_uidl(self, record: &MessageRecord) -> Option<&Pop3Uidl> {
        record.pop3_uidl.as_ref().filter(|_| self.pop3)
    }
}
