//! After a backup into an empty place, clients cannot tell the destination from the source, and Dovecot works on it
//! as on a store of its own.

mod support;

use std::thread::sleep;
use std::time::Duration;

use support::snapshot::SAVED;
use support::{Dovecot, Snapshot, Store, assert_equal, build, mail};

/// Backs up a long-lived store and compares; returns the destination.
fn back_up(dovecot: &Dovecot, source: &Store, destination: &Store) {
    build::long_lived(source);
    source.assert_no_complaints();
    // A saved date that is not kept must differ.
    sleep(Duration::from_millis(1100));
    dovecot.backup(source, destination).assert_done();
    let (left, right) = (Snapshot::of(source), Snapshot::of(destination));
    assert_equal(&left, &right);
    destination.assert_no_complaints();
    // What Dovecot wrote down while it looked changes nothing.
    assert_equal(&right, &Snapshot::of(destination));
    destination.assert_no_complaints();
}

/// Appends, flags, expunges, copies and renames, as any client would.
fn work(store: &Store) {
    let mut imap = store.imap();
    imap.select("INBOX");
    let uid = imap.append("INBOX", "(\\Seen blue)", &mail::plain("new in the copy"));
    imap.store(&uid.to_string(), "+FLAGS", "(\\Flagged red green)");
    imap.store("2:9", "-FLAGS", "(\\Seen)");
    imap.expunge("12:15");
    imap.copy("30:33", "Empty");
    imap.move_to("41:43", "Work");
    imap.select("Labels");
    imap.store("35", "+FLAGS", "(Keyword33)");
    imap.append("Labels", "(Keyword31 Unheard)", &mail::plain("more labels"));
    imap.rename("Work/Projects/Deep", "Work/Shallow");
    imap.rename("Entw&APw-rfe", "Drafts");
    imap.create("INBOX/Fresh");
    imap.delete("R&-D and more");
    imap.subscribe("INBOX/Fresh");
    imap.unsubscribe("Lost");
    imap.logout();
}

#[test]
fn clients_see_no_difference() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    back_up(&dovecot, &source, &destination);
    work(&destination);
    destination.assert_no_complaints();
    let seen = Snapshot::of(&destination);
    assert!(seen.mailboxes().contains(&"Work/Shallow/Deeper/Deepest".to_owned()));
    // Even when Dovecot checks everything once more.
    destination.doveadm(&["force-resync", "*"]);
    destination.assert_no_complaints();
}

#[test]
fn the_same_work_has_the_same_effect_on_both() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    build::long_lived(&source);
    // Once a client has asked, messages have modseqs of their own; before, each has the highest there is, also later.
    source.doveadm(&["fetch", "modseq", "mailbox", "*"]);
    dovecot.backup(&source, &destination).assert_done();
    for store in [&source, &destination] {
        let mut imap = store.imap();
        imap.select("INBOX");
        imap.store("2:9", "-FLAGS", "(\\Seen)");
        imap.store("30:35", "+FLAGS", "(violet)");
        imap.expunge("50:55");
        imap.select("Labels");
        imap.store("2", "FLAGS", "(Keyword32 \\Answered)");
        imap.logout();
    }
    // A flag renames a file, and with it goes the saved date where Dovecot has not written that down.
    let (left, right) = (Snapshot::of(&source), Snapshot::of(&destination));
    assert_equal(&left.without(&[SAVED]), &right.without(&[SAVED]));
    destination.assert_no_complaints();
}

#[test]
fn the_fs_layout_keeps_everything_too() {
    let dovecot = Dovecot::new();
    let source = dovecot.store_with("source", ":LAYOUT=fs");
    let destination = dovecot.store_with("destination", ":LAYOUT=fs");
    back_up(&dovecot, &source, &destination);
}

#[test]
fn the_layout_may_differ() {
    let dovecot = Dovecot::new();
    let source = dovecot.store("source");
    let destination = dovecot.store_with("destination", ":LAYOUT=fs");
    back_up(&dovecot, &source, &destination);
}

#[test]
fn a_client_that_knows_the_source_resumes_at_the_destination() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    build::small(&source);
    let before = Snapshot::of(&source);
    let validity = before.mailbox("INBOX", "uidvalidity").unwrap();
    let known = before.mailbox("INBOX", "highestmodseq").unwrap();
    let mut imap = source.imap();
    imap.select("INBOX");
    imap.expunge("2");
    imap.store("4", "+FLAGS", "(\\Answered)");
    imap.logout();
    dovecot.backup(&source, &destination).assert_done();
    let mut imap = destination.imap();
    imap.command("ENABLE QRESYNC");
    let news = imap.command(&format!("SELECT INBOX (QRESYNC ({validity} {known}))"));
    let news: Vec<_> = news.into_iter().map(|response| response.line).collect();
    let vanished = news.iter().find(|line| line.starts_with("* VANISHED (EARLIER)")).expect("VANISHED is reported");
    assert!(vanished.contains('2'), "{vanished}");
    assert!(news.iter().any(|line| line.contains("FETCH") && line.contains("UID 4 ")), "{news:?}");
    imap.logout();
    destination.assert_no_complaints();
}

#[test]
fn an_empty_store_gives_an_empty_store() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    source.imap().logout();
    source.doveadm(&["mailbox", "status", "uidnext", "INBOX"]);
    dovecot.backup(&source, &destination).assert_done();
    assert_equal(&Snapshot::of(&source), &Snapshot::of(&destination));
    destination.assert_no_complaints();
}
