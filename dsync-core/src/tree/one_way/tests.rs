use proptest::prelude::*;

use super::*;
use crate::model::MailboxNode;

fn guid(number: u8) -> MailboxGuid {
    MailboxGuid::new([number; 16]).unwrap()
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '/').unwrap()
}

fn tree(mailboxes: &[(&str, u8)]) -> MailboxTree {
    mailboxes
        .iter()
        .map(|(text, number)| {
            let kind = NodeKind::Mailbox { guid: MailboxGuid::new([*number; 16]), uid_validity: None };
            (name(text), MailboxNode { kind, subscribed: false })
        })
        .collect()
}

/// Carries the actions out as a store would, and complains like one.
fn carry_out(tree: &MailboxTree, actions: &[TreeAction]) -> MailboxTree {
    let mut tree = tree.clone();
    for action in actions {
        match action {
            TreeAction::Delete(name) => {
                assert!(!name.is_inbox());
                assert!(tree.remove(name).is_some_and(|node| node.is_mailbox()), "{name} is no mailbox");
            }
            TreeAction::Rename { from, to } => {
                assert!(!from.is_inbox() && !to.is_inbox());
                assert!(!to.is_below(from), "{from} cannot go below itself");
                assert!(tree.keys().any(|n| n == from || n.is_below(from)), "{from} is missing");
                assert!(!tree.keys().any(|n| n == to || n.is_below(to)), "{to} exists: {actions:?}");
                tree = tree.into_iter().map(|(n, node)| (n.moved(from, to).unwrap_or(n), node)).collect();
            }
            TreeAction::CreateDirectory(name) => {
                let node = MailboxNode { kind: NodeKind::Directory, subscribed: false };
                tree.insert(name.clone(), node);
            }
            TreeAction::DeleteDirectory(name) => {
                assert!(!tree.keys().any(|other| other.is_below(name)));
                assert_eq!(tree.remove(name).map(|node| node.kind), Some(NodeKind::Directory));
            }
            TreeAction::Subscribe(..) => {}
        }
    }
    tree
}

fn guids(tree: &MailboxTree) -> BTreeMap<MailboxName, MailboxGuid> {
    tree.iter().filter_map(|(name, node)| Some((name.clone(), node.guid()?))).collect()
}

#[test]
fn what_is_only_a_level_is_deleted_before_anything_goes_below_it() {
    let actions = one_way(&tree(&[("a/b", 2)]), &tree(&[("a", 1), ("b", 2)]), true);
    let rename = TreeAction::Rename { from: name("b"), to: name("a/b") };
    assert_eq!(actions, [TreeAction::Delete(name("a")), rename]);
}

#[test]
fn a_rename_at_the_source_is_a_rename_at_the_destination() {
    let actions = one_way(&tree(&[("b", 1), ("b/x", 2)]), &tree(&[("a", 1), ("a/x", 2)]), true);
    assert_eq!(actions, [TreeAction::Rename { from: name("a"), to: name("b") }]);
}

#[test]
fn swapped_names_are_swapped() {
    let source = tree(&[("a", 2), ("b", 1)]);
    let destination = tree(&[("a", 1), ("b", 2)]);
    let result = carry_out(&destination, &one_way(&source, &destination, true));
    assert_eq!(guids(&result), guids(&source));
}

#[test]
fn a_mailbox_can_move_below_itself_and_back() {
    for (from, to) in [("a", "a/b"), ("a/b", "a"), ("a", "a/b/c")] {
        let (source, destination) = (tree(&[(to, 1)]), tree(&[(from, 1)]));
        let result = carry_out(&destination, &one_way(&source, &destination, true));
        assert_eq!(guids(&result), guids(&source), "{from} to {to}");
    }
}

#[test]
fn another_mailbox_of_the_same_name_stays_to_be_made_equal() {
    assert_eq!(one_way(&tree(&[("a", 1)]), &tree(&[("a", 2)]), true), []);
    assert_eq!(one_way(&tree(&[("a", 0)]), &tree(&[("a", 2)]), true), []);
}

