//! How mailboxes came out, and the run.

use super::since::Remembered;
use super::{RemoteSession, State};
use crate::model::MailboxGuid;
use crate::session::SessionError;
use crate::state::SyncState;
use crate::wire::{Finish, MailboxState};

impl RemoteSession<'_> {
    /// What the master is to remember of the run.
    pub(super) fn state_after(&self) -> SyncState {
        if self.was_lost {
            return SyncState::default();
        }
        let is_there = |guid: MailboxGuid| self.here.values().any(|node| node.guid() == Some(guid));
        let before = self.options.state.mailboxes().filter(|(guid, _)| !self.outcomes.contains_key(guid));
        let now = self.outcomes.iter().filter_map(|(guid, outcome)| Some((*guid, outcome.state()?)));
        before.filter(|(guid, _)| is_there(*guid)).chain(now).collect()
    }

    /// The other side says how it came out of the mailbox that was exchanged last, or that it holds it.
    ///
    /// # Errors
    /// If it must not say that, or the own store fails.
    pub(super) fn hear_outcome(&mut self, state: &mut State, outcome: MailboxState) -> Result<(), SessionError> {
        match state {
            State::Exchange(exchange) => exchange.hear_end(&outcome)?,
            // A master that has nothing to change is done before it hears that.
            _ if outcome.held && !self.terms.may_hear_held() => {
                return Err(SessionError::InvalidData(
                    "that a mailbox is kept as it is, which was not due".to_owned(),
                ));
            }
            _ => {}
        }
        if outcome.held {
            return Ok(());
        }
        self.unconfirmed = None;
        self.outcomes.entry(outcome.guid).or_default().other(outcome);
        if outcome.changes_during_sync && !(self.terms.in_turn && outcome.to_be_repeated) {
            self.reporter.problem(self.agreed.name(outcome.guid), "the other side could not do all of it");
        }
        self.conclude(outcome.guid)
    }

    /// Goes on with a mailbox of which at least one side has said how it came out.
    pub(super) fn conclude(&mut self, guid: MailboxGuid) -> Result<(), SessionError> {
        let outcomes = self.outcomes.get(&guid).and_then(Remembered::both);
        if let Some([own, other]) = outcomes.filter(|_| self.terms.in_turn)
            && (own.to_be_repeated || other.to_be_repeated)
        {
            self.agreed_mailbox = None;
            self.repeat(guid, own.message_count.max(other.message_count));
            return Ok(());
        }
        self.remember_agreed()
    }

    /// Remembers how a mailbox is now, if both sides have done everything.
    fn remember_agreed(&mut self) -> Result<(), SessionError> {
        let Some(agreed) = self.agreed_mailbox.take() else { return Ok(()) };
        let other = self.outcomes.get(&agreed.guid).and_then(Remembered::others);
        match other.copied() {
            Some(other) if !other.changes_during_sync => {
                agreed.remember(&other, &self.terms, &mut self.reporter, self.store)
            }
            Some(_) => Ok(()),
            None => {
                self.agreed_mailbox = Some(agreed);
                Ok(())
            }
        }
    }

    pub(super) fn finish(&mut self, finish: Finish) -> Result<State, SessionError> {
        if let Some(error) = finish.error {
            let text = String::from_utf8_lossy(&error).escape_debug().to_string();
            return Err(SessionError::Remote { text, code: finish.mail_error });
        }
        if finish.require_full_resync {
            self.was_lost = true;
            self.reporter.problem(None, "the other side could not do everything; run dsync again");
        }
        Ok(State::Finished)
    }
}
