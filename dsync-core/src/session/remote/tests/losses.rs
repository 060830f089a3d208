//! Mail that a run could have lost.

use super::*;
use crate::state::SyncState;

#[test]
fn an_empty_source_empties_nothing_whatever_is_selected() {
    for part in [Part::Source, Part::Copy] {
        for mailboxes in [MailboxSelection::all().excluding("Trash"), MailboxSelection::matching("*")] {
            let (empty, copy) = (MemoryStore::new(), filled());
            let before = contents(&copy, true);
            let mut options = SyncOptions { mailboxes, ..SyncOptions::default() };
            let (master, slave) = if part == Part::Source { (&empty, &copy) } else { (&copy, &empty) };
            let source = usize::from(part == Part::Copy);
            let outcomes_of = |options: &SyncOptions| outcomes(part, master, slave, options);
            assert!(matches!(outcomes_of(&options)[source], Err(SessionError::EmptySource { .. })), "{part:?}");
            assert_eq!(contents(&copy, true), before, "{part:?}");
            options.allow_empty_source = true;
            assert!(outcomes_of(&options).iter().all(Result::is_ok), "{part:?}");
            assert!(copy.clone().tree().unwrap().keys().all(MailboxName::is_inbox), "{part:?}: it was wanted");
        }
    }
}

#[test]
fn a_mailbox_with_a_message_that_never_arrived_is_not_deleted() {
    for cut in 0..60 {
        let (first, second) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
        let (mut one, mut two) = (first.clone(), second.clone());
        one.deliver(&name("Work"), b"old");
        for _ in 0..2 {
            run(Part::Both, &first, &second);
        }
        one.deliver(&name("Work"), b"the only copy of this message");
        let heard = [u64::MAX, 900 + 10 * cut];
        let outcome = cut_outcomes(Part::Both, &first, &second, &SyncOptions::default(), heard);
        let arrived = two.open(&name("Work")).unwrap().messages().len() == 2;
        two.delete(&name("Work")).unwrap();
        for _ in 0..2 {
            run(Part::Both, &first, &second);
        }
        let is_there = one.open(&name("Work")).is_ok();
        assert!(arrived || is_there, "{heard:?}: the message is on neither side");
        assert!(outcome.iter().any(Result::is_err) || !is_there, "{heard:?}: an ordinary deletion is carried over");
    }
}

#[test]
fn what_one_store_of_a_host_has_had_another_one_has_not() {
    let [first, daily, weekly] = [1, 2, 3].map(MemoryStore::with_seed);
    let (mut one, mut two) = (first.clone(), weekly.clone());
    one.deliver(&name("Work"), b"old");
    for other in [&daily, &weekly, &daily, &weekly] {
        run(Part::Both, &first, other);
    }
    one.deliver(&name("Work"), b"never seen by the weekly one");
    for _ in 0..2 {
        run(Part::Both, &first, &daily);
    }
    two.delete(&name("Work")).unwrap();
    for other in [&weekly, &daily, &weekly] {
        run(Part::Both, &first, other);
    }
    assert_eq!(one.open(&name("Work")).unwrap().messages().len(), 2);
}

#[test]
fn a_source_that_takes_nothing_has_not_had_what_it_is_merged_into() {
    let (first, second) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
    let (mut one, mut two) = (first.clone(), second.clone());
    one.deliver(&name("Work"), b"old");
    run(Part::Both, &first, &second);
    two.deliver(&name("Work"), b"only in the destination");
    for _ in 0..2 {
        run(Part::MergeSource, &first, &second);
    }
    one.delete(&name("Work")).unwrap();
    run(Part::Both, &first, &second);
    assert_eq!(two.open(&name("Work")).unwrap().messages().len(), 2);
}

#[test]
fn a_removed_flag_is_not_set_again_because_it_was_set_once() {
    let inbox = MailboxName::inbox();
    for (with_state, noise) in [(false, 0), (false, 50), (true, 0), (true, 50)] {
        let (first, second) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
        let (mut one, mut two) = (first.clone(), second.clone());
        let mut options = SyncOptions::default();
        let mut go = || {
            let [report, _] = outcomes(Part::Both, &first, &second, &options).map(Result::unwrap);
            if with_state {
                options.state = report.state;
            }
        };
        let toggle = |store: &mut MemoryStore, times| {
            for _ in 0..times {
                store.change_flags(&inbox, uid(1), Flags::DRAFT, Flags::NONE);
                store.change_flags(&inbox, uid(1), Flags::NONE, Flags::DRAFT);
            }
        };
        one.deliver(&inbox, b"old");
        toggle(&mut one, 20);
        one.change_flags(&inbox, uid(1), Flags::SEEN, Flags::NONE);
        go();
        two.change_flags(&inbox, uid(1), Flags::NONE, Flags::SEEN);
        toggle(&mut one, noise);
        one.change_flags(&inbox, uid(1), Flags::FLAGGED, Flags::NONE);
        for _ in 0..2 {
            go();
        }
        for store in [&mut one, &mut two] {
            let flags = store.open(&inbox).unwrap().messages().records().next().unwrap().flags;
            assert_eq!(flags, Flags::FLAGGED, "{with_state} {noise}");
        }
    }
}

