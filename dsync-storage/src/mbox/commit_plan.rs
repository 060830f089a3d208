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
    let (bodies, new) = std::mem::take::<NewMessages>(&mut changes.add).into_parts();
    let targets = targets(changes);
    // There may be millions, so records are put together one at a time.
    let mut order = plan.existing(before, changes, &targets)?;
    order.extend((0..new.len()).map(|place| (new.uid_at(place), Origin::New(place))));
    // Every message behind one without a UID would get a new one.
    for (uid, _) in order.iter_mut().filter(|(uid, _)| uid.is_none()) {
        *uid = Some(plan.uid_next);
        plan.uid_next = plan.uid_next.next();
    }
    order.sort_by_key(|(uid, _)| *uid);
    plan.sources.reserve_exact(order.len());
    // They are in the order of their UIDs, as the new messages are.
    let mut bodies = bodies.iter();
    for (uid, origin) in order {
        let found = match origin {
            Origin::Found(place) => kept(before, place, &targets).map(|record| (record, Source::Kept(place))),
            Origin::New(place) => new.at(place).zip(bodies.next().map(|SavedBody(number)| Source::Saved(number))),
        };
        let Some((mut record, source)) = found else { continue };
        record.uid = uid;
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

/// Where a record comes from.
#[derive(Clone, Copy)]
enum Origin {
    /// The message at this place of the mailbox.
    Found(usize),
    /// The new message at this place.
    New(usize),
}

/// What messages that are there become, if they change.
type Targets<'a> = HashMap<MessageKey, &'a MessageRecord>;

fn targets(changes: &MailboxChanges) -> Targets<'_> {
    let renumbered = changes.renumber.iter().map(|(key, record)| (*key, record));
    let updated = changes.update.iter().filter_map(|record| Some((MessageKey::Uid(record.uid?), record)));
    renumbered.chain(updated).collect()
}

/// What the message at a place of the mailbox becomes.
fn kept(before: &Snapshot, place: usize, targets: &Targets<'_>) -> Option<MessageRecord> {
    let old = before.messages.at(place)?;
    Some(match before.messages.key_of(place).and_then(|key| targets.get(&key)) {
        Some(record) => MessageRecord { guid: old.guid, ..(*record).clone() },
        None => old,
    })
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
        targets: &Targets<'_>,
    ) -> Result<Vec<(Option<Uid>, Origin)>, StoreError> {
        let mut remove: HashSet<MessageKey> = changes.remove.iter().copied().collect();
        let mut change: HashSet<MessageKey> = targets.keys().copied().collect();
        let mut order = Vec::with_capacity(before.messages.len());
        for (place, (key, old)) in before.messages.keyed().enumerate() {
            if remove.remove(&key) {
                self.removed.extend(old.uid.map(|uid| (uid.get(), old.guid.to_128())));
                continue;
            }
            change.remove(&key);
            order.push((targets.get(&key).map_or(old.uid, |target| target.uid), Origin::Found(place)));
        }
        match remove.into_iter().chain(change).next() {
            Some(key) => Err(StoreError::new(ErrorKind::NotFound, format!("there is no {key}"))),
            None => Ok(order),
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
