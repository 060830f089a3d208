//! What both sides had in common before they went different ways.

use std::collections::{HashMap, HashSet};

use super::{Instance, MergeSide, Placed, SideMessage, SortKey};
use crate::model::{Role, SyncPoint, Uid};

/// The common part, decided.
#[derive(Debug, Default)]
pub(super) struct CommonPart {
    /// Messages that stay under their UID on both sides.
    pub(super) kept: Vec<Placed>,
    /// Messages of each side, master first, that need a place: those above the common part, and those in it that the
    /// other side lacks without having expunged them. By ascending UID, those without one last.
    pub(super) new: [Vec<Instance>; 2],
    /// Messages of each side that the other one has expunged.
    gone: [Vec<Instance>; 2],
}

/// What a side knows about a UID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knowledge {
    Present(usize),
    Expunged(Option<[u8; 16]>),
    Unknown,
}

use Knowledge::{Expunged, Present, Unknown};

impl CommonPart {
    /// `None` if `base` cannot be true.
    pub(super) fn find(sides: [&MergeSide; 2], base: Option<&SyncPoint>) -> Option<Self> {
        let known_to_both = base.map(|base| base.uid_next);
        let uids = all_uids(sides);
        let last = last_common_uid(sides, &uids, known_to_both);
        let mut part = Self::default();
        for (uid, knowledge) in &uids {
            let proven = known_to_both.is_some_and(|next| *uid < next);
            if !(proven || last.is_some_and(|last| *uid <= last)) {
                break;
            }
            part.sort_in(sides, *uid, *knowledge, proven)?;
        }
        let last = last.max(known_to_both.map(|next| Uid::new(next.get().saturating_sub(1))).unwrap_or_default());
        for role in Role::BOTH {
            let expunged = unassigned_that_are_expunged(sides, role);
            for (index, message) in sides[role.index()].messages.iter().enumerate() {
                if expunged.contains(&index) {
                    continue;
                }
                if message.record.uid.is_none_or(|uid| last.is_none_or(|last| uid > last)) {
                    part.new[role.index()].push(Instance { index, uid: message.record.uid });
                }
            }
        }
        part.follow_moves(sides);
        Some(part)
    }

