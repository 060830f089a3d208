//! What a run makes of a store in which others are at work, or in which something is broken.

use super::disturbed::Disturbed;
use super::*;
use crate::memory::MemoryStore;
use crate::model::{Flags, Keywords, MailboxIdentity, MailboxName, ModSeq, Uid};
use crate::report::{Event, Observer, Unobserved};
use crate::store::MailStore;
use crate::sync::{backup, mirror};

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '/').unwrap()
}

#[test]
fn a_delivery_while_inbox_is_emptied_does_not_end_the_run() {
    let mut destination = Disturbed {
        store: MemoryStore::with_seed(2),
        disturbance: |store, name| {
            store.deliver(name, b"meanwhile");
            Ok(())
        },
    };
    destination.store.deliver(&MailboxName::inbox(), b"old");
    let options = SyncOptions { allow_empty_source: true, ..SyncOptions::default() };
    let report = backup(&mut MemoryStore::new(), &mut destination, &options, &mut Unobserved).unwrap();
    assert_eq!(report.exit_status(), 2);
    assert!(report.problems[0].reason.contains("meanwhile"), "{:?}", report.problems);
}

#[test]
fn a_mailbox_that_appears_while_it_is_made_does_not_end_the_run() {
    let mut source = MemoryStore::with_seed(1);
    for mailbox in ["INBOX", "Work"] {
        source.deliver(&name(mailbox), b"x");
    }
    let mut destination = Disturbed {
        store: MemoryStore::with_seed(2),
        disturbance: |store, name| {
            if name.is_inbox() {
                store.create_mailbox(name, MailboxIdentity::UNDECIDED);
            }
            Ok(())
        },
    };
    let options = SyncOptions { tree_only: true, ..SyncOptions::default() };
    let report = backup(&mut source, &mut destination, &options, &mut Unobserved).unwrap();
    assert_eq!((report.exit_status(), report.problems.len()), (2, 1), "{:?}", report.problems);
    assert!(destination.store.open(&name("Work")).is_ok());
}

#[test]
fn clients_of_a_restored_store_forget_what_was_taken_back() {
    let inbox = MailboxName::inbox();
    let (mut store, mut copy) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
    let uid = store.deliver(&inbox, b"old");
    backup(&mut store, &mut copy, &SyncOptions::default(), &mut Unobserved).unwrap();
    let seen = |store: &mut MemoryStore| store.open(&inbox).unwrap().status().clone();
    let options = SyncOptions { restore: true, ..SyncOptions::default() };
    let mut restore = |store: &mut MemoryStore| {
        assert_eq!(backup(&mut copy, store, &options, &mut Unobserved).unwrap().problems, []);
        seen(store)
    };
    let before = seen(&mut store);
    assert_eq!(restore(&mut store), before, "nothing has changed");
    store.deliver(&inbox, b"newer");
    let first = restore(&mut store);
    assert!(first.identity.uid_validity > before.identity.uid_validity);
    assert_eq!((first.identity.guid, first.uid_next), (before.identity.guid, before.uid_next));
    assert_eq!(restore(&mut store), first, "it stays the same then");
    store.set_flags(&inbox, uid, Flags::SEEN, Keywords::none());
    let second = restore(&mut store);
    assert!(second.identity.uid_validity > first.identity.uid_validity);
    // The next backup takes it over.
    backup(&mut store, &mut copy, &SyncOptions::default(), &mut Unobserved).unwrap();
    assert_eq!(seen(&mut copy), seen(&mut store));
}

/// Notes what it is told.
#[derive(Default)]
struct Told(Vec<String>);

impl Observer for Told {
    fn event(&mut self, _: &str, event: Event<'_>) {
        if let Event::Problem(problem) = event {
            self.0.push(problem.to_string());
        }
    }
}

#[test]
fn what_both_sides_notice_is_said_once() {
    let (mut first, store) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
    first.deliver(&MailboxName::inbox(), b"x");
    let mut second = Disturbed {
        store,
        disturbance: |store, name| {
            store.deliver(name, b"meanwhile");
            Ok(())
        },
    };
    let mut told = Told::default();
    let report = mirror(&mut first, &mut second, &SyncOptions::default(), &mut told).unwrap();
    assert_eq!(report.exit_status(), 2);
    assert_eq!(told.0.len(), 1, "{:?}", told.0);
    assert!(told.0[0].contains("keeps changing"), "{:?}", told.0);
}

