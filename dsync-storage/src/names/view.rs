//! The tree of a store under the original names.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use dsync_core::model::{MailboxGuid, MailboxName, MailboxNode, MailboxTree, NodeKind, UidValidity};

use super::entries::Entry;
use super::place::{ancestors, below};
use super::{AlternativeCharacter, place::Ground};

/// A tree as it is stored and as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// By stored names.
    pub stored: MailboxTree,
    /// For which original name each stored one stands, but for levels that are there only because of what is below them.
    pub owners: BTreeMap<MailboxName, MailboxName>,
    /// By original names.
    pub shown: MailboxTree,
    /// Where the mailbox of an original name is, or its level without a mailbox.
    places: BTreeMap<MailboxName, MailboxName>,
    /// Original names of levels that are there only because of what is below them, each with its stored name.
    levels: BTreeMap<MailboxName, MailboxName>,
}

/// Whether an entry is about what is in the tree: then it counts.
#[must_use]
pub fn is_alive(entry: &Entry, stored: &MailboxTree) -> bool {
    match stored.get(&entry.stored).map(|node| &node.kind) {
        Some(NodeKind::Mailbox { guid: Some(guid), .. }) => entry.guid == Some(*guid),
        // Nothing may be concluded from what cannot be seen.
        Some(NodeKind::Mailbox { guid: None, .. } | NodeKind::Unreadable(_)) => entry.guid.is_some(),
        Some(NodeKind::Directory) => entry.guid.is_none(),
        // The subscription outlives the mailbox.
        Some(NodeKind::Absent) => true,
        None => false,
    }
}

impl View {
    /// `holds_directories` says whether the store has levels without a mailbox.
    #[must_use]
    pub fn new(
        stored: MailboxTree,
        entries: &[Entry],
        holds_directories: bool,
        alternative: AlternativeCharacter,
    ) -> Self {
        let mut view = Self { owners: owners(&stored, entries, alternative), stored, ..Self::default() };
        for (stored, original) in &view.owners {
            let Some(node) = view.stored.get(stored) else { continue };
            show(&mut view.shown, original, node.clone());
            if node.kind != NodeKind::Absent {
                view.places.insert(original.clone(), stored.clone());
            }
        }
        view.show_levels();
        if holds_directories {
            view.show_implied_levels();
        }
        view
    }

    /// What is there, for finding places.
    #[must_use]
    pub fn ground<'a>(&'a self, expected: &'a BTreeMap<MailboxName, bool>) -> Ground<'a> {
        Ground { stored: &self.stored, owners: &self.owners, expected }
    }

    /// Where the mailbox of this original name is, or its level without a mailbox.
    #[must_use]
    pub fn place_of(&self, original: &MailboxName) -> Option<&MailboxName> {
        self.places.get(original)
    }

    /// The stored level that is there for what is below the original name.
    #[must_use]
    pub fn level_of(&self, original: &MailboxName) -> Option<&MailboxName> {
        self.levels.get(original)
    }

    /// Whether there is a mailbox of this original name.
    #[must_use]
    pub fn is_mailbox(&self, original: &MailboxName) -> bool {
        self.shown.get(original).is_some_and(MailboxNode::is_mailbox)
    }

    /// Whether anything but a subscription is below this original name.
    #[must_use]
    pub fn holds_below(&self, original: &MailboxName) -> bool {
        below(&self.shown, original).any(|(_, node)| node.kind != NodeKind::Absent)
    }

    /// The stored names under which an original one is subscribed to.
    #[must_use]
    pub fn subscriptions_of(&self, original: &MailboxName) -> Vec<MailboxName> {
        let subscribed = self.stored.iter().filter(|(_, node)| node.subscribed).map(|(name, _)| name);
        let stands_for = |stored: &&MailboxName| self.owners.get(*stored).unwrap_or(stored) == original;
        subscribed.filter(stands_for).cloned().collect()
    }

    /// Pairs of stored and original names that stand for each other, or did according to `entries`. A stored name that
    /// stands only for itself is left out.
    #[must_use]
    pub fn names(&self, entries: &[Entry]) -> Vec<(MailboxName, MailboxName)> {
        let owned = self.owners.iter().filter(|(stored, original)| stored != original);
        let before = entries.iter().map(|entry| (&entry.stored, &entry.original));
        let mut pairs: Vec<_> =
            owned.chain(before).map(|(stored, original)| (stored.clone(), original.clone())).collect();
        for (original, stored) in self.levels.iter().filter(|(original, stored)| original != stored) {
            pairs.push((stored.clone(), original.clone()));
            if self.shown.contains_key(stored) {
                pairs.push((stored.clone(), stored.clone()));
            }
        }
        pairs
    }

