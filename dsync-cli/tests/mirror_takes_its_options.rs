//! `mirror` and its options, as an administrator uses them.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use support::build::{append, holds};
use support::{Dovecot, Fingerprint, Snapshot, Store, assert_equal, build};

struct Pair {
    dovecot: Dovecot,
    first: Store,
    second: Store,
}

impl Pair {
    /// Two stores that are equal.
    fn mirrored() -> Self {
        let dovecot = Dovecot::new();
        let (first, second) = (dovecot.store("first"), dovecot.store("second"));
        build::small(&first);
        dovecot.mirror(&first, &second).assert_done();
        Self { dovecot, first, second }
    }
}

#[test]
fn a_run_with_nothing_to_do_writes_nothing_on_either_side() {
    let pair = Pair::mirrored();
    assert_equal(&Snapshot::of(&pair.first), &Snapshot::of(&pair.second));
    // Looking was work of the server's.
    pair.dovecot.mirror(&pair.first, &pair.second).assert_done();
    let before = [&pair.first, &pair.second].map(|store| Fingerprint::of(store.path()));
    for command in [&["mirror"][..], &["mirror", "-f"], &["mirror", "-1"], &["mirror", "-1", "-R"]] {
        pair.dovecot.run_on(command, &pair.first, &pair.second).assert_done();
    }
    for (store, before) in [&pair.first, &pair.second].into_iter().zip(&before) {
        assert_eq!(before.changes(&Fingerprint::of(store.path())), [] as [String; 0]);
    }
}

#[test]
fn decisions_are_explained_in_words() {
    let pair = Pair::mirrored();
    let mut imap = pair.first.imap();
    imap.select("INBOX");
    imap.store("1", "+FLAGS", "(explained)");
    imap.logout();
    append(&pair.second, "INBOX", "news");
    for (command, reasons) in [
        (
            "mirror",
            &["UID 1: explained is set as in maildir:", "was changed there since both were equal", "UID 13: copied"]
                [..],
        ),
        ("backup", &["UID 14: copied, because only the source has it"]),
    ] {
        let run = pair.dovecot.run_on(&["-D", command], &pair.first, &pair.second);
        assert_eq!(run.code, Some(0), "{run:#?}");
        assert!(reasons.iter().all(|reason| run.stderr.contains(reason)), "{run:#?}");
        assert!(!run.stderr.contains("Record"), "{run:#?}");
        append(&pair.first, "INBOX", "more");
    }
}

#[test]
fn what_is_deleted_right_after_the_first_run_is_deleted_on_both_sides() {
    let pair = Pair::mirrored();
    let mut imap = pair.first.imap();
    imap.delete("Entw&APw-rfe");
    imap.logout();
    let mut imap = pair.second.imap();
    imap.delete("Work/Projects");
    imap.logout();
    pair.dovecot.mirror(&pair.first, &pair.second).assert_done();
    for store in [&pair.first, &pair.second] {
        let listed = store.doveadm(&["mailbox", "list"]);
        assert!(!listed.contains("Projects") && !listed.contains("Entw"), "{listed}");
        store.assert_no_complaints();
    }
}

