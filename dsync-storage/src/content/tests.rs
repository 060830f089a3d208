use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::dbox::message_file::{encode_message_header, parse_attachments};
use crate::incoming;

const FORMATS: [&str; 5] = ["gzip", "bzip2", "xz", "zstd", "lz4"];

fn compressed(format: &str, plain: &[u8]) -> Vec<u8> {
    match format {
        "gzip" => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            writer.write_all(plain).unwrap();
            writer.finish().unwrap()
        }
        "bzip2" => {
            let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            writer.write_all(plain).unwrap();
            writer.finish().unwrap()
        }
        "xz" => {
            let options = lzma_rust2::XzOptions::with_preset(0);
            let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
            writer.write_all(plain).unwrap();
            writer.finish().unwrap()
        }
        "zstd" => ruzstd::encoding::compress_to_vec(plain, ruzstd::encoding::CompressionLevel::Fastest),
        "lz4" => {
            let mut bytes = [&lz4::MAGIC[..], &1000u32.to_be_bytes()].concat();
            for chunk in plain.chunks(1000) {
                let block = lz4_flex::block::compress(chunk);
                bytes.extend(u32::try_from(block.len()).unwrap().to_be_bytes());
                bytes.extend(block);
            }
            bytes
        }
        _ => panic!("{format}"),
    }
}

/// Something in front, the bytes, something behind: as in an mdbox file.
fn stored(bytes: &[u8]) -> FileRange {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[b"1234567", bytes, b"89"].concat()).unwrap();
    FileRange::new(Arc::new(file), 7, bytes.len() as u64)
}

fn opened(bytes: &[u8], plain_size: Option<u64>) -> Result<MessageBody, StoreError> {
    open(stored(bytes), plain_size, Path::new("/storage/m.1"))
}

fn read(bytes: &[u8], plain_size: Option<u64>) -> io::Result<Vec<u8>> {
    opened(bytes, plain_size).unwrap().read_all()
}

fn mail(lines: usize) -> Vec<u8> {
    (0..lines).flat_map(|line| format!("Line {line} of {lines}: {}\n", line * line % 977).into_bytes()).collect()
}

#[test]
fn a_plain_message_stays_a_part_of_its_file() {
    let body = opened(b"Subject: x\n\n", Some(99)).unwrap();
    let BodySource::File(range) = body.source else { panic!("it is a stream") };
    assert_eq!((range.offset(), range.length(), body.size), (7, 12, Some(12)));
}