    /// The mailboxes that are shown under another name than they are stored under, as far as they have GUIDs.
    pub fn mapped_mailboxes(&self) -> impl Iterator<Item = Entry> {
        self.owners.iter().filter(|(stored, original)| stored != original).filter_map(|(stored, original)| {
            let guid = self.stored.get(stored)?.guid()?;
            Some(Entry { guid: Some(guid), stored: stored.clone(), original: original.clone() })
        })
    }

    /// Notes a mailbox that has just been made.
    pub fn add_mailbox(
        &mut self,
        stored: &MailboxName,
        original: &MailboxName,
        guid: Option<MailboxGuid>,
        uid_validity: Option<UidValidity>,
    ) {
        let subscribed = self.stored.get(stored).is_some_and(|node| node.subscribed);
        let node = MailboxNode { kind: NodeKind::Mailbox { guid, uid_validity }, subscribed };
        self.stored.insert(stored.clone(), node.clone());
        self.owners.insert(stored.clone(), original.clone());
        self.places.insert(original.clone(), stored.clone());
        show(&mut self.shown, original, node);
    }

    /// Levels that are not owned stand for the same levels of what is below them.
    fn show_levels(&mut self) {
        for (stored, original) in &self.owners {
            let is_there = self.stored.get(stored).is_some_and(|node| node.kind != NodeKind::Absent);
            for level in ancestors(stored).filter(|_| is_there) {
                let is_level = self.stored.get(&level).is_some_and(|node| node.kind == NodeKind::Directory);
                if !is_level || self.owners.contains_key(&level) {
                    continue;
                }
                let depth = level.parts().len();
                let above = original.parts().get(..depth).filter(|above| above.len() < original.parts().len());
                if let Some(above) = above.and_then(|above| MailboxName::new(above.iter().cloned())) {
                    show(&mut self.shown, &above, directory());
                    self.levels.insert(above, level);
                }
            }
        }
        for (name, node) in
            self.stored.iter().filter(|(name, node)| node.subscribed && !self.owners.contains_key(name))
        {
            show(&mut self.shown, name, MailboxNode { kind: NodeKind::Absent, subscribed: node.subscribed });
        }
    }

    /// Levels that are joined in the store are still levels.
    fn show_implied_levels(&mut self) {
        let mapped = self.owners.iter().filter(|(stored, original)| stored != original);
        for (stored, original) in mapped {
            if self.stored.get(stored).is_some_and(|node| node.kind != NodeKind::Absent) {
                ancestors(original).for_each(|above| show(&mut self.shown, &above, directory()));
            }
        }
    }
}

/// For which original name each stored one stands.
fn owners(
    stored: &MailboxTree,
    entries: &[Entry],
    alternative: AlternativeCharacter,
) -> BTreeMap<MailboxName, MailboxName> {
    let alive = entries.iter().filter(|entry| is_alive(entry, stored));
    let known: BTreeMap<_, _> = alive.map(|entry| (&entry.stored, &entry.original)).collect();
    let mut owners = BTreeMap::new();
    let mut used = BTreeSet::new();
    let mailboxes = || stored.iter().filter(|(_, node)| node.is_mailbox()).map(|(name, _)| name);
    // What is mapped keeps its original name, whatever else there is.
    for name in mailboxes() {
        if let Some(original) = known.get(name).filter(|original| used.insert((**original).clone())) {
            owners.insert(name.clone(), (*original).clone());
        }
    }
    for name in mailboxes() {
        if !owners.contains_key(name) {
            let original = unused(name, &used, stored, alternative);
            used.insert(original.clone());
            owners.insert(name.clone(), original);
        }
    }
    for (name, node) in stored.iter().filter(|(_, node)| !node.is_mailbox()) {
        let original = known.get(name).copied();
        let is_owned = match node.kind {
            NodeKind::Absent => true,
            _ => original.is_some() || below(stored, name).all(|(_, node)| node.kind == NodeKind::Absent),
        };
        if is_owned {
            owners.insert(name.clone(), original.unwrap_or(name).clone());
        }
    }
    owners
}

