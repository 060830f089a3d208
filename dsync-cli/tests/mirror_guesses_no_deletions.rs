//! Where the history of a mailbox is lost, both sides are compared as a whole, and nothing is taken for deleted that is
//! not known to be.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use support::{Dovecot, Snapshot, Store, assert_equal, build};

/// The files of the index that INBOX has.
fn index_files(store: &Store) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(store.path()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("dovecot.index")).collect()
}

fn subjects(store: &Store) -> Vec<String> {
    let fetched = store.doveadm(&["-f", "tab", "fetch", "hdr.subject", "mailbox", "INBOX"]);
    let mut subjects: Vec<_> = fetched.lines().skip(1).map(str::to_owned).collect();
    subjects.sort();
    subjects
}

/// Two equal stores; then each gets a message and flags one, and the second expunges one. All subjects of INBOX but that
/// of the expunged message.
fn changed_on_both_sides(dovecot: &Dovecot) -> (Store, Store, Vec<String>) {
    let (first, second) = (dovecot.store("first"), dovecot.store("second"));
    build::small(&first);
    dovecot.mirror(&first, &second).assert_done();
    for (store, text) in [(&first, "here"), (&second, "there")] {
        let mut imap = store.imap();
        imap.append("INBOX", "()", format!("Subject: {text}\r\n\r\n{text}\r\n").as_bytes());
        imap.select("INBOX");
        imap.store("1", "+FLAGS", &format!("({text})"));
        imap.logout();
    }
    let mut imap = second.imap();
    imap.select("INBOX");
    imap.expunge("4");
    imap.logout();
    let mut all = subjects(&second);
    all.push("here".to_owned());
    all.sort();
    (first, second, all)
}

fn run_until_done(dovecot: &Dovecot, first: &Store, second: &Store) {
    // What a server wrote into a damaged index may only be known after it has repaired that.
    if dovecot.mirror(first, second).code == Some(2) {
        for store in [first, second] {
            store.doveadm(&["force-resync", "INBOX"]);
        }
        dovecot.mirror(first, second).assert_done();
    }
    assert_equal(&Snapshot::of(first), &Snapshot::of(second));
}

#[test]
fn an_index_that_was_removed() {
    let dovecot = Dovecot::new();
    // Whichever side forgets: the expunge is known only to the second.
    for forgetful in 0..2 {
        let (first, second, all) = changed_on_both_sides(&dovecot);
        let store = [&first, &second][forgetful];
        index_files(store).iter().for_each(|path| fs::remove_file(path).unwrap());
        run_until_done(&dovecot, &first, &second);
        let found = subjects(&first);
        let lost: Vec<_> = all.iter().filter(|subject| !found.contains(subject)).collect();
        assert!(lost.is_empty(), "{lost:?}");
        // Only the side that still knows of the expunge can prove it.
        assert_eq!(found.len(), all.len() + forgetful);
        [&first, &second].into_iter().for_each(Store::remove);
    }
}

#[test]
fn a_log_of_garbage() {
    let dovecot = Dovecot::new();
    let (first, second, all) = changed_on_both_sides(&dovecot);
    let path = first.path().join("dovecot.index.log");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[60..middle].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    first.adopt();
    run_until_done(&dovecot, &first, &second);
    let found = subjects(&first);
    assert!(all.iter().all(|subject| found.contains(subject)), "{found:?} lacks some of {all:?}");
}

#[test]
fn a_list_of_changes_that_was_removed_brings_a_mailbox_back() {
    let dovecot = Dovecot::new();
    let (first, second, _) = changed_on_both_sides(&dovecot);
    let mut imap = first.imap();
    imap.delete("Entw&APw-rfe");
    imap.logout();
    fs::remove_file(first.path().join("dovecot.mailbox.log")).unwrap();
    run_until_done(&dovecot, &first, &second);
    let listed = first.doveadm(&["mailbox", "list"]);
    assert!(listed.contains("Entw"), "{listed}");
}
