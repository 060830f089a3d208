//! What goes into an mbox comes out of it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use dsync_core::model::{Flags, Timestamp};
use proptest::prelude::*;

use super::encode::{BaseLine, Encoded, Head, encode_message, metadata, pseudo_message};
use super::from_line;
use super::header::HeaderDigest;
use super::scan::{ScanError, Scanned, ScannedMessage, scan};
use super::visible::VisibleMessage;

pub(super) fn file_with(bytes: &[u8]) -> Arc<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    Arc::new(file)
}

pub(super) fn scan_bytes(bytes: &[u8]) -> Scanned {
    scan(&file_with(bytes), Path::new("mbox"), HeaderDigest::Apop3d).unwrap()
}

fn visible(file: &Arc<File>, message: &ScannedMessage) -> Vec<u8> {
    let mut bytes = Vec::new();
    VisibleMessage::new(Arc::clone(file), message).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, message.visible_size, "{message:?}");
    bytes
}

/// The messages of a file as clients see them.
pub(super) fn messages(bytes: &[u8]) -> Vec<Vec<u8>> {
    let file = file_with(bytes);
    let scanned = scan(&file, Path::new("mbox"), HeaderDigest::Apop3d).unwrap();
    scanned.messages.iter().map(|message| visible(&file, message)).collect()
}

/// Gives its bytes one by one.
struct Slowly<'a>(&'a [u8]);

impl Read for Slowly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

fn encode(message: &[u8]) -> (Encoded, Vec<u8>) {
    let mut stored = Vec::new();
    let encoded = encode_message(&mut &*message, &mut stored, HeaderDigest::Apop3d).unwrap();
    if message.len() < 1000 {
        let mut again = Vec::new();
        assert_eq!(encode_message(&mut Slowly(message), &mut again, HeaderDigest::Apop3d).unwrap(), encoded);
        assert_eq!(again, stored);
    }
    assert_eq!(stored.len() as u64, encoded.header_length + encoded.body_length.unwrap_or(0));
    (encoded, stored)
}

/// What is said about a message beside its bytes.
#[derive(Clone, Copy, Debug)]
struct About {
    received: i64,
    flags: Flags,
    recent: bool,
    keywords: &'static [&'static str],
}

const PLAIN: About = About { received: 1_700_000_000, flags: Flags::SEEN, recent: false, keywords: &[] };

/// A file with these messages.
fn assemble(messages: &[(Vec<u8>, About)]) -> (Vec<u8>, Vec<Encoded>) {
    let mut file = Vec::new();
    let mut all = Vec::new();
    let last_uid = 3 * u32::try_from(messages.len()).unwrap();
    for ((message, about), uid) in messages.iter().zip((1..).step_by(3)) {
        let (encoded, stored) = encode(message);
        let base = BaseLine { uid_validity: 77, last_uid, keywords: &["Foo", "$Bar"] };
        let (header, body) = stored.split_at(usize::try_from(encoded.header_length).unwrap());
        file.extend(from_line::encode(Timestamp(about.received)));
        file.extend(header);
        file.extend(metadata(&Head {
            base: (uid == 1).then_some(base),
            uid,
            flags: about.flags,
            recent: about.recent,
            keywords: about.keywords,
            body_length: encoded.body_length,
            marks: encoded.marks,
            padding: if about.recent { 0 } else { 20 },
        }));
        if encoded.body_length.is_some() {
            file.push(b'\n');
            file.extend(body);
        }
        file.push(b'\n');
        all.push(encoded);
    }
    (file, all)
}

/// As a client sees it: a CRLF is a LF, unless there are more CRs.
pub(super) fn with_line_feeds(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        match line {
            [.., b'\r', b'\r', b'\n'] => out.extend(line),
            [text @ .., b'\r', b'\n'] => out.extend(text.iter().chain(b"\n")),
            line => out.extend(line),
        }
    }
    out
}

