//! Promises about what a store remembers. A store that remembers nothing keeps them too.

use super::Factory;
use super::fixture::{create_three, expect, identity, key, name, no_changes, uid};
use crate::model::{
    Flags, HistoryRange, MailboxHistory, MailboxName, MessageRecord, ModSeq, SyncPoint, TreeChange, TreeHistory,
    UidValidity,
};
use crate::store::{ErrorKind, MailStore, MailboxChanges, Origin};

pub(super) fn run(factory: &mut Factory<'_>) {
    local_changes_are_remembered(&mut *factory());
    mirrored_changes_are_not_but_for_expunges(&mut *factory());
    a_moment_divides_the_history(&mut *factory());
    sync_points_stay_and_change_nothing(&mut *factory());
    the_tree_remembers(&mut *factory());
    only_an_unchanged_mailbox_is_deleted(&mut *factory());
}

fn inbox() -> MailboxName {
    MailboxName::inbox()
}

/// Message 3 loses a flag, message 7 is expunged.
fn change(store: &mut dyn MailStore, origin: Origin) -> MessageRecord {
    let mut open = store.open(&inbox()).expect("it can be opened");
    let mut flagged = open.messages().get(uid(3)).expect("message 3 is there").clone();
    flagged.flags = Flags::ALL.without(Flags::SEEN);
    flagged.modseq = Some(ModSeq(50));
    let changes =
        MailboxChanges { origin, remove: vec![key(7)], update: vec![flagged.clone()], ..no_changes(12, 60, 8) };
    open.commit(changes).expect("changes can be committed");
    flagged
}

fn history(store: &mut dyn MailStore, since: Option<u64>) -> MailboxHistory {
    let mut open = store.open(&inbox()).expect("it can be opened");
    let range = HistoryRange { since: since.map(ModSeq), mirrored_until: ModSeq(0) };
    open.history(range).expect("the history can be read")
}

fn local_changes_are_remembered(store: &mut dyn MailStore) {
    let seven = create_three(store, &inbox()).remove(1);
    change(store, Origin::Local);
    let history = history(store, Some(40));
    if history == MailboxHistory::default() {
        return;
    }
    assert!(history.complete, "everything since a recent moment is known");
    let expunged = history.expunged.get(&uid(7));
    if store.capabilities().keeps.guids {
        assert_eq!(expunged, Some(&Some(seven.guid.to_128())), "an expunge is known by its GUID");
    } else {
        assert!(expunged.is_some(), "an expunge is known");
    }
    let removed = history.flags.get(&uid(3)).map(|flags| (flags.added, flags.removed));
    assert_eq!(removed, Some((Flags::NONE, Flags::SEEN)), "a change of flags is known as such");
}

fn mirrored_changes_are_not_but_for_expunges(store: &mut dyn MailStore) {
    create_three(store, &inbox());
    change(store, Origin::Mirrored);
    let history = history(store, Some(40));
    assert!(history.flags.is_empty(), "what came from elsewhere is no change of this store");
    assert!(!history.complete || history.expunged.contains_key(&uid(7)), "but its expunges are facts");
    let mut open = store.open(&inbox()).expect("it can be opened");
    let range = HistoryRange { since: Some(ModSeq(40)), mirrored_until: ModSeq(60) };
    let all = open.history(range).expect("the history can be read");
    let removed = all.flags.get(&uid(3)).map(|flags| flags.removed);
    assert!(!all.complete || removed == Some(Flags::SEEN), "for others it is news");
}

fn a_moment_divides_the_history(store: &mut dyn MailStore) {
    create_three(store, &inbox());
    change(store, Origin::Local);
    let after = history(store, Some(60));
    assert!(after.flags.is_empty() && after.expunged.is_empty(), "nothing happened since the last change");
    assert!(!history(store, Some(61)).complete, "a moment that has not been is not known");
    assert!(!history(store, None).complete, "nobody knows everything");
}

fn sync_points_stay_and_change_nothing(store: &mut dyn MailStore) {
    let records = create_three(store, &inbox());
    let point = SyncPoint {
        fingerprint: [7; 16],
        uid_validity: UidValidity::new(1001).expect("not zero"),
        uid_next: uid(12),
        highest_modseq: ModSeq(40),
        peer: [9; 8],
    };
    let mut open = store.open(&inbox()).expect("it can be opened");
    let before = open.status().clone();
    open.remember(point).expect("a moment can be remembered");
    let shown = open.sync_points().to_vec();
    drop(open);
    let open = store.open(&inbox()).expect("it can be opened");
    assert_eq!(*open.status(), before, "remembering counts for nothing");
    assert_eq!(open.sync_points(), shown, "what is remembered stays");
    assert!(shown.is_empty() || shown == [point], "what is remembered is what was given");
    drop(open);
    expect(store, &inbox(), &records.into_iter().zip([3, 7, 8]).collect::<Vec<_>>());
    change(store, Origin::Local);
    assert_eq!(store.open(&inbox()).expect("it can be opened").sync_points(), shown, "it survives a change");
}

fn the_tree_remembers(store: &mut dyn MailStore) {
    for (text, number) in [("a", 1), ("b/c", 2)] {
        let mut open = store.create(&name(text), identity(number)).expect("a mailbox can be created");
        open.commit(no_changes(1, 1, 1)).expect("an empty mailbox can be committed");
    }
    store.delete(&name("a")).expect("a mailbox can be deleted");
    store.rename(&name("b/c"), &name("d/e")).expect("a mailbox can be renamed");
    store.set_subscribed(&name("d/e"), true).expect("a name can be subscribed to");
    store.set_subscribed(&name("d/e"), false).expect("a subscription can be cancelled");
    let history = store.tree_history().expect("the history can be read");
    if history == TreeHistory::default() {
        return;
    }
    let happened = |change| history.events.iter().any(|event| event.change == change);
    let named = |change: fn(_) -> _| history.hashes(&name("d/e")).any(|hash| happened(change(hash)));
    assert!(happened(TreeChange::MailboxDeleted(identity(1).guid.expect("decided"))), "a deletion is remembered");
    assert!(named(TreeChange::Renamed), "a renaming is remembered");
    assert!(named(TreeChange::Subscribed) && named(TreeChange::Unsubscribed), "subscriptions are remembered");
}

fn only_an_unchanged_mailbox_is_deleted(store: &mut dyn MailStore) {
    create_three(store, &name("a"));
    let mut expected = store.open(&name("a")).expect("it can be opened").status().clone();
    expected.message_count -= 1;
    let kind = store.delete_unchanged(&name("a"), &expected).err().map(|error| error.kind());
    assert_eq!(kind, Some(ErrorKind::Changed), "a mailbox with another message is not deleted");
    expected.message_count += 1;
    store.delete_unchanged(&name("a"), &expected).expect("a mailbox as expected is deleted");
    assert_eq!(store.open(&name("a")).err().map(|error| error.kind()), Some(ErrorKind::NotFound));
}
