//! Bodies on their way into a mailbox, and the commit that they are for.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::SessionError;
use super::all_mail::AllMail;
use super::reporting::Reporter;
use crate::merge::{Fetch, MailboxPlan};
use crate::model::{MailboxName, MessageKey, MessageRecord, OutOfOrder};
use crate::report::Event;
use crate::store::{
    ErrorKind, MailStore, Mailbox, MailboxChanges, MessageBody, NewMessages, SavedBodies, SavedBody, StoreError,
};

/// The messages that a plan needs from the other side.
#[derive(Default)]
pub(super) struct Receiving {
    fetch: Fetch,
    /// How many of them were answered for.
    answered: usize,
    /// The bytes of those that have not failed.
    saved: SavedBodies,
    /// Those that the own store had, by their places in `fetch`, as long as not everything before them is answered for.
    early: BTreeMap<usize, SavedBody>,
    /// Messages whose bytes could not be had.
    failed: HashSet<MessageKey>,
    bytes: u64,
}

impl Receiving {
    /// Takes them out of the plan.
    pub(super) fn of(plan: &mut MailboxPlan) -> Self {
        Self { fetch: std::mem::take(&mut plan.fetch), ..Self::default() }
    }

    /// Takes what the own store has already.
    pub(super) fn take_own(
        &mut self,
        name: &MailboxName,
        mailbox: &mut dyn Mailbox,
        all_mail: &mut AllMail,
        reporter: &mut Reporter<'_>,
        store: &mut dyn MailStore,
    ) -> Result<(), SessionError> {
        for place in 0..self.fetch.len() {
            let Some((_, record)) = self.fetch.get(place) else { continue };
            let Some(body) = all_mail.body(store, &record) else { continue };
            let size = body.size;
            match mailbox.save(&record, body) {
                Ok(saved) => drop(self.early.insert(place, saved)),
                // The other side may have it whole.
                Err(error) if error.kind() == ErrorKind::Source => continue,
                Err(error) => return Err(SessionError::of_store(store, error.in_mailbox(name))),
            }
            self.bytes = self.bytes.saturating_add(size.unwrap_or(0));
            reporter.event(Event::MessageSaved(name, size));
        }
        self.pass_early();
        Ok(())
    }

    /// What is here already needs no answer.
    fn pass_early(&mut self) {
        while let Some(saved) = self.early.remove(&self.answered) {
            self.saved.push(saved);
            self.answered = self.answered.saturating_add(1);
        }
    }

    /// What to ask the other side for, in this order.
    pub(super) fn request(&self) -> Vec<MessageKey> {
        let open = (self.answered..self.fetch.len()).filter(|place| !self.early.contains_key(place));
        open.filter_map(|place| self.fetch.key(place)).collect()
    }

    /// Whether nothing is awaited any more.
    pub(super) fn is_complete(&self) -> bool {
        self.answered == self.fetch.len()
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
        let Some((key, record)) = self.fetch.get(self.answered) else {
            return Err(SessionError::InvalidData("a body that was not requested".to_owned()));
        };
        self.answered = self.answered.saturating_add(1);
        let taken = self.take_answer(name, mailbox, (key, &record), body, reporter, store);
        self.pass_early();
        taken
    }

    fn take_answer(
        &mut self,
        name: &MailboxName,
        mailbox: &mut dyn Mailbox,
        (key, record): (MessageKey, &MessageRecord),
        body: Result<MessageBody, String>,
        reporter: &mut Reporter<'_>,
        store: &dyn MailStore,
    ) -> Result<(), SessionError> {
        let reason = match body {
            Err(reason) => reason,
            Ok(body) => {
                let size = body.size;
                match mailbox.save(record, body) {
                    Ok(saved) => {
                        self.saved.push(saved);
                        self.bytes = self.bytes.saturating_add(size.unwrap_or(0));
                        reporter.event(Event::MessageSaved(name, size));
                        return Ok(());
                    }
                    Err(error) if error.kind() == ErrorKind::Source => error.to_string(),
                    Err(error) => return Err(SessionError::of_store(store, error.in_mailbox(name))),
                }
            }
        };
        reporter.problem(Some(name), format!("{key} cannot be copied: {reason}"));
        self.failed.insert(key);
        Ok(())
    }