fn assert_round_trip(inputs: &[(Vec<u8>, About)]) {
    let (bytes, encoded) = assemble(inputs);
    let file = file_with(&bytes);
    let scanned = scan(&file, Path::new("mbox"), HeaderDigest::Apop3d).unwrap();
    let shown = String::from_utf8_lossy(&bytes);
    assert_eq!(scanned.messages.len(), inputs.len(), "{shown:?}");
    assert_eq!(scanned.problems, Vec::<String>::new());
    assert_eq!(scanned.further_uids, []);
    let base = scanned.base.unwrap();
    assert_eq!((base.uid_validity, base.last_uid), (77, 3 * u32::try_from(inputs.len()).unwrap()));
    let digits = usize::try_from(base.last_uid_digits.unwrap()).unwrap();
    assert_eq!(bytes[digits..digits + 10], *format!("{:010}", base.last_uid).as_bytes());
    for ((((message, about), encoded), found), uid) in
        inputs.iter().zip(&encoded).zip(&scanned.messages).zip((1..).step_by(3))
    {
        let wanted = with_line_feeds(message);
        let got = visible(&file, found);
        assert_eq!(
            String::from_utf8_lossy(&got),
            String::from_utf8_lossy(&wanted),
            "{:?} in {shown:?}",
            String::from_utf8_lossy(message)
        );
        assert!(got == wanted);
        assert_eq!(found.visible_size, encoded.visible_size);
        assert_eq!((found.marks, found.md5), (encoded.marks, encoded.md5), "{shown:?}");
        assert_eq!((found.uid, found.received.0), (Some(uid), about.received));
        assert_eq!((found.flags, found.seen_by_session), (about.flags, !about.recent));
        let names: Vec<_> = found.keywords.iter().map(|keyword| keyword.as_str().to_owned()).collect();
        assert_eq!(names, about.keywords);
        assert_eq!(found.body.map(|body| found.end - body), encoded.body_length);
    }
    for pair in scanned.messages.windows(2) {
        assert_eq!(pair[0].next, pair[1].from);
        assert_eq!(pair[0].end, pair[1].offset);
    }
}

#[test]
fn messages_that_an_mbox_cannot_keep_come_out_as_they_went_in() {
    let from = "From a@b Thu Nov  9 22:33:52 2001";
    let messages = [
        String::new(),
        "\n".into(),
        "\r\n".into(),
        "\r".into(),
        "S: x".into(),
        "S: x\n".into(),
        "S: x\r".into(),
        "S: x\r\r".into(),
        "S: x\r\r\n\r\r\n\r\nbody\r\r\n\r\r".into(),
        "S: x\n\n".into(),
        "S: x\n\n\r".into(),
        "S: x\n\n\r\n".into(),
        "S: x\n\n\n".into(),
        "S: x\n\nFrom ".into(),
        "S: x\n\nFrom \n".into(),
        "S: x\n\nx\nFrom ".into(),
        "S: x\n\nFrom \nFrom \nFrom ".into(),
        format!("S: x\n\n{from}"),
        format!("S: x\n\n{from}\n{from}\n"),
        format!("S: x\n\n>{from}\n"),
        format!("S: x\n\n\n{from}\n\nx\n"),
        format!("S: x\n\nFrom \n{from}\n"),
        "S: x\n\nFrom x Thu Nov 9 22:33 2001".into(),
        "S: x\n\nFrom x ab\n Nov  9 22:33:52 2001".into(),
        "S: x\r\n\r\nFrom x ab\r\n Nov  9 22:33:52 2001".into(),
        "From x ab\n Nov  9 22:33:52 2001\n\nbody".into(),
        format!("{from}\nS: x\n\nbody"),
        format!("S: x\n{from}"),
        format!("S: x\n>{from}\n\n"),
        format!("S: x\n>{from}\n{from}\n>{from}\n>>{from}\n\n"),
        format!("S: x\n>{from}\n>>{from}\n>>>{from}\r\n{from}\n>{from}\n\n"),
        format!("{}{from}\n{from}\n\n", format!(">{from}\n").repeat(20)),
        "Status: RO\nX-Status: D\n T\nContent-length: 5\nX-UID : 7\nx-imapbase: 1 2\nX-IMAP: 3 4\nX-KEYWORDS: a\n\nb"
            .into(),
        "X-Original-Status: RO\n\nb".into(),
        "X-Original-X-Original-Status: RO\nx-original-status: x\nStatus: RO\nStatus foo: x\nStatus\0y: z\n\nb".into(),
        " Status: RO\n\tb\n\nbody".into(),
        "no colon\nStatus\n\n\n\n".into(),
        "S: \0\0\n\n\0\r\0".into(),
        "a\0b: c\n\0d: e\nStatus\0: RO\nX-Original: f\nX-Original: a\0b: c\n\0\n\n".into(),
        " \0: c\n \0: d\nX-Original:  \0\nX-Original-\0Status: R\nFrom a\0b Thu Nov  9 22:33:52 2001\n\n".into(),
    ];
    for message in &messages {
        assert_round_trip(&[(message.clone().into_bytes(), PLAIN)]);
    }
    let all: Vec<_> = messages.iter().map(|message| (message.clone().into_bytes(), PLAIN)).collect();
    assert_round_trip(&all);
}

