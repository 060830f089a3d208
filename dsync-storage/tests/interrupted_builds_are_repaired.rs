//! What a crash leaves of a mailbox that was being put into place does not stand in the way of the next run.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::Write;
use std::path::Path;

use dsync_core::memory::MemoryStore;
use dsync_core::model::{MailboxName, MessageKey, SyncPoint, Uid};
use dsync_core::report::Unobserved;
use dsync_core::session::SyncOptions;
use dsync_core::store::MailStore;
use dsync_core::sync::backup;
use dsync_storage::dbox::DboxStore;
use dsync_storage::location::Location;
use dsync_storage::maildir::MaildirStore;
use dsync_storage::settings::Settings;

fn open(root: &Path, parameters: &str) -> MaildirStore {
    let text = format!("maildir:{}{parameters}", root.display());
    MaildirStore::open(&Location::parse(&text, None).unwrap()).unwrap()
}

fn source() -> MemoryStore {
    let mut source = MemoryStore::new();
    for name in ["INBOX", "a", "a/b"] {
        source.deliver(&MailboxName::parse(name, '/').unwrap(), b"Subject: x\n\ny\n");
    }
    source
}

fn expect_complete(root: &Path, parameters: &str) {
    let report =
        backup(&mut source(), &mut open(root, parameters), &SyncOptions::default(), &mut Unobserved).unwrap();
    assert_eq!(report.problems, []);
    let mut store = open(root, parameters);
    for name in ["INBOX", "a", "a/b"] {
        let mut mailbox = store.open(&MailboxName::parse(name, '/').unwrap()).unwrap();
        let body = mailbox.body(MessageKey::Uid(Uid::FIRST)).unwrap();
        assert_eq!(body.read_all().unwrap(), b"Subject: x\n\ny\n");
    }
    let again = backup(&mut source(), &mut open(root, parameters), &SyncOptions::default(), &mut Unobserved).unwrap();
    assert_eq!(again.counts.mailboxes_changed, 0);
}

#[test]
fn a_nested_mailbox_that_was_placed_in_part() {
    for left in [&["dovecot-uidlist"][..], &["dovecot-uidlist", "dovecot.index", "tmp"], &["tmp", "cur"]] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("mail");
        expect_complete(&root, ":LAYOUT=fs");
        let mailbox = root.join("a");
        for entry in fs::read_dir(&mailbox).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if name != "b" && !left.contains(&name.as_str()) {
                let path = entry.path();
                if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
            }
        }
        expect_complete(&root, ":LAYOUT=fs");
    }
}

#[test]
fn a_dbox_mailbox_whose_log_ends_in_half_a_record_can_be_deleted() {
    for format in ["sdbox", "mdbox"] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("mail");
        let location = Location::parse(&format!("{format}:{}", root.display()), None).unwrap();
        let open = || DboxStore::open(&location, Settings::default()).unwrap();
        let work = MailboxName::parse("Work", '/').unwrap();
        let mut source = source();
        source.deliver(&work, b"Subject: x\n\ny\n");
        backup(&mut source, &mut open(), &SyncOptions::default(), &mut Unobserved).unwrap();
        let log = root.join("mailboxes/Work/dbox-Mails/dovecot.index.log");
        let mut bytes = fs::read(&log).unwrap();
        bytes.extend([0x80, 0x80, 0x80, 0x84, 2, 0]);
        fs::write(&log, bytes).unwrap();
        source.delete(&work).unwrap();
        let report = backup(&mut source, &mut open(), &SyncOptions::default(), &mut Unobserved).unwrap();
        assert_eq!(report.problems, [], "{format}");
        assert!(open().open(&work).is_err(), "{format}");
    }
}

#[test]
fn indexes_and_control_files_without_their_mails() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("mail");
    let parameters = format!(":INDEX={0}/index:CONTROL={0}/control", directory.path().display());
    expect_complete(&root, &parameters);
    fs::remove_dir_all(root.join(".a")).unwrap();
    fs::write(directory.path().join("index/.a/dovecot.index.log"), "remains of another index").unwrap();
    expect_complete(&root, &parameters);
}

#[test]
fn hidden_builds_of_dead_processes_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("mail");
    expect_complete(&root, "");
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let dead = root.join("tmp").join(format!("dsync.1.M1P2147483646Q0R00000000.{host}"));
    fs::create_dir_all(dead.join("cur")).unwrap();
    let other = root.join("tmp").join("dsync.1.M1P2147483646Q0R00000000.elsewhere.example");
    fs::create_dir_all(&other).unwrap();
    fs::remove_dir_all(root.join(".a")).unwrap();
    expect_complete(&root, "");
    assert!(!dead.exists() && other.exists());
}

#[test]
fn a_moment_is_remembered_in_a_log_that_ends_in_half_a_record() {
    for (format, log) in [
        ("maildir", ".Work/dovecot.index.log"),
        ("mbox", ".imap/Work/dovecot.index.log"),
        ("sdbox", "mailboxes/Work/dbox-Mails/dovecot.index.log"),
        ("mdbox", "mailboxes/Work/dbox-Mails/dovecot.index.log"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("mail");
        let location = Location::parse(&format!("{format}:{}", root.display()), None).unwrap();
        let open = || dsync_storage::open(&location, &Settings::default()).unwrap();
        let work = MailboxName::parse("Work", '/').unwrap();
        let mut source = source();
        source.deliver(&work, b"Subject: x\n\ny\n");
        backup(&mut source, &mut *open(), &SyncOptions::default(), &mut Unobserved).unwrap();
        let mut log = fs::File::options().append(true).open(root.join(log)).unwrap();
        log.write_all(&[0x80, 0x80, 0x80, 0x84, 2, 0]).unwrap();
        let mut mailbox = open().open(&work).unwrap();
        let status = mailbox.status().clone();
        let point = SyncPoint {
            fingerprint: [7; 16],
            uid_validity: status.identity.uid_validity.unwrap(),
            uid_next: status.uid_next,
            highest_modseq: status.highest_modseq.unwrap(),
            peer: *b"somebody",
        };
        mailbox.remember(point).unwrap_or_else(|error| panic!("{format}: {error}"));
        assert!(open().open(&work).unwrap().sync_points().contains(&point), "{format}");
    }
}
