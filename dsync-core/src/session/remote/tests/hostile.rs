//! Peers that say what makes no sense.

use super::*;
use crate::state::SyncState;

/// What a slave makes of a master that says just that.
pub(super) fn said_to_slave(store: &MemoryStore, said: &[u8]) -> (Result<Report, SessionError>, Vec<String>) {
    let (_peer_input, output) = pipe().unwrap();
    let (input, mut peer) = pipe().unwrap();
    let said = said.to_vec();
    let writer = thread::spawn(move || peer.write_all(&said));
    let limits = ConnectionOptions { timeout: Duration::from_secs(5) };
    let mut changed = store.clone();
    let run = || {
        let (connection, peer) = Connection::open(input, output, &slave_handshake("slave"), limits)?;
        let mut observer = Unobserved;
        let mut session = RemoteSession::slave(&mut changed, &peer, &mut observer)?;
        connection.run(&mut session)?;
        Ok(session.into_report())
    };
    let outcome = run();
    let _ = writer.join();
    (outcome, contents(store, false))
}

#[test]
fn a_peer_that_makes_no_sense_changes_nothing() {
    // What a master says that merges, up to the end of its tree.
    let mut greeting = Vec::new();
    crate::wire::Encoder::default().greeting(&mut greeting);
    let handshake = master_handshake(Part::Both, &SyncOptions { full: true, ..SyncOptions::default() }, "m").unwrap();
    crate::wire::Encoder::default().item(&Item::Handshake(Box::new(handshake)), &mut greeting);
    let before = contents(&filled(), false);
    let inbox = before.iter().find_map(|line| Some(line.split("MailboxGuid(").nth(1)?.split(')').next()?.to_owned()));
    let guid = inbox.unwrap();
    let b = format!("B{guid}\t1\t99\t99\t1\t9\t0\t\u{2}\t\u{2}\t\t\t\n");
    for rows in [
        String::new(),
        "nonsense\n".to_owned(),
        ".\n".to_owned(),
        "D/\n".to_owned(),
        format!("{b}.\n"),
        "Na\ty\nNa\ty\n".to_owned(),
        format!("NINBOX\ty\t{guid}\t1\t9\nNother\ty\t{guid}\t1\t9\n"),
        // A mailbox of which nobody has said anything, and then nothing.
        ".\nD/\nB0123456789abcdef0123456789abcdef\t1\t1\t0\t1\t1\t0\n".to_owned(),
        format!(".\nD/\n{b}.\nCs\t5\tg\nCs\t4\th\n"),
        format!(".\nD/\n{b}.\nCs\t100\tg\n"),
        format!(".\nD/\n{b}.\nCf\t1\tg\n"),
        format!(".\nD/\n{b}Mg\t\u{2}\t\t\u{2}\t1\t1\t\n"),
        format!(".\nD/\n{b}.\n.\nR\u{2}\t4000000\n.\n"),
        format!(".\nD/\n{b}.\nCs\t90\tnew\n.\n.\nM\t90\t\t\u{2}\t1\t1\t\nthe beginning of a body"),
        format!(".\nD/\n{b}.\nCe\t2\nCe\t3\nX\n"),
    ] {
        let (outcome, after) = said_to_slave(&filled(), &[&greeting, rows.as_bytes()].concat());
        assert!(outcome.is_err(), "{rows:?}");
        assert_eq!(after, before, "{rows:?}");
    }
}

/// A store that was equal to a master, which remembers this of it.
fn equal() -> (MemoryStore, SyncState) {
    let (first, second) = (filled(), MemoryStore::with_seed(2));
    let mut options = SyncOptions::default();
    for _ in 0..2 {
        let [master, _] = outcomes(Part::Both, &first, &second, &options).map(Result::unwrap);
        options.state = master.state;
    }
    (second, options.state)
}