#[test]
fn long_lines_and_runs_come_out_as_they_went_in() {
    let from = "From a@b Thu Nov  9 22:33:52 2001";
    for length in [4095, 4096, 4097, 8190, 8192, 262_144] {
        for (byte, name) in [('>', "q"), ('\r', "r"), ('a', "a"), (' ', "b")] {
            let run = byte.to_string().repeat(length);
            let messages = [
                format!("{run}{from}\n{from}\n\n{run}"),
                format!("S: {run}\r\nStatus{run}: x\r\n\r\n{run}\r\nFrom "),
                format!("Status{run}\n\n{run}\n{from}"),
                format!("From {run}\n\nFrom {run}\n"),
                format!("From x{run} Thu Nov  9 22:33:52 2001\n\nFrom x{run} Thu Nov  9 22:33:52 2001"),
                format!("From \"x{run}{run}"),
                format!("{name}{run}"),
            ];
            let all: Vec<_> = messages.into_iter().map(|message| (message.into_bytes(), PLAIN)).collect();
            assert_round_trip(&all);
        }
    }
    let originals = "X-Original-".repeat(30_000);
    assert_round_trip(&[(format!("Status: x\n{originals}Status: y\n{originals}").into_bytes(), PLAIN)]);
}

/// Bytes that are likely to be taken for something else.
fn messages_with_traps() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "\n",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\r\n\r\n",
        "\0",
        "a",
        " ",
        "\t",
        ":",
        ">",
        "From ",
        "\nFrom ",
        "From x ",
        "From a@b Thu Nov  9 22:33:52 2001",
        "\nFrom a@b Thu Nov  9 22:33:52 2001 +0100\n",
        "From \"a b\" Thu Nov 9 22:33 2001",
        "Thu Nov  9 ",
        "22:33:52 2001",
        "Thu, 9 Nov 2001 22:33:52",
        "Nov 9 22:33 2001",
        "Status",
        "X-Original-",
        "x-original-",
        "Content-Length: 3",
        "Status: RO",
        "X-UID: 1",
        "X-IMAP",
        "X-IMAPbase: 3 0000000004 x",
        "X-Keywords: y",
        "X-Status: A",
        "Date: x",
        "Received: y",
        "Message-ID: z",
        "Status: eqlxzggg",
        "é",
    ]);
    prop::collection::vec(pieces, 0..14).prop_map(|pieces| pieces.concat().into_bytes())
}

fn about() -> impl Strategy<Value = About> {
    let keywords: Vec<&'static [&'static str]> = vec![&[], &["Foo"], &["$Bar"], &["$Bar", "Foo"]];
    (0..4_000_000_000i64, any::<u8>(), any::<bool>(), prop::sample::select(keywords)).prop_map(
        |(received, flags, recent, keywords)| About { received, flags: Flags::from_bits(flags), recent, keywords },
    )
}

proptest! {
    #[test]
    fn any_messages_come_out_as_they_went_in(
        messages in prop::collection::vec((messages_with_traps(), about()), 1..4)
    ) {
        assert_round_trip(&messages);
    }

    #[test]
    fn any_bytes_come_out_as_they_went_in(message in prop::collection::vec(any::<u8>(), 0..200)) {
        assert_round_trip(&[(message, PLAIN)]);
    }

    #[test]
    fn any_file_can_be_read(
        bytes in messages_with_traps(),
        messages in prop::collection::vec(messages_with_traps(), 0..3),
    ) {
        let (mut file, _) = assemble(&messages.into_iter().map(|message| (message, PLAIN)).collect::<Vec<_>>());
        file.extend(&bytes);
        if !file.is_empty() && from_line::parse(&file).is_some_and(|_| file.contains(&b'\n')) {
            let found = scan_bytes(&file);
            let mut at = 0;
            for message in found.pseudo.iter().chain(&found.messages) {
                prop_assert_eq!(message.from, at);
                prop_assert!(message.offset <= message.from && message.from < message.header);
                prop_assert!(message.header <= message.end && message.end <= message.next);
                prop_assert!(message.body.is_none_or(|body| message.header < body && body <= message.end));
                at = message.next;
            }
            prop_assert_eq!(at, file.len() as u64);
            messages_of(&file);
        }
    }
}

