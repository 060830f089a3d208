//! How mailboxes came out, and the run.

use super::since::Remembered;
use super::{RemoteSession, State};
use crate::model::MailboxGuid;
use crate::session::SessionError;
use crate::state::SyncState;
use crate::wire::Finish;

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

    /// Remembers how a mailbox is now, if both sides have done everything.
    pub(super) fn remember_agreed(&mut self) -> Result<(), SessionError> {
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
