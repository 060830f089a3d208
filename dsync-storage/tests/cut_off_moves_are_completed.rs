//! A mailbox that moves from one of several joined stores to another is in the right one in the end, with all that is in it, at whatever
//! moment a run was cut off and whatever somebody did to either of its places before the next.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dsync_core::memory::MemoryStore;
use dsync_core::model::{Flags, Keywords, MailboxName};
use dsync_core::{MailStore, SyncOptions, Unobserved, VerifyOptions, mirror, verify};
use dsync_storage::fs::fault::{Plan, Session};
use dsync_storage::joined::{JoinedStore, Member};
use dsync_storage::{Location, Settings};

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '/').unwrap()
}

fn joined(root: &Path) -> JoinedStore {
    let member = |directory: &str, prefix: Option<&str>| {
        let location = Location::parse(&format!("maildir:{}", root.join(directory).display()), None).unwrap();
        Member {
            store: dsync_storage::open(&location, &Settings::default()).unwrap(),
            prefix: prefix.map(name),
            has_inbox: prefix.is_none(),
            subscriptions: None,
        }
    };
    JoinedStore::new(vec![member("main", None), member("public", Some("Public"))])
}

fn run(root: &Path, other: &mut MemoryStore) -> Vec<String> {
    let report = mirror(&mut joined(root), other, &SyncOptions::default(), &mut Unobserved);
    report.unwrap().problems.iter().map(ToString::to_string).collect()
}

fn copied(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// Replaces the flags of the first message of a mailbox by renaming its file, as other mail programs do. Whether it is there.
fn flag_file(mailbox: &Path) -> bool {
    let Ok(entries) = fs::read_dir(mailbox.join("cur")) else { return false };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let Some(first) = files.first() else { return false };
    let (base, _) = first.to_str().unwrap().split_once(":2,").unwrap();
    fs::rename(first, format!("{base}:2,F")).unwrap();
    true
}

/// The same, and a run of whoever uses that place alone writes it down.
fn flag_counted(place: &Path, mailbox: &str) -> bool {
    if !flag_file(&place.join(mailbox)) {
        return false;
    }
    let location = Location::parse(&format!("maildir:{}", place.display()), None).unwrap();
    let mut store = dsync_storage::open(&location, &Settings::default()).unwrap();
    mirror(&mut *store, &mut MemoryStore::with_seed(9), &SyncOptions::default(), &mut Unobserved).unwrap();
    true
}

#[test]
fn a_mailbox_ends_where_it_was_to_go() {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().join("base");
    fs::create_dir(&base).unwrap();
    let mut original = MemoryStore::with_seed(1);
    original.deliver(&name("INBOX"), b"Subject: one\n\n");
    for number in 0..3 {
        let uid = original.deliver(&name("Work"), format!("Subject: {number}\n\n").as_bytes());
        original.set_flags(&name("Work"), uid, Flags::SEEN, Keywords::none());
    }
    assert_eq!(run(&base, &mut original), [""; 0]);
    original.rename(&name("Work"), &name("Public/Work")).unwrap();

    let counted = {
        let root = directory.path().join("counted");
        copied(&base, &root);
        let session = Session::begin(Plan::Record);
        assert_eq!(run(&root, &mut original.duplicate()), [""; 0]);
        session.end().0
    };
    assert!(counted > 20, "{counted}");
    let mut flagged_in_both = 0;
    // The mailbox is in both places towards the end; before, not every moment is needed.
    for stop in (0..=counted).filter(|stop| stop % 3 == 0 || *stop > counted / 3 * 2) {
        let root = directory.path().join(format!("{stop}"));
        copied(&base, &root);
        let mut other = original.duplicate();
        let session = Session::begin(Plan::StopAfter(stop));
        let _ = mirror(&mut joined(&root), &mut other, &SyncOptions::default(), &mut Unobserved);
        drop(session.end());
        let (old, new) = (root.join("main/.Work"), root.join("public/.Work"));
        let is_twice = old.join("cur").exists() && new.join("cur").exists();
        let flagged = match stop % 4 {
            0 => false,
            1 => flag_file(&old),
            2 => flag_file(&new),
            _ => flag_counted(&root.join("public"), ".Work"),
        };
        flagged_in_both += usize::from(is_twice && flagged);
        assert_eq!(run(&root, &mut other), [""; 0], "cut off after {stop} changes");
        run(&root, &mut other);
        let mut both = joined(&root);
        let outcome = verify(&mut both, &mut other, &VerifyOptions::default(), &mut Unobserved).unwrap();
        assert!(outcome.is_equal(), "cut off after {stop} changes");
        let names: Vec<_> = both.tree().unwrap().into_keys().map(|name| name.to_string()).collect();
        assert_eq!(names, ["INBOX", "Public/Work"], "cut off after {stop} changes");
        let mailbox = both.open(&name("Public/Work")).unwrap();
        let flags: Vec<_> = mailbox.messages().records().map(|record| record.flags).collect();
        let first = if flagged { Flags::FLAGGED } else { Flags::SEEN };
        assert_eq!(flags, [first, Flags::SEEN, Flags::SEEN], "cut off after {stop} changes");
        fs::remove_dir_all(&root).unwrap();
    }
    assert!(flagged_in_both > 0, "no run was cut off when the mailbox was in both places");
}
