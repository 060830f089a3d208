use std::cell::Cell;

use dsync_core::model::{MessageGuid, Timestamp};
use proptest::prelude::*;

use super::*;

/// The message of the chapter on the format, as a server wrote it.
const GOLDEN: &[u8] = b"2 M1e C6553f100\n\
    \x01\x02N          0000000000000017\nSubject: one\n\nbody one\n\
    \n\x01\x03\nR59682f01\nV1a\nPUIDL-one\nO2\nG0123456789abcdef0123456789abcdef\nBINBOX\n\n";

fn guid() -> MessageGuid {
    MessageGuid::new(b"0123456789abcdef0123456789abcdef").unwrap()
}

fn golden_metadata() -> Metadata {
    Metadata::new(&NewMetadata {
        received: Timestamp(1_500_000_001),
        plain_size: None,
        virtual_size: 26,
        pop3_uidl: Some("UIDL-one"),
        pop3_order: Some(2),
        guid: &guid(),
        first_mailbox: Some(b"INBOX"),
    })
}

fn all(file: &[u8]) -> Vec<Result<StoredMessage, MessageFileError>> {
    let (header, start) = read_file_header(file).unwrap();
    walk(file, header, start).collect()
}

/// A message around a body, and the file header in front of it.
fn file_with(body: &[u8], metadata: &[u8]) -> Vec<u8> {
    [&FileHeader::encode(1), &encode_message_header(body.len() as u64)[..], body, metadata].concat()
}

#[test]
fn a_file_is_written_as_a_server_writes_it() {
    let body = b"Subject: one\n\nbody one\n";
    let written = [
        &FileHeader::encode(0x6553_f100),
        &encode_message_header(body.len() as u64)[..],
        body,
        &golden_metadata().encode(),
    ]
    .concat();
    assert_eq!(written, GOLDEN);
}

#[test]
fn a_file_of_a_server_is_read() {
    let (header, start) = read_file_header(GOLDEN).unwrap();
    assert_eq!(header, FileHeader { version: 2, message_header_size: 30, created: Some(0x6553_f100) });
    assert!(header.allows_appending());
    let message = read_message(GOLDEN, &header, start, Some(126)).unwrap();
    assert_eq!((message.offset, message.body_offset, message.body_size, message.size), (16, 46, 23, 126));
    assert_eq!((message.end(), message.physical_size()), (142, 23));
    let metadata = message.metadata;
    assert_eq!(metadata, golden_metadata());
    assert_eq!((metadata.received(), metadata.virtual_size()), (Timestamp(1_500_000_001), Some(26)));
    assert_eq!((metadata.pop3_uidl(), metadata.pop3_order()), (Some("UIDL-one"), Some(2)));
    assert_eq!((metadata.guid(), metadata.first_mailbox()), (Some(guid()), Some(&b"INBOX"[..])));
    assert_eq!((metadata.plain_size(), metadata.attachments()), (None, Ok(Vec::new())));
}

#[test]
fn headers_of_other_writers_are_read() {
    for (line, expected) in [
        ("2 M1E C0\n", Ok((2, 30, Some(0)))),
        ("1 M20 A17 Zfoo\n", Ok((1, 32, None))),
        ("2 Zfoo M001e Cx\n", Ok((2, 30, None))),
        ("3 M1e\n", Err("it is a dbox file of an unknown version")),
        ("22 M1e\n", Err("it is a dbox file of an unknown version")),
        ("2 C1\n", Err("its header gives no valid size of message headers")),
        ("2 M1d C1\n", Err("its header gives no valid size of message headers")),
        ("2 Mfffffffff C1\n", Err("its header gives no valid size of message headers")),
        ("2 M1e C1", Err("it does not begin with the header of a dbox file")),
        ("", Err("it does not begin with the header of a dbox file")),
        ("From me\n", Err("it does not begin with the header of a dbox file")),
    ] {
        let decoded = FileHeader::decode(line.as_bytes())
            .map(|(header, length)| {
                assert_eq!(length, line.len());
                assert_eq!(header.allows_appending(), header.version == 2 && header.message_header_size == 30);
                (header.version, header.message_header_size, header.created)
            })
            .map_err(|error| error.to_string());
        assert_eq!(decoded, expected.map_err(str::to_owned), "{line:?}");
    }
}

