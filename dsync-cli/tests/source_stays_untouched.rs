//! A backup changes not one byte, date or inode at the source.

mod support;

use std::fs;

use support::{Dovecot, Fingerprint, Snapshot, Store, assert_equal, build, mail};

/// A Maildir that no server has ever opened.
fn never_opened(store: &Store) {
    store.make_maildir("");
    store.make_maildir(".Folder");
    for number in 0..10 {
        let mail = mail::message(number).bytes;
        store.write(format!("cur/16000000{number:02}.M1P{number}.host:2,S"), &mail);
        store.write(format!(".Folder/cur/16000000{number:02}.M1P{number}.host:2,FS"), &mail);
        store.write(format!("new/16000001{number:02}.M1P{number}.host"), &mail);
    }
}

#[test]
fn a_store_of_dovecot_stays_as_it_was() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    build::long_lived(&source);
    let before = Fingerprint::of(source.path());
    dovecot.backup(&source, &destination).assert_done();
    before.assert_unchanged(source.path());
    // Neither does a run that has something to discard.
    let mut imap = destination.imap();
    imap.append("INBOX", "", &mail::plain("only here"));
    imap.create("Only here");
    imap.logout();
    dovecot.backup(&source, &destination).assert_done();
    before.assert_unchanged(source.path());
    assert_equal(&Snapshot::of(&source), &Snapshot::of(&destination));
}

#[test]
fn a_store_that_may_not_be_written_can_be_backed_up() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    build::small(&source);
    let status = std::process::Command::new("chmod").args(["-R", "a-w"]).arg(source.path()).status().unwrap();
    assert!(status.success());
    let before = Fingerprint::of(source.path());
    let run = dovecot.backup(&source, &destination);
    before.assert_unchanged(source.path());
    let status = std::process::Command::new("chmod").args(["-R", "u+w"]).arg(source.path()).status().unwrap();
    assert!(status.success());
    run.assert_done();
    assert_eq!(Snapshot::of(&source).uids("INBOX"), Snapshot::of(&destination).uids("INBOX"));
}

#[test]
fn a_never_opened_store_stays_without_a_uidlist() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    never_opened(&source);
    let before = Fingerprint::of(source.path());
    dovecot.backup(&source, &destination).assert_done();
    before.assert_unchanged(source.path());
    let seen = Snapshot::of(&destination);
    assert_eq!(seen.uids("INBOX"), (1..=20).collect::<Vec<_>>());
    destination.assert_no_complaints();
    // All that Dovecot itself would make of it but what it chooses at random.
    assert_equal(&Snapshot::of(&source.copy()).of_the_files(), &seen.of_the_files());
}

#[test]
fn uids_of_a_never_opened_store_stay_the_same() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    never_opened(&source);
    dovecot.backup(&source, &destination).assert_done();
    let first = Snapshot::of(&destination);
    // An older message comes in between, one goes, one is flagged.
    source.write("cur/1500000000.M1P1.host:2,", &mail::plain("older than all"));
    fs::remove_file(source.path().join("cur/1600000003.M1P3.host:2,S")).unwrap();
    let cur = source.path().join("cur");
    fs::rename(cur.join("1600000004.M1P4.host:2,S"), cur.join("1600000004.M1P4.host:2,FS")).unwrap();
    let before = Fingerprint::of(source.path());
    dovecot.backup(&source, &destination).assert_done();
    before.assert_unchanged(source.path());
    let second = Snapshot::of(&destination);
    for field in ["guid", "uidvalidity"] {
        assert_eq!(first.mailbox("INBOX", field), second.mailbox("INBOX", field), "{field}");
    }
    let expected: Vec<u32> = (1..=21).filter(|uid| *uid != 4).collect();
    assert_eq!(second.uids("INBOX"), expected);
    for uid in expected.iter().filter(|uid| **uid != 21) {
        for field in ["guid", "BODY[]", "date.received.unixtime"] {
            assert_eq!(
                first.message("INBOX", *uid, field),
                second.message("INBOX", *uid, field),
                "UID {uid} {field}"
            );
        }
    }
    assert_eq!(second.message("INBOX", 21, "guid").as_deref(), Some("1500000000.M1P1.host"));
    assert!(second.message("INBOX", 5, "flags").unwrap().contains("\\Flagged"));
    destination.assert_no_complaints();
}
