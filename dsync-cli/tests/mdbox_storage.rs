//! Where an mdbox or an sdbox keeps its messages: each once, in files of the right size, in either of its storages, for as
//! long as a mailbox shows them; beside a Dovecot that is at work.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use support::dbox::{self, assert_map_is_right, assert_sound};
use support::{Driver, Fingerprint, Pair, Snapshot, Store, assert_equal, build, mail};

/// Without GUIDs nobody knows which messages are the same in several mailboxes.
const WITH_GUIDS: [Driver; 3] = [Driver::Maildir, Driver::Mdbox, Driver::Sdbox];
const BOTH: [Driver; 2] = [Driver::Mdbox, Driver::Sdbox];

/// INBOX with messages 1 to 6, `A` with copies of 1 to 3, `B` with a copy of 1 and one of the copy of 2; 1 is twice in
/// INBOX.
fn fill(store: &Store) {
    let mut imap = store.imap();
    for number in 1..=6 {
        let mail = mail::message(10 * number);
        imap.append("INBOX", &mail.attributes, &mail.bytes);
    }
    imap.create("A");
    imap.create("B");
    imap.select("INBOX");
    imap.copy("1:3", "A");
    imap.copy("1", "B");
    imap.copy("1", "INBOX");
    imap.select("A");
    imap.copy("2", "B");
    imap.logout();
}

fn back_up(pair: &Pair) {
    pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
}

fn compare(pair: &Pair) {
    assert_equal(&Snapshot::of(&pair.source), &Snapshot::of(&pair.destination));
    pair.destination.assert_no_complaints();
    assert_sound(&pair.destination);
}

/// How many messages are stored, and how many are shown.
fn counts(store: &Store) -> (usize, u32) {
    (dbox::copies(store).values().sum(), dbox::shown(store).values().sum())
}

/// How often each message of INBOX is shown, as Dovecot reads it from the map or from the links of a file.
fn references(store: &Store) -> BTreeMap<u32, u32> {
    let table = store.doveadm(&["-f", "tab", "fetch", "uid refcount", "mailbox", "INBOX"]);
    let row = |line: &str| {
        let (uid, count) = line.split_once('\t').unwrap();
        (uid.parse().unwrap(), count.parse().unwrap())
    };
    table.lines().skip(1).map(row).collect()
}

#[test]
fn a_message_in_several_mailboxes_is_stored_once() {
    for source in WITH_GUIDS {
        for destination in BOTH {
            let pair = Pair::of(source, destination);
            fill(&pair.source);
            back_up(&pair);
            assert_eq!(counts(&pair.destination), (6, 12), "{source:?} to {destination:?}");
            assert_eq!(references(&pair.destination)[&1], 4);
            compare(&pair);
        }
    }
}

#[test]
fn a_copy_that_is_made_later_is_stored_once_too() {
    for source in WITH_GUIDS {
        for destination in BOTH {
            let pair = Pair::of(source, destination);
            fill(&pair.source);
            back_up(&pair);
            let mut imap = pair.source.imap();
            imap.select("INBOX");
            imap.copy("4:5", "A");
            imap.move_to("6", "B");
            imap.copy("5", "INBOX");
            imap.create("C");
            imap.copy("1:2,4", "C");
            imap.logout();
            back_up(&pair);
            let (copies, shown) = counts(&pair.destination);
            // In an sdbox only mailboxes that the run has looked into are known: A comes before INBOX, C after it.
            let most = if destination == Driver::Mdbox { 6 } else { 8 };
            assert!(copies <= most && shown == 18, "{source:?} to {destination:?}: {copies} copies");
            assert_eq!(references(&pair.destination)[&1], 5);
            compare(&pair);
        }
    }
}

