//! The contents of a backup: the destination's mailbox becomes what the source's is.
//!
//! A message is recognised by its GUID, so it is transferred only once however its UID, mailbox identity or flags
//! change. What the source has not decided yet (a UID, a modseq) the destination decides, and keeps its decision on
//! later runs for as long as the source leaves it open.

mod explain;

use std::collections::{HashMap, HashSet, VecDeque};

pub use explain::explain;

use super::{Fetch, LAST_UID, MailboxPlan, MailboxView};
use crate::model::{MessageGuid, MessageKey, MessageList, MessageRecord, ModSeq, Uid};
use crate::store::{MailboxChanges, Origin};

/// Messages of the source that a backup does without.
#[derive(Clone, Debug, Default)]
pub struct LeftOut {
    /// Their bytes cannot be had, so it is as if the source did not have them.
    pub unavailable: HashSet<MessageKey>,
    /// They were not selected. What the destination has of them stays and is kept up to date, what it does not have does
    /// not come.
    pub unselected: HashSet<MessageKey>,
}

/// The plan that makes `destination` equal to `source`, but for messages that are left out.
///
/// If the source is not complete (something in it could not be read), a message that it does not show may be there all
/// the same, so none is removed.
#[must_use]
pub fn one_way(
    source: MailboxView<'_>,
    destination: MailboxView<'_>,
    left_out: &LeftOut,
    source_is_complete: bool,
) -> MailboxPlan {
    let fresh = fresh_modseq(source, destination);
    let WantedUids { wanted, uid_next, unplaced, unselected } = wanted_uids(source, destination, left_out);
    let mut present = Present::new(destination.messages);
    let mut plan = MailboxPlan {
        changes: MailboxChanges {
            identity: source.status.identity.or(destination.status.identity),
            uid_next,
            highest_modseq: ModSeq::default(),
            first_recent_uid: first_recent_uid(source, destination).min(uid_next),
            ..MailboxChanges::empty(Origin::Mirrored)
        },
        fetch: Fetch::default(),
        unplaced,
        unselected,
        needed: false,
    };
    let mut highest = lowest_highest_modseq(source, destination);
    let mut missing = Vec::new();
    for place in wanted {
        let Some(record) = source.messages.at(place.index) else { continue };
        match present.take_at(place.uid, &record.guid) {
            Some(here) => {
                let target = target_record(record, place.uid, Some(&here), fresh);
                highest = highest.max(target.modseq.unwrap_or_default());
                if target != here {
                    plan.changes.update.push(target);
                }
            }
            None => missing.push(place),
        }
    }
    let mut elsewhere = present.by_guid(source.messages, &missing);
    if !missing.is_empty() {
        plan.fetch = Fetch::from_list(source.messages, missing.len(), fresh);
    }
    for place in missing {
        let (Some(there), Some(record)) = (source.messages.key_of(place.index), source.messages.at(place.index))
        else {
            continue;
        };
        let target = target_record(record, place.uid, None, fresh);
        highest = highest.max(target.modseq.unwrap_or_default());
        match elsewhere.get_mut(&target.guid).and_then(VecDeque::pop_front) {
            Some(index) => plan.changes.renumber.extend(present.take(index).map(|key| (key, target))),
            None if left_out.unselected.contains(&there) => plan.unselected = plan.unselected.saturating_add(1),
            None => {
                if plan.fetch.pick(place.index, place.uid).is_err() {
                    plan.unplaced.push(there);
                }
            }
        }
    }
    if source_is_complete {
        plan.changes.remove = present.left().filter_map(|index| destination.messages.key_of(index)).collect();
    } else {
        for record in present.left().filter_map(|index| destination.messages.at(index)) {
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

/// Which message of the source has to be at which UID, by ascending UID, and UIDNEXT after that.
struct WantedUids {
    wanted: Vec<Place>,
    uid_next: Uid,
    unplaced: Vec<MessageKey>,
    /// How many messages have no place because they were not selected.
    unselected: usize,
}

/// A message of the source, and the UID that it has to have.
#[derive(Clone, Copy)]
struct Place {
    uid: Uid,
    index: usize,
}

fn wanted_uids(source: MailboxView<'_>, destination: MailboxView<'_>, left_out: &LeftOut) -> WantedUids {
    let assigned = source.messages.assigned();
    let is_available =
        |index: &usize| source.messages.key_of(*index).is_some_and(|key| !left_out.unavailable.contains(&key));
    let mut wanted = Vec::with_capacity(source.messages.len());
    wanted.extend((0..assigned).filter(is_available).filter_map(|index| {
        let uid = source.messages.uid_at(index)?;
        Some(Place { uid, index })
    }));
    let unassigned: Vec<usize> = (assigned..source.messages.len()).filter(is_available).collect();
    let mut uid_next = source.status.uid_next;
    if source.status.identity.uid_validity.is_none() || !unassigned.is_empty() {
        // A UID that was given here for such a message must not be given again for another one.
        uid_next = uid_next.max(destination.status.uid_next);
    }
    let mut remembered = remembered_uids(source, destination, &wanted, &unassigned);
    let mut without = Vec::new();
    for index in unassigned {
        let guid = source.messages.guid_at(index);
        match guid.and_then(|guid| remembered.get_mut(&guid)).and_then(VecDeque::pop_front) {
            Some(uid) => wanted.push(Place { uid, index }),
            None => without.push(index),
        }
    }
    let (mut unplaced, mut unselected) = (Vec::new(), 0_usize);
    let is_unselected = |index| source.messages.key_of(index).is_some_and(|key| left_out.unselected.contains(&key));
    let mut held = HashSet::new();
    if without.iter().any(|index| is_unselected(*index)) {
        held.extend((0..destination.messages.len()).filter_map(|index| destination.messages.guid_at(index)));
    }
    for index in without {
        // No UID is given to what does not come.
        if is_unselected(index) && source.messages.guid_at(index).is_some_and(|guid| !held.contains(&guid)) {
            unselected = unselected.saturating_add(1);
            continue;
        }
        if uid_next.get() > LAST_UID {
            unplaced.extend(source.messages.key_of(index));
            continue;
        }
        wanted.push(Place { uid: uid_next, index });
        uid_next = uid_next.next();
    }
    wanted.sort_by_key(|place| place.uid);
    if let Some(last) = wanted.last() {
        uid_next = uid_next.max(last.uid.next());
    }
    WantedUids { wanted, uid_next, unplaced, unselected }
}

/// The UIDs that the destination has given to messages which the source leaves `unassigned`.
fn remembered_uids(
    source: MailboxView<'_>,
    destination: MailboxView<'_>,
    wanted: &[Place],
    unassigned: &[usize],
) -> HashMap<MessageGuid, VecDeque<Uid>> {
    let mut remembered: HashMap<MessageGuid, VecDeque<Uid>> = HashMap::new();
    for guid in unassigned.iter().filter_map(|index| source.messages.guid_at(*index)) {
        remembered.entry(guid).or_default();
    }
    if remembered.is_empty() {
        return remembered;
    }
    for index in 0..destination.messages.assigned() {
        // Below the source's UIDNEXT the source has given, or used up, all UIDs itself.
        let is_free = |uid: &Uid| {
            *uid >= source.status.uid_next && wanted.binary_search_by_key(uid, |place| place.uid).is_err()
        };
        if let Some(uid) = destination.messages.uid_at(index).filter(is_free)
            && let Some(uids) = destination.messages.guid_at(index).and_then(|guid| remembered.get_mut(&guid))
        {
            uids.push_back(uid);
        }
    }
    remembered
}

/// What the message becomes at the destination, where it is `here` so far.
fn target_record(record: MessageRecord, uid: Uid, here: Option<&MessageRecord>, fresh: ModSeq) -> MessageRecord {
    let mut target = MessageRecord { uid: Some(uid), ..record };
    if let Some(here) = here {
        target.saved = target.saved.or(here.saved);
        if target.modseq.is_none() {
            target.modseq = here.modseq;
            target.modseq = here.modseq.filter(|_| target == *here);
        }
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

/// The destination's messages, and which of them have found their place.
struct Present<'a> {
    messages: &'a MessageList,
    taken: Vec<bool>,
}

impl<'a> Present<'a> {
    fn new(messages: &'a MessageList) -> Self {
        Self { messages, taken: vec![false; messages.len()] }
    }

    /// The message that is at its place already.
    fn take_at(&mut self, uid: Uid, guid: &MessageGuid) -> Option<MessageRecord> {
        let index = self.messages.index_of(MessageKey::Uid(uid))?;
        let here = self.messages.at(index).filter(|here| here.guid == *guid)?;
        self.take(index)?;
        Some(here)
    }

    fn take(&mut self, index: usize) -> Option<MessageKey> {
        *self.taken.get_mut(index)? = true;
        self.messages.key_of(index)
    }

    /// The places of messages that are left.
    fn left(&self) -> impl Iterator<Item = usize> {
        self.taken.iter().enumerate().filter(|(_, taken)| !**taken).map(|(index, _)| index)
    }

    /// Where the messages that are left have the GUID of one that is missing.
    fn by_guid(&self, source: &MessageList, missing: &[Place]) -> HashMap<MessageGuid, VecDeque<usize>> {
        let mut places: HashMap<MessageGuid, VecDeque<usize>> = HashMap::new();
        if missing.is_empty() || self.left().next().is_none() {
            return places;
        }
        for guid in missing.iter().filter_map(|place| source.guid_at(place.index)) {
            places.entry(guid).or_default();
        }
        for index in self.left() {
            if let Some(places) = self.messages.guid_at(index).and_then(|guid| places.get_mut(&guid)) {
                places.push_back(index);
            }
        }
        places
    }
}

#[cfg(test)]
mod tests;
