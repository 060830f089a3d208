//! Both sides change a mailbox, or none does; and one that somebody else has changed meanwhile is offered again.
//!
//! ```text
//!     master                                     slave
//!                              ◀────────         held                 if it has something to change, too
//!     commits
//!     state                    ────────▶         commits, unless the master could not
//!                              ◀────────         state
//! ```
//!
//! A side that has nothing to change says its state at once. Only between two of this program: Dovecot's has no words for it, and
//! both sides commit on their own then.

use std::collections::BTreeMap;

use super::exchange::Exchange;
use super::terms::Terms;
use super::{Part, RemoteSession};
use crate::model::{MailboxGuid, Role};
use crate::session::SessionError;
use crate::session::mirror::holding::{MOST_WHILE_HELD, TRIES_WITHOUT_HOLDING, is_another};
use crate::session::receiving::Tries;
use crate::session::reporting::Reporter;
use crate::store::{ErrorKind, MailStore, StoreError};
use crate::wire::MailboxState;

/// What the other side has said about the end of a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum OthersEnd {
    #[default]
    Nothing,
    /// It keeps it as it is.
    Held,
    /// It has done its part, or could not.
    Done,
    /// It has done nothing, because the mailbox is another one there by now.
    Changed,
}

/// What this side does when everything has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Commit,
    Hold,
    Wait,
    /// The other side could not do it, so it is not done here.
    LeaveIt,
}

impl Terms {
    /// Whether the other side may say that it holds a mailbox.
    pub(super) fn may_hear_held(&self) -> bool {
        self.role == Role::Master && self.in_turn && self.part == Part::Both
    }
}

impl Exchange {
    /// What is to be done now that everything has come.
    pub(super) fn turn(&self) -> Turn {
        let changes = self.planned.as_ref().is_some_and(|planned| planned.plan.needed);
        if !self.terms.in_turn || !changes {
            return Turn::Commit;
        }
        match (self.terms.role, self.others_end) {
            (_, OthersEnd::Changed) => Turn::LeaveIt,
            _ if self.terms.part != Part::Both => Turn::Commit,
            (_, OthersEnd::Done) | (Role::Master, OthersEnd::Held) => Turn::Commit,
            (Role::Slave, _) if !self.has_said_held => Turn::Hold,
            _ => Turn::Wait,
        }
    }

    /// Keeps the mailbox as it was compared. What this side says then; nothing if it cannot be kept.
    ///
    /// # Errors
    /// If the store fails as a whole.
    pub(super) fn hold(
        &mut self,
        reporter: &mut Reporter<'_>,
        store: &dyn MailStore,
    ) -> Result<Option<MailboxState>, SessionError> {
        match self.own.mailbox.hold() {
            Ok(()) => {
                (self.has_said_held, self.is_holding) = (true, true);
                Ok(Some(MailboxState { held: true, ..self.state() }))
            }
            Err(error) => {
                self.fail(error, reporter, store)?;
                Ok(None)
            }
        }
    }

    /// The mailbox could not be changed.
    ///
    /// # Errors
    /// If the store fails as a whole.
    pub(super) fn fail(
        &mut self,
        error: StoreError,
        reporter: &mut Reporter<'_>,
        store: &dyn MailStore,
    ) -> Result<(), SessionError> {
        self.planned = None;
        let can_be_repeated = match self.terms.part {
            // If it was deleted or renamed, the other side must not take what came from here for something new.
            Part::Both => is_another(&error),
            _ => error.kind() == ErrorKind::Changed,
        };
        if self.terms.in_turn && can_be_repeated {
            self.to_be_repeated = true;
            return Ok(());
        }
        self.incomplete = true;
        reporter.problem_or_error(store, &self.own.name, error)
    }

    /// Nothing is done about the mailbox at either side.
    pub(super) fn leave_it(&mut self) {
        self.planned = None;
        self.to_be_repeated = true;
    }

    /// While many messages are on their way nobody has to wait.
    pub(super) fn release_for(&mut self, messages: usize) {
        if messages > MOST_WHILE_HELD {
            self.own.mailbox.release();
            self.is_holding = false;
        }
    }

    /// Takes what the other side says about the end of the mailbox.
    ///
    /// # Errors
    /// If it must not say that.
    pub(super) fn hear_end(&mut self, state: &MailboxState) -> Result<(), SessionError> {
        self.others_end = match (state.held, state.to_be_repeated) {
            (true, _) if !self.terms.may_hear_held() || self.others_end != OthersEnd::Nothing => {
                let text = format!("that mailbox {} is kept as it is, which was not due", self.own.name);
                return Err(SessionError::InvalidData(text));
            }
            (true, _) => OthersEnd::Held,
            (false, true) => OthersEnd::Changed,
            (false, false) => OthersEnd::Done,
        };
        Ok(())
    }
}

/// How often mailboxes were tried in vain in this run.
#[derive(Default)]
pub(super) struct Repetitions {
    tries: BTreeMap<MailboxGuid, u32>,
}

impl Repetitions {
    pub(super) fn of(&self, guid: MailboxGuid) -> u32 {
        self.tries.get(&guid).copied().unwrap_or(0)
    }

    /// Notes another try in vain of a mailbox with so many messages. Whether one more makes sense.
    fn again(&mut self, guid: MailboxGuid, messages: u32) -> bool {
        let tries = self.tries.entry(guid).or_default();
        *tries = tries.saturating_add(1);
        *tries < Tries::most(messages.into(), *tries)
    }
}

impl RemoteSession<'_> {
    /// Whether others have changed the mailbox in each of several tries, so that they have to wait.
    pub(super) fn is_restless(&self, guid: MailboxGuid) -> bool {
        self.terms.part == Part::Both && self.repetitions.of(guid) >= TRIES_WITHOUT_HOLDING
    }

    /// Whether this side keeps others from changing a mailbox within an exchange.
    pub(super) fn is_holding(&self) -> bool {
        matches!(&self.state, super::State::Exchange(exchange) if exchange.is_holding)
    }

    /// Whether a mailbox may have to be offered again, which the other side has not said yet.
    pub(super) fn awaits_repetition(&self) -> bool {
        self.terms.in_turn && self.offers.is_empty() && self.unconfirmed.is_some()
    }

    /// Both sides have said how a mailbox came out that somebody changed meanwhile.
    pub(super) fn repeat(&mut self, guid: MailboxGuid, messages: u32) {
        let again = self.repetitions.again(guid, messages);
        if self.terms.role == Role::Slave {
            // The master says when it is enough.
            return;
        }
        if again {
            self.again.push_back(guid);
        } else {
            let text = "it keeps changing, so both sides are not the same yet; run dsync again";
            self.reporter.problem(self.agreed.name(guid), text);
        }
    }
}
