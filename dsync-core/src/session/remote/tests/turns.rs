//! How often both sides have to wait for each other.

use super::*;
use crate::wire::MailboxInfo;

pub(super) fn heard(said: Said) -> Heard {
    match said {
        Said::Item(item) => Heard::Item(item),
        Said::EndOfList => Heard::EndOfList,
        Said::Mail(mail, body) => Heard::Body(Item::Mail(mail), body),
    }
}

/// A run in one thread. How often it was the other side's turn to speak, because one had nothing to say before it did.
fn turns(part: Part, master: &mut MemoryStore, slave: &mut MemoryStore, takes_early_offers: bool) -> usize {
    let own =
        with_store(master_handshake(part, &SyncOptions::default(), "master.example").unwrap(), &master.location());
    let other = Handshake { takes_early_offers, ..with_store(slave_handshake("slave.example"), &slave.location()) };
    let peer = |handshake: &Handshake| Peer { minor_version: 5, handshake: handshake.clone() };
    let (mut first, mut second) = (Unobserved, Unobserved);
    let options = SyncOptions::default();
    let mut master = RemoteSession::master(master, part, options, &own, &peer(&other), &mut first).unwrap();
    let mut slave = RemoteSession::slave(slave, &peer(&own), &mut second).unwrap();
    let (mut turns, mut waiting) = (0, VecDeque::new());
    while !(master.is_finished() && slave.is_finished()) {
        turns += 1;
        waiting = deliver(waiting, &mut master);
        waiting = deliver(waiting, &mut slave);
        assert!(turns < 1000);
    }
    turns
}

/// Lets a session hear what waits for it, and say all that it can say meanwhile.
fn deliver(waiting: VecDeque<Said>, session: &mut RemoteSession<'_>) -> VecDeque<Said> {
    let mut answers = VecDeque::new();
    let speak = |session: &mut RemoteSession<'_>, answers: &mut VecDeque<Said>| {
        answers.extend(std::iter::from_fn(|| session.produce().unwrap()));
    };
    for said in waiting {
        speak(session, &mut answers);
        session.receive(heard(said)).unwrap();
    }
    speak(session, &mut answers);
    answers
}

/// Forty mailboxes with a message each.
fn many() -> MemoryStore {
    let mut store = MemoryStore::with_seed(1);
    for number in 0..40 {
        store.deliver(&name(&format!("Box {number}")), b"x");
    }
    store
}

#[test]
fn mailboxes_in_which_nothing_happened_are_not_waited_for_one_by_one() {
    for part in [Part::Source, Part::Copy, Part::Both] {
        let (mut full, mut empty) = (many(), MemoryStore::with_seed(2));
        let (master, slave) = match part {
            Part::Copy => (&mut empty, &mut full),
            _ => (&mut full, &mut empty),
        };
        let first = turns(part, master, slave, true);
        let idle = turns(part, master, slave, true);
        assert!(idle < 10, "{part:?}: {first}, then {idle}");
        master.deliver(&name("Box 3"), b"y");
        slave.deliver(&name("Box 33"), b"z");
        let busy = turns(part, master, slave, true);
        assert!(busy < 16, "{part:?}: {busy}");
        // One that does not say so gets one offer at a time.
        turns(part, master, slave, true);
        assert!(turns(part, master, slave, false) >= 40, "{part:?}");
    }
}

#[test]
fn a_master_that_offers_too_many_mailboxes_at_once_is_refused() {
    let (mut full, mut empty) = (many(), MemoryStore::with_seed(2));
    turns(Part::Both, &mut full, &mut empty, true);
    full.deliver(&name("Box 0"), b"y");
    let own = with_store(master_handshake(Part::Both, &SyncOptions::default(), "master").unwrap(), "x");
    let peer = Peer { minor_version: 5, handshake: own };
    let mut observer = Unobserved;
    let mut slave = RemoteSession::slave(&mut full, &peer, &mut observer).unwrap();
    let tree = std::iter::from_fn(|| slave.produce().unwrap()).map(heard).collect::<Vec<_>>();
    let guids = tree.iter().filter_map(|row| match row {
        Heard::Item(Item::TreeNode(node)) => Some(node.guid),
        _ => None,
    });
    let guids: Vec<_> = guids.flatten().collect();
    tree.into_iter().for_each(|row| slave.receive(row).unwrap());
    let offer = |guid| MailboxInfo {
        guid,
        uid_validity: 1,
        uid_next: 1,
        message_count: 0,
        first_recent_uid: 1,
        highest_modseq: 1,
        highest_private_modseq: 0,
        lost: false,
        ignore: false,
        cache_fields: Vec::new(),
        have_guids: true,
        have_save_guids: true,
        have_only_guid128: false,
        partial: false,
        common_below: None,
    };
    let outcome: Result<Vec<_>, _> = (0..100)
        .map(|number| slave.receive(Heard::Item(Item::Mailbox(Box::new(offer(guids[number % guids.len()]))))))
        .collect();
    assert!(matches!(outcome, Err(SessionError::InvalidData(_))), "{outcome:?}");
}
