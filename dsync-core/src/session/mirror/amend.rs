//! What a side does with its own mailboxes once it knows the other side's tree, before both trees are merged.
//!
//! * Of several mailboxes with one GUID only one keeps it.
//! * A mailbox that the other side deleted, but that holds messages which the other side never had, becomes another
//!   mailbox: a deletion was meant for what was in it then. The other side gets it back as a new one.
//! * If the other side has made a new mailbox of that name, what was deleted gives way to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    MailboxGuid, MailboxIdentity, MailboxName, MailboxNode, MailboxSelection, MailboxStatus, MessageKey,
    MessageRecord, ModSeq, NodeKind, SyncPoint, TreeChange, Uid,
};
use crate::session::Amendments;
use crate::session::settle;
use crate::store::{MailStore, Mailbox, MailboxChanges, Origin, StoreError};
use crate::tree::two_way::TreeSide;

/// Mailboxes that hold nothing which the other side did not have, and how they were when that was found.
pub(in crate::session) type Deletable = BTreeMap<MailboxGuid, MailboxStatus>;

/// What was done, and what is to follow from it.
#[derive(Default)]
pub(in crate::session) struct Amended {
    pub(in crate::session) amendments: Amendments,
    pub(in crate::session) deletable: Deletable,
    /// Mailboxes that had the GUID of another one.
    pub(in crate::session) duplicates: Vec<MailboxName>,
    /// Mailboxes that could not be looked at or changed. They stay as they are.
    pub(in crate::session) failed: Vec<(MailboxName, StoreError)>,
}

/// Looks at every mailbox of `own` that cannot stay what it is, and changes it. What the other side deleted counts only if it
/// is selected. `peer` is how the other side is called in sync points.
pub(in crate::session) fn amend(
    store: &mut dyn MailStore,
    own: &TreeSide,
    other: &TreeSide,
    selection: &MailboxSelection,
    peer: [u8; 8],
) -> Amended {
    let mut amended = Amended::default();
    let renewed: BTreeSet<_> = duplicates(own, other).into_iter().chain(other_inbox_elsewhere(own, other)).collect();
    for name in &renewed {
        match keep_as_another(store, name, &|_| false) {
            Ok(guid) => amended.amendments.kept.push((name.clone(), guid)),
            Err(error) => amended.failed.push((name.clone(), error)),
        }
    }
    amended.duplicates = renewed.iter().filter(|name| is_duplicate(own, name)).cloned().collect();
    for (name, guid) in deleted_by(own, other) {
        if renewed.contains(name) || !selection.contains(name, Some(guid)) {
            continue;
        }
        let made_again = other.tree.get(name).and_then(MailboxNode::guid).is_some();
        match amend_deleted(store, name, guid, Deleted { came_back: was_deleted(own, guid), made_again }, peer) {
            Ok(Decision::Delete(status)) => drop(amended.deletable.insert(guid, status)),
            Ok(Decision::Removed) => amended.amendments.removed.push(name.clone()),
            Ok(Decision::Kept(new)) => amended.amendments.kept.push((name.clone(), new)),
            Err(error) => amended.failed.push((name.clone(), error)),
        }
    }
    amended
}

/// Carries the amendments of a side over to what is known of its tree.
pub(in crate::session) fn apply(side: &mut TreeSide, amendments: &Amendments) {
    for (name, guid) in &amendments.kept {
        if let Some(node) = side.tree.get_mut(name) {
            node.set_guid(*guid);
        }
    }
    for name in &amendments.removed {
        if let Some(node) = side.tree.get_mut(name) {
            node.kind = NodeKind::Absent;
        }
    }
}

/// Mailboxes that have to give up a GUID which another one has. INBOX keeps it, or else the one that has the name which the
/// mailbox has at the other side, or else the last by name.
pub(in crate::session) fn duplicates(own: &TreeSide, other: &TreeSide) -> Vec<MailboxName> {
    let mut by_guid: BTreeMap<MailboxGuid, Vec<&MailboxName>> = BTreeMap::new();
    for (name, node) in &own.tree {
        if let Some(guid) = node.guid() {
            by_guid.entry(guid).or_default().push(name);
        }
    }
    let mut renewed = Vec::new();
    for (guid, names) in by_guid {
        let named_there = |name: &MailboxName| other.tree.get(name).and_then(MailboxNode::guid) == Some(guid);
        let keeps = names.iter().max_by_key(|name| (name.is_inbox(), named_there(name), **name)).copied();
        renewed.extend(names.into_iter().filter(|name| Some(*name) != keeps).cloned());
    }
    renewed
}

fn is_duplicate(own: &TreeSide, name: &MailboxName) -> bool {
    let guid = own.tree.get(name).and_then(MailboxNode::guid);
    own.tree.iter().any(|(other, node)| other != name && node.guid() == guid)
}

/// A mailbox of this side that is the other side's INBOX: INBOX was renamed here. No INBOX is ever renamed or deleted, so
/// the two cannot remain the same mailbox.
fn other_inbox_elsewhere(own: &TreeSide, other: &TreeSide) -> Option<MailboxName> {
    let inbox = other.tree.get(&MailboxName::inbox())?.guid()?;
    let own_inbox = own.tree.get(&MailboxName::inbox()).and_then(MailboxNode::guid);
    let place = own.tree.iter().find(|(name, node)| node.guid() == Some(inbox) && !name.is_inbox());
    place.filter(|_| own_inbox != Some(inbox)).map(|(name, _)| name.clone())
}

