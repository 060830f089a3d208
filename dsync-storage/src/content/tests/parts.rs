//! Messages whose attachments are in files of their own.

use std::fs;
use std::io::{self, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::dbox::message_file::parse_attachments;

/// A text, the attachment behind it, and the lines of base64 that the message has instead of its bytes: how long, and
/// whether with CRLF.
type Piece = (Vec<u8>, Vec<u8>, Option<(usize, bool)>);

/// A message in parts, and the directory with its attachments.
pub(super) struct Parts {
    directory: TempDir,
    pub(super) rest: Vec<u8>,
    list: String,
    pub(super) whole: Vec<u8>,
}

impl Parts {
    fn new(pieces: &[Piece], tail: &[u8], suffix: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("aa")).unwrap();
        let (mut rest, mut whole, mut list) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (text, content, line)) in pieces.iter().enumerate() {
            rest.extend(text);
            whole.extend(text);
            fs::write(directory.path().join(format!("aa/{number}{suffix}")), content).unwrap();
            let (options, encoded) = match line {
                None => ("-".to_owned(), content.clone()),
                Some((length, crlf)) => {
                    let characters = STANDARD.encode(content);
                    let lines: Vec<_> = characters.as_bytes().chunks(*length).collect();
                    let line_end: &[u8] = if *crlf { b"\r\n" } else { b"\n" };
                    (format!("{}B{length}", if *crlf { "C" } else { "" }), lines.join(line_end))
                }
            };
            list.push(format!("{} {} {options} aa/{number}", whole.len(), encoded.len()));
            whole.extend(encoded);
        }
        rest.extend(tail);
        whole.extend(tail);
        Self { directory, rest, list: list.join(" "), whole }
    }

    fn body(&self, directory: Option<&Path>, suffix: &str, plain_size: u64) -> Result<MessageBody, StoreError> {
        let metadata = format!("\n\x01\x03\nZ{plain_size:x}\nX{}\n\n", self.list);
        let (metadata, _) = Metadata::decode(metadata.as_bytes()).unwrap();
        open_message(stored(&self.rest), &metadata, &AttachmentFiles { directory, suffix }, Path::new("/storage/m.1"))
    }

    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        self.body(Some(self.directory.path()), "", self.whole.len() as u64).unwrap().read_all()
    }
}

pub(super) fn small_parts(suffix: &str) -> Parts {
    let pieces = [
        (b"To: x\n\n".to_vec(), mail(10), Some((76, false))),
        (b"\n--x\n".to_vec(), b"raw".to_vec(), None),
        (b"".to_vec(), mail(2), Some((72, true))),
    ];
    Parts::new(&pieces, b"\n--x--\n", suffix)
}

#[test]
fn attachments_come_back_where_they_were() {
    let parts = small_parts("");
    assert_eq!(parts.read().unwrap(), parts.whole);
    let parts = small_parts("-00112233445566778899aabbccddeeff-7");
    let suffix = "-00112233445566778899aabbccddeeff-7";
    let body = parts.body(Some(parts.directory.path()), suffix, parts.whole.len() as u64).unwrap();
    assert_eq!(body.read_all().unwrap(), parts.whole);
}

#[test]
fn what_lacks_an_attachment_is_refused() {
    let parts = small_parts("");
    let size = parts.whole.len() as u64;
    let error = |directory: Option<&Path>, suffix: &str| {
        let error = parts.body(directory, suffix, size).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Source);
        error.to_string()
    };
    assert!(error(None, "").contains("mail_attachment_dir"));
    assert!(error(Some(parts.directory.path()), "-1").contains("lacks an attachment: cannot open"));
    let path = parts.directory.path().join("aa/1");
    fs::write(&path, b"longer").unwrap();
    assert!(error(Some(parts.directory.path()), "").contains("aa/1 is an attachment of the wrong size"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(error(Some(parts.directory.path()), "").contains("no plain file"));
}

#[test]
fn an_attachment_that_vanishes_or_shrinks_meanwhile_is_an_error() {
    let parts = small_parts("");
    let open = || parts.body(Some(parts.directory.path()), "", parts.whole.len() as u64).unwrap();
    let (first, second) = (open(), open());
    fs::write(parts.directory.path().join("aa/0"), b"short").unwrap();
    let error = first.read_all().unwrap_err();
    assert!(error.to_string().contains("aa/0 has 8 bytes, but should have"), "{error}");
    fs::remove_file(parts.directory.path().join("aa/0")).unwrap();
    assert!(second.read_all().unwrap_err().to_string().contains("aa/0"));
}

#[test]
fn the_whole_has_to_have_its_size() {
    let parts = small_parts("");
    let size = parts.whole.len() as u64;
    for wrong in [size - 1, size + 1] {
        let body = parts.body(Some(parts.directory.path()), "", wrong).unwrap();
        assert_eq!(body.read_all().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
    let mut parts = parts;
    parts.list = parts.list.replacen("7 ", "700000 ", 1);
    let attachments = parse_attachments(parts.list.split(" ").take(4).collect::<Vec<_>>().join(" ").as_bytes());
    let files = AttachmentFiles { directory: Some(parts.directory.path()), suffix: "" };
    let place = Place { path: "/storage/m.1".into(), offset: 0 };
    let rest = MessageBody::from_bytes(parts.rest.clone());
    let body = attachments::assemble(rest, attachments.unwrap(), &files, None, &place).unwrap();
    assert_eq!(body.read_all().unwrap_err().to_string(), "/storage/m.1 is damaged: it ends before its attachment");
}

#[test]
fn a_size_that_nothing_explains_is_refused() {
    let (metadata, _) = Metadata::decode(b"\n\x01\x03\nZ5\n\n").unwrap();
    let read = |bytes| open_message(stored(bytes), &metadata, &AttachmentFiles::default(), Path::new("/m.1"));
    assert!(read(b"abcdef").unwrap_err().to_string().contains("should be a message of 5 bytes, but 6 are stored"));
    assert_eq!(read(b"abcde").unwrap().read_all().unwrap(), b"abcde");
    let (metadata, _) = Metadata::decode(b"\n\x01\x03\nXrubbish\n\n").unwrap();
    let error = open_message(stored(b"x"), &metadata, &AttachmentFiles::default(), Path::new("/m.1")).unwrap_err();
    assert!(error.to_string().contains("cannot be put together"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_message_in_parts_is_put_together(
        pieces in prop::collection::vec((
            prop::collection::vec(any::<u8>(), 0..100),
            (0usize..60_000, any::<u8>()),
            prop::option::of((1usize..30, any::<bool>())),
        ), 0..5),
        tail in prop::collection::vec(any::<u8>(), 0..100),
        piece in 1usize..5000,
    ) {
        let pieces: Vec<_> = pieces.into_iter().map(|(mut text, (length, byte), line)| {
            text.insert(0, b'x');
            let content = (0..length).map(|place| byte.wrapping_mul(u8::try_from(place % 251).unwrap())).collect();
            (text, content, line.map(|(quads, crlf)| (quads * 4, crlf)))
        }).collect();
        prop_assume!(!pieces.is_empty());
        let parts = Parts::new(&pieces, &tail, "");
        let mut body = parts.body(Some(parts.directory.path()), "", parts.whole.len() as u64).unwrap();
        let (mut found, mut buffer) = (Vec::<u8>::new(), vec![0; piece]);
        loop {
            match body.read(&mut buffer).unwrap() {
                0 => break,
                count => found.extend(&buffer[..count]),
            }
        }
        prop_assert!(found == parts.whole);
    }
}
