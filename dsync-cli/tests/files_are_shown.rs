//! `dsync dump` knows the files that a real server writes.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use support::dovecot::files_below;
use support::{Dovecot, Driver, build};

#[test]
fn files_of_a_server_are_recognised_and_understood() {
    const NAMES: [&str; 6] =
        ["dovecot.index", "dovecot.list.index", "dovecot.map.index", "dovecot-uidlist", "dovecot.mailbox.log", "m."];
    for (driver, expected) in [
        (Driver::Maildir, &["UID 12: file ", "keyword ", "subscribed", "cached for new messages", "a: 0 "][..]),
        (Driver::Mdbox, &["first saved to ", "extension map", "references", "map UID "]),
        (Driver::Sdbox, &[" of the message; received ", "extension dbox-hdr", "mailbox GUID "]),
        (Driver::Mbox, &["extension mbox", "keyword "]),
    ] {
        let dovecot = Dovecot::new();
        let store = dovecot.store_of("store", driver);
        build::small(&store);
        let mut files: Vec<_> =
            files_below(store.path()).into_iter().map(|path| path.display().to_string()).collect();
        files.retain(|path| {
            let name = path.rsplit('/').next().unwrap();
            let is_known = NAMES.iter().any(|known| name.starts_with(known)) && !name.ends_with(".lock");
            is_known || ["subscriptions", "dovecot-keywords", "u.1"].contains(&name)
        });
        let words: Vec<_> = ["dump"].into_iter().chain(files.iter().map(String::as_str)).collect();
        let run = dovecot.dsync(&words);
        assert!(run.code == Some(0) && run.stderr.is_empty(), "{}: {:?} {}", driver.name(), run.code, run.stderr);
        for expected in expected {
            assert!(run.stdout.contains(expected), "{}: no {expected}: {}", driver.name(), run.stdout);
        }
    }
}

#[test]
fn other_files_and_damage_are_named() {
    let dovecot = Dovecot::new();
    let path = dovecot.directory().join("file");
    let word = path.to_str().unwrap();
    fs::write(&path, "From: somebody\n").unwrap();
    dovecot.dsync(&["dump", word]).assert_refused("none of the files that can be shown");
    fs::write(&path, "3 V1 N2\nx\n").unwrap();
    let run = dovecot.dsync(&["dump", word]);
    assert!(
        run.code == Some(65) && run.stdout.contains("UIDVALIDITY: 1") && run.stderr.contains("line 2"),
        "{run:?}"
    );
    dovecot.dsync(&["dump", "/nowhere"]).assert_refused("/nowhere");
    dovecot.dsync(&["dump", "/dev/zero"]).assert_refused("no plain file");
}
