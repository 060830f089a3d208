//! Mailboxes that the other side deleted, but that hold messages which it never had.
//!
//! A deletion was meant for what was in the mailbox then. If there is more, the mailbox is kept under another GUID, so
//! that the other side gets it back as a new one. If the other side has made a new mailbox of the same name, what was
//! deleted gives way to that.

use std::collections::{BTreeMap, BTreeSet};

use super::settle;
use crate::model::{
    MailboxGuid, MailboxIdentity, MailboxName, MailboxNode, MailboxStatus, MailboxTree, MessageKey, MessageRecord,
    ModSeq, SyncPoint, Timestamp, Uid, UidValidity,
};
use crate::session::Amendments;
use crate::store::{MailStore, Mailbox, MailboxChanges, Origin, StoreError};
use crate::tree::two_way::TreeSide;

/// Mailboxes that hold nothing which the other side did not have, and how they were when that was found.
pub(super) type Deletable = BTreeMap<MailboxGuid, MailboxStatus>;

/// What was done, and what is to follow from it.
#[derive(Default)]
pub(super) struct Amended {
    pub(super) amendments: Amendments,
    pub(super) deletable: Deletable,
    /// Mailboxes that could not be looked at. They stay.
    pub(super) failed: Vec<(MailboxName, StoreError)>,
}

/// Looks at every mailbox of `own` that `other` deleted. `peer` is how the other side is called in sync points.
pub(super) fn amend(store: &mut dyn MailStore, own: &TreeSide, other: &TreeSide, peer: [u8; 8]) -> Amended {
    let mut amended = Amended::default();
    if let Some((name, guid)) = other_inbox_elsewhere(own, other) {
        let new = guid.derived(b"no INBOX");
        match settle::change_guid(store, name, new) {
            Ok(()) => amended.amendments.kept.push((guid, new)),
            Err(error) => amended.failed.push((name.clone(), error)),
        }
    }
    for (guid, time) in other.deleted_mailboxes() {
        let place = own.tree.iter().find(|(name, node)| node.guid() == Some(guid) && !name.is_inbox());
        let Some((name, _)) = place else { continue };
        let made_again = other.tree.get(name).and_then(MailboxNode::guid).is_some();
        match amend_one(store, name, Deleted { guid, time, made_again }, peer) {
            Ok(Decision::Delete(status)) => drop(amended.deletable.insert(guid, status)),
            Ok(Decision::Removed) => amended.amendments.removed.push(guid),
            Ok(Decision::Kept(new)) => amended.amendments.kept.push((guid, new)),
            Err(error) => amended.failed.push((name.clone(), error)),
        }
    }
    amended
}

/// A mailbox of this side that is the other side's INBOX: INBOX was renamed here or copied as a whole. No INBOX is
/// ever renamed or deleted, so the two cannot remain the same mailbox.
fn other_inbox_elsewhere<'a>(own: &'a TreeSide, other: &TreeSide) -> Option<(&'a MailboxName, MailboxGuid)> {
    let inbox = other.tree.get(&MailboxName::inbox())?.guid()?;
    let place = own.tree.iter().find(|(name, node)| node.guid() == Some(inbox) && !name.is_inbox());
    place.map(|(name, _)| (name, inbox))
}

