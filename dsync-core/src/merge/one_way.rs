//! The contents of a backup: the destination's mailbox becomes what the source's is.
//!
//! A message is recognised by its GUID, so it is transferred only once however its UID, mailbox identity or flags
//! change. What the source has not decided yet (a UID, a modseq) the destination decides, and keeps its decision on
//! later runs for as long as the source leaves it open.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::{LAST_UID, MailboxPlan, MailboxView};
use crate::model::{MessageGuid, MessageKey, MessageRecord, ModSeq, Uid};
use crate::store::{MailboxChanges, Origin};

/// The plan that makes `destination` equal to `source`, but for messages of the source that are `unavailable`: it is
/// then as if the source did not have them.
///
/// If the source is not complete (something in it could not be read), a message that it does not show may be there all
/// the same, so none is removed.
#[must_use]
pub fn one_way(
    source: MailboxView<'_>,
    destination: MailboxView<'_>,
    unavailable: &HashSet<MessageKey>,
    source_is_complete: bool,
) -> MailboxPlan {
    let fresh = fresh_modseq(source, destination);
    let WantedUids { wanted, uid_next, unplaced } = wanted_uids(source, destination, unavailable);
    let mut present = Instances::new(destination);
    let mut plan = MailboxPlan {
        changes: MailboxChanges {
            identity: source.status.identity.or(destination.status.identity),
            uid_next,
            highest_modseq: ModSeq::default(),
            first_recent_uid: first_recent_uid(source, destination).min(uid_next),
            ..MailboxChanges::empty(Origin::Mirrored)
        },
        fetch: Vec::new(),
        unplaced,
        needed: false,
    };
    let mut highest = lowest_highest_modseq(source, destination);
    let mut missing = Vec::new();
    for (uid, (key, record)) in &wanted {
        match present.take_at(*uid, &record.guid) {
            Some(here) => {
                let target = target_record(record, *uid, Some(here), fresh);
                highest = highest.max(target.modseq.unwrap_or_default());
                if target != *here {
                    plan.changes.update.push(target);
                }
            }
            None => missing.push((*uid, *key, *record)),
        }
    }
    for (uid, there, record) in missing {
        let target = target_record(record, uid, None, fresh);
        highest = highest.max(target.modseq.unwrap_or_default());
        match present.take_any(&record.guid) {
            Some(key) => plan.changes.renumber.push((key, target)),
            None => plan.fetch.push((there, target)),
        }
    }
    let left = present.left();
    if source_is_complete {
        plan.changes.remove = left;
    } else {
        for record in
            left.iter().filter_map(|key| destination.messages.records().get(destination.messages.index_of(*key)?))
        {
            highest = highest.max(record.modseq.unwrap_or_default());
            if let Some(uid) = record.uid {
                plan.changes.uid_next = plan.changes.uid_next.max(uid.next());
            }
        }
    }
    plan.changes.highest_modseq = highest;
    plan.needed = is_needed(&plan, destination);
    plan
}

/// The modseq for what changed at the source without being counted there yet.
fn fresh_modseq(source: MailboxView<'_>, destination: MailboxView<'_>) -> ModSeq {
    source.status.highest_modseq.max(destination.status.highest_modseq).unwrap_or(ModSeq::FIRST).plus(1)
}

/// HIGHESTMODSEQ before the messages are looked at. The source's counting rules as soon as there is one, so that a
/// destination that ran ahead is brought back.
fn lowest_highest_modseq(source: MailboxView<'_>, destination: MailboxView<'_>) -> ModSeq {
    source.status.highest_modseq.or(destination.status.highest_modseq).unwrap_or(ModSeq::FIRST)
}

fn first_recent_uid(source: MailboxView<'_>, destination: MailboxView<'_>) -> Uid {
    source.status.first_recent_uid.or(destination.status.first_recent_uid).unwrap_or(Uid::FIRST)
}

/// Which message of the source has to be at which UID, and UIDNEXT after that.
struct WantedUids<'a> {
    wanted: BTreeMap<Uid, (MessageKey, &'a MessageRecord)>,
    uid_next: Uid,
    unplaced: Vec<MessageKey>,
}

