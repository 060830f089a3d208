//! Mailboxes that a mirror passes over, because they look as they did when both sides agreed on them.

use super::exchange::Open;
use super::place::{self, Place};
use super::{MirrorSession, State};
use crate::model::{Agreement, Glance, MailboxName};
use crate::report::Event;
use crate::session::agreeing::Found;
use crate::session::{Difference, Message, SessionError, agreeing, sync_point};

impl MirrorSession<'_> {
    /// What a mailbox looks like that both sides may have agreed on before.
    pub(super) fn glance(&mut self, name: &MailboxName, close: bool) -> Option<Glance> {
        let is_possible = self.both_import() && agreeing::is_possible(&self.options) && self.tries.of(name) == 0;
        let guid = self.merged.tree.get(name)?.guid();
        let place = place::find(self.imports, name, guid, &self.own.tree, &self.here, &self.merged.tree).ok()?;
        match place {
            Place::At(place) if is_possible && place == *name => self.store.glance(name, close),
            _ => None,
        }
    }

    pub(super) fn accept_glance(&mut self, name: &MailboxName, glance: Glance) -> State {
        let is_here = self.glance(name, false).is_some();
        let found = if is_here { self.agreeing.find(self.store, name, glance) } else { Found::Nothing };
        let answer = match found {
            Found::Agreement(status) => {
                self.reporter.report.state.note(&status);
                self.pass_over(name);
                Message::Answer(Difference::Same)
            }
            Found::More => Message::LookCloser,
            Found::Nothing => Message::Look,
        };
        self.outbox.push_back(answer);
        State::AwaitOffer
    }

    /// There is nothing to do about a mailbox.
    pub(super) fn pass_over(&mut self, name: &MailboxName) {
        self.reporter.report.counts.mailboxes += 1;
        self.reporter.event(Event::MailboxUnchanged(name));
    }

    /// The master has agreed on mailboxes.
    pub(super) fn accept_agreed(&mut self, glances: Vec<(MailboxName, Glance)>) {
        for (name, other) in glances {
            if let Some((own, status)) = self.agreed.remove(&name) {
                self.agreeing.add(&name, Agreement { own, other, status });
            }
        }
    }

    /// Both sides have the same mailbox now, and will know it.
    pub(super) fn remember(&mut self, open: &mut Open, fingerprint: Option<[u8; 16]>) -> Result<(), SessionError> {
        let is_remembered = self.remember_point(open, fingerprint)?;
        if let Some(glance) = agreeing::agreed_glance(&*open.mailbox)
            && fingerprint.is_some()
            && is_remembered
            && self.both_import()
        {
            self.agreed.insert(open.name.clone(), (glance, open.mailbox.status().clone()));
        }
        Ok(())
    }

    /// `false` if that cannot be done, so that it has to be tried, and said, again.
    pub(super) fn remember_point(
        &mut self,
        open: &mut Open,
        fingerprint: Option<[u8; 16]>,
    ) -> Result<bool, SessionError> {
        let point = fingerprint.and_then(|fingerprint| sync_point(open.mailbox.status(), fingerprint, self.peer()));
        let Some(point) = point.filter(|point| self.both_import() && !open.mailbox.sync_points().contains(point))
        else {
            return Ok(true);
        };
        match open.mailbox.remember(point) {
            Ok(()) => Ok(true),
            Err(error) => self.reporter.problem_or_error(self.store, &open.name, error).map(|()| false),
        }
    }
}
