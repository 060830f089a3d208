//! Trees of mailboxes as rows, and back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::names::{HeardName, Prefix};
use crate::model::{
    MailboxGuid, MailboxName, MailboxNode, MailboxTree, NameHash, NodeKind, Timestamp, TreeChange, TreeEvent,
    TreeHistory, Uid,
};
use crate::session::SessionError;
use crate::tree::two_way::TreeSide;
use crate::wire::{Deletions, Existence, TreeNode};

/// How many names a peer may list.
const MOST_NAMES: usize = 1 << 20;

/// The rows of a tree. `next_uids` are the UIDNEXTs of mailboxes, as far as they are known.
pub(super) fn nodes(side: &TreeSide, next_uids: &BTreeMap<MailboxName, Uid>, prefix: &Prefix) -> Vec<TreeNode> {
    let times = Times::of(&side.history);
    let mut names: BTreeSet<&MailboxName> = side.tree.keys().collect();
    let parents: Vec<_> = side.tree.keys().flat_map(parents_of).collect();
    names.extend(&parents);
    let mut told: BTreeMap<MailboxName, Option<&MailboxName>> =
        names.into_iter().map(|name| (prefix.told(name).into_owned(), Some(name))).collect();
    let parents: Vec<_> = told.keys().flat_map(parents_of).collect();
    for parent in parents {
        told.entry(parent).or_insert(None);
    }
    let level = |name: MailboxName| TreeNode {
        name,
        existence: Existence::Absent,
        guid: None,
        uid_validity: 0,
        uid_next: 0,
        renamed: 0,
        subscribed: false,
        subscription_changed: 0,
    };
    let node = |told: MailboxName, name: &MailboxName| {
        let absent = MailboxNode { kind: NodeKind::Absent, subscribed: false };
        let MailboxNode { kind, subscribed } = side.tree.get(name).unwrap_or(&absent);
        let hashes: Vec<_> = side.history.hashes(name).collect();
        let (existence, guid, uid_validity) = match kind {
            NodeKind::Mailbox { guid: Some(guid), uid_validity } => {
                (Existence::Present, Some(*guid), uid_validity.map_or(0, |uid_validity| uid_validity.get()))
            }
            NodeKind::Directory => (Existence::Present, None, 0),
            NodeKind::Mailbox { guid: None, .. } | NodeKind::Absent | NodeKind::Unreadable(_) => {
                (Existence::Absent, None, 0)
            }
        };
        TreeNode {
            name: told,
            existence,
            guid,
            uid_validity,
            uid_next: next_uids.get(name).map_or(0, |uid| uid.get()),
            renamed: times.last(&times.renamed, &hashes),
            subscribed: *subscribed,
            subscription_changed: times.last(&times.subscription, &hashes),
        }
    };
    let rows = told.into_iter().map(|(told, name)| match name {
        Some(name) => node(told, name),
        None => level(told),
    });
    rows.collect()
}

fn parents_of(name: &MailboxName) -> impl Iterator<Item = MailboxName> {
    std::iter::successors(name.parent(), MailboxName::parent)
}

/// When what happened to names.
#[derive(Default)]
struct Times {
    renamed: HashMap<NameHash, u64>,
    subscription: HashMap<NameHash, u64>,
}

impl Times {
    fn of(history: &TreeHistory) -> Self {
        let mut times = Self::default();
        for event in &history.events {
            let time = u64::try_from(event.time.seconds()).unwrap_or(0);
            match event.change {
                TreeChange::Renamed(hash) => drop(times.renamed.insert(hash, time)),
                TreeChange::Subscribed(hash) | TreeChange::Unsubscribed(hash) => {
                    times.subscription.insert(hash, time);
                }
                TreeChange::MailboxDeleted(_) | TreeChange::DirectoryDeleted(_) => {}
            }
        }
        times
    }

    fn last(&self, times: &HashMap<NameHash, u64>, hashes: &[NameHash]) -> u64 {
        hashes.iter().filter_map(|hash| times.get(hash)).max().copied().unwrap_or(0)
    }
}