#[test]
fn a_mirror_stores_once_what_is_copied_on_either_side() {
    for first in WITH_GUIDS {
        for second in BOTH {
            let pair = Pair::of(first, second);
            fill(&pair.source);
            pair.dovecot.mirror(&pair.source, &pair.destination).assert_done();
            for (store, uid) in [(&pair.source, "4"), (&pair.destination, "5")] {
                let mut imap = store.imap();
                imap.select("INBOX");
                imap.copy(uid, "A");
                imap.append("INBOX", "", &mail::plain(uid));
                imap.select("INBOX");
                imap.copy("8", "B");
                imap.logout();
            }
            pair.dovecot.mirror(&pair.source, &pair.destination).assert_done();
            let (copies, shown) = counts(&pair.destination);
            let most = if second == Driver::Mdbox { 8 } else { 9 };
            assert!(copies <= most && shown == 18, "{first:?} and {second:?}: {copies} copies");
            compare(&pair);
        }
    }
}

#[test]
fn what_is_expunged_is_not_counted_any_more() {
    for source in WITH_GUIDS {
        let pair = Pair::of(source, Driver::Mdbox);
        fill(&pair.source);
        back_up(&pair);
        let mut imap = pair.source.imap();
        imap.select("A");
        imap.expunge("1:2");
        imap.select("INBOX");
        imap.expunge("6:7");
        imap.command("UNSELECT");
        imap.delete("B");
        imap.logout();
        back_up(&pair);
        let references = references(&pair.destination);
        assert_eq!(references.into_iter().collect::<Vec<_>>(), [(1, 1), (2, 1), (3, 2), (4, 1), (5, 1)]);
        // What nobody shows any more waits for the next purge.
        assert_eq!(counts(&pair.destination), (6, 6));
        compare(&pair);
    }
}

#[test]
fn what_is_expunged_loses_its_file() {
    for source in WITH_GUIDS {
        let pair = Pair::of(source, Driver::Sdbox);
        fill(&pair.source);
        back_up(&pair);
        let mut imap = pair.source.imap();
        imap.select("INBOX");
        imap.expunge("1,6:7");
        imap.command("UNSELECT");
        imap.delete("B");
        imap.logout();
        back_up(&pair);
        assert_eq!(dbox::mail_files(&pair.destination).len(), 7);
        assert_eq!(counts(&pair.destination), (5, 7));
        compare(&pair);
    }
}

fn purge(pair: &Pair, store: &Store) {
    store.adopt();
    pair.dovecot.dsync(&["-o", &format!("mail_location={}", store.location()), "purge"]).assert_done();
}

/// What a purge leaves: which messages, and which of them in the alternative storage.
fn left(store: &Store) -> (BTreeMap<String, usize>, BTreeSet<String>) {
    let alternative = store.path().join("alt");
    let moved = dbox::stored(store).into_iter().filter(|it| it.path.starts_with(&alternative)).map(|it| it.guid);
    (dbox::copies(store), moved.collect())
}

/// Lets Dovecot and the program free what is not shown any more, and compares what they leave.
fn assert_purged_as_by_dovecot(pair: &Pair, store: &Store) {
    let before = Snapshot::of(store);
    let copy = store.copy();
    copy.doveadm(&["purge"]);
    purge(pair, store);
    assert_map_is_right(store);
    assert_eq!(left(store), left(&copy));
    let shown: Vec<_> = dbox::shown(store).into_keys().collect();
    assert_eq!(dbox::copies(store).into_keys().collect::<Vec<_>>(), shown);
    assert_equal(&before, &Snapshot::of(store));
    copy.remove();
    // The next one has nothing to do.
    let purged = Fingerprint::of(store.path());
    purge(pair, store);
    purged.assert_unchanged(store.path());
    store.assert_no_complaints();
    assert_sound(store);
}

