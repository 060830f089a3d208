use proptest::prelude::*;

use super::*;
use crate::dbox::message_file::{Metadata, NewMetadata, encode_message_header};

fn shown(kind: FileKind, bytes: &[u8]) -> (String, Option<String>) {
    let mut output = Vec::new();
    let failure = dump_bytes(kind, bytes, &mut output).err().map(|failure| match failure {
        Failure::Damage(reason) => reason,
        Failure::Output(error) => error.to_string(),
    });
    (String::from_utf8(output).unwrap(), failure)
}

const KINDS: [FileKind; 9] = [
    FileKind::Index,
    FileKind::Log,
    FileKind::Cache,
    FileKind::MessageFile,
    FileKind::UidList,
    FileKind::MailboxLog,
    FileKind::Subscriptions,
    FileKind::Keywords,
    FileKind::Names,
];

#[test]
fn files_are_recognised_by_what_is_in_them_or_by_their_names() {
    for (name, head, kind) in [
        ("x", &b"3 V12 N3\n"[..], Some(FileKind::UidList)),
        ("x", b"1 12 3\n", Some(FileKind::UidList)),
        ("x", b"V\t2\n\nINBOX\n", Some(FileKind::Subscriptions)),
        ("subscriptions", b"INBOX\n", Some(FileKind::Subscriptions)),
        ("x", b"2 M1e C65\n", Some(FileKind::MessageFile)),
        ("dovecot-keywords", b"0 Work\n", Some(FileKind::Keywords)),
        ("dovecot.mailbox.log", b"", Some(FileKind::MailboxLog)),
        ("x", b"\x07\x03\x78\x00", Some(FileKind::Index)),
        ("x", b"\x01\x03\x28\x00", Some(FileKind::Log)),
        ("x", b"\x01\x08\x01\x00", Some(FileKind::Cache)),
        ("dovecot.index", b"", None),
        ("x", b"From: somebody\n", None),
    ] {
        assert_eq!(FileKind::recognise(name, head), kind, "{name} {}", head.escape_ascii());
    }
}

#[test]
fn a_uid_list_is_shown_up_to_its_damage() {
    let (text, failure) = shown(FileKind::UidList, b"3 V12 N9\n5 Pu\x1bidl W20 :1.host\n4 :2.host\n");
    assert_eq!(text.lines().nth(1), Some("UIDVALIDITY: 12"));
    assert_eq!(text.lines().last(), Some("UID 5: file 1.host; POP3 UIDL u\\u{1b}idl; virtual size 20"));
    assert_eq!(failure.as_deref(), Some("line 3: its UID is not greater than the one before"));
}

#[test]
fn messages_are_shown_without_their_bodies() {
    let guid = dsync_core::model::MessageGuid::new(b"00112233445566778899aabbccddeeff").unwrap();
    let metadata = Metadata::new(&NewMetadata {
        received: dsync_core::model::Timestamp(1_769_814_000),
        plain_size: None,
        virtual_size: 5,
        pop3_uidl: Some("uidl"),
        pop3_order: None,
        guid: &guid,
        first_mailbox: Some(b"INBOX"),
    });
    let file = [&b"2 M1e C6553f100\n"[..], &encode_message_header(3), b"a\n\n", &metadata.encode(), b"rest"].concat();
    let (text, failure) = shown(FileKind::MessageFile, &file);
    let line = text.lines().last().unwrap();
    assert!(
        line.contains(", of which 3 of the message; received 1769814000 (2026-01-30T23:00:00Z); GUID 001122"),
        "{text}"
    );
    assert!(line.ends_with("; virtual size 5; POP3 UIDL uidl; first saved to INBOX"), "{text}");
    assert!(failure.is_some(), "the rest is no message");
}

#[test]
fn the_log_of_mailboxes_and_subscriptions_are_shown() {
    let mut record = [0; 24];
    (record[0], record[4], record[23]) = (1, 0xab, 7);
    let (text, failure) = shown(FileKind::MailboxLog, &[&record[..], b"rest"].concat());
    assert!(text.contains("7 (1970-01-01T00:00:07Z): mailbox deleted, GUID ab00"), "{text}");
    assert_eq!(failure.as_deref(), Some("the record at offset 24 makes no sense"));
    let (text, _) = shown(FileKind::Subscriptions, b"V\t2\n\nEntw&APw-rfe\tDeep\nbad&\n");
    assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), ["Entwürfe/Deep", "bad&"]);
}

proptest! {
    #[test]
    fn no_bytes_are_too_bad(bytes in prop::collection::vec(any::<u8>(), 0..400), start in 0usize..8) {
        let starts: [&[u8]; 8] =
            [b"", b"\x07\x03\x78\x00", b"\x01\x03\x28\x00", b"\x01\x08\x01\x00", b"2 M1e\n", b"3 V1\n", b"\x01\0\0\0", b"V\t2\n\n"];
        let bytes = [starts[start], &bytes].concat();
        for kind in KINDS {
            let (text, _) = shown(kind, &bytes);
            prop_assert!(text.chars().all(|it| it == '\n' || !it.is_control()));
        }
        let _ = FileKind::recognise("x", &bytes);
    }
}
