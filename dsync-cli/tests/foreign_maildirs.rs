//! Maildirs that other programs wrote, and trees with things in them that are no mail.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use support::{Dovecot, Fingerprint, Snapshot, Store, assert_equal, mail};

fn maildir(dovecot: &Dovecot) -> Store {
    let store = dovecot.store("source");
    store.make_maildir("");
    store
}

/// Backs up and checks that clients see at the destination what Dovecot shows of the source.
fn assert_copied(dovecot: &Dovecot, source: &Store) -> Snapshot {
    let destination = dovecot.store("destination");
    let before = Fingerprint::of(source.path());
    dovecot.backup(source, &destination).assert_done();
    before.assert_unchanged(source.path());
    let seen = Snapshot::of(&destination);
    destination.assert_no_complaints();
    assert_equal(&Snapshot::of(&source.copy()).of_the_files(), &seen.clone().of_the_files());
    seen
}

#[test]
fn delivered_by_a_mail_transfer_agent() {
    let dovecot = Dovecot::new();
    let source = maildir(&dovecot);
    let names = ["1600000000.V801I2a4M7.mx", "1600000001.H5P77.mx,S=99999999x", "1600000002.77_0.mx", "oddly-named"];
    for (number, name) in names.iter().enumerate() {
        source.write(format!("new/{name}"), &mail::message(number).bytes);
    }
    let seen = assert_copied(&dovecot, &source);
    assert_eq!(seen.mailbox("INBOX", "recent").as_deref(), Some("4"));
}

#[test]
fn written_by_mbsync() {
    let dovecot = Dovecot::new();
    let source = maildir(&dovecot);
    source.write(".uidvalidity", b"1500000000\n6\n");
    source.write(".mbsyncstate", b"FarUidValidity 1\nNearUidValidity 1500000000\n\n1 1 S\n");
    for uid in 1..=6 {
        let directory = if uid > 4 { "new" } else { "cur" };
        source.write(format!("{directory}/160000000{uid}.77_{uid}.host,U={uid}:2,S"), &mail::message(uid).bytes);
    }
    let seen = assert_copied(&dovecot, &source);
    assert_eq!(seen.uids("INBOX"), [1, 2, 3, 4, 5, 6]);
    assert_eq!(seen.message("INBOX", 1, "guid").as_deref(), Some("1600000001.77_1.host,U=1"));
}

#[test]
fn written_by_courier() {
    let dovecot = Dovecot::new();
    let (source, destination) = (maildir(&dovecot), dovecot.store("destination"));
    let names = ["1600000000.M1P1V1I1_0.host,S=10", "1600000001.M1P1V1I1_1.host", "1600000002.M1P1V1I1_2.host"];
    source.write(format!("cur/{}:2,S", names[0]), b"A: b\n\nbody");
    source.write(format!("cur/{}:2,FR", names[1]), &mail::message(1).bytes);
    source.write(format!("cur/{}:2,", names[2]), &mail::message(2).bytes);
    let uids = format!("1 1234567890 12\n3 {}\n7 {}\n11 {}\n", names[0], names[1], names[2]);
    source.write("courierimapuiddb", uids.as_bytes());
    source.write("courierimapsubscribed", b"INBOX\n");
    source.write("courierpop3dsizelist", b"/2 12 1234567890\n");
    source.write("maildirsize", b"1000000S\n10 1\n");
    dovecot.backup(&source, &destination).assert_done();
    let seen = Snapshot::of(&destination);
    destination.assert_no_complaints();
    assert_eq!(seen.uids("INBOX"), [3, 7, 11]);
    assert_eq!(seen.mailbox("INBOX", "uidvalidity").as_deref(), Some("1234567890"));
    assert_eq!(seen.mailbox("INBOX", "uidnext").as_deref(), Some("12"));
    assert!(seen.message("INBOX", 7, "flags").unwrap().contains("\\Answered \\Flagged"));
}

#[test]
fn with_a_uidlist_of_the_first_version() {
    let dovecot = Dovecot::new();
    let (source, destination) = (maildir(&dovecot), dovecot.store("destination"));
    source.write("cur/1600000000.M1P1.host:2,S", &mail::message(1).bytes);
    source.write("cur/1600000001.M1P1.host:2,", &mail::message(2).bytes);
    source.write("dovecot-uidlist", b"1 1234567890 30\n5 1600000001.M1P1.host:2,\n8 1600000000.M1P1.host\n");
    dovecot.backup(&source, &destination).assert_done();
    let seen = Snapshot::of(&destination);
    destination.assert_no_complaints();
    assert_eq!(seen.uids("INBOX"), [5, 8]);
    assert_eq!(seen.mailbox("INBOX", "uidnext").as_deref(), Some("30"));
}

#[test]
fn with_odd_but_harmless_files() {
    let dovecot = Dovecot::new();
    let source = maildir(&dovecot);
    for (number, name) in ["a1:2,S,extra", "a2:1,foo", "a3:1,x:2,F", "a4:", "a8:2,QSX", "b3:2,P"].iter().enumerate() {
        source.write(format!("cur/160000000{number}.{name}"), &mail::message(number).bytes);
    }
    source.write("new/1600000010.flagged-in-new:2,FS", &mail::message(3).bytes);
    source.write("cur/.hidden", b"no mail");
    source.write("tmp/1600000000.unfinished", b"half a mess");
    source.write(".a-file-with-a-dot", b"no mailbox");
    source.write("README", b"no mail");
    symlink("1600000000.a1:2,S,extra", source.path().join("cur/1600000020.link:2,F")).unwrap();
    source.adopt();
    assert_copied(&dovecot, &source);
}

