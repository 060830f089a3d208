//! Which UIDs new messages get.
//!
//! The lists of both sides are merged like sorted lists, by the keys of their heads, although they are sorted by UID:
//! the order is one that both sides agree on, nothing more. A message keeps its UID if the other side cannot have
//! shown that UID for anything else. All others get fresh ones in the order of the sequence.

use std::collections::HashMap;

use super::{LAST_UID, MergeSide, SideMessage, SortKey};
use crate::model::{Role, Uid};

/// A message of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instance {
    /// Its place in the list of its side.
    pub(super) index: usize,
    /// Its UID there.
    pub(super) uid: Option<Uid>,
}

/// A message at the place that it has afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) uid: Uid,
    from: Places,
    /// The side that cannot be given it.
    pub(super) withheld: Option<Role>,
}

impl Placed {
    pub(super) fn new(uid: Uid, from: [Option<usize>; 2], withheld: Option<Role>) -> Self {
        Self { uid, from: Places::new(from), withheld }
    }

    /// Its place in the list of each side that has it.
    pub(super) fn from(&self) -> [Option<usize>; 2] {
        self.from.get()
    }
}

/// The place of a message in the list of each side that has it. There may be millions, but less than 2^32 in a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places([u32; 2]);

impl Places {
    const NOWHERE: u32 = u32::MAX;

    pub(super) fn new(places: [Option<usize>; 2]) -> Self {
        Self(places.map(|place| place.and_then(|place| u32::try_from(place).ok()).unwrap_or(Self::NOWHERE)))
    }

    pub(super) fn get(self) -> [Option<usize>; 2] {
        self.0.map(|place| usize::try_from(place).ok().filter(|_| place != Self::NOWHERE))
    }
}

/// All new messages at their places, and UIDNEXT after that.
pub(super) struct Sequence {
    pub(super) placed: Vec<Placed>,
    pub(super) uid_next: Uid,
}

/// One message of the sequence.
struct Entry {
    from: [Option<usize>; 2],
    uid: Option<Uid>,
    /// Whether it can keep that UID.
    usable: bool,
    /// The entry of the other side that is the same message under another UID.
    partner: Option<usize>,
}

