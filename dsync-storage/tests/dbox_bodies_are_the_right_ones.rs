//! Whatever happens to the files of a dbox that is open: no message gets the bytes of another one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use dsync_core::memory::MemoryStore;
use dsync_core::model::{MailboxName, MessageKey, Uid};
use dsync_core::report::Unobserved;
use dsync_core::session::SyncOptions;
use dsync_core::store::{ErrorKind, MailStore, Mailbox, MailboxChanges, Origin, StoreError};
use dsync_core::sync::backup;
use dsync_storage::dbox::map::{Map, MapChanges, MapPlace, records_of_new_map};
use dsync_storage::fs::permissions::Permissions;
use dsync_storage::index::files::IndexFiles;
use dsync_storage::index::writer::LockedIndex;
use dsync_storage::location::Location;
use dsync_storage::settings::Settings;

fn open(driver: &str, root: &Path) -> Box<dyn MailStore> {
    let text = format!("{driver}:{}", root.display());
    dsync_storage::open(&Location::parse(&text, None).unwrap(), &Settings::default()).unwrap()
}

/// A store with three messages of the same size in INBOX.
fn fill(driver: &str, root: &Path) -> Box<dyn MailStore> {
    let mut source = MemoryStore::new();
    for subject in ["one", "two", "six"] {
        source.deliver(&MailboxName::inbox(), format!("Subject: {subject}\n\ny\n").as_bytes());
    }
    let report = backup(&mut source, &mut *open(driver, root), &SyncOptions::default(), &mut Unobserved).unwrap();
    assert_eq!(report.problems, []);
    open(driver, root)
}

fn body(mailbox: &mut dyn Mailbox, uid: u32) -> Result<String, StoreError> {
    let body = mailbox.body(MessageKey::Uid(Uid::new(uid).unwrap()))?;
    Ok(String::from_utf8(body.read_all().unwrap()).unwrap())
}

#[test]
fn a_file_that_a_server_has_repaired_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("mail");
    let mut store = fill("mdbox", &root);
    let mut mailbox = store.open(&MailboxName::inbox()).unwrap();
    assert_eq!(body(&mut *mailbox, 2).unwrap(), "Subject: two\n\ny\n");
    // The first message is gone from the file, and the others have moved up.
    let path = root.join("storage/m.1");
    let bytes = fs::read(&path).unwrap();
    let mut index = LockedIndex::lock(&IndexFiles::of_map(&root.join("storage")), &Permissions::PRIVATE).unwrap();
    let entries: Vec<_> = Map::of_view(index.view()).unwrap().entries().collect();
    let place = |entry: usize| entries[entry].place;
    let (start, size) = (place(0).offset as usize, place(0).size as usize);
    assert_eq!([place(1).size, place(2).size], [place(0).size; 2]);
    fs::write(root.join("new"), [&bytes[..start], &bytes[start + size..]].concat()).unwrap();
    fs::rename(root.join("new"), &path).unwrap();
    let up = |entry: usize| MapPlace { offset: place(entry - 1).offset, ..place(entry) };
    let moved = vec![(entries[1].map_uid, up(1)), (entries[2].map_uid, up(2))];
    let changes = MapChanges { moved, remove: vec![entries[0].map_uid], ..MapChanges::default() };
    index.append_last_records(&changes.records()).unwrap();
    drop(index);
    for (uid, subject) in [(2, "two"), (3, "six")] {
        assert_eq!(body(&mut *mailbox, uid).unwrap(), format!("Subject: {subject}\n\ny\n"));
    }
    // What is gone may be read from the old file as long as that is open, but as it was.
    assert!(body(&mut *mailbox, 1).ok().is_none_or(|body| body == "Subject: one\n\ny\n"));
}

#[test]
fn a_file_that_has_become_that_of_another_message_is_not_taken() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("mail");
    let mut store = fill("sdbox", &root);
    let mut mailbox = store.open(&MailboxName::inbox()).unwrap();
    let mails = root.join("mailboxes/INBOX/dbox-Mails");
    fs::rename(mails.join("u.3"), mails.join("u.2")).unwrap();
    assert!(body(&mut *mailbox, 2).is_err());
    assert_eq!(body(&mut *mailbox, 1).unwrap(), "Subject: one\n\ny\n");
}

#[test]
fn numbers_of_another_map_are_not_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("mail");
    let mut store = fill("mdbox", &root);
    let mut mailbox = store.open(&MailboxName::inbox()).unwrap();
    let index = root.join("mailboxes/INBOX/dbox-Mails/dovecot.index.log");
    let before = fs::read(&index).unwrap();
    // A server makes a new one when it is lost.
    let map = IndexFiles::of_map(&root.join("storage"));
    fs::remove_file(map.log()).unwrap();
    let mut locked = LockedIndex::lock(&map, &Permissions::PRIVATE).unwrap();
    locked.append_last_records(&records_of_new_map(77)).unwrap();
    drop(locked);
    let status = mailbox.status().clone();
    let changes = MailboxChanges {
        remove: vec![MessageKey::Uid(Uid::FIRST)],
        uid_next: status.uid_next,
        highest_modseq: status.highest_modseq.unwrap().plus(1),
        ..MailboxChanges::empty(Origin::Local)
    };
    assert_eq!(mailbox.commit(changes).unwrap_err().kind(), ErrorKind::Changed);
    assert_eq!(fs::read(&index).unwrap(), before);
}