#[test]
fn a_purge_frees_what_dovecot_does_not_show_any_more() {
    for setup in [Driver::Mdbox.setting("mdbox_rotate_size = 20k"), Driver::Mdbox.into(), Driver::Mdbox.spread()] {
        let pair = Pair::of(setup, Driver::Maildir);
        let store = &pair.source;
        build::long_lived(store);
        store.move_to_alternative("uid 100:200");
        let mut imap = store.imap();
        imap.select("INBOX");
        imap.expunge("31:60,150:170,173,176,250:*");
        imap.command("UNSELECT");
        imap.delete("Entw&APw-rfe");
        imap.logout();
        let before = dbox::copies(store).len();
        assert_purged_as_by_dovecot(&pair, store);
        assert!(dbox::copies(store).len() < before);
        // Dovecot goes on with it.
        build::a_day_of_work(store, 1, "later");
        store.doveadm(&["purge"]);
        store.assert_no_complaints();
        assert_sound(store);
    }
}

#[test]
fn a_purge_frees_what_a_backup_removed() {
    let pair = Pair::of(Driver::Maildir, Driver::Mdbox.spread());
    build::long_lived(&pair.source);
    back_up(&pair);
    build::a_day_of_work(&pair.source, 1, "source");
    back_up(&pair);
    assert_purged_as_by_dovecot(&pair, &pair.destination);
    build::a_day_of_work(&pair.source, 2, "source");
    back_up(&pair);
    compare(&pair);
    pair.destination.doveadm(&["purge"]);
    save(&pair.destination, "INBOX", "misdirected");
    back_up(&pair);
    compare(&pair);
}

#[test]
fn a_purge_leaves_alone_what_sessions_still_read() {
    let pair = Pair::of(Driver::Mdbox, Driver::Maildir);
    build::small(&pair.source);
    let mut open = pair.source.imap();
    open.select("INBOX");
    let mut imap = pair.source.imap();
    imap.select("INBOX");
    imap.expunge("1:5");
    imap.logout();
    purge(&pair, &pair.source);
    // What is not expunged is there for a session that has not noticed yet.
    let read = open.command("UID FETCH 6:12 (BODY.PEEK[])");
    assert_eq!(read.iter().filter(|it| !it.literals.is_empty()).count(), 5, "{read:?}");
    open.append("INBOX", "", &mail::plain("later"));
    open.logout();
    pair.source.assert_no_complaints();
    assert_sound(&pair.source);
}

/// The files that are bigger than they may be, although they hold more than one message.
fn oversized(store: &Store, limit: u64) -> Vec<PathBuf> {
    let mut files = dbox::mail_files(store);
    files.retain(|path| fs::metadata(path).unwrap().len() > limit && dbox::stored_in(path).len() > 1);
    files
}

#[test]
fn files_are_as_big_as_the_setting_says() {
    let small = Driver::Mdbox.setting("mdbox_rotate_size = 20k");
    for (setup, setting, limit) in
        [(small, "mdbox_rotate_size=20k", 20 << 10), (Driver::Mdbox.into(), "mbox_md5=apop3d", 10 << 20)]
    {
        let pair = Pair::of(Driver::Maildir, setup);
        build::long_lived(&pair.source);
        pair.source.adopt();
        let source = format!("mail_location={}", pair.source.location());
        let run = || {
            let arguments = ["-o", &source, "-o", setting, "backup", &pair.destination.location()];
            pair.dovecot.dsync(&arguments).assert_done();
        };
        run();
        build::a_day_of_work(&pair.source, 1, "source");
        run();
        assert_eq!(oversized(&pair.destination, limit), [] as [PathBuf; 0]);
        let sizes =
            dbox::mail_files(&pair.destination).iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>();
        // Not one file for each message or mailbox either: they are half full at least, but for a few.
        let count = dbox::mail_files(&pair.destination).len() as u64;
        assert!(count <= 2 * sizes / limit + 10, "{count} files for {sizes} bytes");
        compare(&pair);
    }
}