#[test]
fn longer_message_headers_and_lower_case_sizes_are_read() {
    let file = b"1 M20\n\x01\x02N          000000000000000a++\n0123456789\n\x01\x03\nGx\n\n";
    let messages = all(file);
    assert_eq!(messages[0].as_ref().unwrap().body_size, 10);
    let mut without_line_end = *file;
    without_line_end[37] = b'+';
    let messages = all(&without_line_end);
    assert_eq!(messages[0].as_ref().unwrap_err().to_string(), "at offset 6 there is no message header");
}

#[test]
fn odd_metadata_is_carried_along() {
    let lines = b"\n\x01\x03\nGfirst\nQ\xff\x00\nGsecond\nEold\nR\nVxyz\nO-1\nPa b\r\nB\n\n";
    let (metadata, length) = Metadata::decode(&[&lines[..], b"rest"].concat()).unwrap();
    assert_eq!(length, lines.len());
    assert_eq!(metadata.encode(), lines);
    assert_eq!(&*metadata.guid().unwrap().text(), b"first");
    assert_eq!((metadata.received(), metadata.virtual_size(), metadata.pop3_order()), (Timestamp(0), None, None));
    assert_eq!((metadata.pop3_uidl(), metadata.first_mailbox()), (Some("a b"), None));
}

#[test]
fn a_line_with_a_space_ends_metadata_too() {
    let (metadata, length) = Metadata::decode(b"\n\x01\x03\nGx\n  \nGy\n\n").unwrap();
    assert_eq!((metadata.encode(), length), (b"\n\x01\x03\nGx\n\n".to_vec(), 10));
    assert_eq!(Metadata::decode(b"\n\x01\x03\n\n").unwrap().1, 5);
}

#[test]
fn a_new_message_forges_no_lines() {
    let metadata = Metadata::new(&NewMetadata {
        received: Timestamp(-1),
        plain_size: None,
        virtual_size: 0,
        pop3_uidl: Some("x\nGy"),
        pop3_order: Some(0),
        guid: &guid(),
        // A reader would take its end for a part of the line end.
        first_mailbox: Some(b"x\r"),
    });
    assert_eq!(metadata.encode(), b"\n\x01\x03\nR0\nV0\nG0123456789abcdef0123456789abcdef\n\n");
}

#[test]
fn metadata_is_bounded() {
    let line = [b'Q'; 1023];
    let large =
        |lines| [b"\n\x01\x03\n".to_vec(), [&line[..], b"\n"].concat().repeat(lines), b"\n".to_vec()].concat();
    assert_eq!(all(&file_with(b"", &large(1000)))[0].as_ref().unwrap().size, 30 + 4 + 1000 * 1024 + 1);
    let errors = all(&file_with(b"", &large(1024)));
    assert_eq!(errors[0].as_ref().unwrap_err().to_string(), "the message at offset 9 has too much metadata");
}

#[test]
fn a_walk_ends_at_damage_and_says_where() {
    let file = [GOLDEN, GOLDEN.get(16..).unwrap()].concat();
    assert!(all(&file).into_iter().all(|message| message.is_ok()));
    assert_eq!(all(&file).len(), 2);
    for (place, byte, expected) in [
        (142, 9, "at offset 142 there is no message header"),
        (142 + 13, b'g', "at offset 142 there is no message header"),
        (142 + 13, b'F', "the message at offset 142 is incomplete"),
        (142 + 13, b'7', "the message at offset 142 is incomplete"),
        (142 + 28, b'6', "at offset 194 the metadata of a message should begin, but does not"),
        (142 + 53, b'x', "at offset 195 the metadata of a message should begin, but does not"),
    ] {
        let mut damaged = file.clone();
        damaged[place] = byte;
        let found = all(&damaged);
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].as_ref().unwrap_err().to_string(), expected);
    }
    for end in 143..file.len() {
        let found = all(&file[..end]);
        let text = "the message at offset 142 is incomplete";
        assert_eq!(found[1].as_ref().unwrap_err().to_string(), text, "cut at {end}");
    }
}

