//! The tree of a mirror: which mailboxes both sides have afterwards, and what they are called.
//!
//! Both sides compute the same [`MergedTree`] from both trees and their histories. A mailbox is the same on both sides if
//! its GUID is; which of two names it gets, and which of two mailboxes gets a name, is decided by the times of
//! renaming. A deletion that is on record wins over everything else that happened to that mailbox. Nothing is
//! deleted without such a record.
//!
//! Subscriptions belong to names, not to mailboxes: the later change counts.

mod by_times;
mod forest;
mod meanwhile;
mod renames;
mod subscriptions;

use std::collections::{BTreeMap, BTreeSet};

use super::TreeAction;
use crate::model::{
    MailboxGuid, MailboxName, MailboxNode, MailboxSelection, MailboxTree, NodeKind, Role, TreeChange, TreeHistory,
};

use forest::{Existence, Forest, NodeId};
pub use meanwhile::ExpectedTree;

/// What one side knows about its tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeSide {
    /// The names. Every mailbox has a GUID, and no GUID occurs twice.
    pub tree: MailboxTree,
    /// What happened to them.
    pub history: TreeHistory,
}

impl TreeSide {
    /// The mailboxes that were deleted here and did not come back.
    #[must_use]
    pub fn deleted_mailboxes(&self) -> BTreeSet<MailboxGuid> {
        let present: BTreeSet<_> = self.tree.values().filter_map(MailboxNode::guid).collect();
        let deleted = self.history.events.iter().filter_map(|event| match event.change {
            TreeChange::MailboxDeleted(guid) => Some(guid),
            _ => None,
        });
        deleted.filter(|guid| !present.contains(guid)).collect()
    }

    /// The same without what says what something was called before: with what a peer on another host can be told.
    #[must_use]
    pub fn without_former_names(&self) -> Self {
        let named = self.tree.iter().filter(|(_, node)| node.kind != NodeKind::Absent).map(|(name, _)| name.clone());
        let with_parents = named.flat_map(|name| std::iter::successors(Some(name), MailboxName::parent));
        let now: BTreeSet<_> = with_parents.flat_map(|name| self.history.hashes(&name).collect::<Vec<_>>()).collect();
        let mut known = self.clone();
        known.history.events.retain(|event| match event.change {
            TreeChange::Renamed(hash) => now.contains(&hash),
            _ => true,
        });
        known
    }
}

/// What both sides have afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergedTree {
    /// The names. Where both sides have an unrelated mailbox of one name, the two become one with the greater GUID.
    pub tree: MailboxTree,
    /// Mailboxes that a side deleted.
    pub deleted: BTreeSet<MailboxGuid>,
}

/// Why two trees cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeConflict {
    /// A tree has one GUID twice.
    #[error("mailboxes {first} and {second} have the same GUID {guid}; delete or rebuild one of them")]
    DuplicateGuid {
        /// The GUID.
        guid: MailboxGuid,
        /// The first name.
        first: MailboxName,
        /// The second name.
        second: MailboxName,
    },
    /// The rules did not come to an end.
    #[error("the renamings of both sides contradict each other; rename mailboxes on one side so that both agree")]
    Renames,
}

/// The merged tree.
///
/// # Errors
/// If a tree contradicts itself, or one side's INBOX has another name at the other one.
pub fn merge(master: &TreeSide, slave: &TreeSide) -> Result<MergedTree, TreeConflict> {
    let sides = [master, slave];
    for side in sides {
        refuse_duplicates(&side.tree)?;
    }
    let mut forests = [Forest::new(master), Forest::new(slave)];
    let [first, second] = &mut forests;
    first.find_renamed_on(second);
    second.find_renamed_on(first);
    let deleted = apply_deletions(&mut forests, sides);
    let before = forests.clone();
    let mut tree = MailboxTree::new();
    let agreed = renames::merge(&mut forests).and_then(|()| collect(&mut tree, &forests));
    match agreed {
        Err(TreeConflict::Renames) if !inbox_is_elsewhere(sides) => tree = by_times::merge(before),
        agreed => agreed?,
    }
    keep_unreadable(&mut tree, sides);
    subscriptions::merge(&mut tree, sides);
    Ok(MergedTree { tree, deleted })
}