#[test]
fn messages_in_the_alternative_storage_are_read() {
    for source in BOTH {
        for destination in WITH_GUIDS {
            let pair = Pair::of(source.spread(), destination);
            build::small(&pair.source);
            pair.source.move_to_alternative("uid 2:8");
            let moved =
                dbox::mail_files(&pair.source).into_iter().filter(|it| it.starts_with(pair.source.root_by("ALT")));
            assert!(moved.count() > 0, "there is nothing in the alternative storage");
            back_up(&pair);
            compare(&pair);
            pair.source.assert_no_complaints();
        }
    }
}

#[test]
fn a_destination_whose_messages_were_moved_is_kept_equal() {
    for destination in BOTH {
        let pair = Pair::of(Driver::Maildir, destination.spread());
        build::long_lived(&pair.source);
        back_up(&pair);
        pair.destination.move_to_alternative("uid 20:250");
        // Moving is work of the server's that clients do not see.
        back_up(&pair);
        build::a_day_of_work(&pair.source, 1, "source");
        back_up(&pair);
        compare(&pair);
        build::a_day_of_work(&pair.destination, 2, "destination");
        pair.destination.move_to_alternative("uid 2:30");
        back_up(&pair);
        compare(&pair);
        // And back again.
        pair.destination.doveadm(&["altmove", "-r", "mailbox", "INBOX", "uid", "20:100"]);
        build::a_day_of_work(&pair.source, 2, "source");
        back_up(&pair);
        compare(&pair);
    }
}

#[test]
fn messages_that_change_places_are_not_mixed_up_with_what_was_moved() {
    for destination in BOTH {
        let pair = Pair::of(Driver::Maildir, destination.spread());
        fill(&pair.source);
        back_up(&pair);
        pair.destination.move_to_alternative("uid 1:4");
        // Each message of INBOX gets the UID of its neighbour, as if an administrator had edited the list.
        let path = pair.source.path().join("dovecot-uidlist");
        let text = fs::read_to_string(&path).unwrap();
        let (header, entries) = text.split_once('\n').unwrap();
        let (uids, names): (Vec<_>, Vec<_>) = entries.lines().map(|line| line.split_once(' ').unwrap()).unzip();
        let shifted = names.iter().cycle().skip(names.len() - 1);
        let lines = uids.iter().zip(shifted).map(|(uid, name)| format!("{uid} {name}\n"));
        fs::write(&path, format!("{header}\n{}", lines.collect::<String>())).unwrap();
        for name in ["dovecot.index", "dovecot.index.log", "dovecot.index.cache"] {
            let _ = fs::remove_file(pair.source.path().join(name));
        }
        // Dovecot makes them anew.
        let renumbered = Snapshot::of(&pair.source);
        back_up(&pair);
        assert_equal(&renumbered, &Snapshot::of(&pair.destination));
        compare(&pair);
    }
}

#[test]
fn an_alternative_storage_that_is_not_mounted_loses_nothing() {
    for driver in BOTH {
        let pair = Pair::of(driver.spread(), Driver::Maildir);
        build::small(&pair.source);
        back_up(&pair);
        pair.source.move_to_alternative("uid 2:8");
        let mut imap = pair.source.imap();
        imap.append("INBOX", "", &mail::plain("new"));
        imap.logout();
        let there = Snapshot::of(&pair.destination).message_count();
        let (alternative, away) = (pair.source.root_by("ALT"), pair.source.path().join("away"));
        fs::rename(&alternative, &away).unwrap();
        let before = Fingerprint::of(pair.source.path());
        // All that it could need of these messages is at the destination already.
        let run = pair.dovecot.backup(&pair.source, &pair.destination);
        assert!(matches!(run.code, Some(0 | 2)), "{run:#?}");
        before.assert_unchanged(pair.source.path());
        assert_eq!(Snapshot::of(&pair.destination).message_count(), there + 1);
        fs::rename(&away, &alternative).unwrap();
        back_up(&pair);
        compare(&pair);
    }
}

