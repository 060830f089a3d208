//! Bodies on their way into a mailbox, and the commit that they are for.

use std::collections::{HashMap, HashSet, VecDeque};

use super::SessionError;
use super::reporting::Reporter;
use crate::merge::MailboxPlan;
use crate::model::{MailboxName, MessageKey, MessageRecord};
use crate::report::Event;
use crate::store::{ErrorKind, MailStore, Mailbox, MailboxChanges, MessageBody, SavedBody, StoreError};

/// The messages that a plan needs from the other side.
#[derive(Default)]
pub(super) struct Receiving {
    awaited: VecDeque<(MessageKey, MessageRecord)>,
    /// Messages whose bytes have come.
    saved: HashMap<MessageKey, SavedBody>,
    /// Messages whose bytes could not be had.
    failed: HashSet<MessageKey>,
    bytes: u64,
}

impl Receiving {
    pub(super) fn of(plan: &MailboxPlan) -> Self {
        Self { awaited: plan.fetch.iter().cloned().collect(), ..Self::default() }
    }

    /// What to ask the other side for, in this order.
    pub(super) fn request(&self) -> Vec<MessageKey> {
        self.awaited.iter().map(|(key, _)| *key).collect()
    }

    /// Whether nothing is awaited any more.
    pub(super) fn is_complete(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Messages whose bytes could not be had.
    pub(super) fn failed(&self) -> &HashSet<MessageKey> {
        &self.failed
    }

    /// Takes the next body, or the reason why there is none.
    pub(super) fn take(
        &mut self,
        name: &MailboxName,
        mailbox: &mut dyn Mailbox,
        body: Result<MessageBody, String>,
        reporter: &mut Reporter<'_>,
        store: &dyn MailStore,
    ) -> Result<(), SessionError> {
        let Some((key, record)) = self.awaited.pop_front() else {
            return Err(SessionError::InvalidData("a body that was not requested".to_owned()));
        };
        let reason = match body {
            Err(reason) => reason,
            Ok(body) => {
                let size = body.size;
                match mailbox.save(&record, body) {
                    Ok(saved) => {
                        self.saved.insert(key, saved);
                        self.bytes = self.bytes.saturating_add(size.unwrap_or(0));
                        reporter.event(Event::MessageSaved(name, size));
                        return Ok(());
                    }
                    Err(error) if error.kind() == ErrorKind::Source => error.to_string(),
                    Err(error) => return Err(SessionError::of_store(store, error)),
                }
            }
        };
        reporter.problem(Some(name), format!("{key} cannot be copied: {reason}"));
        self.failed.insert(key);
        Ok(())
    }

    /// Carries the plan out with the bodies that have come.
    pub(super) fn commit(
        mut self,
        name: &MailboxName,
        mailbox: &mut dyn Mailbox,
        plan: MailboxPlan,
        reporter: &mut Reporter<'_>,
    ) -> Result<(), StoreError> {
        let MailboxPlan { mut changes, fetch, .. } = plan;
        let added = fetch.into_iter().filter_map(|(key, record)| Some((self.saved.remove(&key)?, record)));
        changes.add = added.collect();
        let MailboxChanges { add, remove, update, renumber, .. } = &changes;
        let (saved, removed) = (add.len(), remove.len());
        let changed = update.len().saturating_add(renumber.len());
        mailbox.commit(changes)?;
        let counts = &mut reporter.report.counts;
        counts.mailboxes_changed += 1;
        counts.messages_saved += saved as u64;
        counts.messages_removed += removed as u64;
        counts.messages_changed += changed as u64;
        counts.bytes_saved = counts.bytes_saved.saturating_add(self.bytes);
        reporter.event(Event::MailboxCommitted(name));
        Ok(())
    }
}

/// How often one mailbox was tried in vain.
#[derive(Default)]
pub(super) struct Tries {
    last: Option<(MailboxName, u32)>,
}

impl Tries {
    /// How often a mailbox that others keep changing is tried before the run goes on without it.
    const MOST: u32 = 3;

    pub(super) fn of(&self, name: &MailboxName) -> u32 {
        self.last.as_ref().filter(|(tried, _)| tried == name).map_or(0, |(_, tries)| *tries)
    }

    /// Notes another try in vain. Whether one more makes sense.
    pub(super) fn again(&mut self, name: &MailboxName) -> bool {
        let tries = self.of(name).saturating_add(1);
        self.last = (tries < Self::MOST).then(|| (name.clone(), tries));
        self.last.is_some()
    }

    pub(super) fn done(&mut self) {
        self.last = None;
    }
}