/// What is in the INBOX of a store.
fn texts(store: &MemoryStore) -> Vec<String> {
    let mut mailbox = store.clone().open(&MailboxName::inbox()).unwrap();
    let uids: Vec<_> = mailbox.messages().records().filter_map(|record| record.uid).collect();
    let mut text = |uid| mailbox.body(crate::model::MessageKey::Uid(uid)).unwrap().read_all().unwrap();
    uids.into_iter().map(|uid| String::from_utf8(text(uid)).unwrap()).collect()
}

#[test]
fn messages_are_not_the_same_because_their_headers_are() {
    let inbox = MailboxName::inbox();
    for part in [Part::Source, Part::Both] {
        let (first, second) = (MemoryStore::with_seed(1), MemoryStore::without_guids(2));
        let (mut one, mut two) = (first.clone(), second.clone());
        one.deliver(&inbox, b"Message-ID: <draft>\n\nold");
        one.deliver(&inbox, b"Message-ID: <another>\n\n");
        for _ in 0..2 {
            run(part, &first, &second);
        }
        one.expunge(&inbox, uid(1));
        one.deliver(&inbox, b"Message-ID: <draft>\n\nthe new version of the draft");
        if part == Part::Both {
            one.deliver(&inbox, b"Subject: no name\n\nat the first");
            two.deliver(&inbox, b"Subject: no name\n\nat the second");
        }
        for _ in 0..2 {
            run(part, &first, &second);
        }
        let mut all = texts(&second);
        assert_eq!(all, texts(&first), "{part:?}");
        all.sort();
        all.dedup();
        assert_eq!(all.len(), if part == Part::Both { 4 } else { 2 }, "{part:?} {all:?}");
        assert!(all.iter().any(|text| text.contains("new version")), "{part:?} {all:?}");
        let idle = run(part, &first, &second);
        assert!(idle.iter().all(|report| report.counts.mailboxes_changed == 0), "{part:?}");
    }
}

#[test]
fn new_mail_of_a_side_that_was_put_back_arrives() {
    let inbox = MailboxName::inbox();
    for (part, is_slave, keeps_guids) in [
        (Part::Both, false, true),
        (Part::Both, true, true),
        (Part::Source, false, true),
        (Part::Copy, true, true),
        (Part::Source, false, false),
    ] {
        let mut restored = MemoryStore::with_seed(1);
        let other = if keeps_guids { MemoryStore::with_seed(2) } else { MemoryStore::without_guids(2) };
        let go = |restored: &MemoryStore, state| {
            let options = SyncOptions { state, ..SyncOptions::default() };
            let (master, slave) = if is_slave { (&other, restored) } else { (restored, &other) };
            outcomes(part, master, slave, &options)[0].as_ref().unwrap().state.clone()
        };
        for number in 0..8 {
            restored.deliver(&inbox, format!("{number}").as_bytes());
        }
        go(&restored, SyncState::default());
        let mut copy = restored.duplicate();
        restored.deliver(&inbox, b"8");
        restored.deliver(&inbox, b"9");
        let mut state = go(&restored, SyncState::default());
        // It is put back, and used for a while.
        for number in 20..22_u8 {
            let guid = crate::model::MessageGuid::new(&[b'g', number]).unwrap();
            copy.append(&inbox, guid, format!("{number}").as_bytes());
        }
        for _ in 0..20 {
            copy.change_flags(&inbox, uid(1), Flags::DRAFT, Flags::NONE);
            copy.change_flags(&inbox, uid(1), Flags::NONE, Flags::DRAFT);
        }
        for _ in 0..3 {
            state = go(&copy, state);
        }
        assert_eq!(texts(&copy), texts(&other), "{part:?} {is_slave}");
        assert_eq!(texts(&copy).len(), if part == Part::Both { 12 } else { 10 }, "{part:?} {is_slave}");
    }
}

#[test]
fn what_was_expunged_at_either_side_of_a_backup_stays_expunged_without_guids() {
    let inbox = MailboxName::inbox();
    for keeps_guids in [[false, false], [true, false], [false, true]] {
        for source_is_left in [true, false] {
            let store =
                |seed, keeps| if keeps { MemoryStore::with_seed(seed) } else { MemoryStore::without_guids(seed) };
            let (first, second) = (store(1, keeps_guids[0]), store(2, keeps_guids[1]));
            let (mut one, mut two) = (first.clone(), second.clone());
            for text in ["one", "two", "three"] {
                one.deliver(&inbox, text.as_bytes());
            }
            run(Part::Source, &first, &second);
            let side = if source_is_left { &mut one } else { &mut two };
            side.expunge(&inbox, uid(2));
            run(Part::Both, &first, &second);
            assert_eq!([texts(&first), texts(&second)], [["one", "three"]; 2], "{keeps_guids:?} {source_is_left}");
        }
    }
}
