//! The store that others make together.

use std::collections::BTreeMap;
use std::time::Duration;

use dsync_core::model::{
    MailboxGuid, MailboxIdentity, MailboxName, MailboxNode, MailboxStatus, MailboxTree, NameHash, NodeKind,
    TreeChange, TreeEvent, TreeHistory,
};
use dsync_core::store::{Capabilities, ErrorKind, MailStore, Mailbox, ReplacedName, StoreError};

use super::moving::{LeftOver, carry_moments, left_over, move_mailbox};
use super::routes::{Part, Routes};
use super::{Member, ParentSubscriptions};

/// Several stores that look like one.
pub struct JoinedStore {
    stores: Vec<Box<dyn MailStore>>,
    routes: Routes,
    /// For each, where its subscriptions are if they are elsewhere.
    subscriptions: Vec<Option<(usize, ParentSubscriptions)>>,
}

impl JoinedStore {
    /// All members together.
    #[must_use]
    pub fn new(members: Vec<Member>) -> Self {
        let part = |member: &Member| Part {
            prefix: member.prefix.as_ref().map(|prefix| prefix.parts().to_vec()).unwrap_or_default(),
            has_inbox: member.has_inbox,
        };
        let routes = Routes::new(members.iter().map(part).collect());
        let (stores, subscriptions) = members.into_iter().map(|member| (member.store, member.subscriptions)).unzip();
        Self { stores, routes, subscriptions }
    }

    /// The store that has a name, and the name there.
    fn at(&mut self, name: &MailboxName) -> Result<(&mut dyn MailStore, MailboxName), StoreError> {
        let (at, inner) = self.routes.route(name).ok_or_else(|| nowhere(name))?;
        let store = self.stores.get_mut(at).ok_or_else(|| nowhere(name))?;
        Ok((&mut **store, inner))
    }

    fn two(&mut self, first: usize, second: usize) -> Option<[&mut Box<dyn MailStore>; 2]> {
        self.stores.get_disjoint_mut([first, second]).ok()
    }

    /// All members, as they are.
    fn listed(&mut self) -> Result<MailboxTree, StoreError> {
        let directories = self.capabilities().directories;
        let mut tree = MailboxTree::new();
        for (at, store) in self.stores.iter_mut().enumerate() {
            let mut is_empty = true;
            let mut nodes = store.tree()?;
            let elsewhere = self.subscriptions.get(at).and_then(Option::as_ref);
            let guests: Vec<_> = self.subscriptions.iter().flatten().filter(|(host, _)| *host == at).collect();
            for (inner, node) in &mut nodes {
                let is_others = guests.iter().any(|(_, subscriptions)| subscriptions.has(inner));
                node.subscribed &= elsewhere.is_none() && !is_others;
            }
            for inner in elsewhere.map(|(_, subscriptions)| subscriptions.read()).transpose()?.into_iter().flatten() {
                let absent = MailboxNode { kind: NodeKind::Absent, subscribed: true };
                nodes.entry(inner).or_insert(absent).subscribed = true;
            }
            for (inner, node) in nodes {
                let Some(name) = self.routes.shown(at, &inner) else { continue };
                if node.kind != NodeKind::Absent || node.subscribed {
                    is_empty &= node.kind == NodeKind::Absent;
                    tree.insert(name, node);
                }
            }
            if directories && !is_empty {
                for level in self.routes.levels(at) {
                    let absent = MailboxNode { kind: NodeKind::Absent, subscribed: false };
                    let node = tree.entry(level).or_insert(absent);
                    if node.kind == NodeKind::Absent {
                        node.kind = NodeKind::Directory;
                    }
                }
            }
        }
        Ok(tree)
    }

    /// Takes away what moves that were cut off have left. Of stores that may only be read it is taken out of the list alone. Whether
    /// the stores were changed.
    fn finish_moves(&mut self, tree: &mut MailboxTree) -> Result<bool, StoreError> {
        let mut by_guid: BTreeMap<MailboxGuid, Vec<MailboxName>> = BTreeMap::new();
        for (name, node) in &*tree {
            if let Some(guid) = node.guid() {
                by_guid.entry(guid).or_default().push(name.clone());
            }
        }
        let mut changed = false;
        for names in by_guid.into_values() {
            let [first, second] = &names[..] else { continue };
            let member = |name: &MailboxName| self.routes.route(name).map(|(at, _)| at);
            if member(first) == member(second) {
                continue;
            }
            let keeps = self.capabilities().keeps;
            // What cannot be opened is not decided about; whoever wants it says why.
            let (Ok(one), Ok(other)) = (self.open(first), self.open(second)) else { continue };
            // Nor about what cannot be read: the copy would be all that is left.
            if !(one.problems().is_empty() && other.problems().is_empty()) {
                continue;
            }
            let (name, gone, mut stays) = match left_over(&*one, &*other, keeps) {
                Some(LeftOver::First) => (first, one, other),
                Some(LeftOver::Second) => (second, other, one),
                None => continue,
            };
            let expected = gone.status().clone();
            let carried = carry_moments(&*gone, &mut *stays);
            drop((gone, stays));
            match carried.and_then(|()| self.delete_unchanged(name, &expected)) {
                Ok(()) => changed = true,
                Err(error) if error.kind() == ErrorKind::ReadOnly => {
                    if let Some(node) = tree.get_mut(name) {
                        node.kind = NodeKind::Absent;
                    }
                    tree.retain(|_, node| node.kind != NodeKind::Absent || node.subscribed);
                }
                // Somebody is at work in it, so nothing is known about it any more.
                Err(error) if error.kind() == ErrorKind::Changed => {}
                Err(error) => return Err(error),
            }
        }
        Ok(changed)
    }