impl MergedTree {
    /// Where a side can hold no levels that are not mailboxes, those that hold nothing become mailboxes, so that the name is
    /// kept on both sides. (As Dovecot does it.)
    pub fn make_mailboxes_of_directories(&mut self) {
        let mailboxes: Vec<_> =
            self.tree.iter().filter(|(_, node)| node.is_mailbox()).map(|(name, _)| name.clone()).collect();
        for (name, node) in &mut self.tree {
            if node.kind == NodeKind::Directory && !mailboxes.iter().any(|mailbox| mailbox.is_below(name)) {
                node.kind = NodeKind::Mailbox { guid: None, uid_validity: None };
            }
        }
    }

    /// The part of it that a run is about: names that are selected, and mailboxes that have, or had at either side, a
    /// selected name.
    #[must_use]
    pub fn selected(mut self, sides: [&TreeSide; 2], selection: &MailboxSelection) -> Self {
        let named = |tree: &MailboxTree| -> Vec<MailboxGuid> {
            let named = tree.iter().filter(|(name, node)| selection.contains(name, node.guid()));
            named.filter_map(|(_, node)| node.guid()).collect()
        };
        let before: BTreeSet<_> = sides.iter().flat_map(|side| named(&side.tree)).collect();
        let placed: Vec<_> = self.tree.values().map(MailboxNode::guid).collect();
        self.tree = selection.part_of(&self.tree, &|name, node| {
            let takes_part = |guid: Option<MailboxGuid>| guid.is_some_and(|guid| before.contains(&guid));
            // Two mailboxes of one name become one, and only one of their GUIDs stays.
            let there = || sides.iter().filter_map(|side| side.tree.get(name)).map(MailboxNode::guid);
            takes_part(node.guid()) || there().any(|guid| takes_part(guid) && !placed.contains(&guid))
        });
        self.deleted.retain(|guid| before.contains(guid));
        self
    }
}

/// The steps that lead one side to the merged tree. `own` may hold names that are not to be touched, if none of them
/// has a GUID that is deleted. `holds_directories` says whether the store can keep a level that is no mailbox.
#[must_use]
pub fn actions(merged: &MergedTree, own: &MailboxTree, holds_directories: bool) -> Vec<TreeAction> {
    super::one_way::plan(&merged.tree, own, holds_directories, Some(&merged.deleted))
}

/// Whether one side's INBOX has another name at the other one. No INBOX can be renamed.
fn inbox_is_elsewhere(sides: [&TreeSide; 2]) -> bool {
    let inbox = MailboxName::inbox();
    let guids = sides.map(|side| side.tree.get(&inbox).and_then(MailboxNode::guid));
    let elsewhere = |side: &TreeSide, guid: Option<MailboxGuid>| {
        guid.is_some() && side.tree.iter().any(|(name, node)| *name != inbox && node.guid() == guid)
    };
    elsewhere(sides[0], guids[1]) || elsewhere(sides[1], guids[0])
}

fn refuse_duplicates(tree: &MailboxTree) -> Result<(), TreeConflict> {
    let mut known = BTreeMap::new();
    for (name, node) in tree {
        let Some(guid) = node.guid() else { continue };
        if let Some(first) = known.insert(guid, name.clone()) {
            return Err(TreeConflict::DuplicateGuid { guid, first, second: name.clone() });
        }
    }
    Ok(())
}

