//! A tree whose nodes can be moved.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::{Index, IndexMut};

use super::TreeSide;
use crate::model::{MailboxGuid, MailboxName, NameHash, NodeKind, TreeChange, TreeHistory, UidValidity};

/// A node of a [`Forest`]; the root, which has no name, is number 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId(usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existence {
    /// Nothing is there, but perhaps below.
    Absent,
    Present,
    /// There was something, and it was deleted.
    Deleted,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) parent: Option<NodeId>,
    pub(super) guid: Option<MailboxGuid>,
    pub(super) uid_validity: Option<UidValidity>,
    pub(super) existence: Existence,
    /// It is a mailbox, with a GUID or (at a store that cannot be given one) without.
    pub(super) selectable: bool,
    /// When it was last renamed; 0 if unknown.
    pub(super) renamed: i64,
    /// Its name is one that the merge has made up.
    pub(super) temporary: bool,
    children: Vec<NodeId>,
}

impl Node {
    pub(super) fn is_mailbox(&self) -> bool {
        self.guid.is_some() && self.existence == Existence::Present
    }
}

/// One side's tree while it is being merged.
#[derive(Clone, Debug)]
pub(super) struct Forest {
    nodes: Vec<Node>,
    guids: BTreeMap<MailboxGuid, NodeId>,
    given_names: GivenNames,
    renamed_on: BTreeSet<MailboxGuid>,
}

/// The names that something was renamed to, whether it still has them or not.
#[derive(Clone, Debug)]
struct GivenNames {
    hashes: HashSet<NameHash>,
    /// How names are spelled; without events.
    spelling: TreeHistory,
}

impl GivenNames {
    fn new(history: &TreeHistory) -> Self {
        let renamed = history.events.iter().filter_map(|event| match event.change {
            TreeChange::Renamed(hash) => Some(hash),
            _ => None,
        });
        let spelling = TreeHistory {
            prefix: history.prefix.clone(),
            separators: history.separators.clone(),
            events: Vec::new(),
        };
        Self { hashes: renamed.collect(), spelling }
    }

    fn contain(&self, name: &MailboxName) -> bool {
        self.spelling.hashes(name).any(|hash| self.hashes.contains(&hash))
    }
}

impl Index<NodeId> for Forest {
    type Output = Node;
    fn index(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }
}

impl IndexMut<NodeId> for Forest {
    fn index_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0]
    }
}

impl Forest {
    pub(super) const ROOT: NodeId = NodeId(0);

    pub(super) fn new(side: &TreeSide) -> Self {
        let given_names = GivenNames::new(&side.history);
        let mut forest = Self { nodes: Vec::new(), guids: BTreeMap::new(), given_names, renamed_on: BTreeSet::new() };
        forest.add(String::new(), None);
        for (name, node) in &side.tree {
            let id = forest.ensure(name.parts());
            match node.kind {
                NodeKind::Absent => {}
                NodeKind::Directory | NodeKind::Unreadable(_) => forest[id].existence = Existence::Present,
                NodeKind::Mailbox { guid, uid_validity } => {
                    forest[id].existence = Existence::Present;
                    forest[id].selectable = true;
                    forest[id].guid = guid;
                    forest[id].uid_validity = uid_validity;
                    if let Some(guid) = guid {
                        forest.guids.insert(guid, id);
                    }
                }
            }
        }
        let known = forest.by_hash(&side.history);
        for event in &side.history.events {
            if let TreeChange::Renamed(hash) = event.change
                && let Some(id) = known.get(&hash)
            {
                forest[*id].renamed = event.time.seconds();
            }
        }
        forest
    }

    fn add(&mut self, name: String, parent: Option<NodeId>) -> NodeId {
        let id = NodeId(self.nodes.len());
        self.nodes.push(Node {
            name,
            parent,
            guid: None,
            uid_validity: None,
            existence: Existence::Absent,
            selectable: false,
            renamed: 0,
            temporary: false,
            children: Vec::new(),
        });
        if let Some(parent) = parent {
            self.put_below(id, parent);
        }
        id
    }

    fn put_below(&mut self, id: NodeId, parent: NodeId) {
        self[id].parent = Some(parent);
        let name = self[id].name.clone();
        let children = &self[parent].children;
        let place = children.partition_point(|child| self[*child].name < name);
        self[parent].children.insert(place, id);
    }

    fn take_out(&mut self, id: NodeId) {
        if let Some(parent) = self[id].parent {
            self[parent].children.retain(|child| *child != id);
        }
    }

    /// The children in byte order of their names.
    pub(super) fn children(&self, id: NodeId) -> &[NodeId] {
        &self[id].children
    }

    pub(super) fn child(&self, id: NodeId, name: &str) -> Option<NodeId> {
        let children = &self[id].children;
        let place = children.binary_search_by(|child| self[*child].name.as_str().cmp(name)).ok()?;
        children.get(place).copied()
    }

    pub(super) fn ensure_child(&mut self, id: NodeId, name: &str) -> NodeId {
        self.child(id, name).unwrap_or_else(|| self.add(name.to_owned(), Some(id)))
    }

