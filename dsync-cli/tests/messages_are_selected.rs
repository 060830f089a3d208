//! Which messages are copied, as an administrator says it, and that none is lost for not being copied.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Dovecot, Driver, Snapshot, Store, assert_equal};

fn append(store: &Store, flags: &str, subject: &str, size: usize) {
    let mut imap = store.imap();
    let text = format!("Subject: {subject}\r\n\r\n{}\r\n", "x".repeat(size));
    imap.append("INBOX", flags, text.as_bytes());
    imap.logout();
}

/// Subjects in INBOX, in the order of the UIDs.
fn subjects(store: &Store) -> String {
    let fetched = store.doveadm(&["-f", "tab", "fetch", "hdr.subject", "mailbox", "INBOX", "all"]);
    fetched.lines().skip(1).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_copy_of_some_messages_keeps_what_it_has_and_gets_the_rest_later() {
    let dovecot = Dovecot::new();
    let (source, copy) = (dovecot.store("source"), dovecot.store_of("copy", Driver::Mdbox));
    append(&source, "()", "plain", 10);
    append(&source, "(\\Flagged)", "flagged", 10);
    append(&source, "(work)", "keyword", 10);
    append(&source, "()", "large", 5000);
    dovecot.run_on(&["backup", "-O", "\\Nonsense"], &source, &copy).assert_refused("Nonsense");
    dovecot.run_on(&["backup", "-t", "1d", "-e", "2 days"], &source, &copy).assert_refused("-t is later than -e");
    dovecot.run_on(&["backup", "-t", "2037-01-01"], &source, &copy).assert_done();
    dovecot.run_on(&["backup", "-e", "31-Dec-1999"], &source, &copy).assert_done();
    assert_eq!(subjects(&copy), "");
    dovecot.run_on(&["backup", "-O", "WORK"], &source, &copy).assert_done();
    assert_eq!(subjects(&copy), "keyword");
    dovecot.run_on(&["backup", "-O", "\\Flagged"], &source, &copy).assert_done();
    assert_eq!(subjects(&copy), "flagged keyword", "what is not selected any more stays");
    // What happens to a message that is there arrives, selected or not; what is gone goes.
    let mut imap = source.imap();
    imap.select("INBOX");
    imap.store("3", "+FLAGS", "\\Seen");
    imap.expunge("2");
    imap.logout();
    dovecot.run_on(&["backup", "-t", "1 hour", "-I", "1k"], &source, &copy).assert_done();
    assert_eq!(subjects(&copy), "plain keyword");
    assert_eq!(copy.doveadm(&["search", "mailbox", "INBOX", "seen"]).lines().count(), 1);
    dovecot.backup(&source, &copy).assert_done();
    assert_equal(&Snapshot::of(&source), &Snapshot::of(&copy));
    copy.assert_no_complaints();
}

#[test]
fn a_mirror_of_some_messages_leaves_the_others_on_their_side() {
    let dovecot = Dovecot::new();
    let (first, second) = (dovecot.store("first"), dovecot.store("second"));
    append(&first, "()", "common", 10);
    dovecot.mirror(&first, &second).assert_done();
    append(&first, "()", "large-first", 5000);
    append(&second, "()", "large-second", 5000);
    append(&second, "()", "small-second", 10);
    append(&first, "()", "small-first", 10);
    let only_small = &["mirror", "-I", "1k"];
    for _ in 0..2 {
        dovecot.run_on(only_small, &first, &second).assert_done();
        for (own, mine, theirs) in [(&first, "first", "second"), (&second, "second", "first")] {
            let subjects = subjects(own);
            for present in ["common", "small-first", "small-second", &format!("large-{mine}")] {
                assert!(subjects.contains(present), "{subjects}");
            }
            assert!(!subjects.contains(&format!("large-{theirs}")), "{subjects}");
        }
    }
    dovecot.mirror(&first, &second).assert_done();
    assert_equal(&Snapshot::of(&first), &Snapshot::of(&second));
    assert_eq!(subjects(&first).split(' ').count(), 5);
    for store in [&first, &second] {
        store.assert_no_complaints();
    }
}

#[test]
fn a_first_copy_of_some_messages_has_those_that_dovecot_copies() {
    let dovecot = Dovecot::new();
    let source = dovecot.store("source");
    append(&source, "(\\Flagged) \"01-Mar-2020 00:00:00 +0000\"", "march", 10);
    append(&source, "(Work) \"01-May-2020 12:00:00 +0000\"", "may", 979);
    append(&source, "(\\Flagged wOrk) \"01-Jul-2020 12:00:00 +0000\"", "july", 980);
    append(&source, "()", "now", 5000);
    // Behind its header, 1000 bytes with CRLF are 980 bytes of text in one line.
    for (number, options) in [
        &["-t", "2020-05-01"][..],
        &["-t", "1-May-2020", "-e", "2020-06-01"],
        &["-e", "1588334399"],
        &["-e", "1588334400"],
        &["-t", "1 week"],
        &["-e", "3 d"],
        &["-I", "1k"],
        &["-I", "1000"],
        &["-I", "1010"],
        &["-I", "4K"],
        &["-O", "\\Flagged"],
        &["-O", "-\\Flagged"],
        &["-O", "work"],
        &["-O", "-work"],
        &["-O", "-\\Seen"],
    ]
    .into_iter()
    .enumerate()
    {
        let (ours, theirs) = (dovecot.store(&format!("ours-{number}")), dovecot.store(&format!("theirs-{number}")));
        dovecot.run_on(&[&["backup"], options].concat(), &source, &ours).assert_done();
        theirs.adopt();
        source.doveadm(&[&["backup"], options, &[&theirs.location()]].concat());
        assert_eq!(subjects(&ours), subjects(&theirs), "{options:?}");
    }
}
