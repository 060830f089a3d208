//! Attachments that Dovecot keeps outside of its dbox files are a part of their messages: they arrive where nothing is kept
//! outside, and what is missing is named.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;

use support::dovecot::files_below;
use support::{Driver, Fingerprint, Pair, Run, Snapshot, Store, assert_equal, build, mail};

const BOTH: [Driver; 2] = [Driver::Mdbox, Driver::Sdbox];

/// Messages with attachments of several kinds, and some without.
fn source(driver: Driver, file_system: &str) -> (Pair, usize) {
    let setup = driver
        .setting("mail_attachment_dir = {dir}/attachments")
        .setting("mail_attachment_min_size = 1k")
        .setting(&format!("mail_attachment_fs = {file_system}"));
    let pair = Pair::of(setup, Driver::Maildir);
    build::small(&pair.source);
    let plain = Snapshot::of_copy(&pair.source).message_count();
    let mut imap = pair.source.imap();
    for number in 0..4 {
        imap.append("INBOX", "(\\Seen)", &with_attachments(number));
    }
    imap.select("INBOX");
    imap.copy("13:15", "Work");
    imap.logout();
    let attachments = files_below(&pair.source.path().join("attachments"));
    assert!(attachments.len() >= 8, "only {attachments:#?} are outside");
    (pair, plain)
}

/// One part is text, one is base64 in lines of another length for each number, one is base64 that cannot be decoded and
/// encoded again to the same.
fn with_attachments(number: usize) -> Vec<u8> {
    let line = |length: usize, seed: usize| -> String {
        (0..length).map(|at| char::from(b'A' + u8::try_from((at * 7 + seed) % 26).unwrap())).collect()
    };
    let length = 76 - 4 * number;
    let encoded: String = (0..60).map(|seed| line(length, seed * 5 + number) + "\r\n").collect();
    let odd: String = (0..60).map(|seed| line(40 + seed % 3, seed) + "\r\n").collect();
    let text = "An attached line of text.\r\n".repeat(80);
    let part = |kind: &str, encoding: &str, content: &str| {
        format!(
            "--=-x\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\
             Content-Disposition: attachment; filename=\"a{number}\"\r\n\r\n{content}\r\n"
        )
    };
    [
        format!("Subject: attachments {number}\r\nMIME-Version: 1.0\r\n"),
        "Content-Type: multipart/mixed; boundary=\"=-x\"\r\n\r\nThis is MIME.\r\n".to_owned(),
        part("text/plain", "7bit", "Short."),
        part("application/octet-stream", "base64", &encoded),
        part("text/x-log", "8bit", &text),
        part("image/png", "base64", &odd),
        "--=-x--\r\n".to_owned(),
    ]
    .concat()
    .into_bytes()
}

fn back_up(pair: &Pair) -> Run {
    let attachments = format!("mail_attachment_dir={}", pair.source.path().join("attachments").display());
    pair.dovecot.run_on(&["-o", &attachments, "backup"], &pair.source, &pair.destination)
}

fn subjects(store: &Store) -> BTreeSet<String> {
    let table = store.doveadm(&["-f", "tab", "fetch", "hdr.subject", "mailbox", "INBOX"]);
    table.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn messages_arrive_with_their_attachments() {
    for driver in BOTH {
        for file_system in ["posix", "sis posix"] {
            let (pair, _) = source(driver, file_system);
            for round in 0..2 {
                let before = Fingerprint::of(pair.source.path());
                back_up(&pair).assert_done();
                before.assert_unchanged(pair.source.path());
                assert_equal(&Snapshot::of(&pair.source), &Snapshot::of(&pair.destination));
                pair.destination.assert_no_complaints();
                pair.source.assert_no_complaints();
                let mut imap = pair.source.imap();
                imap.append("Empty", "", &with_attachments(round));
                imap.select("INBOX");
                imap.expunge("13");
                imap.logout();
            }
        }
    }
}

#[test]
fn without_the_setting_they_are_named_and_the_others_arrive() {
    for driver in BOTH {
        let (pair, plain) = source(driver, "posix");
        let run = pair.dovecot.backup(&pair.source, &pair.destination);
        run.assert_done_but(&["mail_attachment_dir"]);
        assert_eq!(Snapshot::of(&pair.destination).message_count(), plain);
        pair.destination.assert_no_complaints();
        back_up(&pair).assert_done();
        assert_equal(&Snapshot::of(&pair.source), &Snapshot::of(&pair.destination));
    }
}

#[test]
fn a_missing_attachment_is_named_and_keeps_back_only_its_message() {
    for driver in BOTH {
        let (pair, _) = source(driver, "posix");
        let directory = pair.source.path().join("attachments");
        let others = files_below(&directory);
        let mut imap = pair.source.imap();
        imap.append("INBOX", "", &with_attachments(9));
        imap.logout();
        let all = files_below(&directory);
        let missing = all.iter().find(|path| !others.contains(path)).expect("the last message has attachments");
        let bytes = fs::read(missing).unwrap();
        let everything = subjects(&pair.source);
        fs::remove_file(missing).unwrap();
        let run = back_up(&pair);
        run.assert_done_but(&[missing.to_str().unwrap()]);
        let arrived = subjects(&pair.destination);
        assert_eq!(everything.difference(&arrived).collect::<Vec<_>>(), ["attachments 9"]);
        fs::write(missing, bytes).unwrap();
        pair.source.adopt();
        back_up(&pair).assert_done();
        assert_equal(&Snapshot::of(&pair.source), &Snapshot::of(&pair.destination));
    }
}

#[test]
fn a_copy_in_a_dbox_needs_no_attachments() {
    for driver in BOTH {
        for destination in BOTH {
            let (pair, _) = source(driver, "sis posix");
            let copy = pair.dovecot.store_of("copy", destination);
            let attachments = format!("mail_attachment_dir={}", pair.source.path().join("attachments").display());
            let copied = pair.dovecot.run_on(&["-o", &attachments, "backup"], &pair.source, &copy);
            copied.assert_done();
            assert_equal(&Snapshot::of(&pair.source), &Snapshot::of(&copy));
            copy.assert_no_complaints();
            support::dbox::assert_sound(&copy);
        }
    }
}

#[test]
fn plain_messages_of_the_tests_have_no_attachments() {
    let (pair, plain) = source(Driver::Mdbox, "posix");
    assert_eq!(Snapshot::of(&pair.source).message_count(), plain + 4 + 3);
    assert!(mail::message(1).bytes.len() < 1024);
    pair.source.assert_no_complaints();
}
