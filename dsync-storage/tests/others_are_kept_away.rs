//! While a mailbox is held nobody else changes it, and while a store is claimed no other run does.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use dsync_core::model::{
    Flags, Keywords, MailboxIdentity, MailboxName, MessageGuid, MessageKey, MessageRecord, ModSeq, Timestamp, Uid,
};
use dsync_core::store::{ErrorKind, MailStore, MailboxChanges, MessageBody, Origin};
use dsync_storage::location::Location;
use dsync_storage::settings::Settings;

/// Runs that wait do so for longer than this.
const A_WHILE: Duration = Duration::from_millis(150);

fn with_each_format(check: impl Fn(&dyn Fn() -> Box<dyn MailStore>)) {
    for driver in ["maildir", "mbox", "mdbox", "sdbox"] {
        let directory = tempfile::tempdir().unwrap();
        let location =
            Location::parse(&format!("{driver}:{}", directory.path().join("mail").display()), None).unwrap();
        check(&|| dsync_storage::open(&location, &Settings::default()).unwrap());
    }
}

fn counted_up_to(modseq: u64) -> MailboxChanges {
    MailboxChanges { highest_modseq: ModSeq(modseq), ..MailboxChanges::empty(Origin::Mirrored) }
}

#[test]
fn a_held_mailbox_waits_for_its_commit() {
    with_each_format(|open| {
        let name = MailboxName::parse("Work", '/').unwrap();
        let mut store = open();
        store.create(&name, MailboxIdentity::UNDECIDED).unwrap().commit(counted_up_to(5)).unwrap();
        let mut held = store.open(&name).unwrap();
        let mut other = open().open(&name).unwrap();
        held.hold().unwrap();
        let (sender, receiver) = channel();
        let waiting = thread::spawn(move || {
            let result = other.commit(counted_up_to(20));
            sender.send(()).unwrap();
            result
        });
        assert_eq!(receiver.recv_timeout(A_WHILE), Err(RecvTimeoutError::Timeout), "{}", store.location());
        let record = MessageRecord {
            uid: Some(Uid::FIRST),
            guid: MessageGuid::new(b"0123456789abcdef0123456789abcdef").unwrap(),
            flags: Flags::NONE,
            keywords: Keywords::none(),
            modseq: Some(ModSeq(9)),
            received: Timestamp(1_600_000_000),
            saved: Some(Timestamp(1_700_000_000)),
            pop3_uidl: None,
            pop3_order: None,
        };
        let body = held.save(&record, MessageBody::from_bytes(b"Subject: x\n\n".to_vec())).unwrap();
        let mut changes = MailboxChanges { uid_next: Uid::FIRST.next(), ..counted_up_to(10) };
        changes.add.push(body, &record).unwrap();
        held.commit(changes).unwrap();
        assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::Changed, "{}", store.location());
        assert_eq!(held.status().highest_modseq, Some(ModSeq(10)));

        let mut late = open().open(&name).unwrap();
        held.hold().unwrap();
        held.release();
        let remove = vec![MessageKey::Uid(Uid::FIRST)];
        late.commit(MailboxChanges { remove, uid_next: Uid::FIRST.next(), ..counted_up_to(30) }).unwrap();
        assert_eq!(held.hold().unwrap_err().kind(), ErrorKind::Changed, "{}", store.location());
    });
}

/// A server that renames a Maildir looks at no lock in it. One of a living process that stayed there would be waited for.
#[test]
fn a_maildir_that_is_renamed_while_it_is_held_is_free_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::parse(&format!("maildir:{}", directory.path().display()), None).unwrap();
    let mut store = dsync_storage::open(&location, &Settings::default()).unwrap();
    let [name, renamed] = ["Work", "Done"].map(|text| MailboxName::parse(text, '/').unwrap());
    store.create(&name, MailboxIdentity::UNDECIDED).unwrap().commit(counted_up_to(5)).unwrap();
    let mut held = store.open(&name).unwrap();
    held.hold().unwrap();
    let [before, after] = [".Work", ".Done"].map(|name| directory.path().join(name));
    std::fs::rename(before, &after).unwrap();
    let lock = after.join("dovecot-uidlist.lock");
    assert!(lock.exists());
    assert_eq!(held.commit(counted_up_to(9)).unwrap_err().kind(), ErrorKind::NotFound);
    drop(held);
    assert!(!lock.exists());
    store.open(&renamed).unwrap().commit(counted_up_to(10)).unwrap();
}

#[test]
fn a_claimed_store_is_claimed_by_no_other_run() {
    with_each_format(|open| {
        let (mut first, mut second) = (open(), open());
        first.claim(Duration::ZERO).unwrap();
        second.id().unwrap();
        first.claim(Duration::ZERO).unwrap();
        let error = second.claim(Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
        assert!(error.to_string().contains("another synchronisation"), "{error}");
        let waiting = thread::spawn(move || second.claim(Duration::from_secs(60)));
        drop(first);
        waiting.join().unwrap().unwrap();
    });
}
