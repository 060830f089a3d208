//! Every message in the dbox files that a real Dovecot wrote is read as Dovecot shows it. How the files were made is said
//! in `data/dbox/README.md`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dsync_core::store::FileRange;
use dsync_storage::content::{self, AttachmentFiles};
use dsync_storage::dbox::message_file::{StoredMessage, read_file_header, read_message, walk};
use sha1::{Digest, Sha1};

type Row = BTreeMap<String, String>;

fn store(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/dbox").join(name)
}

fn table(path: &Path) -> Vec<Row> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let columns: Vec<_> = lines.next().unwrap().split('\t').collect();
    lines
        .map(|line| columns.iter().map(|it| (*it).to_owned()).zip(line.split('\t').map(str::to_owned)).collect())
        .collect()
}

/// The message files below a directory.
fn message_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_str().unwrap();
        if entry.is_dir() {
            found.extend(message_files(&entry));
        } else if name.strip_prefix("m.").or(name.strip_prefix("u.")).is_some_and(|id| id.parse::<u32>().is_ok()) {
            found.push(entry);
        }
    }
    found
}

/// What a client gets: with CRLF, and with 0x80 for NUL, which IMAP cannot send.
fn sent(body: &[u8]) -> Vec<u8> {
    let mut sent = Vec::new();
    for (place, byte) in body.iter().enumerate() {
        if *byte == b'\n' && (place == 0 || body[place - 1] != b'\r') {
            sent.push(b'\r');
        }
        sent.push(if *byte == 0 { 0x80 } else { *byte });
    }
    sent
}

fn assert_as_shown(message: &StoredMessage, body: &[u8], shown: &[&Row], path: &Path) {
    let context = format!("{} at {}", path.display(), message.offset);
    let metadata = &message.metadata;
    let sent = sent(body);
    let hash: String = Sha1::digest(&sent).iter().map(|byte| format!("{byte:02x}")).collect();
    for row in shown {
        assert_eq!(row["date.received.unixtime"], metadata.received().seconds().to_string(), "{context}");
        assert_eq!(row["size.virtual"], metadata.virtual_size().unwrap().to_string(), "{context}");
        assert_eq!(row["size.virtual"], sent.len().to_string(), "{context}");
        assert_eq!(row["size.physical"], message.physical_size().to_string(), "{context}");
        assert_eq!(row["sha1"], hash, "{context}");
    }
    // A copy in another mailbox may hide them.
    for (field, kept) in [
        ("pop3.uidl", metadata.pop3_uidl().map(str::to_owned)),
        ("pop3.order", metadata.pop3_order().map(|order| order.to_string())),
    ] {
        for value in shown.iter().map(|row| &row[field]).filter(|value| !value.is_empty()) {
            assert_eq!(Some(value), kept.as_ref(), "{context}");
        }
    }
}

/// Checks all messages of a store; returns how many there are in its files. `suffix` says what follows the names of
/// attachments.
fn check(name: &str, shown: impl Fn(&Path, &Row) -> bool, suffix: impl Fn(&Path) -> String) -> usize {
    let directory = store(name);
    let rows = table(&directory.join("expected.txt"));
    let (mut found, mut seen) = (0, 0);
    let attachments = directory.join("attachments");
    for path in [message_files(&directory.join("root")), message_files(&directory.join("alt"))].concat() {
        let file = Arc::new(File::open(&path).unwrap());
        let (header, start) = read_file_header(&*file).unwrap();
        assert!(header.allows_appending() && header.created > Some(1_700_000_000));
        for message in walk(&*file, header, start) {
            let message = message.unwrap();
            let again = read_message(&*file, &header, message.offset, Some(message.size)).unwrap();
            assert_eq!(again, message);
            let range = FileRange::new(Arc::clone(&file), message.body_offset, message.body_size);
            let files = AttachmentFiles { directory: Some(&attachments), suffix: &suffix(&path) };
            let body = content::open_message(range, &message.metadata, &files, &path).unwrap().read_all().unwrap();
            let guid = message.metadata.guid().unwrap();
            let same = |row: &&Row| row["guid"].as_bytes() == &*guid.text() && shown(&path, row);
            let rows: Vec<_> = rows.iter().filter(same).collect();
            if !rows.is_empty() {
                assert_as_shown(&message, &body, &rows, &path);
            }
            found += 1;
            seen += rows.len();
        }
    }
    assert_eq!(seen, rows.len(), "{name}: every message that is shown is in exactly one place");
    found
}

/// The mailbox and UID of a `u.UID`.
fn place(path: &Path) -> (String, String) {
    let components: Vec<_> = path.components().map(|it| it.as_os_str().to_str().unwrap()).collect();
    let start = components.iter().position(|it| *it == "mailboxes").unwrap() + 1;
    let mailbox = components[start..components.len() - 2].join("/").replace("&APY-", "ö");
    (mailbox, path.extension().unwrap().to_str().unwrap().to_owned())
}

fn is_at(path: &Path, row: &Row) -> bool {
    place(path) == (row["mailbox"].clone(), row["uid"].clone())
}

#[test]
fn in_mdbox() {
    // The last one was expunged and not purged.
    assert_eq!(check("mdbox", |_, _| true, |_| String::new()), 14);
}

#[test]
fn in_sdbox() {
    assert_eq!(check("sdbox", is_at, |_| String::new()), 17);
}

#[test]
fn in_mdbox_with_attachments() {
    assert_eq!(check("mdbox-attachments", |_, _| true, |_| String::new()), 6);
}

#[test]
fn in_sdbox_with_attachments() {
    let mailboxes = table(&store("sdbox-attachments").join("mailboxes.txt"));
    let suffix = |path: &Path| {
        let (mailbox, uid) = place(path);
        let row = mailboxes.iter().find(|row| row["mailbox"] == mailbox).unwrap();
        format!("-{}-{uid}", row["guid"])
    };
    assert_eq!(check("sdbox-attachments", is_at, suffix), 8);
}
