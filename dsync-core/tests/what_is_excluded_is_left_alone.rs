//! Mailboxes that do not take part are in nobody's way, and nobody is in theirs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dsync_core::memory::MemoryStore;
use dsync_core::model::{MailboxName, MailboxSelection, NodeKind};
use dsync_core::report::Unobserved;
use dsync_core::session::SyncOptions;
use dsync_core::store::MailStore;
use dsync_core::sync;

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '/').unwrap()
}

#[test]
fn a_level_is_not_missed_where_only_excluded_mailboxes_are_below() {
    let mut source = MemoryStore::with_seed(1);
    source.deliver(&name("INBOX"), b"Subject: x\n\n");
    source.create_directory(&name("a")).unwrap();
    source.deliver(&name("a/b"), b"Subject: x\n\n");
    let mut destination = MemoryStore::without_directories(2);
    let mut options = SyncOptions::default();
    options.mailboxes = MailboxSelection::all().excluding("a/b");
    let report = sync::backup(&mut source, &mut destination, &options, &mut Unobserved).unwrap();
    assert_eq!((report.problems, report.counts.messages_saved), (Vec::new(), 1));
}

#[test]
fn a_level_that_is_only_there_for_them_stays() {
    for selection in [MailboxSelection::all().excluding("a/b"), MailboxSelection::matching("a")] {
        for mirror in [false, true] {
            let mut source = MemoryStore::without_directories(1);
            source.deliver(&name("a/b"), b"Subject: x\n\n");
            let mut destination = MemoryStore::with_seed(2);
            sync::backup(&mut source, &mut destination, &SyncOptions::default(), &mut Unobserved).unwrap();
            // A store that keeps levels, as a dbox does.
            destination.create_directory(&name("a")).unwrap();
            let mut options = SyncOptions::default();
            options.mailboxes = selection.clone();
            let run = if mirror { sync::mirror } else { sync::backup };
            let report = run(&mut source, &mut destination, &options, &mut Unobserved).unwrap();
            assert_eq!(report.problems, [], "{selection:?} {mirror}");
            let tree = destination.tree().unwrap();
            assert!(tree.get(&name("a")).is_some_and(|node| node.kind == NodeKind::Directory));
            assert!(tree.get(&name("a/b")).is_some_and(|node| node.is_mailbox()));
        }
    }
}
