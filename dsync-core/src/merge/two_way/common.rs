//! What both sides had in common before they went different ways.

use std::collections::{HashMap, HashSet};

use super::{Instance, MergeSide, Placed, SortKey};
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
    pub(super) fn find(sides: [&MergeSide<'_>; 2], base: Option<&SyncPoint>) -> Option<Self> {
        let known_to_both = base.map(|base| base.uid_next);
        let last = last_common_uid(sides, known_to_both);
        let mut part = Self::default();
        let [masters, slaves] = sides.map(|side| side.messages.assigned());
        part.kept.reserve_exact(masters.min(slaves));
        for (uid, knowledge) in all_uids(sides) {
            let proven = known_to_both.is_some_and(|next| uid < next);
            if !(proven || last.is_some_and(|last| uid <= last)) {
                break;
            }
            part.sort_in(sides, uid, knowledge, proven)?;
        }
        let last = last.max(known_to_both.map(|next| Uid::new(next.get().saturating_sub(1))).unwrap_or_default());
        for role in Role::BOTH {
            let expunged = unassigned_that_are_expunged(sides, role);
            let messages = &sides[role.index()].messages;
            part.new[role.index()].retain(|instance| !was_expunged_where_it_came_from(sides, role, instance.index));
            for index in (0..messages.len()).filter(|index| !expunged.contains(index)) {
                let uid = messages.uid_at(index);
                if uid.is_none_or(|uid| last.is_none_or(|last| uid > last))
                    && !was_expunged_where_it_came_from(sides, role, index)
                {
                    part.new[role.index()].push(Instance { index, uid });
                }
            }
        }
        part.follow_moves(sides);
        Some(part)
    }

    /// A message that was expunged under one UID and is there again under another was moved, by a client or by the
    /// solution of a conflict. What the other side did to it under its old UID is not lost.
    fn follow_moves(&mut self, sides: [&MergeSide<'_>; 2]) {
        let mut counts: [HashMap<SortKey, usize>; 2] = Default::default();
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

    fn sort_in(
        &mut self,
        sides: [&MergeSide<'_>; 2],
        uid: Uid,
        knowledge: [Knowledge; 2],
        proven: bool,
    ) -> Option<()> {
        match knowledge {
            [Present(master), Present(slave)] => {
                let [first, second] = [sides[0].messages.get(master)?, sides[1].messages.get(slave)?];
                // Without GUIDs of their own, messages that both sides remember are recognised by their UID.
                let comparable = first.content.is_some() == second.content.is_some() && guids_count(sides);
                if comparable && !first.is_same(&second) {
                    return None;
                }
                self.kept.push(Placed::new(uid, [Some(master), Some(slave)], None));
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
        sides: [&MergeSide<'_>; 2],
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
            // A GUID was compared when the common part was found. Without GUIDs the UID alone would tell the expunge of
            // another message that had it by chance.
            Expunged(guid) => {
                proven
                    || other_side.expunged_were_common && same_uids
                    || guids_count(sides) && (same_uids || guid.is_some())
            }
            // It was there, and now it is not.
            Unknown => proven && other_side.complete,
            Present(_) => false,
        };
        if expunged {
            self.gone[owner.index()].push(Instance { index, uid: Some(uid) });
            return;
        }
        // What is not selected stays where it is, unless the other side has had that UID.
        let is_left_alone = other == Unknown && !sides[owner.index()].messages.is_selected(index);
        if !other_side.complete || is_left_alone {
            let mut from = [None; 2];
            from[owner.index()] = Some(index);
            self.kept.push(Placed::new(uid, from, Some(owner.other())));
            return;
        }
        self.new[owner.index()].push(Instance { index, uid: Some(uid) });
    }
}

/// Whether a synchronisation brought the message to this side, and a client expunged it at the other one: that side was not yet
/// told under which UID it is here when a run ended early, or when the mailbox changed too fast.
fn was_expunged_where_it_came_from(sides: [&MergeSide<'_>; 2], role: Role, index: usize) -> bool {
    let (own, other) = (sides[role.index()], sides[role.other().index()]);
    if own.origins.brought.is_empty() || other.origins.expunged_by_clients.is_empty() || !guids_count(sides) {
        return false;
    }
    let guid = own.messages.record(index).map(|record| record.guid.to_128());
    guid.is_some_and(|guid| own.origins.brought.contains(&guid) && other.origins.expunged_by_clients.contains(&guid))
}

/// Messages without a UID that the other side had and has expunged: a side that must not be changed lists them in every
/// run.
fn unassigned_that_are_expunged(sides: [&MergeSide<'_>; 2], role: Role) -> HashSet<usize> {
    let (own, other) = (sides[role.index()], sides[role.other().index()]);
    let unassigned = own.messages.assigned()..own.messages.len();
    if unassigned.is_empty() || other.expunged.is_empty() || !guids_count(sides) {
        return HashSet::new();
    }
    let gone: HashSet<_> = other.expunged.values().flatten().collect();
    let there: HashSet<_> = other.messages.records().map(|record| record.guid).collect();
    let expunged = unassigned.filter(|index| {
        let guid = own.messages.record(*index).map(|record| record.guid);
        guid.is_some_and(|guid| gone.contains(&guid.to_128()) && !there.contains(&guid))
    });
    expunged.collect()
}

/// Whether the GUIDs of both sides prove something.
fn guids_count(sides: [&MergeSide<'_>; 2]) -> bool {
    sides.iter().all(|side| side.keeps.guids)
}

/// All UIDs that a side has or had, ascending, with what each side knows.
fn all_uids(sides: [&MergeSide<'_>; 2]) -> impl Iterator<Item = (Uid, [Knowledge; 2])> {
    let [master, slave] = sides.map(known_uids);
    let (mut masters, mut slaves) = (master.peekable(), slave.peekable());
    std::iter::from_fn(move || {
        let heads = [masters.peek(), slaves.peek()].map(|head| head.map(|(uid, _)| *uid));
        let uid = heads.into_iter().flatten().min()?;
        let master = masters.next_if(|(own, _)| *own == uid).map_or(Unknown, |(_, knowledge)| knowledge);
        let slave = slaves.next_if(|(own, _)| *own == uid).map_or(Unknown, |(_, knowledge)| knowledge);
        Some((uid, [master, slave]))
    })
}

/// All UIDs that one side has or had, ascending.
fn known_uids(side: &MergeSide<'_>) -> impl Iterator<Item = (Uid, Knowledge)> {
    let present =
        (0..side.messages.assigned()).filter_map(|index| Some((side.messages.uid_at(index)?, Present(index))));
    let gone = side.expunged.iter().filter(|(uid, _)| !side.messages.contains(**uid));
    let gone = gone.map(|(uid, guid)| (*uid, Expunged(*guid)));
    let (mut present, mut gone) = (present.peekable(), gone.peekable());
    std::iter::from_fn(move || match (present.peek(), gone.peek()) {
        (Some((there, _)), Some((expunged, _))) if expunged < there => gone.next(),
        (Some(_), _) => present.next(),
        (None, _) => gone.next(),
    })
}

/// The greatest UID that names the same message on both sides, found from below without passing a contradiction.
fn last_common_uid(sides: [&MergeSide<'_>; 2], known_to_both: Option<Uid>) -> Option<Uid> {
    let last_present = sides.map(|side| side.messages.uid_at(side.messages.assigned().checked_sub(1)?));
    let mut common = None;
    for (uid, knowledge) in all_uids(sides) {
        if known_to_both.is_some_and(|next| uid < next) {
            continue;
        }
        match knowledge {
            [Present(master), Present(slave)] => {
                let same = sides[0].messages.get(master).zip(sides[1].messages.get(slave));
                if !same.is_some_and(|(first, second)| first.is_same(&second)) {
                    break;
                }
                common = Some(uid);
            }
            [Present(index), Expunged(Some(guid))] | [Expunged(Some(guid)), Present(index)] if guids_count(sides) => {
                let owner = if matches!(knowledge[0], Present(_)) { 0 } else { 1 };
                let present = sides[owner].messages.record(index);
                if present.is_none_or(|record| record.guid.to_128() != guid) {
                    break;
                }
                common = Some(uid);
            }
            [Present(_), Expunged(_)] if sides[1].expunged_were_common => common = Some(uid),
            [Expunged(_), Present(_)] if sides[0].expunged_were_common => common = Some(uid),
            // That it is only on one side means nothing.
            [Present(index), Unknown] if !sides[0].messages.is_selected(index) => {}
            [Unknown, Present(index)] if !sides[1].messages.is_selected(index) => {}
            [Present(_), Unknown] if is_beyond(sides[1], last_present[1], uid) => break,
            [Unknown, Present(_)] if is_beyond(sides[0], last_present[0], uid) => break,
            _ => {}
        }
    }
    common
}

/// Whether a UID that the side does not know lies behind everything that it has.
fn is_beyond(side: &MergeSide<'_>, last_present: Option<Uid>, uid: Uid) -> bool {
    uid >= side.status.uid_next || last_present.is_none_or(|last| last < uid)
}
