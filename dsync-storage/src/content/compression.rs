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

use std::fmt;
use std::io::{self, BufReader, Read, Write};

use dsync_core::store::FileRange;

#[cfg(feature = "bzip2")]
use super::bzip2;
#[cfg(feature = "gzip")]
use super::gzip;
#[cfg(feature = "lz4")]
use super::lz4;
#[cfg(feature = "xz")]
use super::xz;
#[cfg(feature = "zstd")]
use super::zstd;

/// What LZ4 as Dovecot frames it begins with.
pub const LZ4_MAGIC: [u8; 15] = *b"Dovecot-LZ4\x0d\x2a\x9b\xc5";
/// What is read from the file at once.
const BUFFER: u64 = 64 * 1024;

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

/// What is stored, for a decoder.
pub(super) type StoredReader = BufReader<FileRange>;

/// How a method is carried out.
#[derive(Clone, Copy)]
pub(super) struct Codec {
    /// The plain bytes of what is stored.
    pub(super) read: fn(StoredReader) -> Box<dyn Read + Send>,
    /// What is to be stored of plain bytes.
    pub(super) write: Encoder,
}

/// Takes a level, how many bytes come if that is known, where they come from, and where what they become goes.
pub(super) type Encoder = fn(u32, Option<u64>, &mut dyn Read, &mut dyn Write) -> io::Result<()>;

/// A way to compress a message. Each is a feature of this crate, all of which are usual.
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
        let mut head = Vec::with_capacity(LZ4_MAGIC.len());
        stored.take(LZ4_MAGIC.len() as u64).read_to_end(&mut head)?;
        Ok(Self::of_bytes(&head))
    }

    fn of_bytes(head: &[u8]) -> Self {
        Self::Compressed(match head {
            [0x1f, 0x8b, ..] => CompressionMethod::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => CompressionMethod::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => CompressionMethod::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => CompressionMethod::Zstd,
            head if head.starts_with(&LZ4_MAGIC) => CompressionMethod::Lz4,
            head if head.starts_with(b"CRYPTED\x03\x07") => return Self::Encrypted,
            _ => return Self::Plain,
        })
    }
}

impl fmt::Display for CompressionMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gz",
            Self::Bzip2 => "bz2",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        })
    }
}

impl CompressionMethod {
    /// All methods that servers have.
    pub const ALL: [Self; 5] = [Self::Gzip, Self::Bzip2, Self::Xz, Self::Zstd, Self::Lz4];

    /// Whether this crate was built with the feature that it needs. A message that is compressed by another one cannot be read, and
    /// is named.
    #[must_use]
    pub fn is_built_in(self) -> bool {
        self.codec().is_some()
    }

    /// The feature of this crate that it needs.
    pub(super) fn feature(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        }
    }

    /// `None` if it is not built in.
    pub(super) fn codec(self) -> Option<Codec> {
        match self {
            #[cfg(feature = "gzip")]
            Self::Gzip => Some(gzip::CODEC),
            #[cfg(feature = "bzip2")]
            Self::Bzip2 => Some(bzip2::CODEC),
            #[cfg(feature = "xz")]
            Self::Xz => Some(xz::CODEC),
            #[cfg(feature = "zstd")]
            Self::Zstd => Some(zstd::CODEC),
            #[cfg(feature = "lz4")]
            Self::Lz4 => Some(lz4::CODEC),
            #[cfg(not(all(feature = "gzip", feature = "bzip2", feature = "xz", feature = "zstd", feature = "lz4")))]
            _ => None,
        }
    }
}

impl Codec {
    /// The plain bytes of what is stored.
    pub(super) fn plain(self, stored: FileRange) -> Box<dyn Read + Send> {
        let capacity = usize::try_from(stored.length().clamp(1, BUFFER)).unwrap_or(1);
        (self.read)(BufReader::with_capacity(capacity, stored))
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
