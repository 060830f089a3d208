//! Promises about the tree.

use super::Factory;
use super::fixture::{create_three, expect, identity, name, no_changes};
use crate::model::{MailboxIdentity, MailboxName, MailboxNode, MailboxTree, NodeKind};
use crate::store::{ErrorKind, MailStore};

pub(super) fn run(factory: &mut Factory<'_>) {
    a_new_mailbox_appears_with_its_identity(&mut *factory());
    an_uncommitted_mailbox_leaves_nothing(&mut *factory());
    a_store_chooses_an_identity_if_none_is_given(&mut *factory());
    missing_mailboxes_are_not_found(&mut *factory());
    deleting_keeps_what_is_below(&mut *factory());
    renaming_takes_along_what_is_below(&mut *factory());
    renaming_to_a_taken_name_is_refused(&mut *factory());
    inbox_stays(&mut *factory());
    directories_are_kept_or_refused(&mut *factory());
    subscriptions_need_no_mailbox(&mut *factory());
    unusual_names_survive(&mut *factory());
}

fn mailboxes(store: &mut dyn MailStore) -> Vec<MailboxName> {
    let tree: MailboxTree = store.tree().expect("the tree can be listed");
    let mailboxes = tree.into_iter().filter(|(_, node)| node.is_mailbox());
    mailboxes.map(|(name, _)| name).filter(|name| !name.is_inbox()).collect()
}

fn create_empty(store: &mut dyn MailStore, text: &str, number: u8) {
    let mut open = store.create(&name(text), identity(number)).expect("a mailbox can be created");
    open.commit(no_changes(1, 1, 1)).expect("an empty mailbox can be committed");
}

fn a_new_mailbox_appears_with_its_identity(store: &mut dyn MailStore) {
    create_empty(store, "a", 1);
    let tree = store.tree().expect("the tree can be listed");
    let kind = tree.get(&name("a")).map(|node| node.kind.clone());
    let wanted = identity(1);
    let expected = NodeKind::Mailbox { guid: wanted.guid, uid_validity: wanted.uid_validity };
    assert_eq!(kind, Some(expected), "the tree shows a new mailbox with the identity it was given");
    let open = store.open(&name("a")).expect("a new mailbox can be opened");
    assert_eq!(open.status().identity, wanted);
    let again = store.create(&name("a"), identity(2)).err().map(|error| error.kind());
    assert_eq!(again, Some(ErrorKind::Exists), "a name can be taken only once");
}

fn an_uncommitted_mailbox_leaves_nothing(store: &mut dyn MailStore) {
    drop(store.create(&name("a"), identity(1)).expect("a mailbox can be created"));
    create_empty(store, "a", 2);
    assert_eq!(mailboxes(store), [name("a")], "a mailbox dropped before its first commit is no obstacle");
}

fn a_store_chooses_an_identity_if_none_is_given(store: &mut dyn MailStore) {
    for text in ["a", "b"] {
        let mut open = store.create(&name(text), MailboxIdentity::UNDECIDED).expect("a mailbox can be created");
        open.commit(no_changes(1, 1, 1)).expect("an empty mailbox can be committed");
        assert!(open.status().identity.is_decided(), "after a commit a mailbox has an identity");
    }
    let tree = store.tree().expect("the tree can be listed");
    let guid = |text| tree.get(&name(text)).and_then(MailboxNode::guid);
    assert!(guid("a").is_some() && guid("a") != guid("b"), "identities are chosen different");
}

fn missing_mailboxes_are_not_found(store: &mut dyn MailStore) {
    let kind = |result: Result<(), crate::store::StoreError>| result.err().map(|error| error.kind());
    let opened = store.open(&name("a")).map(drop);
    assert_eq!(kind(opened), Some(ErrorKind::NotFound), "opening what is missing");
    assert_eq!(kind(store.delete(&name("a"))), Some(ErrorKind::NotFound), "deleting what is missing");
    assert_eq!(kind(store.rename(&name("a"), &name("b"))), Some(ErrorKind::NotFound), "renaming what is missing");
}

fn deleting_keeps_what_is_below(store: &mut dyn MailStore) {
    create_empty(store, "a", 1);
    create_empty(store, "a/b", 2);
    store.delete(&name("a")).expect("a mailbox can be deleted");
    assert_eq!(mailboxes(store), [name("a/b")]);
    create_empty(store, "a", 3);
    assert_eq!(mailboxes(store), [name("a"), name("a/b")], "a deleted name can be used again");
}

