//! Both sides change a mailbox, or none does.
//!
//! One side holds it as it was compared until the other one has committed. A mailbox that does not come to rest is held from the look
//! on.

use super::exchange::Transfer;
use super::{Message, MirrorSession, State};
use crate::model::{MailboxName, Role};
use crate::session::{Outcome, SessionError, settle};
use crate::store::{ErrorKind, Mailbox, StoreError};

/// How often a mailbox that others keep changing is tried before they have to wait for it.
pub(in crate::session) const TRIES_WITHOUT_HOLDING: u32 = 2;
/// While more messages than these are on their way nobody has to wait.
pub(in crate::session) const MOST_WHILE_HELD: usize = 64;
/// How often that is doubled, at most.
const MOST_DOUBLINGS: u32 = 2;

/// While more messages than these are on their way nobody has to wait, after so many tries in vain. With every further try they are
/// more: what comes in during a try in vain has to come in the next one too, and where more comes in than a try may hold it would never
/// end.
pub(super) fn most_while_held(tries: u32) -> usize {
    MOST_WHILE_HELD << tries.saturating_sub(TRIES_WITHOUT_HOLDING).min(MOST_DOUBLINGS)
}

impl MirrorSession<'_> {
    /// A mailbox in which everything is decided. One that others keep changing is held from the moment it is looked at.
    pub(super) fn open_settled(&mut self, name: &MailboxName) -> Result<Box<dyn Mailbox>, StoreError> {
        // The master opens it first, but holds it first only if it commits last.
        match self.is_restless(name) && (self.role == Role::Slave || self.commits_last()) {
            true => settle::open_held(self.store, name),
            false => settle::open_settled(self.store, name),
        }
    }

    /// Whether others have changed the mailbox in each of several tries, so that they have to wait.
    pub(super) fn is_restless(&self, name: &MailboxName) -> bool {
        self.both_import() && self.tries.of(name) >= TRIES_WITHOUT_HOLDING
    }

    /// Where both sides change, one commits while the other one holds the mailbox, so that either both or none of them do
    /// what was decided. Which one is which depends on the stores alone: all runs lock them in the same order. With one side that
    /// changes there is nothing to hold.
    pub(super) fn commits_last(&self) -> bool {
        let other = self.greeting.as_ref().map_or("", |greeting| &greeting.id);
        match self.both_import() && self.own_id != other {
            true => self.own_id.as_str() < other,
            false => self.role == Role::Slave,
        }
    }

    /// Goes on as soon as nothing is on its way any more. One side then waits until the other one holds the mailbox, which
    /// commits once it knows what became of it here.
    pub(super) fn conclude(
        &mut self,
        mut transfer: Box<Transfer>,
        other: Option<Message>,
    ) -> Result<State, SessionError> {
        if !transfer.is_complete() {
            return Ok(State::Transfer(transfer));
        }
        let has_to_wait = match self.commits_last() {
            true => !matches!(other, Some(Message::Outcome(_))),
            false => self.both_import() && other.is_none(),
        };
        if has_to_wait {
            if !self.commits_last() || !self.both_import() || transfer.held {
                return Ok(State::Transfer(transfer));
            }
            let failure = match transfer.hold() {
                Ok(()) => {
                    self.outbox.push_back(Message::Held);
                    return Ok(State::Transfer(transfer));
                }
                Err(error) if is_another(&error) => Outcome::Changed,
                Err(error) => {
                    self.reporter.problem_or_error(self.store, &transfer.open.name, error)?;
                    Outcome::Partial
                }
            };
            return Ok(self.wait_with(*transfer, failure));
        }
        let outcome = match other {
            Some(Message::Outcome(Outcome::Changed)) => Outcome::Changed,
            // It could not hold the mailbox, so it will not commit.
            Some(Message::Outcome(Outcome::Partial)) if self.both_import() && !self.commits_last() => {
                Outcome::Partial
            }
            _ if self.imports => self.commit(&mut transfer)?,
            _ => Outcome::Done(None),
        };
        Ok(self.wait_with(*transfer, outcome))
    }

    /// Says how this side came out of a mailbox.
    pub(super) fn wait_with(&mut self, transfer: Transfer, outcome: Outcome) -> State {
        self.outbox.push_back(Message::Outcome(outcome));
        State::AwaitOutcome(transfer.open, outcome)
    }
}

/// Whether the mailbox is no longer the one that was compared.
pub(in crate::session) fn is_another(error: &StoreError) -> bool {
    matches!(error.kind(), ErrorKind::Changed | ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_every_try_in_vain_more_messages_are_waited_for() {
        assert_eq!([0, 2, 3, 4, 5, u32::MAX].map(most_while_held), [64, 64, 128, 256, 256, 256]);
    }
}
