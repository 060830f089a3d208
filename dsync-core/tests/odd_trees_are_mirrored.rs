//! Trees that no client makes, but accidents do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dsync_core::memory::MemoryStore;
use dsync_core::model::{MailboxGuid, MailboxIdentity, MailboxName, UidValidity};
use dsync_core::report::{Report, Unobserved};
use dsync_core::session::SyncOptions;
use dsync_core::store::MailStore;
use dsync_core::sync::mirror;

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '/').unwrap()
}

fn identity(number: u8) -> MailboxIdentity {
    MailboxIdentity::new(MailboxGuid::new([number; 16]).unwrap(), UidValidity::new(number.into()).unwrap())
}

fn run(first: &mut MemoryStore, second: &mut MemoryStore) -> Report {
    mirror(first, second, &SyncOptions::default(), &mut Unobserved).unwrap()
}

fn names(store: &mut MemoryStore) -> Vec<(String, MailboxGuid)> {
    store.tree().unwrap().into_iter().filter_map(|(name, node)| Some((name.to_string(), node.guid()?))).collect()
}

#[test]
fn a_mailbox_that_was_copied_as_a_whole_becomes_one_of_its_own() {
    let (mut first, mut second) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
    first.deliver(&MailboxName::inbox(), b"a");
    run(&mut first, &mut second);
    let inbox = first.open(&MailboxName::inbox()).unwrap().status().identity;
    for copy in ["Before", "Zopy"] {
        first.create_mailbox(&name(copy), inbox);
        first.deliver(&name(copy), b"b");
    }
    let report = run(&mut first, &mut second);
    assert_eq!(report.exit_status(), 2, "it is said that a GUID was there twice");
    assert_eq!(names(&mut first), names(&mut second));
    assert_eq!(first.open(&MailboxName::inbox()).unwrap().status().identity, inbox, "INBOX stays what it is");
    let settled = run(&mut first, &mut second);
    assert_eq!((settled.problems.len(), settled.state.mailboxes().count()), (0, 3));
    assert_eq!(run(&mut first, &mut second), settled, "nothing is left to do");
}

#[test]
fn an_inbox_that_has_another_name_at_the_other_side_is_no_obstacle() {
    for swapped in [false, true] {
        let (mut first, mut second) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
        first.create_mailbox(&MailboxName::inbox(), identity(1));
        first.deliver(&MailboxName::inbox(), b"old");
        second.create_mailbox(&name("Old"), identity(1));
        second.deliver(&name("Old"), b"renamed");
        second.deliver(&MailboxName::inbox(), b"new");
        let report = if swapped { run(&mut second, &mut first) } else { run(&mut first, &mut second) };
        assert_eq!(report.problems, []);
        assert_eq!(names(&mut first), names(&mut second));
        let count = |store: &mut MemoryStore, text| store.open(&name(text)).unwrap().status().message_count;
        assert_eq!((count(&mut first, "INBOX"), count(&mut second, "Old")), (2, 1));
    }
}