/// What was deleted and is not there again. `separator` is what stands between the parts of the other side's names, if that is
/// known.
///
/// Names that are gone are known by their hashes only. Dovecot 2.3 does not come to an end if it is told hashes of names with
/// another separator than its own, so they are told only if they may have been made with that one.
pub(super) fn deletions(side: &TreeSide, separator: Option<char>) -> Deletions {
    let present: BTreeSet<MailboxGuid> = side.tree.values().filter_map(MailboxNode::guid).collect();
    let is_there = |node: &MailboxNode| node.is_mailbox() || node.kind == NodeKind::Directory;
    let hashes_of = |name: &MailboxName| side.history.hashes(name).collect::<Vec<_>>();
    let known: BTreeSet<NameHash> = side.tree.keys().flat_map(hashes_of).collect();
    let there: BTreeSet<NameHash> =
        side.tree.iter().filter(|(_, node)| is_there(node)).flat_map(|(name, _)| hashes_of(name)).collect();
    let (mut mailboxes, mut directories, mut unsubscribed) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for event in &side.history.events {
        let time = u64::try_from(event.time.seconds()).unwrap_or(0);
        match event.change {
            TreeChange::MailboxDeleted(guid) if !present.contains(&guid) => drop(mailboxes.insert(guid, time)),
            TreeChange::DirectoryDeleted(hash) if !there.contains(&hash) => drop(directories.insert(hash, time)),
            TreeChange::Unsubscribed(hash) if !known.contains(&hash) => drop(unsubscribed.insert(hash, time)),
            TreeChange::Subscribed(hash) => drop(unsubscribed.remove(&hash)),
            _ => {}
        }
    }
    let own = &side.history.separators;
    let separator = separator.or(own.first().copied()).unwrap_or('/');
    if !own.contains(&separator) {
        directories.clear();
        unsubscribed.clear();
    }
    Deletions {
        separator,
        escape_character: Some(if separator == '%' { b"~".to_vec() } else { b"%".to_vec() }),
        mailboxes: mailboxes.into_iter().collect(),
        directories: directories.into_iter().collect(),
        unsubscribed: unsubscribed.into_iter().collect(),
    }
}

/// The tree of a peer on its way.
#[derive(Default)]
pub(super) struct PeerTree {
    nodes: BTreeMap<MailboxName, TreeNode>,
    guids: BTreeMap<MailboxGuid, MailboxName>,
    /// With what names begin that this side knows without it.
    prefix: Prefix,
    /// With what names began when they were hashed.
    hashed_prefix: Prefix,
    /// Mailboxes in other namespaces.
    foreign: Vec<MailboxName>,
}

impl PeerTree {
    pub(super) fn new([prefix, hashed_prefix]: [Prefix; 2]) -> Self {
        Self { prefix, hashed_prefix, ..Self::default() }
    }

    /// The mailboxes that are in no namespace of this side.
    pub(super) fn foreign(&self) -> &[MailboxName] {
        &self.foreign
    }

    /// # Errors
    /// If the tree contradicts itself, or has no end.
    pub(super) fn add(&mut self, mut node: TreeNode) -> Result<(), SessionError> {
        if self.nodes.len().saturating_add(self.foreign.len()) == MOST_NAMES {
            return Err(SessionError::InvalidData(format!("more than {MOST_NAMES} names of mailboxes")));
        }
        if let Some(guid) = node.guid
            && let Some(first) = self.guids.insert(guid, node.name.clone())
        {
            let text = format!("mailboxes {first} and {} with the same GUID", node.name);
            return Err(SessionError::InvalidData(text));
        }
        match self.prefix.heard(node.name.clone()) {
            HeardName::Is(name) => node.name = name,
            HeardName::Foreign if node.guid.is_some() => {
                self.foreign.push(node.name);
                return Ok(());
            }
            HeardName::Foreign | HeardName::Prefix => return Ok(()),
        }
        match self.nodes.insert(node.name.clone(), node) {
            None => Ok(()),
            Some(node) => Err(SessionError::InvalidData(format!("the name {} twice", node.name))),
        }
    }

    /// The tree with what happened to it.
    pub(super) fn finish(self, deletions: &Deletions) -> TreeSide {
        let Deletions { separator, mailboxes, directories, unsubscribed, .. } = deletions;
        let event =
            |change, time: u64| TreeEvent { change, time: Timestamp(i64::try_from(time).unwrap_or(i64::MAX)) };
        let mut events = Vec::new();
        events.extend(mailboxes.iter().map(|(guid, time)| event(TreeChange::MailboxDeleted(*guid), *time)));
        events.extend(directories.iter().map(|(hash, time)| event(TreeChange::DirectoryDeleted(*hash), *time)));
        events.extend(unsubscribed.iter().map(|(hash, time)| event(TreeChange::Unsubscribed(*hash), *time)));
        let mut tree = MailboxTree::new();
        let prefix = self.hashed_prefix.text(*separator);
        for (name, node) in &self.nodes {
            let hash = NameHash::of(&name.join(*separator));
            if node.renamed > 0 {
                events.push(event(TreeChange::Renamed(hash), node.renamed));
            }
            if node.subscription_changed > 0 {
                let change =
                    if node.subscribed { TreeChange::Subscribed(hash) } else { TreeChange::Unsubscribed(hash) };
                events.push(event(change, node.subscription_changed));
            }
            let kind = match (node.existence, node.guid) {
                (Existence::Present, Some(guid)) => {
                    let uid_validity = crate::model::UidValidity::new(node.uid_validity);
                    NodeKind::Mailbox { guid: Some(guid), uid_validity }
                }
                (Existence::Present, None) => NodeKind::Directory,
                _ => NodeKind::Absent,
            };
            if kind != NodeKind::Absent || node.subscribed {
                tree.insert(name.clone(), MailboxNode { kind, subscribed: node.subscribed });
            }
        }
        drop_implied(&mut tree);
        TreeSide { tree, history: TreeHistory { prefix, separators: vec![*separator], events } }
    }
}