fn messages_of(bytes: &[u8]) {
    messages(bytes);
}

#[test]
fn metadata_stand_in_the_order_in_which_servers_read_them() {
    let marks = encode(format!("{FROM}\nStatus: x\n\n{FROM}\r").as_bytes()).0.marks;
    let head = Head {
        base: Some(BaseLine { uid_validity: 1_700_000_000, last_uid: 9, keywords: &["Foo", "Bar"] }),
        uid: 5,
        flags: Flags::ALL,
        recent: false,
        keywords: &["Foo"],
        body_length: Some(3),
        marks,
        padding: 4,
    };
    let lines = metadata(&head);
    assert_eq!(
        String::from_utf8(lines).unwrap(),
        "X-IMAPbase: 1700000000 0000000009 Foo Bar\nX-UID: 5\nStatus: ROeqxg\nX-Status: AFTD\nX-Keywords: Foo    \n\
         Content-Length: 3\n"
    );
    let plain = Head { base: None, flags: Flags::NONE, recent: true, keywords: &[], body_length: None, ..head };
    let lines = metadata(&Head { marks: super::marks::Marks::NONE, ..plain });
    assert_eq!(String::from_utf8(lines).unwrap(), "X-UID: 5    \nStatus: \n");
    // Long lists are folded.
    let names: Vec<_> = (0..300).map(|number| format!("keyword{number:03}")).collect();
    let keywords: Vec<_> = names.iter().map(String::as_str).collect();
    let base = Some(BaseLine { uid_validity: 1, last_uid: 9, keywords: &keywords });
    let lines = metadata(&Head { base, keywords: &keywords, ..head });
    assert!(lines.split(|byte| *byte == b'\n').all(|line| line.len() < 1040));
    let scanned = scan_bytes(&[format!("{FROM}\n").as_bytes(), &lines, b"\nx\n"].concat());
    assert_eq!((scanned.base.unwrap().keywords.len(), scanned.messages[0].keywords.len()), (300, 300));
    assert_eq!(scanned.problems, Vec::<String>::new());
}

#[test]
fn an_empty_file_is_an_empty_mailbox_and_other_files_are_none() {
    assert_eq!(scan_bytes(b""), Scanned::default());
    for bytes in
        ["\n", "\nFrom a@b Thu Nov  9 22:33:52 2001\n", "From - \n\n", "\u{feff}From a@b Thu Nov  9 22:33:52 2001\n"]
    {
        let result = scan(&file_with(bytes.as_bytes()), Path::new("mbox"), HeaderDigest::Apop3d);
        assert!(matches!(result, Err(ScanError::NoMbox { .. })), "{bytes:?}");
    }
}

#[test]
fn the_pseudo_message_holds_the_state_and_is_no_message() {
    let base = BaseLine { uid_validity: 777, last_uid: 13, keywords: &["Foo"] };
    let mut file = pseudo_message(base, Timestamp(1_700_000_000));
    let scanned = scan_bytes(&file);
    assert_eq!((scanned.messages.len(), scanned.pseudo.is_some()), (0, true));
    let base = scanned.base.unwrap();
    assert_eq!((base.uid_validity, base.last_uid, base.is_pseudo), (777, 13, true));
    assert_eq!(base.keywords, [b"Foo"]);
    file.extend(b"From a@b Thu Nov  9 22:33:52 2001\nX-UID: 4\nX-IMAPbase: 1 2\nX-Keywords: foo\n\nx\n");
    let scanned = scan_bytes(&file);
    let [message] = &scanned.messages[..] else { panic!("one message") };
    assert_eq!((message.uid, scanned.base.unwrap().uid_validity), (Some(4), 777));
    assert_eq!(message.keywords.iter().next().unwrap().as_str(), "Foo");
    assert_eq!(message.from, scanned.pseudo.unwrap().next);
}

const FROM: &str = "From a@b Thu Nov  9 22:33:52 2001";

#[test]
fn nuls_that_a_crash_left_are_no_part_of_the_last_message() {
    let file = format!("{FROM}\nContent-Length: 4\n\nbody\n{}", "\0".repeat(100_000));
    let scanned = scan_bytes(file.as_bytes());
    assert_eq!(scanned.problems.len(), 1, "{:?}", scanned.problems);
    assert_eq!((scanned.messages[0].visible_size, scanned.messages[0].next), (5, scanned.length));
    // Here they may be meant.
    for file in [
        format!("{FROM}\nContent-Length: 5\n\nbody\n\0\0"),
        format!("{FROM}\nContent-Length: 4\n\nbody\n\0\0x"),
        format!("{FROM}\n\nbody\n\0\0"),
    ] {
        let scanned = scan_bytes(file.as_bytes());
        assert_eq!((scanned.problems.len(), scanned.messages[0].end), (0, scanned.length), "{file:?}");
    }
}

