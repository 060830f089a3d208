//! `dsync verify` finds every difference that clients could notice, no other, and changes nothing.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use support::{Dovecot, Driver, Fingerprint, Pair, Run, Store, build, for_half_of_pairs, mail, mbox};

/// Compares two stores, which must stay as they are.
fn verify(dovecot: &Dovecot, options: &[&str], first: &Store, second: &Store) -> Run {
    first.adopt();
    second.adopt();
    let before = [first, second].map(|store| Fingerprint::of(store.path()));
    let run = dovecot.dsync(&[&["verify"], options, &[&first.location(), &second.location()]].concat());
    for (store, before) in [first, second].into_iter().zip(before) {
        before.assert_unchanged(store.path());
    }
    run
}

fn assert_no_difference(pair: &Pair) {
    let run = verify(&pair.dovecot, &[], &pair.source, &pair.destination);
    assert!(run.code == Some(0) && run.stdout.starts_with("no differences; ") && run.stderr.is_empty(), "{run:#?}");
}

#[test]
fn nothing_is_different_after_a_backup_and_what_clients_do_is_found() {
    for_half_of_pairs(3, |pair| {
        build::small(&pair.source);
        mbox::decide_saved_dates(&pair.source);
        pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
        assert_no_difference(pair);
        // As a server leaves both behind.
        pair.destination.imap().logout();
        pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
        assert_no_difference(pair);

        let mut imap = pair.destination.imap();
        let uid = imap.append("INBOX", "", &mail::plain("only there"));
        imap.select("INBOX");
        imap.store("1", "+FLAGS", "(\\Deleted fresh)");
        imap.expunge("2");
        imap.create("New");
        imap.subscribe("New");
        imap.logout();
        let run = verify(&pair.dovecot, &[], &pair.source, &pair.destination);
        assert_eq!(run.code, Some(1), "{run:#?}");
        let lines: Vec<_> = run.stdout.lines().collect();
        assert_eq!(
            lines[..2],
            [
                format!("the first: {}", pair.source.location()),
                format!("the second: {}", pair.destination.location())
            ]
        );
        for expected in [
            &format!("INBOX: message with UID {uid}: message: nothing at the first, "),
            "INBOX: message with UID 2: message: ",
            "INBOX: message with UID 1: flags: ",
            "INBOX: message with UID 1: keywords: ",
            "INBOX: message with UID 1: MODSEQ: ",
            "INBOX: UIDNEXT: ",
            "INBOX: HIGHESTMODSEQ: ",
            "New: there is: nothing at the first, mailbox at the second",
            "New: subscribed: no at the first, yes at the second",
        ] {
            assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected}: {run:#?}");
        }
        // What the backup undoes is not there any more.
        pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
        assert_no_difference(pair);
    });
}

#[test]
fn what_was_changed_in_the_files_is_found() {
    let pair = Pair::of(Driver::Maildir, Driver::Maildir);
    build::small(&pair.source);
    pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
    let files = |store: &Store| {
        let mut files: Vec<_> =
            fs::read_dir(store.root().join("cur")).unwrap().map(|it| it.unwrap().path()).collect();
        files.sort();
        files
    };
    let changed = &files(&pair.destination)[0];
    let mut bytes = fs::read(changed).unwrap();
    let modified = fs::metadata(changed).unwrap().modified().unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let place = bytes.len() - 1;
    fs::write(changed, &bytes).unwrap();
    fs::File::options().write(true).open(changed).unwrap().set_modified(modified).unwrap();
    let uidlist = pair.destination.root().join("dovecot-uidlist");
    let text = fs::read_to_string(&uidlist).unwrap();
    fs::write(&uidlist, text.replacen(" :", " Pother-uidl :", 1)).unwrap();
    let run = verify(&pair.dovecot, &["--json"], &pair.source, &pair.destination);
    assert_eq!(run.code, Some(1), "{run:#?}");
    let object: Value = serde_json::from_str(&run.stdout).unwrap();
    let found = object["differences"].as_array().unwrap();
    let fields: Vec<_> = found.iter().map(|difference| difference["field"].as_str().unwrap()).collect();
    assert!(fields.contains(&"body") && fields.contains(&"pop3_uidl"), "{run:#?} {place}");
    assert_eq!(object["counts"]["differences"].as_u64(), Some(found.len() as u64));
    // Without reading the messages nobody can know.
    let run = verify(&pair.dovecot, &["--no-bodies", "-x", "Work*"], &pair.source, &pair.destination);
    assert!(run.code == Some(1) && run.stdout.contains("POP3 UIDL: nothing at the first, other-uidl"), "{run:#?}");
    assert!(!run.stdout.contains("bytes from"), "{run:#?}");

    // The date when it was received.
    let pair = Pair::of(Driver::Maildir, Driver::Sdbox);
    build::small(&pair.source);
    pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
    let dated = &files(&pair.source)[0];
    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(dated).unwrap().set_modified(date).unwrap();
    let run = verify(&pair.dovecot, &[], &pair.source, &pair.destination);
    assert!(run.code == Some(1) && run.stdout.contains("received date: 1000000000 at the first"), "{run:#?}");
}

#[test]
fn what_is_left_open_is_not_different_and_what_cannot_be_read_is_named() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store_of("destination", Driver::Mdbox));
    source.make_maildir("");
    for number in 0..5 {
        source.write(format!("cur/16000000{number:02}.M1P{number}.host:2,S"), &mail::message(number).bytes);
    }
    dovecot.backup(&source, &destination).assert_done();
    let run = verify(&dovecot, &[], &source, &destination);
    assert!(run.code == Some(0) && run.stdout.contains("; values that one of them leaves open: "), "{run:#?}");
    let before = Fingerprint::of(source.path());
    let listed = dovecot.dsync(&["list", "--json", "--messages", &source.location()]);
    before.assert_unchanged(source.path());
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let inbox = &listed["mailboxes"][0];
    assert_eq!((&inbox["name"], &inbox["messages"], &inbox["guid"]), (&json!("INBOX"), &json!(5), &Value::Null));
    assert!(inbox["list"].as_array().unwrap().iter().all(|message| message["uid"].is_null()), "{inbox}");
    let listed = dovecot.dsync(&["list", "-o", &format!("mail_location={}", destination.location())]);
    assert!(listed.stdout.lines().nth(1).unwrap().ends_with(" no  INBOX"), "{listed:?}");
    dovecot.dsync(&["list", "mbox:/nowhere"]).assert_refused("does not exist");
    // One location is compared with the default one.
    let run = dovecot.run_on(&["verify", "-q"], &source, &destination);
    run.assert_done();

    fs::remove_file(source.root().join("cur/1600000002.M1P2.host:2,S")).unwrap();
    fs::remove_file(
        support::dovecot::files_below(destination.path()).into_iter().find(|path| path.ends_with("m.1")).unwrap(),
    )
    .unwrap();
    let run = verify(&dovecot, &[], &source, &destination);
    assert!(run.code == Some(2) && run.stderr.contains("m.1"), "{run:#?}");

    dovecot.dsync(&["verify", "maildir:/nowhere", "mdbox:/nowhere"]).assert_refused("does not exist");
    dovecot.dsync(&["verify", "ssh host", "mdbox:/nowhere"]).assert_refused("no mail location");
}
