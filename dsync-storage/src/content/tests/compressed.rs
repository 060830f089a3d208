//! Messages that are compressed, with all methods built in.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use proptest::prelude::*;

use super::parts::small_parts;
use super::*;
use crate::dbox::message_file::encode_message_header;
use crate::incoming;

fn read(bytes: &[u8], plain_size: Option<u64>) -> io::Result<Vec<u8>> {
    opened(bytes, plain_size).unwrap().read_all()
}

const FORMATS: [&str; 5] = ["gzip", "bzip2", "xz", "zstd", "lz4"];

fn compressed(format: &str, plain: &[u8]) -> Vec<u8> {
    match format {
        "gzip" => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            writer.write_all(plain).unwrap();
            writer.finish().unwrap()
        }
        "bzip2" => {
            let mut writer = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
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
            let mut bytes = [&LZ4_MAGIC[..], &1000u32.to_be_bytes()].concat();
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
        let magic = if format == "lz4" { LZ4_MAGIC.len() } else { 6 };
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
        let magic: [&[u8]; 5] = [b"\x1f\x8b\x08", b"BZh1", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", &LZ4_MAGIC];
        let mut body = opened(&[magic[format], &tail].concat(), None).unwrap();
        let _ = io::copy(&mut body.by_ref().take(1 << 20), &mut io::sink());
    }
}

#[test]
fn a_compressed_rest_is_put_together_too() {
    let mut parts = small_parts("");
    parts.rest = compressed("gzip", &parts.rest);
    assert_eq!(parts.read().unwrap(), parts.whole);
    let (metadata, _) = Metadata::decode(b"\n\x01\x03\nZ5\n\n").unwrap();
    let bytes = stored(&compressed("gzip", b"abcde"));
    let body = open_message(bytes, &metadata, &AttachmentFiles::default(), Path::new("/m.1"));
    assert_eq!(body.unwrap().read_all().unwrap(), b"abcde");
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
