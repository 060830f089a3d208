//! Mailboxes that are offered before the other side has answered for the last one. Only our own program takes that: Dovecot's hears
//! nothing but the messages of a mailbox between its offer and its end.

use std::collections::VecDeque;

use super::mailboxes::Offered;
use crate::session::SessionError;
use crate::wire::MailboxInfo;

/// So many mailboxes wait for an answer at most, and so many messages in all but one of them: both are in memory.
const MOST_MAILBOXES: usize = 32;
const MOST_MESSAGES: u32 = 50_000;

/// Offers that were made, or heard, before their turn.
pub(super) struct EarlyOffers {
    /// The other side takes them.
    are_taken: bool,
    /// Of the master: with the number of messages of each.
    pub(super) offered: VecDeque<(Box<Offered>, u32)>,
    /// Of the slave.
    pub(super) heard: VecDeque<MailboxInfo>,
}

impl EarlyOffers {
    pub(super) fn new(are_taken: bool) -> Self {
        Self { are_taken, offered: VecDeque::new(), heard: VecDeque::new() }
    }

    /// Whether the master may offer another mailbox.
    pub(super) fn has_room(&self) -> bool {
        let messages = self.offered.iter().fold(0, |sum: u32, (_, messages)| sum.saturating_add(*messages));
        self.are_taken && self.offered.len() < MOST_MAILBOXES && messages < MOST_MESSAGES
    }

    /// Takes an offer that has to wait.
    ///
    /// # Errors
    /// If there are more than a master may make.
    pub(super) fn hear(&mut self, info: MailboxInfo) -> Result<(), SessionError> {
        if self.heard.len() > MOST_MAILBOXES {
            return Err(SessionError::InvalidData("more mailboxes at once than can be looked at".to_owned()));
        }
        self.heard.push_back(info);
        Ok(())
    }
}