/// Marks what was deleted in the other tree, and gives the GUIDs of deleted mailboxes.
fn apply_deletions(forests: &mut [Forest; 2], sides: [&TreeSide; 2]) -> BTreeSet<MailboxGuid> {
    let mut deleted = BTreeSet::new();
    for role in Role::BOTH {
        let (deleting, keeping) = (role.index(), role.other().index());
        for guid in sides[deleting].deleted_mailboxes() {
            let Some(node) = forests[keeping].by_guid(guid) else { continue };
            let path = forests[keeping].path(node);
            // INBOX is never deleted, whatever became of the other one.
            let is_inbox = MailboxName::new(path.iter().cloned()).is_some_and(|name| name.is_inbox());
            let again = forests[deleting].find(&path).is_some_and(|node| forests[deleting][node].is_mailbox());
            if !again && !is_inbox {
                deleted.insert(guid);
            }
        }
        let known = forests[keeping].by_hash(&sides[deleting].history);
        for event in &sides[deleting].history.events {
            let TreeChange::DirectoryDeleted(hash) = event.change else { continue };
            let Some(node) = known.get(&hash).copied() else { continue };
            let path = forests[keeping].path(node);
            let there = forests[deleting].ensure(&path);
            if forests[deleting][there].existence != Existence::Present
                && event.time.seconds() > forests[keeping][node].renamed
            {
                forests[deleting][there].existence = Existence::Deleted;
            }
        }
    }
    for guid in &deleted {
        for forest in forests.iter_mut() {
            forest.delete_mailbox(*guid);
        }
    }
    deleted
}

/// What both trees hold together, after everything was moved to its place.
fn collect(merged: &mut MailboxTree, forests: &[Forest; 2]) -> Result<(), TreeConflict> {
    let mut placed = BTreeSet::new();
    for path in forests.iter().flat_map(Forest::paths).collect::<BTreeSet<_>>() {
        let nodes = [0, 1].map(|index: usize| forests[index].find(&path).map(|id| &forests[index][id]));
        let guid = nodes.iter().flatten().filter_map(|node| node.guid.map(|guid| (guid, node.uid_validity))).max();
        for guid in nodes.iter().flatten().filter_map(|node| node.guid) {
            if !placed.insert((guid, path.clone())) {
                continue;
            }
            let elsewhere =
                forests.iter().any(|forest| forest.by_guid(guid).is_some_and(|id| forest.path(id) != path));
            if elsewhere {
                return Err(TreeConflict::Renames);
            }
        }
        let Some(name) = MailboxName::new(path.iter().cloned()) else { continue };
        let kind = match guid {
            Some((guid, uid_validity)) => NodeKind::Mailbox { guid: Some(guid), uid_validity },
            None if nodes.iter().flatten().any(|node| node.selectable) => {
                NodeKind::Mailbox { guid: None, uid_validity: None }
            }
            None if is_directory(forests, &path) => NodeKind::Directory,
            None => continue,
        };
        merged.insert(name, MailboxNode { kind, subscribed: false });
    }
    Ok(())
}

/// Whether a level without a mailbox stays on both sides, or comes to be.
fn is_directory(forests: &[Forest; 2], path: &[String]) -> bool {
    let state = |forest: &Forest| forest.find(path).map_or(Existence::Absent, |node| forest[node].existence);
    let nothing_below = |forest: &Forest| {
        forest.find(path).is_none_or(|node| !forest.has_below(node, |node| node.existence == Existence::Present))
    };
    match [state(&forests[0]), state(&forests[1])] {
        [Existence::Present, Existence::Deleted] | [Existence::Deleted, Existence::Present] => {
            !forests.iter().all(nothing_below)
        }
        states => states.contains(&Existence::Present),
    }
}

/// Nothing may be concluded about what cannot be read, so it stays where it is.
fn keep_unreadable(merged: &mut MailboxTree, sides: [&TreeSide; 2]) {
    for (name, node) in sides.iter().flat_map(|side| &side.tree) {
        if matches!(node.kind, NodeKind::Unreadable(_)) {
            merged.insert(name.clone(), MailboxNode { kind: node.kind.clone(), subscribed: false });
        }
    }
}

#[cfg(test)]
mod tests;
