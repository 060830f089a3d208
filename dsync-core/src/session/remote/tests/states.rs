//! Runs that go on from where the last one ended.

use super::*;
use crate::state::SyncState;

/// A run that goes on from `state`, and what is to be remembered of it.
fn outcomes_since(
    part: Part,
    master: &MemoryStore,
    slave: &MemoryStore,
    state: &SyncState,
) -> ([Report; 2], SyncState) {
    let options = SyncOptions { state: state.clone(), ..SyncOptions::default() };
    let reports = outcomes(part, master, slave, &options).map(|outcome| outcome.expect("it is carried to its end"));
    let state = reports[0].state.clone();
    (reports, state)
}

/// The same; everything could be done.
fn run_since(part: Part, master: &MemoryStore, slave: &MemoryStore, state: &SyncState) -> SyncState {
    let (reports, state) = outcomes_since(part, master, slave, state);
    assert!(reports.iter().all(|report| report.problems.is_empty()), "{part:?} {reports:?}");
    state
}

/// Stores that are equal and remember it: what the master changes, the slave, and the state.
fn equal(part: Part) -> (MemoryStore, MemoryStore, SyncState) {
    let (first, second) = (filled(), MemoryStore::with_seed(2));
    let (master, slave) = sides(part, &first, &second);
    let state = run_since(part, master, slave, &SyncState::default());
    let state = run_since(part, master, slave, &state);
    assert_same(&first, &second);
    assert_eq!(state.mailboxes().count(), 3);
    (first, second, state)
}

/// The one that is copied first is the master, unless it is fetched.
fn sides<'a>(part: Part, first: &'a MemoryStore, second: &'a MemoryStore) -> (&'a MemoryStore, &'a MemoryStore) {
    if part == Part::Copy { (second, first) } else { (first, second) }
}

const PARTS: [Part; 3] = [Part::Source, Part::Copy, Part::Both];

#[test]
fn what_happened_since_the_last_run_arrives() {
    let inbox = MailboxName::inbox();
    for part in PARTS {
        let (first, second, mut state) = equal(part);
        let (master, slave) = sides(part, &first, &second);
        for round in 0..4 {
            let mut work = vec![first.clone()];
            if part == Part::Both {
                work.push(second.clone());
            }
            for (side, store) in work.iter_mut().enumerate() {
                let number = u32::try_from(2 * round + side).unwrap();
                store.deliver(&inbox, format!("new {number}").as_bytes());
                store.change_flags(&inbox, uid(2 + number), Flags::ANSWERED, Flags::SEEN);
                store.change_keyword(&inbox, uid(3), &Keyword::new(&format!("k{number}")).unwrap(), true);
                store.expunge(&inbox, uid(4 + 2 * number));
                store.deliver(&name(&format!("New {number}")), b"in a new mailbox");
            }
            state = run_since(part, master, slave, &state);
            if part == Part::Both {
                state = run_since(part, master, slave, &state);
            }
            assert_same(&first, &second);
        }
        // The same without a state does nothing more.
        run_since(part, master, slave, &SyncState::default());
        assert_same(&first, &second);
    }
}

#[test]
fn only_what_changed_travels() {
    let inbox = MailboxName::inbox();
    for part in PARTS {
        let (first, second) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
        let mut work = first.clone();
        for number in 0..2000 {
            work.deliver(&inbox, format!("Subject: {number}\n\n").as_bytes());
        }
        let (master, slave) = sides(part, &first, &second);
        let state = run_since(part, master, slave, &SyncState::default());
        let state = run_since(part, master, slave, &state);
        work.deliver(&inbox, b"one more");
        work.change_flags(&inbox, uid(1000), Flags::SEEN, Flags::NONE);
        work.expunge(&inbox, uid(7));
        let options = SyncOptions { state, ..SyncOptions::default() };
        let outcomes = cut_outcomes(part, master, slave, &options, [8000; 2]);
        assert!(outcomes.iter().all(Result::is_ok), "{part:?}: that is not enough for a whole list {outcomes:?}");
        assert_same(&first, &second);
    }
}

