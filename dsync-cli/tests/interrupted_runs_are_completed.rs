//! A run that is killed at any moment loses nothing, and the next one completes it.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use support::dbox::{self, assert_sound};
use support::{Dovecot, Driver, Pair, Snapshot, Store, assert_equal, assert_same, build, mail};

/// Starts runs and kills them after longer and longer times, then lets one finish.
fn interrupt_and_finish(dovecot: &Dovecot, source: &Store, destination: &Store) {
    for milliseconds in [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 22, 26, 30, 40, 50] {
        dovecot.run_and_kill("backup", source, destination, Duration::from_millis(milliseconds));
    }
    dovecot.backup(source, destination).assert_done();
    assert_same(source, destination);
    destination.assert_no_complaints();
    // What was left in mailboxes is removed when one is looked into.
    dovecot.run_on(&["backup", "-f"], source, destination).assert_done();
    destination.assert_nothing_hidden();
    assert_sound(destination);
}

#[test]
fn a_first_backup_and_those_after_it() {
    interrupt_backups(Driver::Maildir);
}

#[test]
fn backups_into_an_mdbox() {
    interrupt_backups(Driver::Mdbox);
}

#[test]
fn backups_into_an_sdbox() {
    interrupt_backups(Driver::Sdbox);
}

#[test]
fn backups_into_an_mbox() {
    interrupt_backups(Driver::Mbox);
}

fn interrupt_backups(driver: Driver) {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store_of("destination", driver));
    build::small(&source);
    interrupt_and_finish(&dovecot, &source, &destination);

    let mut imap = source.imap();
    imap.select("INBOX");
    imap.store("1:4", "+FLAGS", "(\\Flagged fresh)");
    imap.expunge("2");
    imap.copy("3:6", "Work");
    imap.rename("Work", "Play");
    imap.create("Another/One");
    imap.append("Another/One", "(\\Draft)", b"Subject: x\r\n\r\ny\r\n");
    imap.logout();
    interrupt_and_finish(&dovecot, &source, &destination);

    // The destination has run ahead, so its history is started anew.
    let mut imap = destination.imap();
    imap.select("INBOX");
    imap.store("1:4", "+FLAGS", "(\\Deleted)");
    imap.append("INBOX", "()", b"Subject: extra\r\n\r\nextra\r\n");
    imap.expunge("3");
    imap.logout();
    interrupt_and_finish(&dovecot, &source, &destination);
}

/// What happens to an mdbox that every run changes its map for: a message comes, one is copied, one goes, and a mailbox is
/// deleted with one that is nowhere else.
fn change_what_is_stored(store: &Store) {
    let mut imap = store.imap();
    imap.select("INBOX");
    imap.append("INBOX", "", &mail::plain("new"));
    imap.copy("1", "INBOX");
    imap.expunge("2");
    imap.command("UNSELECT");
    imap.delete("Gone");
    imap.logout();
}

/// Calls `check` with a source and with a backup of it whose last run crashed: it had changed a mailbox, then the one or
/// the other way, and had not yet said in the map that all is done.
fn after_a_crash_before_the_end(check: impl Fn(&Pair)) {
    for is_deletion in [false, true] {
        let pair = Pair::of(Driver::Maildir, Driver::Mdbox);
        let mut imap = pair.source.imap();
        for subject in ["first", "second", "third"] {
            imap.append("INBOX", "", &mail::plain(subject));
        }
        imap.create("Gone");
        imap.append("Gone", "", &mail::plain("goes"));
        imap.logout();
        pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
        if is_deletion {
            let mut imap = pair.source.imap();
            imap.delete("Gone");
            imap.logout();
        } else {
            change_what_is_stored(&pair.source);
        }
        pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
        dbox::cut_last_of_map(&pair.destination);
        check(&pair);
    }
}

#[test]
fn a_server_that_comes_first_after_a_crash_loses_nothing_and_brings_nothing_back() {
    after_a_crash_before_the_end(|pair| {
        for _ in 0..2 {
            // The first one finds that somebody crashed.
            pair.destination.command(&["purge"]).output().unwrap();
        }
        assert_eq!(dbox::shown(&pair.destination), dbox::shown(&pair.source));
        assert!(pair.destination.heal());
        assert_eq!(dbox::shown(&pair.destination), dbox::shown(&pair.source));
        pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
        assert_equal(&Snapshot::of(&pair.source), &Snapshot::of(&pair.destination));
        pair.destination.assert_no_complaints();
        assert_sound(&pair.destination);
    });
}

#[test]
fn the_next_run_after_a_crash_counts_references_anew() {
    after_a_crash_before_the_end(|pair| {
        pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
        assert_equal(&Snapshot::of(&pair.source), &Snapshot::of(&pair.destination));
        pair.destination.assert_no_complaints();
        assert_sound(&pair.destination);
    });
}

#[test]
fn a_purge_that_was_cut_off_brings_nothing_back() {
    for is_file_there in [false, true] {
        let pair = Pair::of(Driver::Mdbox, Driver::Maildir);
        let store = &pair.source;
        build::small(store);
        let mut imap = store.imap();
        imap.select("INBOX");
        imap.expunge("9:10");
        imap.logout();
        let (before, shown) = (Snapshot::of(store), dbox::shown(store));
        let file = store.path().join("storage/m.1");
        let kept = std::fs::read(&file).unwrap();
        let location = format!("mail_location={}", store.location());
        pair.dovecot.dsync(&["-o", &location, "purge"]).assert_done();
        dbox::cut_last_of_map(store);
        if is_file_there {
            store.write("storage/m.1", &kept);
        }
        let copy = store.copy_apart();
        assert!(copy.heal());
        assert_eq!(dbox::shown(&copy), shown);
        pair.dovecot.dsync(&["-o", &location, "purge"]).assert_done();
        assert!(!file.exists());
        assert_equal(&before, &Snapshot::of(store));
        store.assert_no_complaints();
        assert_sound(store);
    }
}