#[test]
fn what_is_compressed_on_the_way_in_comes_out_again() {
    let message = |size: Option<u64>, bytes: &[u8]| MessageBody {
        size,
        source: BodySource::Stream(Box::new(io::Cursor::new(bytes.to_vec()))),
    };
    for (name, levels) in
        [("gz", ["1", "9"]), ("bz2", ["1", "9"]), ("xz", ["0", "6"]), ("zstd", ["1", "22"]), ("lz4", ["1", "9"])]
    {
        let method: CompressionMethod = name.parse().unwrap();
        for (level, plain) in levels.into_iter().flat_map(|level| {
            // Nothing, little, what fills frames exactly, and what cannot be made smaller.
            let random = |count: u64| {
                (0..count).map(|number| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
            };
            [Vec::new(), b"a\n".to_vec(), mail(20_000), vec![b'x'; 256 * 1024], random(70_000)]
                .map(|plain| (level, plain))
        }) {
            let compression = Compression::new(method, Some(level)).unwrap();
            let mut stored = Vec::new();
            let sizes = incoming::store(message(None, &plain), Some(compression), &mut |piece| {
                stored.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
            assert_eq!(sizes.physical, plain.len() as u64);
            assert_eq!(read(&stored, Some(sizes.physical)).unwrap(), plain, "{name} {level}");
            // Whatever fails, nothing of it is taken for the message, and no encoder minds.
            for (announced, fails) in [(Some(sizes.physical + 1), false), (None, true)] {
                let path = Path::new("/full");
                let result = incoming::store(message(announced, &plain), Some(compression), &mut |_| match fails {
                    true => Err(FsError::new("write", path, io::ErrorKind::StorageFull.into())),
                    false => Ok(()),
                });
                assert_eq!(result.unwrap_err().kind(), if fails { ErrorKind::NoRoom } else { ErrorKind::Source });
            }
        }
        for level in ["-1", "23", "", "high"] {
            let error = Compression::new(method, Some(level)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} has no level {level:?}")), "{error}");
        }
    }
    assert!("deflate".parse::<CompressionMethod>().unwrap_err().to_string().contains("gz, bz2"));
}

#[test]
fn messages_as_their_own_programs_compress_them_are_read() {
    // printf 'Subject: one\n\nbody one\n' | gzip -n, bzip2, xz, zstd.
    for (format, hex) in [
        ("gzip", "1f8b08000000000000030b2e4dca4a4d2eb152c8cf4be5e24aca4fa904b30087d40fc617000000"),
        (
            "bzip2",
            "425a6839314159265359bb61e6140000035b8000104000001008001e118620200021a9ea7a9a03ca10000340a8d435209e40f4373e\
             2ee48a70a12176c3cc28",
        ),
        (
            "xz",
            "fd377a585a000004e6d6b4460200210116000000742fe5a30100165375626a6563743a206f6e650a0a626f6479206f6e650a00004ccc\
             d1f8c107d31200012f17810849b11fb6f37d010000000004595a",
        ),
        ("zstd", "28b52ffd0458b900005375626a6563743a206f6e650a0a626f6479206f6e650a6dcd832f"),
    ] {
        let digits: Vec<_> =
            hex.bytes().map(|digit| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap()).collect();
        let bytes: Vec<_> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        assert_eq!(read(&bytes, Some(23)).unwrap(), b"Subject: one\n\nbody one\n", "{format}");
    }
}

#[test]
fn what_has_the_size_of_the_message_already_is_compressed_only_if_it_can_be() {
    // Not every message becomes smaller.
    let (plain, bytes) = (0..)
        .map(mail)
        .map(|plain| [&plain[..], b"-- \n"].concat())
        .flat_map(|plain| (0..40).map(move |more| [&plain[..], &b"x".repeat(more)].concat()))
        .map(|plain| (plain.clone(), compressed("gzip", &plain)))
        .find(|(plain, bytes)| plain.len() == bytes.len())
        .unwrap();
    assert_eq!(read(&bytes, Some(plain.len() as u64)).unwrap(), plain);
    for bytes in [b"BZh1 is no bzip2\n".to_vec(), compressed("gzip", &mail(40)), b"\x1f\x8b".to_vec()] {
        let body = opened(&bytes, Some(bytes.len() as u64)).unwrap();
        assert!(matches!(body.source, BodySource::File(_)));
        assert_eq!(body.read_all().unwrap(), bytes);
    }
}

#[test]
fn members_and_frames_that_follow_each_other_are_one_message() {
    for format in ["gzip", "bzip2", "xz", "zstd"] {
        let bytes = [compressed(format, b"one "), compressed(format, b"two")].concat();
        assert_eq!(read(&bytes, Some(7)).unwrap(), b"one two", "{format}");
    }
    let skipped = b"\x50\x2a\x4d\x18\x03\0\0\0abc";
    let frame = compressed("zstd", b"one");
    assert_eq!(read(&[&frame, &skipped[..], &frame].concat(), Some(6)).unwrap(), b"oneone");
    assert!(read(&[&frame, &skipped[..9]].concat(), Some(3)).is_err());
}

#[test]
fn a_message_of_another_size_is_an_error_that_names_the_file() {
    let plain = mail(50);
    let size = plain.len() as u64;
    for format in FORMATS {
        for (announced, problem) in [
            (size - 1, format!("has more than the {} bytes that it should have", size - 1)),
            (size + 1, format!("has {size} bytes, but should have {}", size + 1)),
        ] {
            let mut body = opened(&compressed(format, &plain), Some(announced)).unwrap();
            assert_eq!(body.size, Some(announced));
            let error = body.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert_eq!(error.to_string(), format!("the message at offset 7 of /storage/m.1 {problem}"), "{format}");
            assert!(body.read(&mut [0]).is_err(), "the error was taken back");
        }
    }
}

#[test]
fn an_encrypted_message_is_refused_with_advice() {
    let error = opened(b"CRYPTED\x03\x07\x02abc", Some(3)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert!(error.to_string().starts_with("the message at offset 7 of /storage/m.1 is encrypted"), "{error}");
}

#[test]
fn memory_is_bounded() {
    // A frame whose window is 256 MiB, and a block of one repeated byte.
    let zstd = b"\x28\xb5\x2f\xfd\x00\x90\x03\x00\x00a";
    assert!(read(zstd, None).unwrap_err().to_string().contains("window"));
    let mut lz4 = compressed("lz4", b"abc");
    lz4[15..19].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(read(&lz4, None).unwrap_err().to_string().contains("header is invalid"));
    let mut lz4 = compressed("lz4", b"abc");
    lz4[19..23].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(read(&lz4, None).unwrap_err().to_string().contains("impossible size"));
}

#[test]
fn a_compressed_message_comes_in_any_pieces() {
    let plain = mail(3000);
    for format in FORMATS {
        let mut body = opened(&compressed(format, &plain), Some(plain.len() as u64)).unwrap();
        let mut found: Vec<u8> = Vec::new();
        for length in (0..).map(|number| number * 7 % 301) {
            let mut piece = vec![0; length];
            let count = body.read(&mut piece).unwrap();
            found.extend(&piece[..count]);
            if count == 0 && length > 0 {
                break;
            }
        }
        assert!(found == plain, "{format}");
    }
}

#[test]
fn a_message_that_was_cut_is_never_taken_for_a_whole_one() {
    let plain = mail(40);
    for format in FORMATS {
        let bytes = compressed(format, &plain);
        let magic = if format == "lz4" { lz4::MAGIC.len() } else { 6 };
        for end in magic..bytes.len() {
            assert!(read(&bytes[..end], Some(plain.len() as u64)).is_err(), "{format} cut at {end}");
            // The others say themselves where they end.
            if format != "lz4" {
                assert!(read(&bytes[..end], None).is_err(), "{format} cut at {end}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_compressed_is_read(plain in prop::collection::vec(any::<u8>(), 0..5000), repeat in 1usize..10) {
        let plain = plain.repeat(repeat);
        for format in FORMATS {
            prop_assert!(read(&compressed(format, &plain), Some(plain.len() as u64)).unwrap() == plain, "{}", format);
        }
    }
}

proptest! {
    #[test]
    fn damage_is_an_error_or_does_not_matter(place in 0usize..400, bit in 0u8..8, format in 0usize..5) {
        let plain = mail(40);
        let mut bytes = compressed(FORMATS[format], &plain);
        let place = place % bytes.len();
        bytes[place] ^= 1 << bit;
        if let Ok(found) = read(&bytes, Some(plain.len() as u64)) {
            // LZ4 as Dovecot frames it has no checksum; damage in a magic makes plain bytes of all.
            let checked = place >= 15 && FORMATS[format] != "lz4";
            prop_assert!(found == plain || !checked, "{} at {}", FORMATS[format], place);
        }
    }

    #[test]
    fn any_bytes_behind_a_magic_can_be_read(tail in prop::collection::vec(any::<u8>(), 0..200), format in 0usize..5) {
        let magic: [&[u8]; 5] = [b"\x1f\x8b\x08", b"BZh1", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", &lz4::MAGIC];
        let mut body = opened(&[magic[format], &tail].concat(), None).unwrap();
        let _ = io::copy(&mut body.by_ref().take(1 << 20), &mut io::sink());
    }
}

/// A text, the attachment behind it, and the lines of base64 that the message has instead of its bytes: how long, and
/// whether with CRLF.
type Piece = (Vec<u8>, Vec<u8>, Option<(usize, bool)>);

/// A message in parts, and the directory with its attachments.
struct Parts {
    directory: TempDir,
    rest: Vec<u8>,
    list: String,
    whole: Vec<u8>,
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

    fn read(&self) -> io::Result<Vec<u8>> {
        self.body(Some(self.directory.path()), "", self.whole.len() as u64).unwrap().read_all()
    }
}

fn small_parts(suffix: &str) -> Parts {
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
fn a_compressed_rest_is_put_together_too() {
    let mut parts = small_parts("");
    parts.rest = compressed("gzip", &parts.rest);
    assert_eq!(parts.read().unwrap(), parts.whole);
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
    assert_eq!(read(&compressed("gzip", b"abcde")).unwrap().read_all().unwrap(), b"abcde");
    let (metadata, _) = Metadata::decode(b"\n\x01\x03\nXrubbish\n\n").unwrap();
    let error = open_message(stored(b"x"), &metadata, &AttachmentFiles::default(), Path::new("/m.1")).unwrap_err();
    assert!(error.to_string().contains("cannot be put together"), "{error}");
}

#[test]
fn messages_of_one_file_share_its_handle() {
    let (one, two) = (compressed("zstd", b"one"), b"two".to_vec());
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[&encode_message_header(0)[..], &one, &two].concat()).unwrap();
    let file: Arc<File> = Arc::new(file);
    let range = |offset: usize, length: usize| FileRange::new(Arc::clone(&file), offset as u64, length as u64);
    let mut first = open(range(30, one.len()), Some(3), Path::new("m.1")).unwrap();
    let second = open(range(30 + one.len(), 3), None, Path::new("m.1")).unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).unwrap();
    assert_eq!(second.read_all().unwrap(), b"two");
    let mut rest = Vec::new();
    first.read_to_end(&mut rest).unwrap();
    assert_eq!(([&byte[..], &rest]).concat(), b"one");
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