    /// Renames what one member has to names of another.
    fn move_all(&mut self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        let tree = self.tree()?;
        let is_there = |name: &MailboxName, node: &MailboxNode| {
            node.kind != NodeKind::Absent && (name == from || name.is_below(from))
        };
        let moved: Vec<_> = tree
            .iter()
            .filter(|(name, node)| is_there(name, node))
            .filter_map(|(name, node)| Some((name.clone(), name.moved(from, to)?, node.is_mailbox())))
            .collect();
        if moved.is_empty() {
            return Err(StoreError::new(ErrorKind::NotFound, format!("there is no mailbox {from}")));
        }
        if let Some((_, taken, _)) =
            moved.iter().find(|(_, new, _)| tree.get(new).is_some_and(MailboxNode::is_mailbox))
        {
            return Err(StoreError::new(ErrorKind::Exists, format!("there is a mailbox {taken} already")));
        }
        // What is below goes first: a store takes along what it has below.
        for (old, new, is_mailbox) in moved.iter().rev() {
            if !is_mailbox {
                if self.capabilities().directories {
                    self.create_directory(new)?;
                }
                continue;
            }
            let (source, source_name) = self.routes.route(old).ok_or_else(|| nowhere(old))?;
            let (target, target_name) = self.routes.route(new).ok_or_else(|| nowhere(new))?;
            if source == target {
                let store = self.stores.get_mut(source).ok_or_else(|| nowhere(old))?;
                store.rename(&source_name, &target_name)?;
                continue;
            }
            let [source, target] = self.two(source, target).ok_or_else(|| nowhere(new))?;
            move_mailbox((&mut **source, &source_name), (&mut **target, &target_name))?;
        }
        for (old, _, is_mailbox) in moved.iter().rev() {
            if !is_mailbox {
                self.delete_directory(old)?;
            }
        }
        Ok(())
    }
}

fn nowhere(name: &MailboxName) -> StoreError {
    let text = format!(
        "{name} is in none of the namespaces that take part; choose others with -n or -N, or exclude it with -x"
    );
    StoreError::new(ErrorKind::InvalidName, text)
}

impl MailStore for JoinedStore {
    fn location(&self) -> String {
        let shown = self.stores.iter().enumerate().map(|(at, store)| match self.routes.levels(at).last() {
            Some(level) => format!("{level} in {}", store.location()),
            None => store.location(),
        });
        shown.collect::<Vec<_>>().join(" with ")
    }

    fn id(&mut self) -> Result<String, StoreError> {
        let mut ids = Vec::with_capacity(self.stores.len());
        for (at, store) in self.stores.iter_mut().enumerate() {
            let level = self.routes.levels(at).pop().map(|level| level.to_string()).unwrap_or_default();
            ids.push(format!("{level} {}", store.id()?));
        }
        Ok(ids.join("\n"))
    }

    fn claim(&mut self, patience: Duration) -> Result<(), StoreError> {
        // All who claim several stores do so in this order.
        let mut stores = Vec::with_capacity(self.stores.len());
        for store in &mut self.stores {
            stores.push((store.id()?, store));
        }
        stores.sort_by(|(first, _), (second, _)| first.cmp(second));
        stores.into_iter().try_for_each(|(_, store)| store.claim(patience))
    }

    fn capabilities(&self) -> Capabilities {
        let all = self.stores.iter().map(|store| store.capabilities());
        let common = all.reduce(|one, other| Capabilities {
            directories: one.directories && other.directories,
            keeps: one.keeps.common(other.keeps),
            line_ends: one.line_ends && other.line_ends,
        });
        common.unwrap_or(Capabilities {
            directories: false,
            keeps: dsync_core::model::KeptFields::LEAST,
            line_ends: false,
        })
    }

    fn expect(&mut self, wanted: &MailboxTree) {
        let mut parts = vec![MailboxTree::new(); self.stores.len()];
        for (name, node) in wanted {
            if let Some((at, inner)) = self.routes.route(name)
                && let Some(part) = parts.get_mut(at)
            {
                part.insert(inner, node.clone());
            }
        }
        self.stores.iter_mut().zip(&parts).for_each(|(store, part)| store.expect(part));
    }