/// Every level above a mailbox may be listed as a directory by a store that has directories. That says nothing, but a server whose
/// store has none would make mailboxes of them.
pub(super) fn drop_implied(tree: &mut MailboxTree) {
    let mailboxes = tree.iter().filter(|(_, node)| node.is_mailbox()).map(|(name, _)| name);
    let implied: BTreeSet<MailboxName> = mailboxes.flat_map(parents_of).collect();
    for (name, node) in tree.iter_mut() {
        if node.kind == NodeKind::Directory && implied.contains(name) {
            node.kind = NodeKind::Absent;
        }
    }
    tree.retain(|_, node| node.subscribed || node.kind != NodeKind::Absent);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UidValidity;

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text, '/').unwrap()
    }

    fn side() -> TreeSide {
        let mailbox = |number: u8, subscribed| MailboxNode {
            kind: NodeKind::Mailbox { guid: MailboxGuid::new([number; 16]), uid_validity: UidValidity::new(7) },
            subscribed,
        };
        let hash = |text: &str| NameHash::of(&name(text).join('.'));
        let gone = MailboxGuid::new([9; 16]).unwrap();
        let changes = [
            TreeChange::MailboxDeleted(gone),
            TreeChange::Renamed(hash("a/b")),
            TreeChange::DirectoryDeleted(hash("x")),
            TreeChange::Unsubscribed(hash("gone")),
            TreeChange::Subscribed(hash("a/b")),
        ];
        let events = changes.into_iter().zip(1..).map(|(change, time)| TreeEvent { change, time: Timestamp(time) });
        TreeSide {
            tree: MailboxTree::from([
                (name("INBOX"), mailbox(1, false)),
                (name("a/b"), mailbox(2, true)),
                (name("d"), MailboxNode { kind: NodeKind::Directory, subscribed: false }),
                (name("missing"), MailboxNode { kind: NodeKind::Absent, subscribed: true }),
            ]),
            history: TreeHistory { prefix: String::new(), separators: vec!['.'], events: events.collect() },
        }
    }

    #[test]
    fn a_tree_and_its_history_arrive() {
        let side = side();
        let rows = nodes(&side, &BTreeMap::from([(name("a/b"), Uid::new(5).unwrap())]), &Prefix::default());
        let names: Vec<_> = rows.iter().map(|row| (row.name.to_string(), row.uid_next, row.renamed)).collect();
        let expected = [("INBOX", 0, 0), ("a", 0, 0), ("a/b", 5, 2), ("d", 0, 0), ("missing", 0, 0)];
        assert_eq!(names, expected.map(|(name, next, renamed)| (name.to_owned(), next, renamed)));
        let mut peer = PeerTree::default();
        rows.into_iter().for_each(|row| peer.add(row).unwrap());
        let arrived = peer.finish(&deletions(&side, None));
        assert_eq!(arrived.tree, side.tree);
        let mut events = arrived.history.events;
        events.sort_by_key(|event| event.time);
        assert_eq!(events, side.history.events);
    }

    #[test]
    fn names_travel_with_the_prefix_of_their_namespace() {
        let prefix = Prefix::of("INBOX.", &['.']);
        let mut side = side();
        side.history.prefix = prefix.text('.');
        let rows = nodes(&side, &BTreeMap::new(), &prefix);
        let names: Vec<_> = rows.iter().map(|row| row.name.to_string()).collect();
        assert_eq!(names, ["INBOX", "INBOX/a", "INBOX/a/b", "INBOX/d", "INBOX/missing"]);
        let mut peer = PeerTree::new([prefix.clone(), prefix]);
        let foreign = TreeNode { name: name("Public"), guid: MailboxGuid::new([8; 16]), ..rows[1].clone() };
        rows.into_iter().chain([foreign]).for_each(|row| peer.add(row).unwrap());
        assert_eq!(peer.foreign(), [name("Public")]);
        let arrived = peer.finish(&deletions(&side, None));
        assert_eq!(arrived.tree, side.tree);
        let renamed = NameHash::of("INBOX.a.b");
        let known: Vec<_> = arrived.history.hashes(&name("a/b")).collect();
        assert!(known.contains(&renamed) && side.history.hashes(&name("a/b")).any(|hash| hash == renamed));
    }

    #[test]
    fn hashes_are_told_only_to_those_who_make_the_same() {
        let told = deletions(&side(), Some('.'));
        assert_eq!((told.mailboxes.len(), told.directories.len(), told.unsubscribed.len()), (1, 1, 1));
        let told = deletions(&side(), Some('/'));
        assert_eq!((told.separator, told.mailboxes.len()), ('/', 1));
        assert!(told.directories.is_empty() && told.unsubscribed.is_empty());
    }

    #[test]
    fn a_tree_that_contradicts_itself_is_refused() {
        let rows = nodes(&side(), &BTreeMap::new(), &Prefix::default());
        let mut peer = PeerTree::default();
        peer.add(rows[0].clone()).unwrap();
        assert!(peer.add(rows[0].clone()).is_err());
        assert!(peer.add(TreeNode { name: name("other"), ..rows[0].clone() }).is_err());
    }
}