#[test]
fn a_name_that_one_side_cannot_hold_is_another_one_there() {
    let dovecot = Dovecot::new();
    // In the one layout a dot is a part of a name, in the other it separates levels.
    let (nested, flat) = (dovecot.store_with("nested", ":LAYOUT=fs"), dovecot.store("flat"));
    build::small(&nested);
    let mut imap = nested.imap();
    imap.create("v1.0");
    imap.append("v1.0", "()", b"Subject: dotted\r\n\r\ndotted\r\n");
    imap.logout();
    for text in ["first", "second"] {
        append(&flat, "INBOX", text);
        dovecot.mirror(&nested, &flat).assert_done();
        assert!(holds(&nested, text) && holds(&nested, "dotted") && holds(&flat, "dotted"));
    }
    let listed = |store: &Store| {
        let listed = store.doveadm(&["mailbox", "list"]);
        listed.lines().map(|name| name.replace("v1.0", "v1_0")).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(listed(&nested), listed(&flat));
    for store in [&nested, &flat] {
        store.assert_no_complaints();
    }
}

#[test]
fn a_one_way_merge_leaves_its_source_alone_and_keeps_what_the_destination_has() {
    for (options, reversed) in [(&["mirror", "-1"][..], false), (&["mirror", "-1", "-R"], true)] {
        let pair = Pair::mirrored();
        let (source, destination) = if reversed { (&pair.second, &pair.first) } else { (&pair.first, &pair.second) };
        append(source, "INBOX", "from-source");
        append(destination, "INBOX", "at-destination");
        let before = Fingerprint::of(source.path());
        pair.dovecot.run_on(options, &pair.first, &pair.second).assert_done();
        assert_eq!(before.changes(&Fingerprint::of(source.path())), [] as [String; 0]);
        assert!(holds(destination, "from-source") && holds(destination, "at-destination"));
        assert!(!holds(source, "at-destination"));
        destination.assert_no_complaints();
    }
}

#[test]
fn a_one_way_merge_takes_what_no_server_has_opened() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    source.make_maildir("");
    source.make_maildir(".Lists");
    source.write("cur/1600000001.a.host:2,S", b"Subject: foreign-one\n\none\n");
    source.write(".Lists/new/1600000002.b.host", b"Subject: foreign-two\n\ntwo\n");
    let before = Fingerprint::of(source.path());
    append(&destination, "INBOX", "at-destination");
    for _ in 0..2 {
        dovecot.run_on(&["mirror", "-1"], &source, &destination).assert_done();
        let all = destination.doveadm(&["search", "mailbox", "*", "all"]);
        assert_eq!(all.lines().count(), 3, "{all}");
    }
    assert_eq!(before.changes(&Fingerprint::of(source.path())), [] as [String; 0]);
    assert!(holds(&destination, "foreign-one") && holds(&destination, "foreign-two"));
    // What the destination got rid of does not come back, and what a program did at the source arrives.
    let mut imap = destination.imap();
    imap.select("Lists");
    imap.expunge("1");
    imap.logout();
    let cur = source.path().join("cur");
    std::fs::rename(cur.join("1600000001.a.host:2,S"), cur.join("1600000001.a.host:2,FS")).unwrap();
    dovecot.run_on(&["mirror", "-1"], &source, &destination).assert_done();
    assert!(!holds(&destination, "foreign-two"));
    let flagged = destination.doveadm(&["search", "mailbox", "INBOX", "flagged", "subject", "foreign-one"]);
    assert_eq!(flagged.lines().count(), 1);
    destination.assert_no_complaints();
}

#[test]
fn every_decision_about_a_message_can_be_followed() {
    let pair = Pair::mirrored();
    append(&pair.first, "INBOX", "from-first");
    append(&pair.second, "Work", "from-second");
    let run = pair.dovecot.run_on(&["mirror", "-D"], &pair.first, &pair.second);
    assert_eq!(run.code, Some(0), "{run:#?}");
    for said in [
        "/second: INBOX: messages to copy 1, to change 0, to remove 0",
        "Debug: INBOX: UID 13: copied from maildir:",
        "/second: INBOX: committed",
        "/first: Work: messages to copy 1, to change 0, to remove 0",
        "Debug: Work: UID 5: copied from maildir:",
        "Work/Projects: nothing to do",
        "; 2 messages (",
    ] {
        assert!(run.stderr.contains(said), "{said:?} is not said: {run:#?}");
    }
    assert!(run.stderr.lines().all(|line| line.starts_with("dsync(tester): ")), "{run:#?}");
}

#[test]
fn only_the_mailbox_that_is_named_takes_part() {
    let pair = Pair::mirrored();
    append(&pair.first, "INBOX", "in-inbox");
    append(&pair.second, "Work/Projects", "in-projects");
    pair.dovecot.run_on(&["mirror", "-m", "Work/%"], &pair.first, &pair.second).assert_done();
    assert!(holds(&pair.first, "in-projects") && !holds(&pair.second, "in-inbox"));
    pair.dovecot.run_on(&["backup", "-m", "INBOX"], &pair.first, &pair.second).assert_done();
    assert!(holds(&pair.second, "in-inbox"));
    assert_equal(&Snapshot::of(&pair.first), &Snapshot::of(&pair.second));
}

#[test]
fn what_cannot_be_done_is_named_and_the_rest_is_done() {
    let pair = Pair::mirrored();
    append(&pair.first, "INBOX", "in-inbox");
    append(&pair.first, "Work", "in-work");
    // As if the file system of that mailbox were not mounted.
    let hidden = pair.second.path().join("hidden");
    std::fs::rename(pair.second.path().join(".Work"), &hidden).unwrap();
    std::fs::create_dir(pair.second.path().join(".Work")).unwrap();
    pair.dovecot.mirror(&pair.first, &pair.second).assert_done_but(&["Work", "mounted"]);
    std::fs::remove_dir(pair.second.path().join(".Work")).unwrap();
    std::fs::rename(&hidden, pair.second.path().join(".Work")).unwrap();
    assert!(holds(&pair.second, "in-inbox") && holds(&pair.first, "in-work"));
    pair.dovecot.mirror(&pair.first, &pair.second).assert_done();
    assert!(holds(&pair.second, "in-work"));
    assert_equal(&Snapshot::of(&pair.first), &Snapshot::of(&pair.second));
}