/// Saves messages one after another.
fn save_messages(store: &Store, who: &str, count: usize) {
    for number in 0..count {
        save(store, if number % 4 == 0 { "Work" } else { "INBOX" }, &format!("{who}-{number}"));
    }
}

/// Saves a message by a program of its own.
fn save(store: &Store, mailbox: &str, subject: &str) {
    let mut child = store.command(&["save", "-m", mailbox]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&mail::plain(subject)).unwrap();
    assert!(child.wait().unwrap().success(), "{}", store.log());
}

/// Flags, copies and removes messages, and purges, as long as `go_on` says.
fn keep_busy(store: &Store, go_on: &AtomicBool) {
    while go_on.load(Ordering::Relaxed) {
        let mut imap = store.imap();
        imap.select("INBOX");
        imap.store("1:*", "+FLAGS", "(\\Flagged busy)");
        imap.store("1:*", "-FLAGS", "(busy)");
        let uid = imap.append("INBOX", "", &mail::plain("short-lived"));
        imap.copy(&uid.to_string(), "Empty");
        imap.expunge(&uid.to_string());
        imap.command("UNSELECT");
        imap.select("Empty");
        if !imap.uids().is_empty() {
            imap.expunge("1:*");
        }
        imap.logout();
        store.doveadm(&["purge"]);
    }
}

/// The subjects that the savers chose, in both mailboxes.
fn saved_subjects(store: &Store) -> Vec<String> {
    let table = store.doveadm(&["-f", "tab", "fetch", "hdr.subject", "mailbox", "*", "subject", "saver"]);
    let mut subjects: Vec<_> = table.lines().skip(1).map(str::to_owned).collect();
    subjects.sort();
    subjects
}

#[test]
fn nothing_is_lost_or_doubled_while_dovecot_saves() {
    let savers = ["saver-a", "saver-b", "saver-c", "saver-d"];
    for [first, second] in [
        [Driver::Mdbox, Driver::Mdbox],
        [Driver::Mdbox, Driver::Maildir],
        [Driver::Sdbox, Driver::Mdbox],
        [Driver::Sdbox, Driver::Sdbox],
    ] {
        let rotated = |driver: Driver| driver.setting("mdbox_rotate_size = 4k");
        let pair = Pair::of(rotated(first), rotated(second));
        let stores = [&pair.source, &pair.destination];
        build::small(&pair.source);
        pair.dovecot.mirror(&pair.source, &pair.destination).assert_done();
        let go_on = AtomicBool::new(true);
        let mut runs = Vec::new();
        thread::scope(|scope| {
            let saving: Vec<_> = savers
                .iter()
                .enumerate()
                .map(|(number, who)| scope.spawn(move || save_messages(stores[number % 2], who, 25)))
                .collect();
            for store in stores {
                scope.spawn(|| keep_busy(store, &go_on));
            }
            while saving.iter().any(|it| !it.is_finished()) {
                runs.push(pair.dovecot.mirror(&pair.source, &pair.destination));
            }
            go_on.store(false, Ordering::Relaxed);
        });
        // What changed while it was looked at is left to the next run.
        let failed: Vec<_> = runs.iter().filter(|run| !matches!(run.code, Some(0 | 2))).collect();
        assert!(failed.is_empty(), "{} of {} runs: {failed:#?}", failed.len(), runs.len());
        pair.dovecot.mirror(&pair.source, &pair.destination).assert_done();
        let mut expected: Vec<_> =
            savers.iter().flat_map(|who| (0..25).map(move |number| format!("{who}-{number}"))).collect();
        expected.sort();
        for store in stores {
            assert_eq!(saved_subjects(store), expected, "{first:?} and {second:?}");
            store.assert_no_complaints();
            assert_sound(store);
        }
        assert_equal(&Snapshot::of(&pair.source), &Snapshot::of(&pair.destination));
    }
}
