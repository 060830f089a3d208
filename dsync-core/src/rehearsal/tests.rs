use super::*;
use crate::memory::MemoryStore;
use crate::model::Flags;
use crate::report::{Report, Unobserved};
use crate::session::SyncOptions;
use crate::sync;

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '/').unwrap()
}

fn store() -> MemoryStore {
    let mut store = MemoryStore::with_seed(1);
    store.deliver(&MailboxName::inbox(), b"Subject: a\n\n");
    store.deliver(&MailboxName::inbox(), b"Subject: b\n\n");
    for mailbox in ["old", "old/below", "other"] {
        let identity = store.new_identity().unwrap();
        store.create_mailbox(&name(mailbox), identity);
        store.deliver(&name(mailbox), b"Subject: c\n\nlonger\n");
    }
    store.set_subscribed(&name("old"), true).unwrap();
    store
}

fn names(tree: &MailboxTree) -> String {
    tree.keys().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_tree_looks_changed_and_is_not() {
    let mut original = store();
    let before = original.tree().unwrap();
    let mut rehearsal = Rehearsal::of(Box::new(original.duplicate()));
    rehearsal.rename(&name("old"), &name("new")).unwrap();
    rehearsal.delete(&name("other")).unwrap();
    assert_eq!(names(&rehearsal.tree().unwrap()), "INBOX new new/below old", "it is still subscribed");
    assert_eq!(rehearsal.open(&name("new/below")).unwrap().messages().len(), 1);
    for missing in ["old", "other"] {
        assert_eq!(rehearsal.open(&name(missing)).err().map(|error| error.kind()), Some(ErrorKind::NotFound));
    }
    assert!(rehearsal.rename(&name("new"), &MailboxName::inbox()).is_err());
    assert!(rehearsal.delete(&MailboxName::inbox()).is_err());
    let identity = rehearsal.new_identity().unwrap();
    let made = rehearsal.create(&name("other"), identity).unwrap();
    assert!(made.messages().is_empty(), "it is another one");
    drop(made);
    assert!(rehearsal.open(&name("other")).is_err(), "it was not committed");
    assert_eq!(rehearsal.changes().len(), 2);
    assert_eq!(original.tree().unwrap(), before);
}

/// Makes the second store a copy of the first, both as they are and in a rehearsal.
fn backup_both(source: &MemoryStore, destination: &MemoryStore) -> ([Report; 2], Vec<StoreChange>) {
    let options = SyncOptions::default();
    let mut source = source.duplicate();
    let mut rehearsal = Rehearsal::of(Box::new(destination.duplicate()));
    let rehearsed = sync::backup(&mut source, &mut rehearsal, &options, &mut Unobserved).unwrap();
    let changes = rehearsal.changes();
    let real = sync::backup(&mut source, &mut destination.duplicate(), &options, &mut Unobserved).unwrap();
    ([rehearsed, real], changes)
}

#[test]
fn what_would_be_done_is_what_is_done() {
    let mut source = store();
    let mut destination = source.duplicate();
    source.deliver(&name("old/below"), b"Subject: d\n\n12345\n");
    source.expunge(&MailboxName::inbox(), crate::model::Uid::FIRST);
    destination.change_flags(&MailboxName::inbox(), crate::model::Uid::new(2).unwrap(), Flags::SEEN, Flags::NONE);
    let ([rehearsed, real], changes) = backup_both(&source, &destination);
    assert_eq!(rehearsed, real);
    let StoreChange::Mailbox { name: changed, removed, updated, added, .. } = &changes[0] else {
        panic!("{changes:?}")
    };
    assert_eq!((changed.to_string().as_str(), removed.len(), updated.len(), added.len()), ("INBOX", 1, 1, 0));
    let StoreChange::Mailbox { added, bytes, created, .. } = &changes[1] else { panic!("{changes:?}") };
    assert_eq!((added.len(), *bytes, *created), (1, 18, false));
    assert_eq!(changes.len(), 2);
}

#[test]
fn a_store_that_is_not_there_would_be_filled() {
    let mut source = store();
    let mut rehearsal = Rehearsal::of_missing(Box::new(MemoryStore::with_seed(2)));
    let report = sync::mirror(&mut source, &mut rehearsal, &SyncOptions::default(), &mut Unobserved).unwrap();
    assert_eq!(report.counts.messages_saved, 5);
    let created =
        rehearsal.changes().into_iter().filter(|change| matches!(change, StoreChange::Mailbox { created: true, .. }));
    assert_eq!(created.count(), 4);
}
