//! Runs in which only some messages are given to the other side.

use super::*;
use crate::model::MessageSelection;

fn options(messages: MessageSelection) -> SyncOptions {
    SyncOptions { messages, ..SyncOptions::default() }
}

fn run_with(part: Part, master: &MemoryStore, slave: &MemoryStore, options: &SyncOptions) -> [Report; 2] {
    outcomes(part, master, slave, options).map(|outcome| outcome.expect("it is carried to its end"))
}

fn uids(store: &MemoryStore) -> Vec<u32> {
    let mailbox = store.clone().open(&MailboxName::inbox()).unwrap();
    mailbox.messages().records().filter_map(|record| Some(record.uid?.get())).collect()
}

/// Messages 1 to 4; the second and fourth are large, the third and fourth are flagged.
fn marked() -> MemoryStore {
    let (mut store, inbox) = (MemoryStore::with_seed(1), MailboxName::inbox());
    for number in 1..5_usize {
        let flags = if number > 2 { Flags::FLAGGED } else { Flags::NONE };
        let body = format!("Subject: {number}\n\n{}", "x\n".repeat(if number % 2 == 0 { 100 } else { 1 }));
        let uid = store.deliver(&inbox, body.as_bytes());
        store.change_flags(&inbox, uid, flags, Flags::NONE);
    }
    store
}

fn small() -> MessageSelection {
    MessageSelection { max_size: Some(100), ..MessageSelection::default() }
}

fn flagged() -> MessageSelection {
    MessageSelection { mark: Some("\\Flagged".parse().unwrap()), ..MessageSelection::default() }
}

fn never() -> MessageSelection {
    MessageSelection { since: Some(crate::model::Timestamp(1 << 40)), ..MessageSelection::default() }
}

#[test]
fn what_is_not_chosen_stays_at_its_side_and_comes_when_it_is() {
    for part in [Part::Source, Part::Copy, Part::Both, Part::MergeSource] {
        for (selection, chosen) in [
            (small(), &[1, 3][..]),
            (flagged(), &[3, 4]),
            (never(), &[]),
            (MessageSelection::default(), &[1, 2, 3, 4]),
        ] {
            let (first, second) = (marked(), MemoryStore::with_seed(2));
            let (master, slave) = if part == Part::Copy { (&second, &first) } else { (&first, &second) };
            let reports = run_with(part, master, slave, &options(selection.clone()));
            assert!(reports.iter().all(|report| report.problems.is_empty()), "{part:?} {selection:?}");
            assert_eq!(uids(&second), chosen, "{part:?} {selection:?}");
            assert_eq!(uids(&first), [1, 2, 3, 4], "{part:?} {selection:?}");
            // Another run with it changes nothing, and what happens to common messages is told.
            first.clone().change_flags(&MailboxName::inbox(), uid(3), Flags::SEEN, Flags::FLAGGED);
            first.clone().expunge(&MailboxName::inbox(), uid(1));
            run_with(part, master, slave, &options(selection.clone()));
            let left: Vec<_> = chosen.iter().copied().filter(|uid| *uid != 1).collect();
            assert_eq!((uids(&second), uids(&first)), (left, vec![2, 3, 4]), "{part:?} {selection:?}");
            // Without it everything comes, and nothing is lost.
            for _ in 0..2 {
                run_with(part, master, slave, &SyncOptions::default());
            }
            assert_eq!(uids(&second).len(), 3, "{part:?} {selection:?}");
            assert_eq!(uids(&first).len(), 3, "{part:?} {selection:?}");
        }
    }
}

#[test]
fn a_state_does_not_hide_what_was_left_out() {
    for part in [Part::Source, Part::Copy, Part::Both] {
        let (first, second) = (marked(), MemoryStore::with_seed(2));
        let (master, slave) = if part == Part::Copy { (&second, &first) } else { (&first, &second) };
        let reports = run_with(part, master, slave, &options(small()));
        let all = SyncOptions { state: reports[0].state.clone(), ..SyncOptions::default() };
        assert!(!all.state.is_empty());
        run_with(part, master, slave, &all);
        run_with(part, master, slave, &SyncOptions::default());
        assert_eq!((uids(&first).len(), uids(&second).len()), (4, 4), "{part:?}");
    }
}

#[test]
fn a_mailbox_that_is_deleted_elsewhere_stays_if_messages_were_left_out() {
    let (first, second) = (marked(), MemoryStore::with_seed(2));
    let other = name("Other");
    for body in ["small".to_owned(), "large\n".repeat(100)] {
        first.clone().deliver(&other, body.as_bytes());
    }
    run_with(Part::Both, &first, &second, &options(small()));
    second.clone().delete(&other).unwrap();
    for _ in 0..2 {
        run_with(Part::Both, &first, &second, &options(small()));
    }
    let all = contents(&first, false).join("\n");
    assert!(all.contains("Other") && all.contains("600"), "the second never had the large one: {all}");
}
