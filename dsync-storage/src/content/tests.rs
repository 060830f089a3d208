#[cfg(feature = "compression")]
mod compressed;
mod parts;

use std::io::Write;
use std::sync::Arc;

use super::*;

/// Something in front, the bytes, something behind: as in an mdbox file.
fn stored(bytes: &[u8]) -> FileRange {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[b"1234567", bytes, b"89"].concat()).unwrap();
    FileRange::new(Arc::new(file), 7, bytes.len() as u64)
}

fn opened(bytes: &[u8], plain_size: Option<u64>) -> Result<MessageBody, StoreError> {
    open(stored(bytes), plain_size, Path::new("/storage/m.1"))
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
fn an_encrypted_message_is_refused_with_advice() {
    let error = opened(b"CRYPTED\x03\x07\x02abc", Some(3)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert!(error.to_string().starts_with("the message at offset 7 of /storage/m.1 is encrypted"), "{error}");
}

#[test]
fn what_is_compressed_in_a_way_that_is_not_built_in_is_named() {
    let heads: [&[u8]; 5] = [b"\x1f\x8b\x08", b"BZh1", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", &LZ4_MAGIC];
    for (method, head) in CompressionMethod::ALL.into_iter().zip(heads) {
        match opened(head, None) {
            Ok(_) => assert!(method.is_built_in()),
            Err(error) => {
                assert!(!method.is_built_in() && error.kind() == ErrorKind::Source);
                let text = format!("the message at offset 7 of /storage/m.1 is compressed with {method}, which");
                assert!(error.to_string().starts_with(&text), "{error}");
                assert_eq!(Compression::new(method, None), Err(InvalidCompression::NotBuiltIn(method)));
            }
        }
    }
}
