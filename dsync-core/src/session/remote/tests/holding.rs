//! Clients that change a mailbox between the look and the commit.

use super::*;
use crate::session::disturbed::{Disturbance, Disturbed};

/// Two sides that were equal, each with something new since, and a client at the one that is not the first.
fn disturbed(disturbance: Disturbance) -> (MemoryStore, Disturbed) {
    let (mut first, mut second) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
    first.deliver(&name("Work"), b"old");
    run(Part::Both, &first, &second);
    first.deliver(&name("Work"), b"new at the first");
    second.deliver(&name("Work"), b"new at the second");
    (first, Disturbed { store: second, disturbance })
}

/// A run in which the client is at the slave, or at the master: the reports of the first and the second side.
fn run_with(first: &MemoryStore, second: &Disturbed, part: Part, is_master: bool) -> [Report; 2] {
    let options = SyncOptions::default();
    let [master, slave] = match is_master {
        true => outcomes(part.other(), second, first, &options),
        false => outcomes(part, first, second, &options),
    };
    let (master, slave) = (master.expect("it goes on"), slave.expect("it goes on"));
    if is_master { [slave, master] } else { [master, slave] }
}

fn deliver(store: &mut MemoryStore, mailbox: &MailboxName) {
    if *mailbox == name("Work") {
        store.deliver(mailbox, b"meanwhile");
    }
}

fn count(store: &MemoryStore) -> usize {
    store.clone().open(&name("Work")).unwrap().messages().len()
}

#[test]
fn what_changed_meanwhile_is_done_in_the_same_run() {
    let until_there_are_five: Disturbance = |store, mailbox| {
        if *mailbox == name("Work") && count(store) < 5 {
            deliver(store, mailbox);
        }
        Ok(())
    };
    for (part, is_master) in [(Part::Both, false), (Part::Both, true), (Part::Source, false), (Part::Source, true)] {
        let (first, second) = disturbed(until_there_are_five);
        let reports = run_with(&first, &second, part, is_master);
        let problems: Vec<_> = reports.iter().flat_map(|report| &report.problems).collect();
        assert!(problems.is_empty(), "{part:?} {is_master} {problems:?}");
        assert_same(&first, &second.store);
        assert_eq!(count(&first), if part == Part::Both { 6 } else { 2 }, "{part:?} {is_master}");
    }
}

#[test]
fn where_clients_never_rest_nothing_is_done_at_one_side_alone() {
    for is_master in [false, true] {
        let (first, second) = disturbed(|store, mailbox| {
            deliver(store, mailbox);
            Ok(())
        });
        let before = contents(&first, true);
        let reports = run_with(&first, &second, Part::Both, is_master);
        let problems: Vec<_> = reports.iter().flat_map(|report| &report.problems).collect();
        assert!(matches!(problems[..], [problem] if problem.reason.contains("keeps changing")), "{problems:?}");
        assert_eq!(contents(&first, true), before, "{is_master}");
        assert_eq!(reports[0].counts.messages_saved, 0);
    }
}

#[test]
fn what_came_from_a_mailbox_that_is_deleted_meanwhile_is_not_taken_over() {
    for is_master in [false, true] {
        let (first, second) = disturbed(|store, mailbox| match *mailbox == name("Work") {
            true => store.delete(mailbox),
            false => Ok(()),
        });
        let reports = run_with(&first, &second, Part::Both, is_master);
        assert!(reports.iter().any(|report| report.exit_status() == 2), "{reports:?}");
        assert_eq!(count(&first), 2, "its new message is no message of the other side");
    }
}

#[test]
fn only_the_slave_says_that_it_holds_a_mailbox_and_only_once() {
    let (mut first, mut second) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
    for store in [&mut first, &mut second] {
        store.deliver(&name("Work"), b"x");
    }
    for role in [Role::Master, Role::Slave] {
        let own = master_handshake(Part::Both, &SyncOptions::default(), "master.example").unwrap();
        let other = slave_handshake("slave.example");
        let peer = |handshake: &Handshake| Peer { minor_version: 5, handshake: handshake.clone() };
        let (mut one, mut two) = (Unobserved, Unobserved);
        let options = SyncOptions::default();
        let (mut first, mut second) = (first.duplicate(), second.duplicate());
        let mut master =
            RemoteSession::master(&mut first, Part::Both, options, &own, &peer(&other), &mut one).unwrap();
        let mut slave = RemoteSession::slave(&mut second, &peer(&own), &mut two).unwrap();
        let mut guid = None;
        // Up to the lists of the mailbox.
        while !(master.is_at_work() && slave.is_at_work()) {
            while let Some(said) = master.produce().unwrap() {
                if let Said::Item(Item::Mailbox(info)) = &said {
                    guid = Some(info.guid);
                }
                slave.receive(turns::heard(said)).unwrap();
            }
            while let Some(said) = slave.produce().unwrap().filter(|_| !master.is_at_work()) {
                master.receive(turns::heard(said)).unwrap();
            }
        }
        let held = || {
            Heard::Item(Item::MailboxState(MailboxState {
                guid: guid.unwrap(),
                uid_validity: 1,
                common_uid: 0,
                common_modseq: 0,
                common_private_modseq: 0,
                message_count: 0,
                changes_during_sync: false,
                counters: None,
                held: true,
                to_be_repeated: false,
            }))
        };
        let session = if role == Role::Master { &mut master } else { &mut slave };
        if role == Role::Master {
            session.receive(held()).unwrap();
        }
        assert!(matches!(session.receive(held()), Err(SessionError::InvalidData(_))), "{role:?}");
    }
}
