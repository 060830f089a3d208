//! Which messages an mbox has after a commit, and where each comes from. A pure function.

use std::collections::{HashMap, HashSet};

use dsync_core::model::{MessageKey, MessageList, MessageRecord, Timestamp, Uid};
use dsync_core::store::{ErrorKind, MailboxChanges, NewMessages, SavedBody, StoreError};

use super::snapshot::Snapshot;

/// Where the bytes of a message come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The message that is at this place of the list now.
    Kept(usize),
    /// The message that was saved under this number.
    Saved(usize),
}

/// What has to be done.
#[derive(Debug)]
pub(super) struct CommitPlan {
    /// All messages; each has a UID.
    pub(super) messages: MessageList,
    /// Where each of them comes from.
    pub(super) sources: Vec<Source>,
    /// Messages that go, by ascending UID, with their GUIDs.
    pub(super) removed: Vec<(u32, [u8; 16])>,
    /// UIDs about which the cache is wrong afterwards, ascending.
    pub(super) stale: Vec<u32>,
    /// A UID names another message than before.
    pub(super) reuses_uids: bool,
    /// UIDNEXT afterwards.
    pub(super) uid_next: Uid,
}

/// Plans a commit on `before`. A message of which nothing says when it was saved is saved `now`, as servers say when they are
/// first asked. The new messages are taken out of `changes`.
///
/// # Errors
/// If the changes do not fit the mailbox.
pub(super) fn plan(
    before: &Snapshot,
    changes: &mut MailboxChanges,
    now: Timestamp,
) -> Result<CommitPlan, StoreError> {
    let mut plan = CommitPlan {
        messages: MessageList::default(),
        sources: Vec::new(),
        removed: Vec::new(),
        stale: Vec::new(),
        reuses_uids: false,
        uid_next: changes.uid_next,
    };
    let mut placed = plan.existing(before, changes)?;
    for (SavedBody(number), record) in std::mem::take::<NewMessages>(&mut changes.add).iter() {
        placed.push((record, Source::Saved(number)));
    }
    // Every message behind one without a UID would get a new one.
    for (record, _) in placed.iter_mut().filter(|(record, _)| record.uid.is_none()) {
        record.uid = Some(plan.uid_next);
        plan.uid_next = plan.uid_next.next();
    }
    placed.sort_by_key(|(record, _)| record.uid);
    plan.messages = MessageList::with_capacity(placed.len());
    plan.sources.reserve_exact(placed.len());
    for (mut record, source) in placed {
        record.saved.get_or_insert(now);
        plan.note_differences(before, &record, source);
        plan.messages
            .push(&record)
            .map_err(|_| StoreError::new(ErrorKind::Changed, "a UID was taken by another message meanwhile"))?;
        plan.sources.push(source);
    }
    plan.removed.sort_unstable();
    Ok(plan)
}

impl CommitPlan {
    /// The messages of the file are written anew, from the bytes under these numbers.
    pub(super) fn write_anew(&mut self, staged: &[usize]) {
        for source in &mut self.sources {
            if let Source::Kept(place) = source
                && let Some(number) = staged.get(*place)
            {
                *source = Source::Saved(*number);
            }
        }
    }

    fn existing(
        &mut self,
        before: &Snapshot,
        changes: &MailboxChanges,
    ) -> Result<Vec<(MessageRecord, Source)>, StoreError> {
        let mut remove: HashSet<MessageKey> = changes.remove.iter().copied().collect();
        let mut target: HashMap<MessageKey, &MessageRecord> =
            changes.renumber.iter().map(|(key, record)| (*key, record)).collect();
        target.extend(changes.update.iter().filter_map(|record| Some((MessageKey::Uid(record.uid?), record))));
        let mut placed = Vec::with_capacity(before.messages.len().saturating_add(changes.add.len()));
        for (place, (key, old)) in before.messages.keyed().enumerate() {
            if remove.remove(&key) {
                self.removed.extend(old.uid.map(|uid| (uid.get(), old.guid.to_128())));
                continue;
            }
            let record = match target.remove(&key) {
                Some(record) => MessageRecord { guid: old.guid, ..record.clone() },
                None => old,
            };
            placed.push((record, Source::Kept(place)));
        }
        match remove.into_iter().next().or(target.keys().next().copied()) {
            Some(key) => Err(StoreError::new(ErrorKind::NotFound, format!("there is no {key}"))),
            None => Ok(placed),
        }
    }

    fn note_differences(&mut self, before: &Snapshot, record: &MessageRecord, source: Source) {
        let there = record.uid.and_then(|uid| before.messages.index_of(MessageKey::Uid(uid)));
        let Some(there) = there else { return };
        if source != Source::Kept(there) {
            self.reuses_uids = true;
            return;
        }
        let old = before.messages.at(there);
        if old.is_some_and(|old| old.received != record.received || old.saved != record.saved) {
            self.stale.extend(record.uid.map(Uid::get));
        }
    }
}