    /// Carries the plan out with the bodies that have come. It is another one if some have not.
    pub(super) fn commit(
        self,
        name: &MailboxName,
        mailbox: &mut dyn Mailbox,
        plan: MailboxPlan,
        reporter: &mut Reporter<'_>,
    ) -> Result<(), StoreError> {
        let MailboxPlan { mut changes, fetch, .. } = plan;
        let bytes = self.bytes;
        changes.add =
            self.into_new(&fetch).map_err(|error| StoreError::new(ErrorKind::Impossible, error.to_string()))?;
        commit(name, mailbox, changes, bytes, reporter)
    }

    /// What is to be added: `left` if not everything has come.
    fn into_new(self, left: &Fetch) -> Result<NewMessages, OutOfOrder> {
        if self.failed.is_empty() {
            return NewMessages::new(self.saved, self.fetch.into_records());
        }
        let came = self.fetch.keys().filter(|key| !self.failed.contains(key));
        let saved: HashMap<MessageKey, SavedBody> = came.zip(self.saved.iter()).collect();
        let mut new = NewMessages::default();
        for (key, record) in left.iter() {
            if let Some(body) = saved.get(&key) {
                new.push(*body, &record)?;
            }
        }
        Ok(new)
    }
}

/// Commits the changes of a mailbox, and counts and tells what they were. The added messages have so many bytes.
pub(super) fn commit(
    name: &MailboxName,
    mailbox: &mut dyn Mailbox,
    changes: MailboxChanges,
    bytes: u64,
    reporter: &mut Reporter<'_>,
) -> Result<(), StoreError> {
    let MailboxChanges { add, remove, update, renumber, .. } = &changes;
    let (saved, removed) = (add.len(), remove.len());
    let changed = update.len().saturating_add(renumber.len());
    mailbox.commit(changes)?;
    let counts = &mut reporter.report.counts;
    counts.mailboxes_changed += 1;
    counts.messages_saved += saved as u64;
    counts.messages_removed += removed as u64;
    counts.messages_changed += changed as u64;
    counts.bytes_saved = counts.bytes_saved.saturating_add(bytes);
    reporter.event(Event::MailboxCommitted(name));
    Ok(())
}

/// How often one mailbox was tried in vain.
#[derive(Default)]
pub(super) struct Tries {
    last: Option<(MailboxName, u32)>,
    /// How many messages it has, as far as both sides know.
    messages: u64,
}

impl Tries {
    /// How often a mailbox that others keep changing is tried before the run goes on without it. From look to commit a try takes
    /// a fraction of a second, so with a delivery in every one some try comes through.
    const MOST: u32 = 20;
    /// How often one is tried in which looking takes so long that the run would not come to its end.
    const LEAST: u32 = 3;
    /// How many messages are looked at in all tries together.
    const MOST_MESSAGES: u64 = 2_000_000;

    pub(super) fn of(&self, name: &MailboxName) -> u32 {
        self.last.as_ref().filter(|(tried, _)| tried == name).map_or(0, |(_, tries)| *tries)
    }

    /// Notes how many messages the mailbox has that is being tried, on both sides together.
    pub(super) fn weigh(&mut self, messages: [u32; 2]) {
        self.messages = messages.into_iter().map(u64::from).sum();
    }

    /// Notes another try in vain. Whether one more makes sense.
    pub(super) fn again(&mut self, name: &MailboxName) -> bool {
        let tries = self.of(name).saturating_add(1);
        self.last = (tries < Self::most(self.messages, tries)).then(|| (name.clone(), tries));
        self.last.is_some()
    }

    /// How often a mailbox with so many messages is tried that was tried in vain so often.
    pub(super) fn most(messages: u64, tries: u32) -> u32 {
        let looked_at = messages.saturating_mul(tries.into());
        if looked_at < Self::MOST_MESSAGES { Self::MOST } else { Self::LEAST }
    }

    pub(super) fn done(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_not_tried_for_ever() {
        let tried = |messages| {
            let (mut tries, mut count) = (Tries::default(), 1);
            tries.weigh([messages, messages]);
            while tries.again(&MailboxName::inbox()) {
                count += 1;
            }
            count
        };
        assert_eq!([10, 10_000, 100_000, 10_000_000].map(tried), [20, 20, 10, 3]);
    }
}