#[test]
fn with_broken_files() {
    let dovecot = Dovecot::new();
    let (source, destination) = (maildir(&dovecot), dovecot.store("destination"));
    for number in 0..5 {
        source.write(format!("cur/160000000{number}.M1P1.host:2,S"), &mail::message(number).bytes);
    }
    // Without those that cannot be copied it would look like this. They would get the last UIDs.
    let clean = source.copy();
    let cur = source.path().join("cur");
    fs::create_dir(cur.join("1700000000.directory:2,")).unwrap();
    symlink("/nowhere", cur.join("1700000001.dangling:2,")).unwrap();
    symlink("1700000002.loop:2,", cur.join("1700000002.loop:2,")).unwrap();
    assert!(Command::new("mkfifo").arg(cur.join("1700000003.fifo:2,")).status().unwrap().success());
    source.write("cur/1700000004.line\nfeed:2,", &mail::message(7).bytes);
    let secret = source.write("cur/1700000005.secret:2,", &mail::message(8).bytes);
    fs::set_permissions(secret, fs::Permissions::from_mode(0o000)).unwrap();
    source.adopt();
    let before = Fingerprint::of(source.path());
    let named = ["1700000000.directory", "1700000001.dangling", "1700000002.loop", "1700000003.fifo"];
    let run = dovecot.backup(&source, &destination);
    run.assert_done_but(&named);
    run.assert_done_but(&["1700000004.line", "1700000005.secret"]);
    assert!(!run.stderr.contains("1600000000"), "what was copied is named: {run:#?}");
    before.assert_unchanged(source.path());
    let (seen, expected) = (Snapshot::of(&destination), Snapshot::of(&clean));
    destination.assert_no_complaints();
    for uid in 1..=5 {
        for field in ["guid", "flags", "date.received.unixtime", "BODY[]"] {
            let (seen, expected) = (seen.message("INBOX", uid, field), expected.message("INBOX", uid, field));
            assert_eq!(seen, expected, "UID {uid} {field}");
        }
    }
    // Once more: the same are named, nothing is copied twice.
    dovecot.backup(&source, &destination).assert_done_but(&named);
    assert_equal(&seen, &Snapshot::of(&destination));
}

/// Dovecot believes the size in a name and cannot read such a message; it never repairs the name.
#[test]
fn a_wrong_size_in_a_name_is_not_handed_on() {
    let dovecot = Dovecot::new();
    let (source, destination) = (maildir(&dovecot), dovecot.store("destination"));
    source.write("cur/1600000000.M1P1.host,S=5,W=7:2,S", &mail::message(0).bytes);
    source.write("cur/1600000001.M1P1.host:2,S", &mail::message(1).bytes);
    let run = dovecot.backup(&source, &destination);
    // Whether the message is copied in good health or named, what is at the destination can be read.
    assert!([Some(0), Some(2)].contains(&run.code), "{run:#?}");
    assert!(Snapshot::of(&destination).message_count() == if run.code == Some(0) { 2 } else { 1 });
    destination.assert_no_complaints();
}

#[test]
fn an_unreadable_mailbox_does_not_stop_the_others() {
    let dovecot = Dovecot::new();
    let (source, destination) = (maildir(&dovecot), dovecot.store("destination"));
    source.write("cur/1600000000.M1P1.host:2,S", &mail::message(0).bytes);
    source.write(".Closed/cur/1600000000.M1P1.host:2,S", &mail::message(1).bytes);
    source.write(".Open/cur/1600000000.M1P1.host:2,S", &mail::message(2).bytes);
    source.make_maildir(".Closed");
    source.make_maildir(".Open");
    // It was readable once, so that something could be lost.
    dovecot.backup(&source, &destination).assert_done();
    let closed = source.path().join(".Closed/cur");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    source.write("new/1600000009.M1P1.host", &mail::message(3).bytes);
    let run = dovecot.backup(&source, &destination);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    run.assert_done_but(&["Closed"]);
    let seen = Snapshot::of(&destination);
    assert_eq!(seen.uids("INBOX").len(), 2);
    assert_eq!((seen.uids("Open").len(), seen.uids("Closed").len()), (1, 1));
}

#[test]
fn of_two_messages_with_one_name_none_replaces_the_other() {
    let dovecot = Dovecot::new();
    let (source, other) = (maildir(&dovecot), dovecot.store("other"));
    source.write("cur/1600000000.M1.host:2,", b"Subject: first\n\n");
    dovecot.mirror(&source, &other).assert_done();
    source.write("cur/1600000000.M1.host:2,S", b"Subject: second\n\n");
    other.doveadm(&["flags", "add", "\\Seen", "mailbox", "INBOX", "all"]);
    dovecot.mirror(&source, &other).assert_done_but(&["1600000000.M1.host:2,S"]);
    for (flags, subject) in [("", "first"), ("S", "second")] {
        let path = source.path().join(format!("cur/1600000000.M1.host:2,{flags}"));
        assert_eq!(fs::read_to_string(path).unwrap(), format!("Subject: {subject}\n\n"));
    }
}