/// A name for a mailbox whose own one is that of another.
fn unused(
    name: &MailboxName,
    used: &BTreeSet<MailboxName>,
    stored: &MailboxTree,
    alternative: AlternativeCharacter,
) -> MailboxName {
    let mut candidate = name.clone();
    while used.contains(&candidate) || candidate != *name && stored.contains_key(&candidate) {
        let mut parts = candidate.parts().to_vec();
        if let Some(last) = parts.last_mut() {
            last.push(alternative.get());
        }
        let Some(longer) = MailboxName::new(parts) else { break };
        candidate = longer;
    }
    candidate
}

const fn directory() -> MailboxNode {
    MailboxNode { kind: NodeKind::Directory, subscribed: false }
}

/// Adds to what is shown at a name: a mailbox is more than a level, a level more than a subscription.
fn show(shown: &mut MailboxTree, name: &MailboxName, node: MailboxNode) {
    let rank = |node: &MailboxNode| match node.kind {
        NodeKind::Absent => 0,
        NodeKind::Directory => 1,
        NodeKind::Mailbox { .. } | NodeKind::Unreadable(_) => 2,
    };
    let there = shown.entry(name.clone()).or_insert(MailboxNode { kind: NodeKind::Absent, subscribed: false });
    there.subscribed |= node.subscribed;
    if rank(&node) > rank(there) {
        there.kind = node.kind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text, '/').unwrap()
    }

    fn entry(guid: u8, stored: &str, original: &str) -> Entry {
        Entry { guid: MailboxGuid::new([guid; 16]), stored: name(stored), original: name(original) }
    }

    /// Numbers are GUIDs; 0 is a level, -1 a subscription without anything.
    fn tree(nodes: &[(&str, i8)]) -> MailboxTree {
        let node = |number: i8| match u8::try_from(number) {
            Ok(0) => directory(),
            Ok(guid) => MailboxNode {
                kind: NodeKind::Mailbox { guid: MailboxGuid::new([guid; 16]), uid_validity: None },
                subscribed: false,
            },
            Err(_) => MailboxNode { kind: NodeKind::Absent, subscribed: true },
        };
        nodes.iter().map(|(text, number)| (name(text), node(*number))).collect()
    }

    #[track_caller]
    fn assert_shown(stored: &[(&str, i8)], entries: &[Entry], expected: &[(&str, i8)]) {
        let view = View::new(tree(stored), entries, true, AlternativeCharacter::default());
        assert_eq!(view.shown, tree(expected));
    }

    #[test]
    fn an_entry_counts_while_its_mailbox_is_there() {
        let entries = [entry(1, "a_b", "a.b")];
        assert_shown(&[("a_b", 1), ("c", 2)], &entries, &[("a.b", 1), ("c", 2)]);
        assert_shown(&[("a_b", 2)], &entries, &[("a_b", 2)]);
        assert_shown(&[("moved", 1)], &entries, &[("moved", 1)]);
        assert_shown(&[("a_b", -1)], &entries, &[("a.b", -1)]);
        assert_shown(&[("a_b", 0)], &entries, &[("a_b", 0)]);
        let level = [Entry { guid: None, ..entry(1, "a_b", "a.b") }];
        assert_shown(&[("a_b", 0)], &level, &[("a.b", 0)]);
        assert_shown(&[("a_b", 1)], &level, &[("a_b", 1)]);
    }

    #[test]
    fn two_names_never_become_one() {
        let entries = [entry(1, "x", "y"), entry(2, "z", "y"), entry(3, "y", "w")];
        assert_shown(
            &[("x", 1), ("y", 9), ("y_", 8), ("z", 2)],
            &entries,
            &[("y", 1), ("y__", 9), ("y_", 8), ("z", 2)],
        );
    }

    #[test]
    fn levels_follow_what_is_below_them() {
        let entries = [entry(1, "x_y/z", "x.y/z")];
        assert_shown(&[("x_y", 0), ("x_y/z", 1)], &entries, &[("x.y", 0), ("x.y/z", 1)]);
        assert_shown(
            &[("x_y", 0), ("x_y/z", 1), ("x_y/k", 2)],
            &entries,
            &[("x.y", 0), ("x.y/z", 1), ("x_y", 0), ("x_y/k", 2)],
        );
        let joined = [entry(2, "W_R_20", "W/R/20")];
        assert_shown(&[("W", 1), ("W_R_20", 2)], &joined, &[("W", 1), ("W/R", 0), ("W/R/20", 2)]);
    }
}
