//! The tree of a backup: the destination gets the names of the source, whatever it had before.
//!
//! Mailboxes are the same if their GUIDs are. One whose GUID the source has under another name is renamed; one whose
//! GUID the source does not have is deleted, unless its name is wanted: then it stays and is made equal message by
//! message, which costs nothing where the contents are the same (a Maildir that got its GUID only later).

use std::collections::{BTreeMap, BTreeSet};

use super::TreeAction;
use crate::model::{MailboxGuid, MailboxName, MailboxTree, NodeKind};

/// The actions that give `destination` the names, directories and subscriptions of `source`.
///
/// `holds_directories` says whether the destination can keep a level that is no mailbox. Nothing is deleted at, nor
/// renamed away from, a name that is unreadable at the source, and `INBOX` is never touched. After the actions every
/// mailbox of the destination is at a name where the source has one.
#[must_use]
pub fn one_way(source: &MailboxTree, destination: &MailboxTree, holds_directories: bool) -> Vec<TreeAction> {
    plan(source, destination, holds_directories, None)
}

/// The same; if `deletable` is given, a mailbox that is not in it is put aside rather than deleted.
pub(super) fn plan(
    source: &MailboxTree,
    destination: &MailboxTree,
    holds_directories: bool,
    deletable: Option<&BTreeSet<MailboxGuid>>,
) -> Vec<TreeAction> {
    let mut planner = Planner::new(source, destination, deletable);
    planner.delete_what_is_only_a_level();
    // A rename takes along what was put below its old name before, so one pass is not always enough. What a bounded
    // number of passes leaves misplaced is deleted and transferred again.
    for _ in 0..=planner.wanted.len() {
        if !planner.rename_to_wanted_names() {
            break;
        }
    }
    planner.delete_unwanted();
    planner.directories(holds_directories);
    planner.subscriptions(destination);
    planner.actions
}

/// The destination's tree as it will be after the actions so far.
struct Planner<'a> {
    source: &'a MailboxTree,
    wanted: BTreeMap<MailboxGuid, &'a MailboxName>,
    mailboxes: BTreeMap<MailboxName, Option<MailboxGuid>>,
    directories: BTreeSet<MailboxName>,
    deletable: Option<&'a BTreeSet<MailboxGuid>>,
    actions: Vec<TreeAction>,
}

impl<'a> Planner<'a> {
    fn new(source: &'a MailboxTree, destination: &MailboxTree, deletable: Option<&'a BTreeSet<MailboxGuid>>) -> Self {
        let wanted = source
            .iter()
            .filter(|(name, _)| !name.is_inbox())
            .filter_map(|(name, node)| Some((node.guid()?, name)))
            .collect();
        let mailboxes = destination
            .iter()
            .filter(|(_, node)| node.is_mailbox())
            .map(|(name, node)| (name.clone(), node.guid()))
            .collect();
        let directories = destination
            .iter()
            .filter(|(_, node)| node.kind == NodeKind::Directory)
            .map(|(name, _)| name.clone())
            .collect();
        Self { source, wanted, mailboxes, directories, deletable, actions: Vec::new() }
    }

    /// Deletes first what is a mailbox here and only a level at the source. As long as it is there, a store in which a mailbox
    /// has none below it (mbox) would have to put what belongs there elsewhere.
    fn delete_what_is_only_a_level(&mut self) {
        let is_level = |name: &MailboxName| {
            let has_below = || self.source.iter().any(|(other, node)| node.is_mailbox() && other.is_below(name));
            !self.source.get(name).is_some_and(|node| node.is_mailbox()) && has_below()
        };
        let is_unwanted = |guid: MailboxGuid| !self.wanted.contains_key(&guid) && self.may_delete(Some(guid));
        let in_the_way = self
            .mailboxes
            .iter()
            .rev()
            .filter(|(name, guid)| guid.is_some_and(is_unwanted) && self.may_change(name) && is_level(name));
        let in_the_way: Vec<_> = in_the_way.map(|(name, _)| name.clone()).collect();
        in_the_way.iter().for_each(|name| self.delete(name));
    }

    /// Parents first, so that children which move along are found at their new place. Whether anything was renamed.
    fn rename_to_wanted_names(&mut self) -> bool {
        let source = self.source;
        let before = self.actions.len();
        for (target, node) in source {
            let Some(guid) = node.guid() else { continue };
            if target.is_inbox() || self.mailboxes.get(target) == Some(&Some(guid)) {
                continue;
            }
            let Some(mut current) = self.place_of(guid) else { continue };
            self.make_room_at(target);
            // The room may have been made by moving a parent of it.
            if let Some(moved) = self.place_of(guid) {
                current = moved;
            }
            if target.is_below(&current) {
                let aside = self.unused_name(&current);
                self.rename(&current, &aside);
                current = aside;
            }
            self.rename(&current, target);
        }
        self.actions.len() > before
    }

