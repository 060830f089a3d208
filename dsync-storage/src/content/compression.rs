//! The formats in which Dovecot's plugins `zlib` and `mail_compress` store messages.
//!
//! | format | first bytes |
//! |---|---|
//! | gzip | `1f 8b` |
//! | bzip2 | `BZh1` to `BZh9` |
//! | xz | `fd 37 7a 58 5a 00` |
//! | zstd | `28 b5 2f fd` |
//! | lz4 | `Dovecot-LZ4` and more, see [`super::lz4`] |
//! | encrypted by `mail_crypt` | `CRYPTED 03 07` |
//!
//! All decoders are written in Rust, so that building needs no C compiler and damaged or hostile mail meets no C code.
//! Memory is bounded for each: a message that asks for more is an error. Source: observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::io::{self, BufReader, Read};

use bzip2::bufread::MultiBzDecoder;
use dsync_core::store::FileRange;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

use super::lz4::{self, Lz4Reader};
use super::zstd::ZstdReader;

/// What is read from the file at once.
const BUFFER: u64 = 64 * 1024;
/// Enough for every preset of xz, in KiB.
const MOST_XZ_MEMORY: u32 = 128 * 1024;

/// How a message is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// As it is.
    Plain,
    /// By the plugin `mail_crypt`.
    Encrypted,
    /// Compressed.
    Compressed(CompressionMethod),
}

/// A way to compress a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionMethod {
    /// `gz`.
    Gzip,
    /// `bz2`.
    Bzip2,
    /// `xz`.
    Xz,
    /// `zstd`.
    Zstd,
    /// `lz4`.
    Lz4,
}

impl Format {
    /// Looks at the first bytes of what is stored.
    pub(super) fn of(stored: FileRange) -> io::Result<Self> {
        let mut head = Vec::with_capacity(lz4::MAGIC.len());
        stored.take(lz4::MAGIC.len() as u64).read_to_end(&mut head)?;
        Ok(Self::of_bytes(&head))
    }

    fn of_bytes(head: &[u8]) -> Self {
        Self::Compressed(match head {
            [0x1f, 0x8b, ..] => CompressionMethod::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => CompressionMethod::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => CompressionMethod::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => CompressionMethod::Zstd,
            head if head.starts_with(&lz4::MAGIC) => CompressionMethod::Lz4,
            head if head.starts_with(b"CRYPTED\x03\x07") => return Self::Encrypted,
            _ => return Self::Plain,
        })
    }
}

impl CompressionMethod {
    /// The plain bytes of what is stored.
    pub(super) fn reader(self, stored: FileRange) -> Box<dyn Read + Send> {
        let capacity = usize::try_from(stored.length().clamp(1, BUFFER)).unwrap_or(1);
        let stored = BufReader::with_capacity(capacity, stored);
        match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(stored)),
            Self::Bzip2 => Box::new(MultiBzDecoder::new(stored)),
            Self::Xz => Box::new(XzReader::new_mem_limit(stored, true, MOST_XZ_MEMORY)),
            Self::Zstd => Box::new(ZstdReader::new(stored)),
            Self::Lz4 => Box::new(Lz4Reader::new(stored)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        for (head, format) in [
            (&b"\x1f\x8b"[..], Format::Compressed(CompressionMethod::Gzip)),
            (b"BZh0", Format::Plain),
            (b"BZh9", Format::Compressed(CompressionMethod::Bzip2)),
            (b"\xfd7zXZ", Format::Plain),
            (b"\xfd7zXZ\0", Format::Compressed(CompressionMethod::Xz)),
            (b"\x28\xb5\x2f\xfd", Format::Compressed(CompressionMethod::Zstd)),
            (b"Dovecot-LZ4\x0d\x2a\x9b", Format::Plain),
            (b"Dovecot-LZ4\x0d\x2a\x9b\xc5", Format::Compressed(CompressionMethod::Lz4)),
            (b"CRYPTED\x03\x07\x02", Format::Encrypted),
            (b"CRYPTED: yes", Format::Plain),
            (b"", Format::Plain),
        ] {
            assert_eq!(Format::of_bytes(head), format, "{head:?}");
        }
    }
}