/// A mailbox that the other side deleted.
struct Deleted {
    guid: MailboxGuid,
    /// When.
    time: Timestamp,
    /// Whether it has made another one of that name.
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

fn amend_one(
    store: &mut dyn MailStore,
    name: &MailboxName,
    deleted: Deleted,
    peer: [u8; 8],
) -> Result<Decision, StoreError> {
    let mut mailbox = settle::open_settled(store, name)?;
    let unseen = Unseen { point: point_with(&*mailbox, peer) };
    let has_unseen = mailbox.messages().records().iter().any(|record| unseen.contains(record));
    if has_unseen || !mailbox.problems().is_empty() {
        let new = deleted.guid.derived(b"kept");
        let remove = if deleted.made_again { unseen.others(&*mailbox) } else { Vec::new() };
        keep(&mut *mailbox, new, deleted.time, remove)?;
        return Ok(Decision::Kept(new));
    }
    let status = mailbox.status().clone();
    if deleted.made_again {
        store.delete_unchanged(name, &status)?;
        return Ok(Decision::Removed);
    }
    Ok(Decision::Delete(status))
}

/// Carries the amendments of a side over to what is known of its tree.
pub(super) fn apply(side: &mut TreeSide, amendments: &Amendments) {
    let names: Vec<MailboxName> = side.tree.keys().cloned().collect();
    for name in names {
        let Some(guid) = side.tree.get(&name).and_then(MailboxNode::guid) else { continue };
        let kept = amendments.kept.iter().find(|(old, _)| *old == guid);
        if let (Some((_, new)), Some(node)) = (kept, side.tree.get_mut(&name)) {
            node.set_guid(*new);
        }
        if amendments.removed.contains(&guid)
            && let Some(node) = side.tree.get_mut(&name)
        {
            node.kind = crate::model::NodeKind::Absent;
        }
    }
}

/// Which messages the other side never had.
struct Unseen {
    /// The last moment at which both sides had the same. If there was none, nothing says that the other side had any.
    point: Option<SyncPoint>,
}

impl Unseen {
    fn contains(&self, record: &MessageRecord) -> bool {
        self.point.is_none_or(|point| record.uid.is_none_or(|uid| uid >= point.uid_next))
    }

    /// The messages that the other side had.
    fn others(&self, mailbox: &dyn Mailbox) -> Vec<MessageKey> {
        mailbox.messages().keyed().filter(|(_, record)| !self.contains(record)).map(|(key, _)| key).collect()
    }
}

fn point_with(mailbox: &dyn Mailbox, peer: [u8; 8]) -> Option<SyncPoint> {
    let validity = mailbox.status().identity.uid_validity;
    let points = mailbox.sync_points().iter().rev();
    points.copied().find(|point| point.peer == peer && Some(point.uid_validity) == validity)
}

/// Makes it another mailbox. Clients of the other side may have seen UIDs in the old one that nothing is known of here, so
/// the new one needs another UIDVALIDITY too.
fn keep(
    mailbox: &mut dyn Mailbox,
    guid: MailboxGuid,
    deleted: Timestamp,
    remove: Vec<MessageKey>,
) -> Result<(), StoreError> {
    let status = mailbox.status().clone();
    let old = status.identity.uid_validity.map_or(0, UidValidity::get);
    let uid_validity = UidValidity::new(old.max(deleted.as_u32()).wrapping_add(1)).or(UidValidity::new(1));
    let highest_modseq = status.highest_modseq.unwrap_or(ModSeq::FIRST);
    mailbox.commit(MailboxChanges {
        origin: Origin::Mirrored,
        identity: MailboxIdentity { guid: Some(guid), uid_validity },
        highest_modseq: if remove.is_empty() { highest_modseq } else { highest_modseq.plus(1) },
        remove,
        renumber: Vec::new(),
        update: Vec::new(),
        add: Vec::new(),
        uid_next: status.uid_next,
        first_recent_uid: status.first_recent_uid.unwrap_or(Uid::FIRST),
    })
}

/// A GUID for each mailbox that shares its GUID with another one: all but INBOX, or else the last by name, get a new one.
pub(super) fn duplicates(tree: &MailboxTree) -> Vec<(MailboxName, MailboxGuid)> {
    let mut known: BTreeSet<_> = tree.get(&MailboxName::inbox()).and_then(MailboxNode::guid).into_iter().collect();
    let mut again = Vec::new();
    for (name, node) in tree.iter().rev().filter(|(name, _)| !name.is_inbox()) {
        if let Some(guid) = node.guid()
            && !known.insert(guid)
        {
            again.push((name.clone(), guid.derived(name.join('/').as_bytes())));
        }
    }
    again
}