#[test]
fn what_was_expunged_from_an_sdbox_loses_its_file_in_the_end() {
    let pair = Pair::of(Driver::Maildir, Driver::Sdbox);
    build::small(&pair.source);
    pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
    let mails = pair.destination.path().join("mailboxes/INBOX/dbox-Mails");
    let kept = std::fs::read(mails.join("u.2")).unwrap();
    let mut imap = pair.source.imap();
    imap.select("INBOX");
    imap.expunge("2");
    imap.logout();
    pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
    // The run crashed before it removed the file. Others were never in the index.
    for uid in [2, 3, 99] {
        pair.destination.write(format!("mailboxes/INBOX/dbox-Mails/u.{uid}"), &kept);
    }
    pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
    assert!(!mails.join("u.2").exists() && mails.join("u.3").exists() && mails.join("u.99").exists());
    assert_equal(&Snapshot::of(&pair.source), &Snapshot::of(&pair.destination));
    pair.destination.assert_no_complaints();
}

#[test]
fn a_deletion_that_a_server_did_not_complete_is_in_the_way_of_nothing_else() {
    for driver in [Driver::Mdbox, Driver::Sdbox] {
        let pair = Pair::of(Driver::Maildir, driver);
        build::small(&pair.source);
        pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
        dbox::mark_as_deleted(&pair.destination, "Work/Projects");
        let mut imap = pair.source.imap();
        imap.append("INBOX", "", &mail::plain("new"));
        imap.select("INBOX");
        imap.copy("1", "Empty");
        imap.logout();
        if driver == Driver::Mdbox {
            // And it was at work in the map.
            dbox::append_to_map(&pair.destination, "ref", &[(1, vec![2, 0])], false);
        }
        let run = pair.dovecot.backup(&pair.source, &pair.destination);
        run.assert_done_but(&["Work/Projects"]);
        let shown = dbox::shown(&pair.destination);
        let expected: usize = Snapshot::of(&pair.source).message_count() - 12;
        assert_eq!(shown.values().sum::<u32>() as usize, expected);
        if driver == Driver::Mdbox {
            let location = format!("mail_location={}", pair.destination.location());
            pair.dovecot.dsync(&["-o", &location, "purge"]).assert_done();
        }
        // Nothing of it is gone.
        assert_eq!(dbox::copies(&pair.destination).len(), dbox::shown(&pair.source).len());
        pair.destination.assert_no_complaints();
    }
}

/// Starts two-way runs and kills them after longer and longer times, then lets one finish. Both sides then hold `count`
/// messages.
fn interrupt_mirrors_and_finish(dovecot: &Dovecot, stores: [&Store; 2], count: usize) {
    let [first, second] = stores;
    for milliseconds in [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 22, 26, 30, 40, 50] {
        dovecot.run_and_kill("mirror", first, second, Duration::from_millis(milliseconds));
    }
    dovecot.mirror(first, second).assert_done();
    dovecot.run_on(&["mirror", "-f"], first, second).assert_done();
    assert_same(first, second);
    for store in stores {
        let messages = store.doveadm(&["-f", "flow", "fetch", "mailbox uid guid hdr.subject", "mailbox", "*"]);
        assert_eq!(messages.lines().count(), count, "{messages}");
        store.assert_no_complaints();
        store.assert_nothing_hidden();
        assert_sound(store);
    }
}

#[test]
fn a_first_mirror_and_those_after_it() {
    interrupt_mirrors([Driver::Maildir, Driver::Maildir]);
}

#[test]
fn mirrors_of_other_formats() {
    interrupt_mirrors([Driver::Mdbox, Driver::Sdbox]);
    interrupt_mirrors([Driver::Maildir, Driver::Mdbox]);
}

#[test]
fn mirrors_of_an_mbox() {
    interrupt_mirrors([Driver::Mbox, Driver::Maildir]);
    interrupt_mirrors([Driver::Mbox, Driver::Mbox]);
}

fn interrupt_mirrors([first, second]: [Driver; 2]) {
    let dovecot = Dovecot::new();
    let (first, second) = (dovecot.store_of("first", first), dovecot.store_of("second", second));
    build::small(&first);
    // 12 in INBOX less 3, and 4, 1 and 12 in others.
    interrupt_mirrors_and_finish(&dovecot, [&first, &second], 26);

    let mut imap = first.imap();
    imap.select("INBOX");
    imap.store("1:4", "+FLAGS", "(\\Flagged fresh)");
    imap.expunge("2");
    imap.rename("Work", "Play");
    imap.append("INBOX", "()", b"Subject: here\r\n\r\nhere\r\n");
    imap.logout();
    let mut imap = second.imap();
    imap.select("INBOX");
    imap.store("3:6", "-FLAGS", "(\\Flagged red)");
    imap.append("INBOX", "(\\Draft)", b"Subject: there\r\n\r\nthere\r\n");
    imap.create("Another/One");
    imap.append("Another/One", "()", b"Subject: new\r\n\r\nnew\r\n");
    imap.delete("Entw&APw-rfe");
    imap.logout();
    interrupt_mirrors_and_finish(&dovecot, [&first, &second], 27);
}