#[test]
fn nothing_beyond_the_known_size_is_looked_at() {
    let (header, start) = read_file_header(GOLDEN).unwrap();
    assert!(read_message(GOLDEN, &header, start, Some(126)).is_ok());
    for limit in 0..126 {
        let error = read_message(GOLDEN, &header, start, Some(limit)).unwrap_err();
        assert_eq!(error.to_string(), "the message at offset 16 is incomplete");
    }
    assert!(read_message(GOLDEN, &header, 142, None).is_err());
    assert!(read_message(GOLDEN, &header, u64::MAX, Some(u64::MAX)).is_err());
}

/// Counts how often it is read from.
struct Counted<'a>(&'a [u8], Cell<u32>);

impl ReadAt for Counted<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.1.set(self.1.get() + 1);
        self.0.read_at(buffer, offset)
    }
}

#[test]
fn a_small_message_costs_one_read_and_a_large_one_two() {
    for (size, reads) in [(0, 1), (100, 1), (3900, 1), (4050, 2), (1 << 20, 2)] {
        let file = file_with(&vec![b'x'; size], &golden_metadata().encode());
        let (header, start) = read_file_header(&file[..]).unwrap();
        let counted = Counted(&file, Cell::new(0));
        let message = read_message(&counted, &header, start, None).unwrap();
        assert_eq!((message.body_size, counted.1.get()), (size as u64, reads));
        assert_eq!(message.metadata, golden_metadata());
    }
}

/// Gives at most a few bytes at once.
struct Trickle<'a>(&'a [u8]);

impl ReadAt for Trickle<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let most = buffer.len().min(40);
        self.0.read_at(&mut buffer[..most], offset)
    }
}

#[test]
fn short_reads_are_continued() {
    let (header, start) = read_file_header(GOLDEN).unwrap();
    let whole = read_message(GOLDEN, &header, start, None).unwrap();
    assert_eq!(read_message(&Trickle(GOLDEN), &header, start, None).unwrap(), whole);
}

#[test]
fn attachments_are_listed() {
    let list = b"190 5000 B76 a1/b2/a1b2-0011 5300 12 - x 5312 8 CB4 y/z";
    let attachments = parse_attachments(list).unwrap();
    let found: Vec<_> = attachments
        .iter()
        .map(|attachment| {
            (attachment.start, attachment.size, attachment.encoding, attachment.path().to_str().unwrap())
        })
        .collect();
    let base64 = |line_length, line_end| Encoding::Base64 { line_length, line_end };
    assert_eq!(
        found,
        [
            (190, 5000, base64(76, LineEnd::Lf), "a1/b2/a1b2-0011"),
            (5300, 12, Encoding::Raw, "x"),
            (5312, 8, base64(4, LineEnd::CrLf), "y/z"),
        ]
    );
}

#[test]
fn lists_of_attachments_that_cannot_be_are_refused() {
    use AttachmentListError as Error;
    for (list, expected) in [
        ("", Error::Fields),
        ("1 2 -", Error::Fields),
        ("1 2 - a ", Error::Fields),
        ("+1 2 - a", Error::Number),
        ("1 -2 - a", Error::Number),
        ("1 18446744073709551615 - a", Error::Number),
        ("10 5 - a 14 1 - b", Error::Order),
        ("1 2 B a", Error::Encoding),
        ("1 2 B0 a", Error::Encoding),
        ("1 2 B77 a", Error::Encoding),
        ("1 2 C a", Error::Encoding),
        ("1 2 Z a", Error::Encoding),
        ("1 2 - /etc/passwd", Error::Path),
        ("1 2 - ../a", Error::Path),
        ("1 2 - a/../../b", Error::Path),
        ("1 2 - .", Error::Path),
        ("1 2 - a/", Error::Path),
        ("1 2 - ", Error::Path),
        ("1 2 - a\0b", Error::Path),
    ] {
        assert_eq!(parse_attachments(list.as_bytes()), Err(expected), "{list:?}");
    }
}