#[test]
fn counters_that_no_server_can_have_are_not_taken_over_and_nothing_is_counted_after_them() {
    for is_mirror in [false, true] {
        for source_is_broken in [true, false] {
            let (mut source, mut other) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
            for mailbox in ["INBOX", "Work"] {
                source.deliver(&name(mailbox), b"x");
            }
            other.deliver(&MailboxName::inbox(), b"y");
            let broken = if source_is_broken { &mut source } else { &mut other };
            let (undecided, highest) = (MailboxIdentity::UNDECIDED, ModSeq(u64::MAX));
            broken.raise(&MailboxName::inbox(), undecided, Uid::FIRST, highest, Uid::FIRST);
            let run = if is_mirror { mirror } else { backup };
            let report = run(&mut source, &mut other, &SyncOptions::default(), &mut Unobserved).unwrap();
            let case = format!("mirror: {is_mirror}, source: {source_is_broken}, {:?}", report.problems);
            assert!(report.problems.iter().all(|problem| problem.reason.contains("HIGHESTMODSEQ")), "{case}");
            assert_eq!(report.exit_status(), 2, "{case}");
            assert!(other.open(&name("Work")).is_ok(), "{case}");
        }
    }
}

#[test]
fn what_is_not_done_at_one_side_is_not_done_at_the_other() {
    let work = name("Work");
    let (mut first, mut second) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
    first.deliver(&work, b"old");
    let options = SyncOptions::default();
    assert_eq!(mirror(&mut first, &mut second, &options, &mut Unobserved).unwrap().exit_status(), 0);
    first.change_flags(&work, Uid::FIRST, Flags::FLAGGED, Flags::NONE);
    second.deliver(&work, b"new");

    // A client deletes the mailbox between the look and the commit.
    let delete = |store: &mut MemoryStore, name: &MailboxName| {
        if name.is_inbox() { Ok(()) } else { store.delete(name) }
    };
    let mut second = Disturbed { store: second, disturbance: delete };
    let report = mirror(&mut first, &mut second, &options, &mut Unobserved).unwrap();
    assert_eq!((report.exit_status(), report.problems.len()), (2, 1), "{:?}", report.problems);
    assert_eq!(first.open(&work).unwrap().messages().len(), 1, "its new message is no message of the other side");

    let mut second = second.store;
    assert_eq!(mirror(&mut first, &mut second, &options, &mut Unobserved).unwrap().exit_status(), 0);
    assert!(first.open(&work).is_err(), "so the deletion is carried over");
}

#[test]
fn what_was_done_to_a_message_follows_it_where_nothing_but_its_bytes_tells_that_it_was_moved() {
    let inbox = MailboxName::inbox();
    for keeps_guids in [[true, true], [false, false], [true, false], [false, true]] {
        for other_moves in [false, true] {
            let store =
                |seed, keeps| if keeps { MemoryStore::with_seed(seed) } else { MemoryStore::without_guids(seed) };
            let (mut first, mut second) = (store(1, keeps_guids[0]), store(2, keeps_guids[1]));
            first.deliver(&inbox, b"moved");
            first.deliver(&inbox, b"left where it is");
            let options = SyncOptions::default();
            mirror(&mut first, &mut second, &options, &mut Unobserved).unwrap();
            let (mover, marker) = if other_moves { (&mut second, &mut first) } else { (&mut first, &mut second) };
            mover.copy(&inbox, Uid::FIRST, &inbox);
            mover.expunge(&inbox, Uid::FIRST);
            marker.change_flags(&inbox, Uid::FIRST, Flags::FLAGGED, Flags::NONE);
            marker.deliver(&inbox, b"new");
            mirror(&mut first, &mut second, &options, &mut Unobserved).unwrap();
            for store in [&mut first, &mut second] {
                let mailbox = store.open(&inbox).unwrap();
                let flags: Vec<_> = mailbox.messages().records().map(|record| record.flags).collect();
                let flagged = flags.iter().filter(|flags| **flags == Flags::FLAGGED).count();
                assert_eq!((flags.len(), flagged), (3, 1), "{keeps_guids:?} {other_moves}");
            }
        }
    }
}
