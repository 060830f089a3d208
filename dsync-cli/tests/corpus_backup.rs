//! A backup, and then a mirror, of real-world messages: those in the directory that `DSYNC_CORPUS` names, else the sample that the
//! repository ships together with generated ones.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{Dovecot, Driver, Snapshot, Store, assert_same, differences, mail};

/// All messages below a directory, in the order of their paths.
fn messages(directory: &Path) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    collect(directory, &mut paths);
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).filter(|bytes| !bytes.is_empty()).collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "eml") {
            paths.push(path);
        }
    }
}

fn build(store: &Store, messages: &[Vec<u8>]) {
    let folders = ["INBOX", "Corpus/One", "Corpus/&ZeVnLA-"];
    let mut imap = store.imap();
    for folder in &folders[1..] {
        imap.create(folder);
        imap.subscribe(folder);
    }
    for (number, message) in messages.iter().enumerate() {
        let attributes = mail::message(number).attributes;
        imap.append(folders[number % folders.len()], &attributes, message);
    }
    imap.select("INBOX");
    imap.copy("1:10", "Corpus/One");
    imap.expunge("3:5");
    imap.logout();
    // Not every message comes through a server: these keep bytes that IMAP would not let through.
    for (number, message) in messages.iter().enumerate() {
        store.write(format!("new/17{number:08}.M1P1.mx"), message);
    }
}

#[test]
fn the_corpus_arrives_without_a_difference() {
    let messages = match std::env::var_os("DSYNC_CORPUS") {
        Some(directory) => messages(Path::new(&directory)),
        None => (1000..1100).map(|number| mail::message(number).bytes).collect(),
    };
    for driver in Driver::ALL {
        let dovecot = Dovecot::new();
        let (source, destination) = (dovecot.store("source"), dovecot.store_of("destination", driver));
        build(&source, &messages);
        // Dovecot gives the delivered ones their UIDs.
        source.doveadm(&["mailbox", "status", "uidnext", "*"]);
        dovecot.backup(&source, &destination).assert_done();
        let count = assert_no_differences(&source, &destination);
        assert!(count >= messages.len());

        // Now both sides go on by themselves.
        work(&source, &messages[..messages.len() / 2], 0);
        work(&destination, &messages[messages.len() / 2..], 1);
        dovecot.mirror(&source, &destination).assert_done();
        assert_eq!(assert_no_differences(&source, &destination), count + messages.len() - 6);
        source.assert_no_complaints();

        // And back into what it was.
        let again = dovecot.store("again");
        dovecot.backup(&destination, &again).assert_done();
        assert_no_differences(&destination, &again);
    }
}

/// Appends, flags and expunges at one side; `number` keeps the sides from expunging the same.
fn work(store: &Store, messages: &[Vec<u8>], number: usize) {
    let mut imap = store.imap();
    for message in messages {
        imap.append("Corpus/One", "()", message);
    }
    imap.select("Corpus/One");
    imap.store("1:20", ["+FLAGS", "-FLAGS"][number], "(\\Flagged seen-there)");
    imap.store("15:30", "+FLAGS", ["(\\Answered left)", "(\\Draft right)"][number]);
    imap.expunge(["31:33", "34:36"][number]);
    imap.logout();
}

/// Says how many messages there are.
fn assert_no_differences(source: &Store, destination: &Store) -> usize {
    assert_same(source, destination);
    destination.assert_no_complaints();
    Snapshot::of(source).message_count()
}

#[test]
fn the_shipped_sample_arrives() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/sample/Maildir");
    let status = std::process::Command::new("cp").arg("-a").arg(sample).arg(source.path()).status().unwrap();
    assert!(status.success());
    dovecot.backup(&source, &destination).assert_done();
    // The sample has no index, so that nobody has counted its changes yet.
    let uncounted = ["modseq", "highestmodseq"];
    let (left, right) = (Snapshot::of(&source).without(&uncounted), Snapshot::of(&destination).without(&uncounted));
    let found: Vec<_> = differences(&left, &right).iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{found:#?}");
    assert_eq!(left.message_count(), 12);
    source.assert_no_complaints();
    destination.assert_no_complaints();
}
