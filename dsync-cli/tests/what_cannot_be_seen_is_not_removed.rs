//! Mail that cannot be seen at the source just now stays at the destination, and nothing is written through links.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use support::{Dovecot, Driver, Fingerprint, Snapshot, Store, build};

fn backed_up(layout: &str) -> (Dovecot, Store, Store) {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store_with("source", layout), dovecot.store_with("destination", layout));
    build::small(&source);
    dovecot.backup(&source, &destination).assert_done();
    (dovecot, source, destination)
}

#[test]
fn a_directory_that_can_be_listed_but_not_entered() {
    let (dovecot, source, destination) = backed_up("");
    let count = Snapshot::of(&destination).message_count();
    fs::set_permissions(source.path().join("cur"), fs::Permissions::from_mode(0o644)).unwrap();
    let run = dovecot.backup(&source, &destination);
    fs::set_permissions(source.path().join("cur"), fs::Permissions::from_mode(0o700)).unwrap();
    run.assert_done_but(&["cur"]);
    assert_eq!(Snapshot::of(&destination).message_count(), count);
}

#[test]
fn a_mailbox_on_a_volume_that_is_not_mounted() {
    for (layout, directory) in [("", ".Work"), (":LAYOUT=fs", "Work")] {
        let (dovecot, source, destination) = backed_up(layout);
        let count = Snapshot::of(&destination).message_count();
        let (here, away) = (source.path().join(directory), dovecot.directory().join("volume"));
        fs::rename(&here, &away).unwrap();
        symlink("/nonexistent/volume", &here).unwrap();
        dovecot.backup(&source, &destination).assert_done_but(&["Work"]);
        assert_eq!(Snapshot::of(&destination).message_count(), count, "{layout}");
    }
}

#[test]
fn a_link_in_the_destination_does_not_lead_into_the_source() {
    for (layout, directory) in [("", ".Work"), (":LAYOUT=fs", "Work")] {
        let (dovecot, source, destination) = backed_up(layout);
        fs::remove_dir_all(destination.path().join(directory)).unwrap();
        symlink(source.path().join(directory), destination.path().join(directory)).unwrap();
        source.adopt();
        let before = Fingerprint::of(source.path());
        dovecot.backup(&source, &destination).assert_done_but(&["leads out of the store"]);
        before.assert_unchanged(source.path());
    }
}

#[test]
fn a_mailbox_of_a_dbox_on_a_volume_that_is_not_mounted() {
    for driver in [Driver::Mdbox, Driver::Sdbox] {
        for directory in ["mailboxes/Work", "mailboxes/Work/dbox-Mails"] {
            let dovecot = Dovecot::new();
            let (source, destination) = (dovecot.store_of("source", driver), dovecot.store("destination"));
            build::small(&source);
            dovecot.backup(&source, &destination).assert_done();
            let count = Snapshot::of(&destination).message_count();
            let (here, away) = (source.path().join(directory), dovecot.directory().join("volume"));
            fs::rename(&here, &away).unwrap();
            symlink("/nonexistent/volume", &here).unwrap();
            dovecot.backup(&source, &destination).assert_done_but(&["Work"]);
            assert_eq!(Snapshot::of(&destination).message_count(), count, "{driver:?} {directory}");
        }
    }
}

#[test]
fn a_storage_that_is_gone() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store_of("source", Driver::Mdbox), dovecot.store("destination"));
    build::small(&source);
    dovecot.backup(&source, &destination).assert_done();
    let count = Snapshot::of(&destination).message_count();
    let storage = source.path().join("storage");
    fs::rename(&storage, dovecot.directory().join("volume")).unwrap();
    // Whether the directory is there, as that of an unmounted file system is, or not.
    for is_there in [false, true] {
        if is_there {
            fs::create_dir(&storage).unwrap();
        }
        let before = Fingerprint::of_mail(destination.path());
        let run = dovecot.backup(&source, &destination);
        assert!(run.code.is_some_and(|code| ![0, 101].contains(&code)), "{run:#?}");
        assert!(run.stderr.contains(&storage.display().to_string()), "{run:#?}");
        before.assert_mail_unchanged(destination.path());
        assert_eq!(Snapshot::of(&destination).message_count(), count);
    }
}

#[test]
fn a_message_that_cannot_be_read_stays_on_another_host_and_the_others_are_synchronised() {
    for (command, pull) in [(&["backup"][..], false), (&["backup", "-R"], true), (&["mirror"], false)] {
        let dovecot = Dovecot::new();
        let (source, copy) = (dovecot.store_of("source", Driver::Sdbox), dovecot.store("destination"));
        build::small(&source);
        let run = || match pull {
            false => dovecot.run_with_peer(command, &source, &copy),
            true => dovecot.run_with_peer(command, &copy, &source),
        };
        run().assert_done();
        let count = Snapshot::of(&copy).message_count();
        let messages = fs::read_dir(source.path().join("mailboxes/INBOX/dbox-Mails")).unwrap();
        let mut paths = messages.map(|entry| entry.unwrap().path());
        fs::write(paths.find(|path| path.to_string_lossy().contains("/u.")).unwrap(), "").unwrap();
        let mut imap = source.imap();
        imap.append("INBOX", "", &support::mail::plain("new"));
        imap.logout();
        for _ in 0..2 {
            run().assert_done_but(&["INBOX"]);
            assert_eq!(Snapshot::of(&copy).message_count(), count + 1, "{command:?}");
        }
    }
}

#[test]
fn a_server_is_told_nothing_of_a_mailbox_that_cannot_be_read_as_a_whole() {
    let dovecot = Dovecot::new();
    let (source, copy) = (dovecot.store_of("source", Driver::Sdbox), dovecot.store("destination"));
    build::small(&source);
    dovecot.run_with_server(&["backup"], &source, &copy).assert_done();
    let count = Snapshot::of(&copy).message_count();
    let messages = fs::read_dir(source.path().join("mailboxes/INBOX/dbox-Mails")).unwrap();
    let mut paths = messages.map(|entry| entry.unwrap().path());
    fs::write(paths.find(|path| path.to_string_lossy().contains("/u.")).unwrap(), "").unwrap();
    dovecot.run_with_server(&["backup"], &source, &copy).assert_done_but(&["INBOX", "left out"]);
    assert_eq!(Snapshot::of(&copy).message_count(), count);
}