#[test]
fn lengths_beyond_all_measure_are_wrong_lengths() {
    for length in
        ["9223372036854775808", "18446744073709551615", "99999999999999999999999999", "18446744073709551616"]
    {
        let file = format!("{FROM}\nContent-Length: {length}\n\nbody\n\n{FROM}\n\nbody\n");
        assert_eq!(messages(file.as_bytes()), [b"\nbody\n", &b"\nbody"[..]], "{length}");
    }
}

#[test]
fn where_bodies_are_skipped_the_same_is_found() {
    // Longer than what is kept in memory, and full of From_ lines.
    let body = format!("{FROM}\nContent-Length: 3\n\nx\n\n").repeat(8_000);
    let mut file = String::new();
    for number in 0..4 {
        file += &format!("{FROM}\nSubject: {number}\nContent-Length: {}\n\n.{body}\n", body.len() + 1);
    }
    let found = messages(file.as_bytes());
    assert_eq!(found.len(), 4);
    for (message, number) in found.iter().zip(0..) {
        assert!(*message == format!("Subject: {number}\n\n.{body}").into_bytes());
    }
}

#[test]
fn marks_that_cannot_be_true_change_nothing() {
    let letters = "Status: ROeqlxzgg\n";
    for (message, wanted) in [
        ("Subject: x\n\nbody\n", "Subject: x\n\nbody\n"),
        ("Subject: x\n\n>quoted\n", "Subject: x\n\n>quoted\n"),
        ("Subject: x\n\n", "Subject: x\n\n"),
        ("Subject: x\n\n\n", "Subject: x\n\n\n"),
        ("X-Original-To: x\nX-Original: y\n>From x\n\nbody\n", "X-Original-To: x\nX-Original: y\n>From x\n\nbody\n"),
        // These can.
        ("Subject: x\n\n>From x\nFrom \n", "Subject: x\n\nFrom x\nFrom "),
        ("X-Original-status: x\n\nbody\r\n", "status: x\n\nbody\r"),
    ] {
        let file = format!("{FROM}\n{letters}{message}\n");
        assert_eq!(messages(file.as_bytes()), [wanted.as_bytes()], "{message:?}");
    }
}

#[test]
fn keywords_that_are_not_declared_are_kept() {
    let file = format!(
        "{FROM}\nX-Keywords: FOO new New\nX-IMAPbase: 1 0000000009 Foo B\u{e4}r\n\nx\n\n\
         {FROM}\nX-UID: 3\nX-UID: 4\nX-Keywords: foo NEW (x) B\u{e4}r\n\ny\n"
    );
    let scanned = scan_bytes(file.as_bytes());
    let names = |index: usize| {
        let names = scanned.messages[index].keywords.iter().map(|keyword| keyword.as_str().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!((names(0), names(1)), (vec!["Foo".to_owned(), "new".into()], vec!["Foo".to_owned(), "new".into()]));
    assert_eq!(scanned.problems, Vec::<String>::new(), "nothing is missing");
    assert_eq!((scanned.messages[1].uid, scanned.further_uids), (Some(3), vec![(1, 4)]));
}

#[test]
fn hostile_files_take_no_more_time_than_others() {
    let length = 400_000;
    for piece in [
        "From x\n",
        "\nFrom \"x",
        "\nFrom x Thu Nov  9 22:33:52 2001",
        "From x Thu Nov  9 22:33:52 2001\nContent-Length: 399000\n\n",
        "From x Thu Nov  9 22:33:52 2001\nContent-Length: 0\nStatus: eqlxzg\n\n",
        ">",
        "X-Original-",
        "X-Original: ",
        "\r",
        "X-Keywords: a b c d e f g h\n i\n",
        "X-UID: 1\n",
        "\0",
        "\n\0",
    ] {
        let file = format!("{FROM}\nContent-Length: 1\nStatus: xzg\n{}", piece.repeat(length / piece.len()));
        let started = std::time::Instant::now();
        messages(file.as_bytes());
        encode(file.as_bytes());
        assert!(started.elapsed().as_secs() < 30, "{piece:?}: {:?}", started.elapsed());
    }
}
