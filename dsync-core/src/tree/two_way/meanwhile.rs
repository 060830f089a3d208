//! What clients change in a tree after both sides have looked at theirs stays: nothing was decided about it.

use std::collections::{BTreeMap, BTreeSet};

use super::MergedTree;
use crate::model::{MailboxGuid, MailboxName, MailboxNode, MailboxTree, NodeKind};
use crate::tree::TreeAction;

/// One side's tree as a run knows it.
#[derive(Clone, Debug)]
pub struct ExpectedTree {
    tree: MailboxTree,
    /// Above these names the run itself moved something away or in: what becomes of a level there is the store's choice.
    touched: Vec<MailboxName>,
    /// What the run itself renames and has not yet seen at its new place: a store may need several steps for that.
    moving: BTreeSet<MailboxGuid>,
}

impl ExpectedTree {
    /// As it was when both sides looked.
    #[must_use]
    pub fn new(tree: &MailboxTree) -> Self {
        Self { tree: tree.clone(), touched: Vec::new(), moving: BTreeSet::new() }
    }

    /// What `merged` means for a side whose tree is `now`: a mailbox that has another name than expected keeps it, and so do
    /// subscriptions and levels that came or went.
    #[must_use]
    pub fn reconcile(&mut self, merged: &MergedTree, now: &MailboxTree) -> MergedTree {
        let mut merged = merged.clone();
        let (before, after, wanted) = (places(&self.tree), places(now), places(&merged.tree));
        for (guid, name) in after {
            if before.get(&guid) == Some(&name) {
                self.moving.remove(&guid);
            }
            let is_renamed = before.get(&guid).is_some_and(|before| *before != name) && !self.moving.contains(&guid);
            if let Some(wanted) = wanted.get(&guid).filter(|wanted| is_renamed && **wanted != name) {
                keep_name(&mut merged.tree, wanted, name);
            }
        }
        for name in self.tree.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
            let [before, after] = [&self.tree, now].map(|tree| tree.get(name));
            let subscribed = |node: Option<&MailboxNode>| node.is_some_and(|node| node.subscribed);
            if subscribed(before) != subscribed(after) {
                node(&mut merged.tree, name).subscribed = subscribed(after);
            }
            let is_level = |node: Option<&MailboxNode>| node.is_some_and(|node| node.kind == NodeKind::Directory);
            if self.touched.iter().any(|touched| touched == name || touched.is_below(name)) {
                continue;
            }
            let node = node(&mut merged.tree, name);
            match (is_level(before), is_level(after)) {
                (false, true) if node.kind == NodeKind::Absent => node.kind = NodeKind::Directory,
                (true, false) if node.kind == NodeKind::Directory && after.is_none() => node.kind = NodeKind::Absent,
                _ => {}
            }
        }
        merged.tree.retain(|_, node| node.kind != NodeKind::Absent || node.subscribed);
        merged
    }

    /// Takes note of what the run itself does.
    pub fn apply(&mut self, action: &TreeAction) {
        match action {
            TreeAction::Rename { from, to } => {
                self.touched.extend([from.clone(), to.clone()]);
                let moved = self.tree.iter().filter(|(name, _)| *name == from || name.is_below(from));
                self.moving.extend(moved.filter_map(|(_, node)| node.guid()));
                let moved = |name: MailboxName| name.moved(from, to).unwrap_or(name);
                // Subscriptions stay.
                for (name, mut old) in std::mem::take(&mut self.tree) {
                    node(&mut self.tree, &name).subscribed |= old.subscribed;
                    old.subscribed = false;
                    node(&mut self.tree, &moved(name)).kind = old.kind;
                }
            }
            TreeAction::Delete(name) | TreeAction::DeleteDirectory(name) => {
                self.touched.push(name.clone());
                node(&mut self.tree, name).kind = NodeKind::Absent;
            }
            TreeAction::CreateDirectory(name) => node(&mut self.tree, name).kind = NodeKind::Directory,
            TreeAction::Subscribe(name, subscribed) => node(&mut self.tree, name).subscribed = *subscribed,
        }
        self.tree.retain(|_, node| node.kind != NodeKind::Absent || node.subscribed);
    }
}

fn places(tree: &MailboxTree) -> BTreeMap<MailboxGuid, MailboxName> {
    tree.iter().filter_map(|(name, node)| Some((node.guid()?, name.clone()))).collect()
}

fn node<'a>(tree: &'a mut MailboxTree, name: &MailboxName) -> &'a mut MailboxNode {
    tree.entry(name.clone()).or_insert(MailboxNode { kind: NodeKind::Absent, subscribed: false })
}

/// Moves a mailbox from where it was to be to where it is, unless another one is to be there.
fn keep_name(tree: &mut MailboxTree, wanted: &MailboxName, name: MailboxName) {
    let kind = std::mem::replace(&mut node(tree, wanted).kind, NodeKind::Absent);
    let there = node(tree, &name);
    if !there.is_mailbox() {
        there.kind = kind;
    }
}