#[test]
fn inbox_is_never_deleted_or_renamed() {
    assert_eq!(one_way(&tree(&[("a", 1)]), &tree(&[("INBOX", 1)]), true), []);
    assert_eq!(one_way(&tree(&[("INBOX", 1)]), &tree(&[("a", 1)]), true), [TreeAction::Delete(name("a"))]);
    assert_eq!(one_way(&tree(&[]), &tree(&[("INBOX", 1)]), true), []);
}

#[test]
fn what_cannot_be_read_at_the_source_is_kept_at_the_destination() {
    let mut source = tree(&[("b", 1)]);
    let node = MailboxNode { kind: NodeKind::Unreadable("broken".into()), subscribed: false };
    source.insert(name("a"), node);
    assert_eq!(one_way(&source, &tree(&[("a", 1)]), true), []);
    assert_eq!(one_way(&source, &tree(&[("a", 9), ("c", 8)]), true), [TreeAction::Delete(name("c"))]);
}

#[test]
fn directories_follow_the_source_where_they_can_exist() {
    let directory = |text: &str| {
        let node = MailboxNode { kind: NodeKind::Directory, subscribed: false };
        (name(text), node)
    };
    let source = MailboxTree::from([directory("new")]);
    let destination = MailboxTree::from([directory("old"), directory("old/below")]);
    let expected = [
        TreeAction::DeleteDirectory(name("old/below")),
        TreeAction::DeleteDirectory(name("old")),
        TreeAction::CreateDirectory(name("new")),
    ];
    assert_eq!(one_way(&source, &destination, true), expected);
    assert_eq!(one_way(&source, &destination, false), []);
}

#[test]
fn subscriptions_follow_the_source_also_for_names_without_mailbox() {
    let only = |text: &str, subscribed| {
        MailboxTree::from([(name(text), MailboxNode { kind: NodeKind::Absent, subscribed })])
    };
    let expected = [TreeAction::Subscribe(name("a"), true), TreeAction::Subscribe(name("b"), false)];
    assert_eq!(one_way(&only("a", true), &only("b", true), true), expected);
}

fn any_tree() -> impl Strategy<Value = MailboxTree> {
    let part = prop::sample::select(vec!["a", "b", "c"]);
    let path = prop::collection::vec(part, 1..4).prop_map(|parts| MailboxName::new(parts).unwrap());
    prop::collection::btree_map(path, prop::option::weighted(0.9, 1u8..12), 0..10).prop_map(|nodes| {
        let mut seen = BTreeSet::new();
        let fresh = |number: &Option<u8>| number.is_none_or(|n| seen.insert(n));
        let nodes: Vec<_> = nodes.into_iter().collect();
        let mut fresh = fresh;
        nodes
            .into_iter()
            .filter(|(_, number)| fresh(number))
            .map(|(name, number)| {
                let kind = match number {
                    Some(number) => NodeKind::Mailbox { guid: Some(guid(number)), uid_validity: None },
                    None => NodeKind::Directory,
                };
                (name, MailboxNode { kind, subscribed: false })
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_mailbox_that_stays_ends_at_its_name(source in any_tree(), destination in any_tree()) {
        let result = carry_out(&destination, &one_way(&source, &destination, true));
        for (name, node) in &result {
            if node.is_mailbox() {
                prop_assert!(source.get(name).is_some_and(MailboxNode::is_mailbox), "{} is left", name);
            }
        }
        let known: BTreeSet<_> = guids(&destination).into_values().collect();
        for (name, guid) in guids(&source) {
            if known.contains(&guid) {
                prop_assert_eq!(result.get(&name).and_then(MailboxNode::guid), Some(guid));
            }
        }
        for (name, node) in &source {
            if node.kind == NodeKind::Directory {
                prop_assert!(result.contains_key(name));
            }
        }
    }

    #[test]
    fn equal_trees_need_nothing(tree in any_tree()) {
        prop_assert_eq!(one_way(&tree, &tree, true), []);
    }
}