fn metadata_line() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 1..30)
        .prop_map(|line| line.into_iter().filter(|byte| *byte != b'\n').collect::<Vec<_>>())
        .prop_filter("it ends the metadata", |line| !line.is_empty() && line[0] != b' ' && line.as_slice() != b"\r")
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        messages in prop::collection::vec((
            prop::collection::vec(any::<u8>(), 0..6000),
            prop::collection::vec(metadata_line(), 0..200),
        ), 0..4),
        created: u32,
    ) {
        let mut file = FileHeader::encode(created);
        let mut expected = Vec::new();
        for (body, lines) in &messages {
            let lines = lines.iter().flat_map(|line| [&line[..], b"\n"]).collect::<Vec<_>>().concat();
            let metadata = [b"\n\x01\x03\n", &lines[..], b"\n"].concat();
            let body_offset = file.len() + 30;
            file.extend(encode_message_header(body.len() as u64));
            file.extend(body);
            file.extend(&metadata);
            expected.push((body_offset as u64, body.len() as u64, metadata, file.len() as u64));
        }
        let (header, _) = FileHeader::decode(&file).unwrap();
        prop_assert_eq!(header.created, Some(created));
        let found: Vec<_> = all(&file).into_iter().map(Result::unwrap).map(|message| {
            (message.body_offset, message.body_size, message.metadata.encode(), message.end())
        }).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn values_survive(
        received in 0i64..1 << 40, virtual_size: u64, uidl in "[!-~]{1,20}", order in 1u32.., guid in "[!-~]{1,40}",
        mailbox in prop::collection::vec(b' '..=255u8, 1..20),
    ) {
        let guid = MessageGuid::new(guid.as_bytes()).unwrap();
        let metadata = Metadata::new(&NewMetadata {
            received: Timestamp(received),
            plain_size: None,
            virtual_size,
            pop3_uidl: Some(&uidl),
            pop3_order: Some(order),
            guid: &guid,
            first_mailbox: Some(&mailbox),
        });
        let encoded = metadata.encode();
        let (decoded, length) = Metadata::decode(&encoded).unwrap();
        prop_assert_eq!((&decoded, length), (&metadata, encoded.len()));
        prop_assert_eq!((decoded.received().seconds(), decoded.virtual_size()), (received, Some(virtual_size)));
        prop_assert_eq!((decoded.pop3_uidl(), decoded.pop3_order()), (Some(&uidl[..]), Some(order)));
        prop_assert_eq!((decoded.guid(), decoded.first_mailbox()), (Some(guid), Some(&mailbox[..])));
    }

    #[test]
    fn message_headers_survive(size: u64) {
        let header = encode_message_header(size);
        prop_assert_eq!(decode_message_header(&header, 0).unwrap(), size);
    }

    #[test]
    fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200), place in 0usize..142) {
        let _ = FileHeader::decode(&bytes);
        let _ = Metadata::decode(&bytes);
        let _ = parse_attachments(&bytes);
        let mut file = GOLDEN.to_vec();
        file.splice(place..(place + bytes.len()).min(142), bytes);
        if let Ok((header, start)) = read_file_header(&file[..]) {
            for message in walk(&file[..], header, start).flatten() {
                prop_assert!(message.end() <= file.len() as u64);
                let _ = (message.metadata.attachments(), message.metadata.guid(), message.metadata.received());
            }
        }
    }
}