    fn replaced_names(&mut self) -> Vec<ReplacedName> {
        let mut replaced = Vec::new();
        for (at, store) in self.stores.iter_mut().enumerate() {
            let shown = |name: &MailboxName| self.routes.shown(at, name).unwrap_or_else(|| name.clone());
            let names = store.replaced_names().into_iter();
            replaced.extend(
                names.map(|name| ReplacedName { original: shown(&name.original), stored: shown(&name.stored) }),
            );
        }
        replaced
    }

    fn tree(&mut self) -> Result<MailboxTree, StoreError> {
        let mut tree = self.listed()?;
        if self.finish_moves(&mut tree)? {
            return self.listed();
        }
        Ok(tree)
    }

    fn tree_history(&mut self) -> Result<TreeHistory, StoreError> {
        let mut joined = TreeHistory { prefix: String::new(), separators: Vec::new(), events: Vec::new() };
        let tree = self.tree()?;
        for (at, store) in self.stores.iter_mut().enumerate() {
            let history = store.tree_history()?;
            let new = history.separators.iter().filter(|separator| !joined.separators.contains(separator));
            let new: Vec<_> = new.copied().collect();
            joined.separators.extend(new);
            // Names were hashed with the prefixes that clients see; below a level they have them here, too.
            if self.routes.levels(at).is_empty() {
                joined.prefix = history.prefix;
            }
            // The levels above a member go with the last that is in it.
            let gone = self.routes.levels(at).into_iter().filter(|level| !tree.contains_key(level));
            if let Some(time) = history.events.iter().map(|event| event.time).max() {
                let deleted = |level: MailboxName| {
                    let hashes = NameHash::of_spellings(&level, "", &history.separators).collect::<Vec<_>>();
                    hashes.into_iter().map(move |hash| TreeEvent { change: TreeChange::DirectoryDeleted(hash), time })
                };
                joined.events.extend(gone.flat_map(deleted));
            }
            joined.events.extend(history.events);
        }
        // One that was moved to another member was deleted only where it was.
        let there: Vec<_> = tree.values().filter_map(MailboxNode::guid).collect();
        joined
            .events
            .retain(|event| !matches!(event.change, TreeChange::MailboxDeleted(guid) if there.contains(&guid)));
        joined.events.sort_by_key(|event| event.time);
        Ok(joined)
    }

    fn note_deleted(&mut self, guid: MailboxGuid) -> Result<(), StoreError> {
        // Where does not matter, because they are read together.
        self.stores.first_mut().map_or(Ok(()), |store| store.note_deleted(guid))
    }

    fn new_identity(&mut self) -> Result<MailboxIdentity, StoreError> {
        let store = self.stores.first_mut();
        store.map_or(Ok(MailboxIdentity::UNDECIDED), |store| store.new_identity())
    }

    fn open(&mut self, name: &MailboxName) -> Result<Box<dyn Mailbox>, StoreError> {
        let (store, inner) = self.at(name)?;
        store.open(&inner)
    }

    fn create(&mut self, name: &MailboxName, identity: MailboxIdentity) -> Result<Box<dyn Mailbox>, StoreError> {
        let (store, inner) = self.at(name)?;
        store.create(&inner, identity)
    }

    fn delete(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        let (store, inner) = self.at(name)?;
        store.delete(&inner)
    }

    fn delete_unchanged(&mut self, name: &MailboxName, expected: &MailboxStatus) -> Result<(), StoreError> {
        let (store, inner) = self.at(name)?;
        store.delete_unchanged(&inner, expected)
    }

    fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        let mut levels = (0..self.stores.len()).flat_map(|at| self.routes.levels(at));
        let has_others = levels.any(|level| [from, to].iter().any(|name| level == **name || level.is_below(name)));
        match (self.routes.route(from), self.routes.route(to)) {
            (Some((source, old)), Some((target, new))) if source == target && !has_others => {
                let store = self.stores.get_mut(source).ok_or_else(|| nowhere(from))?;
                store.rename(&old, &new)
            }
            // What is at a level or below it is in several stores.
            (source, target) if has_others || source.is_some() && target.is_some() => self.move_all(from, to),
            (None, _) => Err(nowhere(from)),
            _ => Err(nowhere(to)),
        }
    }

    fn create_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        if self.routes.is_level(name) {
            return Ok(());
        }
        let (store, inner) = self.at(name)?;
        store.create_directory(&inner)
    }

    fn delete_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        if self.routes.is_level(name) {
            return Ok(());
        }
        let (store, inner) = self.at(name)?;
        store.delete_directory(&inner)
    }

    fn set_subscribed(&mut self, name: &MailboxName, subscribed: bool) -> Result<(), StoreError> {
        let (at, inner) = self.routes.route(name).ok_or_else(|| nowhere(name))?;
        if let Some((_, elsewhere)) = self.subscriptions.get(at).and_then(Option::as_ref) {
            return elsewhere.set(&inner, subscribed);
        }
        let store = self.stores.get_mut(at).ok_or_else(|| nowhere(name))?;
        store.set_subscribed(&inner, subscribed)
    }
}

#[cfg(test)]
mod tests;