    pub(super) fn find(&self, path: &[String]) -> Option<NodeId> {
        path.iter().try_fold(Self::ROOT, |id, name| self.child(id, name))
    }

    /// The node at a path, made as an absent one if needed.
    pub(super) fn ensure(&mut self, path: &[String]) -> NodeId {
        path.iter().fold(Self::ROOT, |id, name| self.ensure_child(id, name))
    }

    pub(super) fn path(&self, id: NodeId) -> Vec<String> {
        let mut path = Vec::new();
        let mut at = id;
        while let Some(parent) = self[at].parent {
            path.push(self[at].name.clone());
            at = parent;
        }
        path.reverse();
        path
    }

    /// All paths but that of the root.
    pub(super) fn paths(&self) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        let mut rest = vec![(Self::ROOT, Vec::new())];
        while let Some((id, path)) = rest.pop() {
            for child in self.children(id) {
                let mut path = path.clone();
                path.push(self[*child].name.clone());
                paths.push(path.clone());
                rest.push((*child, path));
            }
        }
        paths
    }

    /// All mailboxes with their GUIDs.
    pub(super) fn mailboxes(&self) -> impl Iterator<Item = (MailboxGuid, NodeId)> + '_ {
        self.guids.iter().map(|(guid, id)| (*guid, *id))
    }

    pub(super) fn by_guid(&self, guid: MailboxGuid) -> Option<NodeId> {
        self.guids.get(&guid).copied()
    }

    /// The nodes by the hashes under which the events of a history may know them.
    pub(super) fn by_hash(&self, history: &TreeHistory) -> HashMap<NameHash, NodeId> {
        let mut nodes = HashMap::new();
        for id in (1..self.nodes.len()).map(NodeId) {
            if let Some(name) = MailboxName::new(self.path(id)) {
                for hash in history.hashes(&name) {
                    nodes.entry(hash).or_insert(id);
                }
            }
        }
        nodes
    }

    /// Looks for mailboxes that this side has renamed on, while the other side has followed only to the name before: that name is
    /// known here, and the one that they have now is not known there. Where other mailboxes want these names too, nobody can say.
    pub(super) fn find_renamed_on(&mut self, other: &Self) {
        let was_renamed_on = |guid: MailboxGuid, here: NodeId| {
            let there = other.by_guid(guid)?;
            let (now, before) = (self.path(here), other.path(there));
            let is_known = self.was_renamed_to(&before) && !other.was_renamed_to(&now);
            Some(is_known && self.is_free(&before) && other.is_free(&now))
        };
        let found = self.mailboxes().filter(|(guid, here)| was_renamed_on(*guid, *here) == Some(true));
        self.renamed_on = found.map(|(guid, _)| guid).collect();
    }

    pub(super) fn was_renamed_on(&self, guid: MailboxGuid) -> bool {
        self.renamed_on.contains(&guid)
    }

    /// Whether something was once renamed to this path.
    fn was_renamed_to(&self, path: &[String]) -> bool {
        MailboxName::new(path.iter().cloned()).is_some_and(|name| self.given_names.contain(&name))
    }

    fn is_free(&self, path: &[String]) -> bool {
        self.find(path).is_none_or(|node| self[node].existence != Existence::Present)
    }

    pub(super) fn delete_mailbox(&mut self, guid: MailboxGuid) {
        if let Some(id) = self.guids.remove(&guid) {
            self[id].guid = None;
            self[id].selectable = false;
            self[id].existence = Existence::Deleted;
        }
    }

    /// Whether `id` is `ancestor` or lies below it.
    pub(super) fn is_within(&self, id: NodeId, ancestor: NodeId) -> bool {
        let mut at = Some(id);
        while let Some(node) = at {
            if node == ancestor {
                return true;
            }
            at = self[node].parent;
        }
        false
    }

    /// Whether anything below the node, not it itself, is as wanted.
    pub(super) fn has_below(&self, id: NodeId, wanted: impl Fn(&Node) -> bool + Copy) -> bool {
        self.children(id).iter().any(|child| wanted(&self[*child]) || self.has_below(*child, wanted))
    }

    /// Takes the node with all below it from its place and puts it elsewhere.
    pub(super) fn relocate(&mut self, id: NodeId, parent: NodeId, name: String) {
        self.take_out(id);
        self[id].name = name;
        self.put_below(id, parent);
    }

    /// Forgets a node with everything below it.
    pub(super) fn forget(&mut self, id: NodeId) {
        for child in self[id].children.clone() {
            self.forget(child);
        }
        if let Some(guid) = self[id].guid.take() {
            self.guids.remove(&guid);
        }
        self.take_out(id);
    }

    /// Gives every node at least the time of its parent: what is below a renamed one was renamed with it.
    pub(super) fn spread_rename_times(&mut self) {
        let mut rest = vec![Self::ROOT];
        while let Some(id) = rest.pop() {
            let time = self[id].renamed;
            for child in self[id].children.clone() {
                self[child].renamed = self[child].renamed.max(time);
                rest.push(child);
            }
        }
    }
}