#[test]
fn nor_does_one_that_goes_on_from_an_earlier_run() {
    let (store, state) = equal();
    let before = contents(&store, false);
    let mailbox = store.clone().open(&MailboxName::inbox()).unwrap();
    let status = mailbox.status().clone();
    let guid = status.identity.guid.unwrap();
    let (_, remembered) = state.mailboxes().find(|(of, _)| *of == guid).unwrap();
    let [uid_validity, last] = [remembered.uid_validity, remembered.last_uid];
    let (modseq, count) = (remembered.highest_modseq, remembered.message_count);
    let (highest, next) = (status.highest_modseq.unwrap().get() + 5, last + 5);
    let uid = mailbox.messages().uid_at(0).unwrap();
    let s = format!("S{guid}\t{uid_validity}\t{last}\t{modseq}\t0\t{count}\n");
    let tree = ".\n.\nD/\n";
    let b = |count: u32| format!("B{guid}\t{uid_validity}\t{next}\t{count}\t1\t{highest}\t0\t\u{2}\t\u{2}\t\t\t\n");
    let offered = |count| format!("{s}{tree}{}.\n", b(count));
    let end = ".\n.\n.\n";
    let done = format!("S{guid}\t{uid_validity}\t{last}\t{highest}\t0\t{count}\n");
    let flags = |uid: u32, guid: &str| format!("Cf\t{uid}\t{guid}\t\u{2}\t{highest}\t\u{2}\t4\t\u{2}\t4\n");

    // What is no sense at all ends the run.
    for rows in [
        "nonsense\n".to_owned(),
        format!("NINBOX\ty\t{guid}\t{uid_validity}\t9\n"),
        s.clone(),
        format!("{s}B{guid}\t1\t1\t1\t1\t1\t0\n"),
        format!("S{guid}\t-1\t1\t1\t0\n"),
        format!("S{guid}\t{uid_validity}\t99999999999\t1\t0\n"),
        format!("{s}{tree}{s}"),
        format!("{}Cs\t{uid}\tg\n.\n", offered(count)),
        format!("{}{}", offered(count), flags(next - 1, "g")),
        format!("{}{}", offered(count), flags(next, "g")),
        format!("{}{}{}", offered(count), flags(last, "g"), flags(last - 1, "g")),
        format!("{}Ce\t{last}\nCe\t{last}\n", offered(count)),
        format!("{}R\u{2}\t1\n", offered(count)),
        format!("{}Ce\t{last}\nX\n", offered(count)),
    ] {
        let (outcome, after) = said_by_master(&store, &rows);
        assert!(outcome.is_err(), "{rows:?}");
        assert_eq!(after, before, "{rows:?}");
    }
    // What could be true of another store does not fit to this one: nothing is done, whether the peer goes on or not.
    for rows in [
        // Other moments.
        format!("S{guid}\t0\t{last}\t{modseq}\t0\t{count}\n{tree}{}.\n", b(count)),
        format!("S{guid}\t1\t{last}\t{modseq}\t0\t{count}\n{tree}{}.\n", b(count)),
        format!("S{guid}\t{uid_validity}\t{}\t{modseq}\t0\t{count}\n{tree}{}.\n", u32::MAX, b(count)),
        format!("S{guid}\t{uid_validity}\t{last}\t{}\t0\t{count}\n{tree}{}.\n", u64::MAX, b(count)),
        format!("{s}{tree}B{guid}\t{uid_validity}\t2\t{count}\t1\t{highest}\t0\t\u{2}\t\u{2}\t\t\t\n.\n"),
        // More or fewer messages than what is said comes to.
        format!("{}{end}{done}", offered(count + 3)),
        format!("{}{end}{done}", offered(count - 3)),
        format!("{}Ce\t{last}\n{end}{done}", offered(count)),
        // Messages that were never here, or were others.
        format!("{}{}{end}{done}", offered(count), flags(1, "g")),
        format!("{}{}{end}{done}", offered(count), flags(uid.get(), "another")),
        format!("{}Ce\t{uid}\t0123456789abcdef0123456789abcdef\n{end}{done}", offered(count - 1)),
    ] {
        assert_eq!(said_by_master(&store, &rows).1, before, "{rows:?}");
    }
    // It is not that nothing was ever done.
    let there = mailbox.messages().records().find(|record| record.uid == Uid::new(last)).unwrap();
    let rows = format!("{}{}{end}{done}", offered(count), flags(last, &there.guid.to_string()));
    let (_, done) = said_by_master(&store, &rows);
    assert_ne!(done, before);
    // Attributes of mailboxes have no place here: they are heard, also such as come with a body, and no more.
    let attributes = "Ap\tcomment\ta value\nAs\tvendor/x\t\u{2}\t\na value\n..\nof several lines\r\n.\r\nAp\ty\t\u{2}\t\u{2}\t\n.\n";
    let rows = rows.replacen(&offered(count), &format!("{s}{tree}{}{attributes}", b(count)), 1);
    assert_eq!(said_by_master(&store, &rows).1, done);
}

/// What a slave that both sides change makes of a master that goes on from an earlier run and says these rows.
fn said_by_master(store: &MemoryStore, rows: &str) -> (Result<Report, SessionError>, Vec<String>) {
    let encoder = crate::wire::Encoder::default();
    let handshake = master_handshake(Part::Both, &SyncOptions::default(), "master.example").unwrap();
    let handshake = Handshake { sync_type: Some(SyncType::State), ..handshake };
    let mut said = Vec::new();
    encoder.greeting(&mut said);
    encoder.item(&Item::Handshake(Box::new(handshake)), &mut said);
    said.extend(rows.as_bytes());
    said_to_slave(&store.duplicate(), &said)
}