fn wanted_uids<'a>(
    source: MailboxView<'a>,
    destination: MailboxView<'_>,
    unavailable: &HashSet<MessageKey>,
) -> WantedUids<'a> {
    let mut wanted = BTreeMap::new();
    let mut unassigned = Vec::new();
    for (key, record) in source.messages.keyed().filter(|(key, _)| !unavailable.contains(key)) {
        match record.uid {
            Some(uid) => drop(wanted.insert(uid, (key, record))),
            None => unassigned.push((key, record)),
        }
    }
    let mut uid_next = source.status.uid_next;
    if source.status.identity.uid_validity.is_none() || !unassigned.is_empty() {
        // A UID that was given here for such a message must not be given again for another one.
        uid_next = uid_next.max(destination.status.uid_next);
    }
    let mut remembered: HashMap<&MessageGuid, VecDeque<Uid>> = HashMap::new();
    for record in destination.messages.assigned() {
        // Below the source's UIDNEXT the source has given, or used up, all UIDs itself.
        if let Some(uid) = record.uid.filter(|uid| *uid >= source.status.uid_next && !wanted.contains_key(uid)) {
            remembered.entry(&record.guid).or_default().push_back(uid);
        }
    }
    let mut without = Vec::new();
    for (key, record) in unassigned {
        match remembered.get_mut(&record.guid).and_then(VecDeque::pop_front) {
            Some(uid) => drop(wanted.insert(uid, (key, record))),
            None => without.push((key, record)),
        }
    }
    let mut unplaced = Vec::new();
    for (key, record) in without {
        if uid_next.get() > LAST_UID {
            unplaced.push(key);
            continue;
        }
        wanted.insert(uid_next, (key, record));
        uid_next = uid_next.next();
    }
    if let Some((last, _)) = wanted.last_key_value() {
        uid_next = uid_next.max(last.next());
    }
    WantedUids { wanted, uid_next, unplaced }
}

/// What the message becomes at the destination, where it is `here` so far.
fn target_record(record: &MessageRecord, uid: Uid, here: Option<&MessageRecord>, fresh: ModSeq) -> MessageRecord {
    let mut target = record.clone();
    target.uid = Some(uid);
    if let Some(here) = here {
        target.saved = record.saved.or(here.saved);
        target.modseq = record.modseq.or_else(|| {
            target.modseq = here.modseq;
            here.modseq.filter(|_| target == *here)
        });
    }
    target.modseq = target.modseq.or(Some(fresh));
    target
}

fn is_needed(plan: &MailboxPlan, destination: MailboxView<'_>) -> bool {
    let MailboxChanges { identity, remove, renumber, update, uid_next, highest_modseq, first_recent_uid, .. } =
        &plan.changes;
    let status = destination.status;
    !(remove.is_empty()
        && renumber.is_empty()
        && update.is_empty()
        && plan.fetch.is_empty()
        && identity.is_decided()
        && *identity == status.identity
        && *uid_next == status.uid_next
        && Some(*highest_modseq) == status.highest_modseq
        && Some(*first_recent_uid) == status.first_recent_uid)
}

/// The destination's messages that have not found their place yet.
struct Instances<'a> {
    by_guid: HashMap<&'a MessageGuid, VecDeque<(MessageKey, &'a MessageRecord)>>,
}

impl<'a> Instances<'a> {
    fn new(destination: MailboxView<'a>) -> Self {
        let mut by_guid: HashMap<_, VecDeque<_>> = HashMap::with_capacity(destination.messages.len());
        for (key, record) in destination.messages.keyed() {
            by_guid.entry(&record.guid).or_default().push_back((key, record));
        }
        Self { by_guid }
    }

    fn take_at(&mut self, uid: Uid, guid: &MessageGuid) -> Option<&'a MessageRecord> {
        let instances = self.by_guid.get_mut(guid)?;
        let index = instances.iter().position(|(key, _)| *key == MessageKey::Uid(uid))?;
        instances.remove(index).map(|(_, record)| record)
    }

    fn take_any(&mut self, guid: &MessageGuid) -> Option<MessageKey> {
        self.by_guid.get_mut(guid)?.pop_front().map(|(key, _)| key)
    }

    fn left(self) -> Vec<MessageKey> {
        let mut left: Vec<_> = self.by_guid.into_values().flatten().map(|(key, _)| key).collect();
        left.sort_unstable();
        left
    }
}

#[cfg(test)]
mod tests;