pub(super) fn place(sides: [&MergeSide<'_>; 2], new: &[Vec<Instance>; 2]) -> Sequence {
    let entries = merge_lists(sides, new);
    let mut next = sides[0].status.uid_next.max(sides[1].status.uid_next);
    // UIDs that are kept lie above at least one UIDNEXT, so fresh ones start where both have never been.
    let mut placed = Vec::with_capacity(entries.len());
    let mut covered = vec![false; entries.len()];
    for (place, entry) in entries.iter().enumerate() {
        if covered[place] {
            continue;
        }
        let partner = entry.partner.map(|index| (index, &entries[index]));
        let mut from = entry.from;
        if let Some((index, partner)) = partner {
            covered[index] = true;
            for (own, others) in from.iter_mut().zip(partner.from) {
                *own = own.or(others);
            }
        }
        let left_alone = unselected_owner(sides, from);
        let kept = match left_alone {
            None => entry.uid.filter(|_| entry.usable),
            Some(_) if entry.uid.is_none() => continue,
            // It keeps any UID but one that names another message there, now or in what is remembered.
            Some(owner) => entry.uid.filter(|uid| {
                let other = sides[owner.other().index()];
                !other.messages.contains(*uid) && !other.expunged.contains_key(uid)
            }),
        };
        let kept = kept.or_else(|| partner.and_then(|(_, partner)| partner.uid.filter(|_| partner.usable)));
        let uid = kept.or_else(|| {
            let fresh = Some(next).filter(|next| next.get() <= LAST_UID)?;
            next = next.next();
            Some(fresh)
        });
        match uid {
            Some(uid) => placed.push(Placed::new(uid, from, left_alone.map(Role::other))),
            None => stay(&mut placed, sides, from),
        }
    }
    let above = placed.iter().filter(|placed| placed.withheld.is_none()).map(|placed| placed.uid.next()).max();
    Sequence { placed, uid_next: above.unwrap_or(Uid::FIRST).max(next) }
}

/// The only side that has the message, if it is not selected.
fn unselected_owner(sides: [&MergeSide<'_>; 2], from: [Option<usize>; 2]) -> Option<Role> {
    let (owner, index) = match from {
        [Some(index), None] => (Role::Master, index),
        [None, Some(index)] => (Role::Slave, index),
        _ => return None,
    };
    Some(owner).filter(|owner| !sides[owner.index()].messages.is_selected(index))
}

/// No UID is left: whatever a side has stays there and nowhere else.
fn stay(placed: &mut Vec<Placed>, sides: [&MergeSide<'_>; 2], from: [Option<usize>; 2]) {
    for role in Role::BOTH {
        let message = from[role.index()].and_then(|index| Some((index, sides[role.index()].messages.uid_at(index)?)));
        if let Some((index, uid)) = message {
            let mut from = [None; 2];
            from[role.index()] = Some(index);
            placed.push(Placed::new(uid, from, Some(role.other())));
        }
    }
}

fn merge_lists(sides: [&MergeSide<'_>; 2], new: &[Vec<Instance>; 2]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::with_capacity(new[0].len().saturating_add(new[1].len()));
    let mut seen: HashMap<SortKey, Vec<usize>> = HashMap::new();
    let (mut masters, mut slaves) = (new[0].iter().peekable(), new[1].iter().peekable());
    loop {
        let heads = [masters.peek().copied(), slaves.peek().copied()];
        let messages = [message_of(sides[0], heads[0]), message_of(sides[1], heads[1])];
        let take = match &messages {
            [None, None] => return entries,
            [Some(_), None] => [true, false],
            [None, Some(_)] => [false, true],
            [Some(master), Some(slave)] => {
                fn key(message: &SideMessage) -> (SortKey, bool, Option<Uid>) {
                    (message.sort_key(), message.record.uid.is_none(), message.record.uid)
                }
                match key(master).cmp(&key(slave)) {
                    std::cmp::Ordering::Less => [true, false],
                    std::cmp::Ordering::Greater => [false, true],
                    std::cmp::Ordering::Equal => [true, true],
                }
            }
        };
        let master = masters.next_if(|_| take[0]).copied();
        let slave = slaves.next_if(|_| take[1]).copied();
        let [first, second] = messages;
        let message = if take[0] { first } else { second };
        let Some(message) = message else { return entries };
        let uid = message.record.uid;
        let usable = match take {
            [true, true] => uid.is_some(),
            [true, false] => uid.is_some_and(|uid| uid >= sides[1].status.uid_next),
            _ => uid.is_some_and(|uid| uid >= sides[0].status.uid_next),
        };
        let from = [master.map(|instance| instance.index), slave.map(|instance| instance.index)];
        let same = seen.entry(message.sort_key()).or_default();
        let mut entry = Entry { from, uid, usable, partner: None };
        link(&mut entries, same, &mut entry);
        same.push(entries.len());
        entries.push(entry);
    }
}

/// Joins the new entry with one of the other side that is the same message.
fn link(entries: &mut [Entry], same: &[usize], entry: &mut Entry) {
    let place = entries.len();
    let is_common = |entry: &Entry| entry.from.iter().all(Option::is_some);
    for index in same {
        let Some(earlier) = entries.get_mut(*index) else { continue };
        if earlier.uid.is_some() && earlier.uid == entry.uid {
            earlier.usable = true;
        }
        let other_side = earlier.from.iter().zip(entry.from).all(|(earlier, own)| earlier.is_none() || own.is_none());
        if entry.partner.is_none()
            && earlier.partner.is_none()
            && other_side
            && !is_common(earlier)
            && !is_common(entry)
        {
            earlier.partner = Some(place);
            entry.partner = Some(*index);
        }
    }
}

fn message_of(side: &MergeSide<'_>, instance: Option<&Instance>) -> Option<SideMessage> {
    side.messages.get(instance?.index)
}