#[test]
fn a_side_that_does_not_know_what_happened_says_so() {
    let inbox = MailboxName::inbox();
    for part in PARTS {
        for loses in [0, 1] {
            let (first, second, state) = equal(part);
            let (master, slave) = sides(part, &first, &second);
            let mut stores = [master.clone(), slave.clone()];
            stores[loses].deliver(&inbox, b"behind nobody's back");
            stores[loses].lose_history(&inbox);
            let (reports, after) = outcomes_since(part, master, slave, &state);
            let is_slave = loses == 1;
            assert_eq!(!reports[0].problems.is_empty(), is_slave, "{part:?} {loses} {reports:?}");
            assert_eq!(after.is_empty(), is_slave, "{part:?}");
            run_since(part, master, slave, &after);
            run_since(part, master, slave, &SyncState::default());
            assert_same(&first, &second);
        }
    }
}

#[test]
fn what_was_done_to_a_copy_is_undone_although_nothing_is_listed() {
    let inbox = MailboxName::inbox();
    for part in [Part::Source, Part::Copy] {
        let (first, second, state) = equal(part);
        let (master, slave) = sides(part, &first, &second);
        let mut copy = second.clone();
        copy.expunge(&inbox, uid(3));
        copy.change_flags(&inbox, uid(2), Flags::DELETED, Flags::NONE);
        let (_, state) = outcomes_since(part, master, slave, &state);
        run_since(part, master, slave, &state);
        assert_same(&first, &second);
    }
}

#[test]
fn a_message_that_vanished_without_a_trace_is_not_taken_for_one_that_is_there() {
    let inbox = MailboxName::inbox();
    for part in [Part::Source, Part::Copy] {
        let (first, second, state) = equal(part);
        let (master, slave) = sides(part, &first, &second);
        first.clone().lose_message(&inbox, uid(3));
        let (_, state) = outcomes_since(part, master, slave, &state);
        run_since(part, master, slave, &state);
        assert_same(&first, &second);
    }
}

#[test]
fn a_mailbox_that_has_become_another_one_is_looked_at_as_a_whole() {
    for part in PARTS {
        let (first, second, state) = equal(part);
        let (master, slave) = sides(part, &first, &second);
        let mut work = first.clone();
        work.delete(&name("Work/Reports")).unwrap();
        work.deliver(&name("Work/Reports"), b"of the new one");
        work.delete(&name("Empty")).unwrap();
        let (_, state) = outcomes_since(part, master, slave, &state);
        let state = run_since(part, master, slave, &state);
        assert_same(&first, &second);
        assert_eq!(state.mailboxes().count(), 2, "{part:?}");
    }
}

#[test]
fn an_older_state_does_no_harm() {
    let inbox = MailboxName::inbox();
    for part in PARTS {
        let (first, second, old) = equal(part);
        let (master, slave) = sides(part, &first, &second);
        let mut state = old.clone();
        for number in 0..3 {
            let mut work = first.clone();
            work.deliver(&inbox, format!("later {number}").as_bytes());
            work.expunge(&inbox, uid(2 + number));
            state = run_since(part, master, slave, &state);
        }
        let mut work = first.clone();
        work.change_flags(&inbox, uid(7), Flags::FLAGGED, Flags::NONE);
        work.expunge(&inbox, uid(8));
        run_since(part, master, slave, &old);
        assert_same(&first, &second);
    }
}

/// A slave that is asked to go on from a moment that it never had.
#[test]
fn a_restored_store_does_not_go_on_from_its_own_future() {
    let inbox = MailboxName::inbox();
    for part in PARTS {
        let (first, second, _) = equal(part);
        let (master, slave) = sides(part, &first, &second);
        let snapshot = slave.duplicate();
        for store in [&first, &second] {
            if part == Part::Both || std::ptr::eq(store, &first) {
                store.clone().deliver(&inbox, b"after the snapshot");
            }
        }
        let state = run_since(part, master, slave, &SyncState::default());
        let (_, after) = outcomes_since(part, master, &snapshot, &state);
        assert!(after.is_empty(), "{part:?}");
        run_since(part, master, &snapshot, &after);
        run_since(part, master, &snapshot, &SyncState::default());
        assert_same(master, &snapshot);
        assert!(contents(master, false).len() >= contents(slave, false).len() - usize::from(part == Part::Copy));
    }
}