fn renaming_takes_along_what_is_below(store: &mut dyn MailStore) {
    let records = create_three(store, &name("a"));
    create_empty(store, "a/b/c", 2);
    store.rename(&name("a"), &name("x/y")).expect("a mailbox can be renamed");
    assert_eq!(mailboxes(store), [name("x/y"), name("x/y/b/c")]);
    let expected: Vec<_> = records.into_iter().zip([3, 7, 8]).collect();
    expect(store, &name("x/y"), &expected);
    let guid = store.open(&name("x/y")).expect("it can be opened").status().identity;
    assert_eq!(guid, identity(1), "a renamed mailbox is the same mailbox");
}

fn renaming_to_a_taken_name_is_refused(store: &mut dyn MailStore) {
    create_empty(store, "a", 1);
    create_empty(store, "b", 2);
    let error = store.rename(&name("a"), &name("b")).err().map(|error| error.kind());
    assert_eq!(error, Some(ErrorKind::Exists));
    assert_eq!(mailboxes(store), [name("a"), name("b")], "a refused renaming changes nothing");
}

fn inbox_stays(store: &mut dyn MailStore) {
    create_three(store, &MailboxName::inbox());
    let deleted = store.delete(&MailboxName::inbox()).err().map(|error| error.kind());
    assert_eq!(deleted, Some(ErrorKind::Impossible), "INBOX cannot be deleted");
    let renamed = store.rename(&MailboxName::inbox(), &name("a")).err().map(|error| error.kind());
    assert_eq!(renamed, Some(ErrorKind::Impossible), "INBOX cannot be renamed");
    let count = store.open(&MailboxName::inbox()).expect("INBOX can be opened").status().message_count;
    assert_eq!(count, 3, "a refused deletion removes no message");
}

fn directories_are_kept_or_refused(store: &mut dyn MailStore) {
    let result = store.create_directory(&name("d")).map_err(|error| error.kind());
    if !store.capabilities().directories {
        assert_eq!(result, Err(ErrorKind::Impossible));
        return;
    }
    assert_eq!(result, Ok(()));
    let kind = |store: &mut dyn MailStore, text| {
        store.tree().expect("the tree can be listed").remove(&name(text)).map(|node| node.kind)
    };
    assert_eq!(kind(store, "d"), Some(NodeKind::Directory));
    create_empty(store, "d/below", 1);
    let refused = store.delete_directory(&name("d")).err().map(|error| error.kind());
    assert_eq!(refused, Some(ErrorKind::Impossible), "a directory with something below it stays");
    store.delete(&name("d/below")).expect("a mailbox can be deleted");
    store.delete_directory(&name("d")).expect("an empty directory can be removed");
    assert_eq!(kind(store, "d"), None);
}

fn subscriptions_need_no_mailbox(store: &mut dyn MailStore) {
    let subscribed = |store: &mut dyn MailStore| {
        let tree = store.tree().expect("the tree can be listed");
        tree.into_iter().filter(|(_, node)| node.subscribed).map(|(name, _)| name).collect::<Vec<_>>()
    };
    store.set_subscribed(&name("gone/below"), true).expect("any name can be subscribed");
    store.set_subscribed(&MailboxName::inbox(), true).expect("INBOX can be subscribed");
    store.set_subscribed(&name("Größe"), true).expect("any name can be subscribed");
    assert_eq!(subscribed(store), [name("Größe"), name("INBOX"), name("gone/below")]);
    store.set_subscribed(&name("gone/below"), false).expect("a subscription can be cancelled");
    store.set_subscribed(&name("gone/below"), false).expect("cancelling twice is no error");
    assert_eq!(subscribed(store), [name("Größe"), name("INBOX")]);
    create_empty(store, "Größe", 1);
    store.delete(&name("Größe")).expect("a mailbox can be deleted");
    assert_eq!(subscribed(store), [name("Größe"), name("INBOX")], "deleting keeps the subscription");
}

fn unusual_names_survive(store: &mut dyn MailStore) {
    let names = ["INBOX/below", "Größe/日本語", "a&b", "with space", "100%", "star*", "quo\"te", "back\\slash", "😀"];
    for (number, text) in (1..).zip(names) {
        create_empty(store, text, number);
    }
    let mut expected: Vec<_> = names.into_iter().map(name).collect();
    expected.sort();
    assert_eq!(mailboxes(store), expected);
    for name in expected {
        store.open(&name).expect("a listed mailbox can be opened");
    }
}
