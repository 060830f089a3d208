//! A compressed file in a Maildir is the message that was compressed.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::Write;
use std::path::Path;

use dsync_core::model::{MailboxName, MessageKey, Uid};
use dsync_core::report::Unobserved;
use dsync_core::session::SyncOptions;
use dsync_core::store::{BodySource, ErrorKind, MailStore, MessageBody, StoreError};
use dsync_core::sync::backup;
use dsync_storage::location::Location;
use dsync_storage::maildir::MaildirStore;

const TEXT: &[u8] = b"Subject: compressed\n\nLine one\nLine two\n";

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(plain).unwrap();
    writer.finish().unwrap()
}

fn store(root: &Path) -> MaildirStore {
    MaildirStore::open(&Location::parse(&format!("maildir:{}", root.display()), None).unwrap()).unwrap()
}

fn inbox() -> MailboxName {
    MailboxName::parse("INBOX", '/').unwrap()
}

/// A Maildir with one message in a file of this name, and with these fields in the uidlist.
fn maildir(root: &Path, base: &str, fields: &str, bytes: &[u8]) {
    for directory in ["cur", "new", "tmp"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::write(root.join("cur").join(format!("{base}:2,S")), bytes).unwrap();
    let guid = "00112233445566778899aabbccddeeff";
    fs::write(root.join("dovecot-uidlist"), format!("3 V77 N2 G{guid}\n1 {fields}:{base}\n")).unwrap();
}

fn body(root: &Path) -> Result<MessageBody, StoreError> {
    store(root).open(&inbox()).unwrap().body(MessageKey::Uid(Uid::FIRST))
}

#[test]
fn with_its_size_in_the_name_in_the_uidlist_or_nowhere() {
    let size = TEXT.len();
    for (base, fields, announced) in [
        (format!("1600000001.M1.host,S={size}"), String::new(), Some(size as u64)),
        ("1600000001.M1.host".to_owned(), format!("S{size} "), Some(size as u64)),
        ("1600000001.M1.host".to_owned(), String::new(), None),
    ] {
        let directory = tempfile::tempdir().unwrap();
        maildir(directory.path(), &base, &fields, &gzip(TEXT));
        let body = body(directory.path()).unwrap();
        assert_eq!(body.size, announced, "{base} {fields}");
        assert_eq!(body.read_all().unwrap(), TEXT, "{base} {fields}");
    }
}

#[test]
fn a_file_of_the_stated_size_is_plain_whatever_it_begins_with() {
    let bytes = gzip(TEXT);
    let directory = tempfile::tempdir().unwrap();
    maildir(directory.path(), &format!("1600000001.M1.host,S={}", bytes.len()), "", &bytes);
    let body = body(directory.path()).unwrap();
    assert!(matches!(body.source, BodySource::File(_)));
    assert_eq!(body.read_all().unwrap(), bytes);
}

#[test]
fn a_plain_message_with_a_wrong_size_in_its_name_is_read_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    maildir(directory.path(), "1600000001.M1.host,S=5", "", TEXT);
    assert_eq!(body(directory.path()).unwrap().read_all().unwrap(), TEXT);
}

#[test]
fn damaged_and_encrypted_messages_are_refused_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = gzip(TEXT);
    maildir(directory.path(), "1600000001.M1.host,S=39", "", &bytes[..bytes.len() - 9]);
    let error = body(directory.path()).unwrap().read_all().unwrap_err().to_string();
    assert!(error.contains("cur/1600000001.M1.host,S=39:2,S is damaged"), "{error}");
    maildir(directory.path(), "1600000001.M1.host,S=39", "", b"CRYPTED\x03\x07\x02");
    let error = body(directory.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert!(error.to_string().contains("mail_crypt"), "{error}");
}

#[test]
fn a_copy_is_plain_and_keeps_the_name_if_its_sizes_are_right() {
    let directory = tempfile::tempdir().unwrap();
    let (source, destination) = (directory.path().join("source"), directory.path().join("destination"));
    let virtual_size = TEXT.len() + 4;
    let base = format!("1600000001.M1.host,S={},W={virtual_size}", TEXT.len());
    maildir(&source, &base, "", &gzip(TEXT));
    let run = || backup(&mut store(&source), &mut store(&destination), &SyncOptions::default(), &mut Unobserved);
    assert_eq!(run().unwrap().problems, []);
    assert_eq!(fs::read(destination.join("cur").join(format!("{base}:2,S"))).unwrap(), TEXT);
    assert_eq!(run().unwrap().counts.mailboxes_changed, 0);
}