    /// A message that was expunged under one UID and is there again under another was moved, by a client or by the
    /// solution of a conflict. What the other side did to it under its old UID is not lost.
    fn follow_moves(&mut self, sides: [&MergeSide; 2]) {
        let mut counts: [HashMap<SortKey<'_>, usize>; 2] = Default::default();
        for role in Role::BOTH {
            for instance in &self.new[role.index()] {
                if let Some(message) = sides[role.index()].messages.get(instance.index) {
                    *counts[role.index()].entry(message.sort_key()).or_default() += 1;
                }
            }
        }
        for role in Role::BOTH {
            for instance in std::mem::take(&mut self.gone[role.index()]) {
                let Some(message) = sides[role.index()].messages.get(instance.index) else { continue };
                let others = counts[role.other().index()].get(&message.sort_key()).copied().unwrap_or(0);
                let own = counts[role.index()].entry(message.sort_key()).or_default();
                if *own < others {
                    *own += 1;
                    self.new[role.index()].push(instance);
                }
            }
            self.new[role.index()].sort_by_key(|instance| (instance.uid.is_none(), instance.uid, instance.index));
        }
    }

    fn sort_in(&mut self, sides: [&MergeSide; 2], uid: Uid, knowledge: [Knowledge; 2], proven: bool) -> Option<()> {
        match knowledge {
            [Present(master), Present(slave)] => {
                let [first, second] = [sides[0].messages.get(master)?, sides[1].messages.get(slave)?];
                // Without GUIDs of their own, messages that both sides remember are recognised by their UID.
                let comparable = first.content.is_some() == second.content.is_some() && guids_count(sides);
                if comparable && !first.is_same(second) {
                    return None;
                }
                self.kept.push(Placed { uid, from: [Some(master), Some(slave)], withheld: None });
            }
            [Present(index), other] => self.one_sided(sides, Role::Master, uid, index, other, proven),
            [other, Present(index)] => self.one_sided(sides, Role::Slave, uid, index, other, proven),
            _ => {}
        }
        Some(())
    }

    /// A message that only one side has.
    fn one_sided(
        &mut self,
        sides: [&MergeSide; 2],
        owner: Role,
        uid: Uid,
        index: usize,
        other: Knowledge,
        proven: bool,
    ) {
        let other_side = sides[owner.other().index()];
        let [first, second] = sides.map(|side| side.status.identity.uid_validity);
        let same_uids = first.is_some() && first == second;
        let expunged = match other {
            // A GUID was compared when the common part was found.
            Expunged(guid) => proven || same_uids || (guid.is_some() && guids_count(sides)),
            // It was there, and now it is not.
            Unknown => proven && other_side.complete,
            Present(_) => false,
        };
        if expunged {
            self.gone[owner.index()].push(Instance { index, uid: Some(uid) });
            return;
        }
        if !other_side.complete {
            let mut from = [None; 2];
            from[owner.index()] = Some(index);
            self.kept.push(Placed { uid, from, withheld: Some(owner.other()) });
            return;
        }
        self.new[owner.index()].push(Instance { index, uid: Some(uid) });
    }
}

/// Messages without a UID that the other side had and has expunged: a side that must not be changed lists them in every
/// run.
fn unassigned_that_are_expunged(sides: [&MergeSide; 2], role: Role) -> HashSet<usize> {
    let (own, other) = (sides[role.index()], sides[role.other().index()]);
    let unassigned = own.messages.iter().enumerate().filter(|(_, message)| message.record.uid.is_none());
    let unassigned: Vec<_> = unassigned.collect();
    if unassigned.is_empty() || other.expunged.is_empty() || !guids_count(sides) {
        return HashSet::new();
    }
    let gone: HashSet<_> = other.expunged.values().flatten().collect();
    let there: HashSet<_> = other.messages.iter().map(|message| &message.record.guid).collect();
    let expunged = unassigned.into_iter().filter(|(_, message)| {
        let guid = &message.record.guid;
        gone.contains(&guid.to_128()) && !there.contains(guid)
    });
    expunged.map(|(index, _)| index).collect()
}

/// Whether the GUIDs of both sides prove something.
fn guids_count(sides: [&MergeSide; 2]) -> bool {
    sides.iter().all(|side| side.keeps_guids)
}

/// All UIDs that a side has or had, ascending, with what each side knows.
fn all_uids(sides: [&MergeSide; 2]) -> Vec<(Uid, [Knowledge; 2])> {
    let mut uids = Vec::new();
    for role in Role::BOTH {
        let side = sides[role.index()];
        let present = side.messages.iter().enumerate().filter_map(|(index, message)| {
            let uid = message.record.uid?;
            Some((uid, role, Present(index)))
        });
        uids.extend(present);
        let has = |uid: &Uid| side.messages.binary_search_by_key(&Some(*uid), uid_or_last).is_ok();
        let gone = side.expunged.iter().filter(|(uid, _)| !has(uid));
        uids.extend(gone.map(|(uid, guid)| (*uid, role, Expunged(*guid))));
    }
    uids.sort_by_key(|(uid, _, _)| *uid);
    let mut merged: Vec<(Uid, [Knowledge; 2])> = Vec::with_capacity(uids.len());
    for (uid, role, knowledge) in uids {
        match merged.last_mut() {
            Some((last, both)) if *last == uid => both[role.index()] = knowledge,
            _ => {
                let mut both = [Unknown; 2];
                both[role.index()] = knowledge;
                merged.push((uid, both));
            }
        }
    }
    merged
}

/// Messages without a UID come last.
fn uid_or_last(message: &SideMessage) -> Option<Uid> {
    message.record.uid.or(Some(Uid::MAX))
}

/// The greatest UID that names the same message on both sides, found from below without passing a contradiction.
fn last_common_uid(
    sides: [&MergeSide; 2],
    uids: &[(Uid, [Knowledge; 2])],
    known_to_both: Option<Uid>,
) -> Option<Uid> {
    let last_present = sides.map(|side| side.messages.iter().rev().find_map(|message| message.record.uid));
    let mut common = None;
    for (uid, knowledge) in uids {
        if known_to_both.is_some_and(|next| *uid < next) {
            continue;
        }
        match *knowledge {
            [Present(master), Present(slave)] => {
                let same = sides[0].messages.get(master).zip(sides[1].messages.get(slave));
                if !same.is_some_and(|(first, second)| first.is_same(second)) {
                    break;
                }
                common = Some(*uid);
            }
            [Present(index), Expunged(Some(guid))] | [Expunged(Some(guid)), Present(index)] => {
                let owner = if matches!(knowledge[0], Present(_)) { 0 } else { 1 };
                let present = sides[owner].messages.get(index);
                if guids_count(sides) {
                    if present.is_none_or(|message| message.record.guid.to_128() != guid) {
                        break;
                    }
                    common = Some(*uid);
                }
            }
            [Present(_), Unknown] if is_beyond(sides[1], last_present[1], *uid) => break,
            [Unknown, Present(_)] if is_beyond(sides[0], last_present[0], *uid) => break,
            _ => {}
        }
    }
    common
}

/// Whether a UID that the side does not know lies behind everything that it has.
fn is_beyond(side: &MergeSide, last_present: Option<Uid>, uid: Uid) -> bool {
    uid >= side.status.uid_next || last_present.is_none_or(|last| last < uid)
}