/// Mailboxes of this side that the other side deleted.
fn deleted_by<'a>(own: &'a TreeSide, other: &TreeSide) -> Vec<(&'a MailboxName, MailboxGuid)> {
    let deleted = other.deleted_mailboxes();
    let mailboxes = own.tree.iter().filter_map(|(name, node)| Some((name, node.guid()?)));
    mailboxes.filter(|(name, guid)| deleted.contains(guid) && !name.is_inbox()).collect()
}

/// Whether this side deleted the mailbox itself once. That it is here all the same means that somebody brought it back.
fn was_deleted(own: &TreeSide, guid: MailboxGuid) -> bool {
    own.history.events.iter().any(|event| event.change == TreeChange::MailboxDeleted(guid))
}

/// A mailbox that the other side deleted.
struct Deleted {
    /// It was deleted here too, and brought back.
    came_back: bool,
    /// The other side has made another one of that name.
    made_again: bool,
}

/// What becomes of such a mailbox.
enum Decision {
    /// It is deleted when the trees are merged, if it is still the same then.
    Delete(MailboxStatus),
    /// It has given way to the new one already.
    Removed,
    /// It stays, as another one.
    Kept(MailboxGuid),
}

fn amend_deleted(
    store: &mut dyn MailStore,
    name: &MailboxName,
    guid: MailboxGuid,
    deleted: Deleted,
    peer: [u8; 8],
) -> Result<Decision, StoreError> {
    let mailbox = settle::open_settled(store, name)?;
    let seen = Seen { point: point_with(&*mailbox, peer).filter(|_| !deleted.came_back) };
    let has_unseen = mailbox.messages().records().any(|record| !seen.contains(&record));
    let complete = mailbox.problems().is_empty();
    let status = mailbox.status().clone();
    drop(mailbox);
    if has_unseen || !complete || deleted.came_back {
        let gives_way = |record: &MessageRecord| deleted.made_again && seen.contains(record);
        let new = keep_as_another(store, name, &gives_way)?;
        // Third stores may still have the old one, and must not bring it back.
        store.note_deleted(guid)?;
        return Ok(Decision::Kept(new));
    }
    if deleted.made_again {
        store.delete_unchanged(name, &status)?;
        return Ok(Decision::Removed);
    }
    Ok(Decision::Delete(status))
}

/// Which messages the other side had.
struct Seen {
    /// The last moment at which both sides had the same. If there was none, nothing says that the other side had any.
    point: Option<SyncPoint>,
}

impl Seen {
    fn contains(&self, record: &MessageRecord) -> bool {
        self.point.is_some_and(|point| record.uid.is_some_and(|uid| uid < point.uid_next))
    }
}

fn point_with(mailbox: &dyn Mailbox, peer: [u8; 8]) -> Option<SyncPoint> {
    let points = mailbox.sync_points().iter().rev();
    points.copied().find(|point| point.peer == peer && point.can_precede(mailbox.status()))
}

/// Makes it another mailbox, without the messages that give way, and says its new GUID. Clients of the other side may have
/// seen UIDs in the old one that nothing is known of here, so the new one has another UIDVALIDITY too.
fn keep_as_another(
    store: &mut dyn MailStore,
    name: &MailboxName,
    gives_way: &dyn Fn(&MessageRecord) -> bool,
) -> Result<MailboxGuid, StoreError> {
    let MailboxIdentity { guid, uid_validity } = store.new_identity()?;
    let mut mailbox = settle::open_settled(store, name)?;
    let status = mailbox.status().clone();
    let remove: Vec<MessageKey> =
        mailbox.messages().keyed().filter(|(_, record)| gives_way(record)).map(|(key, _)| key).collect();
    let highest_modseq = status.highest_modseq.unwrap_or(ModSeq::FIRST);
    mailbox.commit(MailboxChanges {
        identity: MailboxIdentity { guid, uid_validity },
        highest_modseq: if remove.is_empty() { highest_modseq } else { highest_modseq.plus(1) },
        remove,
        uid_next: status.uid_next,
        first_recent_uid: status.first_recent_uid.unwrap_or(Uid::FIRST),
        ..MailboxChanges::empty(Origin::Mirrored)
    })?;
    guid.or(mailbox.status().identity.guid)
        .ok_or_else(|| StoreError::new(crate::store::ErrorKind::Corrupt, format!("mailbox {name} was given no GUID")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TreeHistory, UidValidity};

    fn side(mailboxes: &[(&str, u8)]) -> TreeSide {
        let node = |number| MailboxNode {
            kind: NodeKind::Mailbox { guid: MailboxGuid::new([number; 16]), uid_validity: UidValidity::new(1) },
            subscribed: false,
        };
        let names = mailboxes.iter().map(|(text, number)| (MailboxName::parse(text, '/').unwrap(), node(*number)));
        TreeSide { tree: names.collect(), history: TreeHistory::default() }
    }

    #[test]
    fn a_guid_stays_where_the_other_side_has_it_and_with_inbox_above_all() {
        let own = side(&[("Foo", 1), ("Restored", 1), ("Twice", 2), ("Zopy", 3), ("INBOX", 3)]);
        let renewed = |other: &TreeSide| duplicates(&own, other).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(renewed(&side(&[("Foo", 1), ("Zopy", 3)])), ["Restored", "Zopy"]);
        assert_eq!(renewed(&side(&[])), ["Foo", "Zopy"]);
    }
}
