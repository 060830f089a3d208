//! What a session tells its observer, and remembers for its report.

use super::SessionError;
use super::destination::is_about_one_mailbox;
use crate::model::{MailboxName, MailboxSelection, MailboxTree, NodeKind};
use crate::report::{Event, Observer, Problem, Report};
use crate::store::{ErrorKind, MailStore, StoreError};

pub(super) struct Reporter<'a> {
    observer: &'a mut dyn Observer,
    /// Where the store of the session is.
    location: String,
    pub(super) report: Report,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(observer: &'a mut dyn Observer, location: String) -> Self {
        Self { observer, location, report: Report::default() }
    }

    /// Where the store of the session is.
    pub(super) fn location(&self) -> String {
        self.location.clone()
    }

    pub(super) fn event(&mut self, event: Event<'_>) {
        self.observer.event(&self.location, event);
    }

    /// Whether whoever watches wants to know why something is decided.
    pub(super) fn wants_reasons(&self) -> bool {
        self.observer.wants_reasons()
    }

    /// Whether whoever watches wants the run to end.
    pub(super) fn is_to_stop(&self) -> bool {
        self.observer.is_to_stop()
    }

    /// Says which names the store has replaced since this was last asked.
    pub(super) fn replaced_names(&mut self, store: &mut dyn MailStore) {
        for name in store.replaced_names() {
            self.event(Event::NameReplaced(&name));
        }
    }

    /// Something could not be done; said once.
    pub(super) fn problem(&mut self, mailbox: Option<&MailboxName>, reason: impl Into<String>) {
        self.add(Problem { mailbox: mailbox.cloned(), reason: reason.into() });
    }

    /// A failure that concerns one mailbox only is said; others end the run.
    pub(super) fn problem_or_error(
        &mut self,
        store: &dyn MailStore,
        name: &MailboxName,
        error: StoreError,
    ) -> Result<(), SessionError> {
        if error.kind() != ErrorKind::Changed && !is_about_one_mailbox(error.kind()) {
            return Err(SessionError::of_store(store, error.in_mailbox(name)));
        }
        self.problem(Some(name), error.to_string());
        Ok(())
    }

    /// A mailbox that cannot be opened or made. The others can be had, whatever is wrong with this one, unless there is no room for
    /// anything.
    pub(super) fn cannot_be_had(
        &mut self,
        store: &dyn MailStore,
        name: &MailboxName,
        error: StoreError,
    ) -> Result<(), SessionError> {
        if error.kind() == ErrorKind::NoRoom {
            return Err(SessionError::of_store(store, error.in_mailbox(name)));
        }
        self.problem(Some(name), error.to_string());
        Ok(())
    }

    /// Says what of the selected part of a tree cannot be read.
    pub(super) fn unreadable(&mut self, tree: &MailboxTree, selection: &MailboxSelection) {
        for (name, node) in selection.part_of(tree, &|_, _| false) {
            if let NodeKind::Unreadable(reason) = node.kind {
                self.add(Problem { mailbox: Some(name), reason });
            }
        }
    }

    pub(super) fn add(&mut self, problem: Problem) {
        if !self.report.problems.contains(&problem) {
            self.observer.event(&self.location, Event::Problem(&problem));
            self.report.problems.push(problem);
        }
    }
}