    /// Where the destination has the mailbox, other than at a name that must not be touched.
    fn place_of(&self, guid: MailboxGuid) -> Option<MailboxName> {
        let mut places = self.mailboxes.iter().filter(|(_, other)| **other == Some(guid)).map(|(name, _)| name);
        places.find(|name| self.may_change(name)).cloned()
    }

    /// Whether what the destination has at this name may be moved or deleted.
    fn may_change(&self, name: &MailboxName) -> bool {
        let unreadable = self.source.iter().any(|(other, node)| {
            matches!(node.kind, NodeKind::Unreadable(_))
                && (other == name || name.is_below(other) || other.is_below(name))
        });
        !name.is_inbox() && !unreadable
    }

    /// Clears the name `target` for a mailbox that is about to be renamed to it.
    fn make_room_at(&mut self, target: &MailboxName) {
        if let Some(occupant) = self.mailboxes.get(target).copied() {
            let wanted_elsewhere = occupant.is_some_and(|guid| self.wanted.contains_key(&guid));
            if !wanted_elsewhere && self.may_delete(occupant) {
                self.delete(target);
            }
        }
        let below: Vec<_> = self.mailboxes.keys().chain(&self.directories).filter(|n| n.is_below(target)).collect();
        let occupied = self.mailboxes.contains_key(target) || self.directories.contains(target) || !below.is_empty();
        if occupied {
            let aside = self.unused_name(target);
            self.rename(target, &aside);
        }
    }

    fn may_delete(&self, guid: Option<MailboxGuid>) -> bool {
        self.deletable.is_none_or(|deletable| guid.is_some_and(|guid| deletable.contains(&guid)))
    }

    fn unused_name(&self, name: &MailboxName) -> MailboxName {
        let taken = |candidate: &MailboxName| {
            let names = || self.mailboxes.keys().chain(&self.directories).chain(self.source.keys());
            names().any(|name| name == candidate || name.is_below(candidate))
        };
        let top = &name.parts()[0];
        (1u32..)
            .filter_map(|number| MailboxName::new([format!("{top}-temp-{number}")]))
            .find(|candidate| !taken(candidate))
            .unwrap_or_else(|| name.clone())
    }

    fn rename(&mut self, from: &MailboxName, to: &MailboxName) {
        let moved = |name: &MailboxName| name.moved(from, to).unwrap_or_else(|| name.clone());
        self.mailboxes = std::mem::take(&mut self.mailboxes).into_iter().map(|(n, guid)| (moved(&n), guid)).collect();
        self.directories = std::mem::take(&mut self.directories).iter().map(moved).collect();
        self.actions.push(TreeAction::Rename { from: from.clone(), to: to.clone() });
    }

    fn delete(&mut self, name: &MailboxName) {
        self.mailboxes.remove(name);
        self.actions.push(TreeAction::Delete(name.clone()));
    }

    /// Children before parents.
    fn delete_unwanted(&mut self) {
        let unwanted: Vec<_> = self
            .mailboxes
            .iter()
            .rev()
            .filter(|(_, guid)| self.may_delete(**guid))
            .map(|(name, _)| name)
            .filter(|name| self.may_change(name) && !self.source.get(name).is_some_and(|node| node.is_mailbox()))
            .cloned()
            .collect();
        unwanted.iter().for_each(|name| self.delete(name));
    }

    fn directories(&mut self, holds_directories: bool) {
        if !holds_directories {
            return;
        }
        let source_needs = |name: &MailboxName| {
            self.source.iter().any(|(other, node)| {
                let exists = node.is_mailbox() || node.kind == NodeKind::Directory;
                exists && (other == name || other.is_below(name))
            })
        };
        let extra: Vec<_> = self.directories.iter().rev().filter(|name| !source_needs(name)).cloned().collect();
        for name in extra {
            self.directories.remove(&name);
            self.actions.push(TreeAction::DeleteDirectory(name));
        }
        for (name, node) in self.source {
            if node.kind == NodeKind::Directory && !self.directories.contains(name) {
                self.actions.push(TreeAction::CreateDirectory(name.clone()));
            }
        }
    }

    fn subscriptions(&mut self, destination: &MailboxTree) {
        let subscribed = |tree: &MailboxTree, name| tree.get(name).is_some_and(|node| node.subscribed);
        let names: BTreeSet<_> = self.source.keys().chain(destination.keys()).collect();
        for name in names {
            let wanted = subscribed(self.source, name);
            if wanted != subscribed(destination, name) {
                self.actions.push(TreeAction::Subscribe(name.clone(), wanted));
            }
        }
    }
}

#[cfg(test)]
mod tests;
