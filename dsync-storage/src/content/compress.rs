//! Compressing messages as Dovecot's plugins `zlib` and `mail_compress` do it.
//!
//! All encoders are written in Rust, as the decoders are, and a message passes through them piece by piece. What a message
//! gives away or takes in may fail at any moment; the caller notes that and lets the encoder come to an end.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::io::{self, Read, Write};
use std::ops::RangeInclusive;
use std::str::FromStr;

use thiserror::Error;

use super::compression::CompressionMethod;

/// What both plugins use if nothing else is said.
const USUAL_LEVEL: u32 = 6;

/// How new messages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    method: CompressionMethod,
    level: u32,
}

/// Why messages cannot be compressed in a way.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidCompression {
    /// There is no such method.
    #[error("{0:?} is no way to compress messages; write gz, bz2, xz, zstd or lz4")]
    Method(String),
    /// The library was built without the method.
    #[error(
        "this program was built without {0}; build it with the feature \"compression\", or let new messages be stored as they are"
    )]
    NotBuiltIn(CompressionMethod),
    /// The method has no such level.
    #[error("{method} has no level {level:?}; write a number from {least} to {most}")]
    Level {
        /// The method.
        method: CompressionMethod,
        /// What was asked for.
        level: String,
        /// The lowest level.
        least: u32,
        /// The highest level.
        most: u32,
    },
}

impl FromStr for CompressionMethod {
    type Err = InvalidCompression;

    /// Reads the name that settings have for it.
    fn from_str(name: &str) -> Result<Self, InvalidCompression> {
        let found = Self::ALL.into_iter().find(|method| method.to_string() == name);
        found.ok_or_else(|| InvalidCompression::Method(name.to_owned()))
    }
}

impl CompressionMethod {
    fn levels(self) -> RangeInclusive<u32> {
        match self {
            Self::Gzip | Self::Xz => 0..=9,
            Self::Bzip2 | Self::Lz4 => 1..=9,
            Self::Zstd => 1..=22,
        }
    }
}

impl Compression {
    /// A method, and its level as settings have it: the higher, the smaller and slower; `None` for the usual one. Zstd and
    /// lz4 have only one here, so that their levels change nothing; servers read the result just as well.
    ///
    /// ```
    /// use dsync_storage::settings::{Compression, CompressionMethod};
    /// assert!(Compression::new(CompressionMethod::Gzip, Some("9")).is_ok());
    /// assert!(Compression::new(CompressionMethod::Gzip, Some("10")).is_err());
    /// ```
    ///
    /// # Errors
    /// If the method has no such level, or is not built in.
    pub fn new(method: CompressionMethod, level: Option<&str>) -> Result<Self, InvalidCompression> {
        if !method.is_built_in() {
            return Err(InvalidCompression::NotBuiltIn(method));
        }
        let Some(text) = level else { return Ok(Self { method, level: USUAL_LEVEL }) };
        let (least, most) = method.levels().into_inner();
        let invalid = || InvalidCompression::Level { method, level: text.to_owned(), least, most };
        let level = text.parse().ok().filter(|level| (least..=most).contains(level)).ok_or_else(invalid)?;
        Ok(Self { method, level })
    }

    /// Gives `stored` what `plain` becomes. `size` is how many bytes come, if that is known.
    ///
    /// # Errors
    /// As `plain` and `stored`. With some methods they must not have any.
    pub(crate) fn write(self, size: Option<u64>, plain: &mut dyn Read, stored: &mut dyn Write) -> io::Result<()> {
        let codec = self.method.codec().ok_or(io::ErrorKind::Unsupported)?;
        (codec.write)(self.level, size, plain, stored)
    }
}
