//! The transaction log `dovecot.index.log`, as bytes.
//!
//! ```text
//! header, 40 bytes                            record
//!  0  u8   major version 1                     0  size word: size of all of it, in 7-bit groups (below)
//!  1  u8   minor version 3                     4  u32 type and marks
//!  2  u16  header size                         8  body; the whole is a multiple of 4 long
//!  4  u32  index id, 0 = marked corrupt
//!  8  u32  number of this log                 size word: size / 4 as four groups of 7 bits, most significant first,
//! 12  u32  number of the previous log, or 0   each byte with 0x80 set; any byte without it = not finished yet
//! 16  u32  where that ended
//! 20  u32  creation time
//! 24  u64  highest modseq before the first record
//! 32  u8   1 = little-endian
//! ```
//!
//! A log whose previous number is 0 starts the index from nothing, whatever else there is. Source: observation of
//! Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

mod change;
mod decode;
mod encode;
mod header;

pub use change::{Change, ExtensionIntro, ExtensionTarget, FlagUpdate, LogRecord, UidRange};
pub use decode::{Framed, decode_record, next_record};
pub use encode::encode_transaction;
pub use header::{HEADER_SIZE, LogHeader};

/// Both expunge types carry these bits, so that garbage is not taken for them.
const EXPUNGE_PROTECTION: u32 = 0xcd90;
const EXTERNAL: u32 = 0x1000_0000;
const SYNC: u32 = 0x2000_0000;

/// Why a file is no log that we can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// It is too short, or its header is.
    #[error("the header is incomplete")]
    Header,
    /// It is of another version.
    #[error("it has major version {0}, only 1 is known")]
    Version(u8),
    /// It was written on a machine of the other byte order.
    #[error("it is not little-endian")]
    ByteOrder,
    /// Somebody marked it.
    #[error("it is marked as corrupt")]
    Marked,
    /// A record makes no sense.
    #[error("the record at offset {0} makes no sense")]
    Record(usize),
}

/// The kinds of records whose bodies are copied as bytes differ only in this number.
mod kind {
    pub(super) const EXPUNGE: u32 = 0x1;
    pub(super) const APPEND: u32 = 0x2;
    pub(super) const FLAG_UPDATE: u32 = 0x4;
    pub(super) const HEADER_UPDATE: u32 = 0x20;
    pub(super) const EXT_INTRO: u32 = 0x40;
    pub(super) const EXT_RESET: u32 = 0x80;
    pub(super) const EXT_HEADER: u32 = 0x100;
    pub(super) const EXT_RECORDS: u32 = 0x200;
    pub(super) const KEYWORD_UPDATE: u32 = 0x400;
    pub(super) const KEYWORD_RESET: u32 = 0x800;
    pub(super) const EXT_INCREMENT: u32 = 0x1000;
    pub(super) const EXPUNGE_GUID: u32 = 0x2000;
    pub(super) const MODSEQ_UPDATE: u32 = 0x8000;
    pub(super) const EXT_HEADER_32: u32 = 0x1_0000;
    pub(super) const INDEX_DELETED: u32 = 0x2_0000;
    pub(super) const INDEX_UNDELETED: u32 = 0x4_0000;
    pub(super) const BOUNDARY: u32 = 0x8_0000;
    pub(super) const ATTRIBUTE_UPDATE: u32 = 0x10_0000;
}

/// 0 if the word says "not finished". The result is a multiple of 4 and less than 2^30.
fn decode_size(word: [u8; 4]) -> usize {
    if word.iter().any(|byte| byte & 0x80 == 0) {
        return 0;
    }
    let groups = word.iter().fold(0usize, |value, byte| value << 7 | usize::from(byte & 0x7f));
    groups << 2
}

fn encode_size(size: usize) -> [u8; 4] {
    let group = |shift: u32| u8::try_from(size >> 2 >> shift & 0x7f).unwrap_or(0) | 0x80;
    [group(21), group(14), group(7), group(0)]
}

/// The code of offsets in the index files: as the size word of a record.
pub(super) fn encode_offset(offset: usize) -> [u8; 4] {
    encode_size(offset)
}

/// See [`encode_offset`].
pub(super) fn decode_offset(word: [u8; 4]) -> usize {
    decode_size(word)
}

#[cfg(test)]
mod tests;
