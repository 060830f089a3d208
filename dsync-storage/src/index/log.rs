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

use super::bytes::{Reader, length_u16, length_u32, pad, padded, put, put_u32};

/// Size of the header that we write.
pub const HEADER_SIZE: u16 = 40;
const MAJOR: u8 = 1;
const MINOR: u8 = 3;
const LITTLE_ENDIAN: u8 = 1;
/// Both expunge types carry these bits, so that garbage is not taken for them.
const EXPUNGE_PROTECTION: u32 = 0xcd90;
const EXTERNAL: u32 = 0x1000_0000;
const SYNC: u32 = 0x2000_0000;

/// The header of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHeader {
    /// Minor version; below 3 modseqs are counted differently.
    pub minor: u8,
    /// Where the first record starts.
    pub header_size: u16,
    /// The same in all files of one index; 0 if the log was marked corrupt.
    pub index_id: u32,
    /// Number of this log.
    pub file_seq: u32,
    /// Number of the log that it continues; 0 if it starts the index from nothing.
    pub prev_file_seq: u32,
    /// Where that log ended.
    pub prev_file_offset: u32,
    /// Unix time of creation.
    pub create_stamp: u32,
    /// The highest modseq before the first record.
    pub initial_modseq: u64,
}

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

impl LogHeader {
    /// A header of today for a new log.
    #[must_use]
    pub fn new(index_id: u32, file_seq: u32, create_stamp: u32, initial_modseq: u64) -> Self {
        Self {
            minor: MINOR,
            header_size: HEADER_SIZE,
            index_id,
            file_seq,
            prev_file_seq: 0,
            prev_file_offset: 0,
            create_stamp,
            initial_modseq,
        }
    }

    /// Reads the header at the start of a file. Fields that an old, shorter header lacks are 0.
    ///
    /// # Errors
    /// If it is no header that we understand.
    pub fn decode(bytes: &[u8]) -> Result<Self, LogError> {
        let mut start = Reader(bytes);
        let (Some(major), Some(minor), Some(header_size)) = (start.u8(), start.u8(), start.u16()) else {
            return Err(LogError::Header);
        };
        if major != MAJOR {
            return Err(LogError::Version(major));
        }
        let header = bytes.get(4..usize::from(header_size)).filter(|_| header_size >= 24).ok_or(LogError::Header)?;
        // An older, shorter header lacks the last fields as a whole or in part.
        let mut known = header.to_vec();
        known.resize(header.len().max(36), 0);
        let mut fields = Reader(&known);
        let mut next = || fields.u32().unwrap_or(0);
        let (index_id, file_seq, prev_file_seq, prev_file_offset, create_stamp) =
            (next(), next(), next(), next(), next());
        let (low, high) = (next(), next());
        let compat = fields.u8().unwrap_or(0);
        if minor >= 2 && compat & LITTLE_ENDIAN == 0 {
            return Err(LogError::ByteOrder);
        }
        if index_id == 0 {
            return Err(LogError::Marked);
        }
        let initial_modseq = u64::from(high) << 32 | u64::from(low);
        Ok(Self {
            minor,
            header_size,
            index_id,
            file_seq,
            prev_file_seq,
            prev_file_offset,
            create_stamp,
            initial_modseq,
        })
    }

    /// The bytes of the header; as long as `header_size` says, unknown fields are 0.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![MAJOR, self.minor];
        bytes.extend(self.header_size.to_le_bytes());
        for value in [self.index_id, self.file_seq, self.prev_file_seq, self.prev_file_offset, self.create_stamp] {
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(self.initial_modseq.to_le_bytes());
        bytes.push(LITTLE_ENDIAN);
        bytes.resize(usize::from(self.header_size), 0);
        bytes
    }
}

/// One record of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// It has happened already; without this it is a request to the storage.
    pub external: bool,
    /// It mirrors another replica, so that a later sync does not take it for a local change.
    pub sync: bool,
    /// What changes.
    pub change: Change,
}

/// UIDs from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UidRange {
    /// The first UID.
    pub first: u32,
    /// The last UID; not less than the first.
    pub last: u32,
}

/// New flags for a range of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagUpdate {
    /// Which messages.
    pub uids: UidRange,
    /// Bits to set.
    pub add: u8,
    /// Bits to clear.
    pub remove: u8,
    /// Raise the modseq even if nothing changes.
    pub force: bool,
}

/// Announces an extension to which the following extension records belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionIntro {
    /// Which one.
    pub target: ExtensionTarget,
    /// Must be that of the extension, or what follows is ignored.
    pub reset_id: u32,
    /// Size of the header data.
    pub header_size: u32,
    /// Size of the data of each message.
    pub record_size: u16,
    /// Alignment of that data.
    pub record_align: u16,
    /// Bit 0: sizes only grow.
    pub flags: u16,
}

/// How an intro names its extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtensionTarget {
    /// By its place in the order of creation.
    Number(u32),
    /// By name; it is made if there is none.
    Name(Vec<u8>),
}

/// The change that a record describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Messages are gone.
    Expunge(Vec<UidRange>),
    /// Messages are gone; UID and 128-bit GUID, zeros if unknown.
    ExpungeGuid(Vec<(u32, [u8; 16])>),
    /// New messages: UID, flags, and the three bytes after.
    Append(Vec<(u32, u8, [u8; 3])>),
    /// Flags change.
    FlagUpdate(Vec<FlagUpdate>),
    /// Bytes of the base header change: offset and new bytes.
    HeaderUpdate(Vec<(u16, Vec<u8>)>),
    /// The following extension records are about this extension.
    ExtensionIntro(ExtensionIntro),
    /// The extension gets another reset id; its data become zero unless the flag is set.
    ExtensionReset(u32, bool),
    /// Bytes of the extension's header change.
    ExtensionHeader(Vec<(u32, Vec<u8>)>),
    /// Data of messages change: entries of UID and data, padded to 4; how long the data are is in the intro.
    ExtensionRecords(Vec<u8>),
    /// Numbers in the data of messages grow or shrink.
    ExtensionIncrement(Vec<(u32, i32)>),
    /// A keyword is set or removed.
    KeywordUpdate {
        /// Removed instead of set.
        remove: bool,
        /// Its name.
        name: Vec<u8>,
        /// Which messages.
        uids: Vec<UidRange>,
    },
    /// All keywords are removed.
    KeywordReset(Vec<UidRange>),
    /// Modseqs are raised: UID, or 0 for the mailbox, and value.
    ModSeqUpdate(Vec<(u32, u64)>),
    /// The mailbox is deleted.
    IndexDeleted,
    /// It is not deleted after all.
    IndexUndeleted,
    /// The records that follow belong together: size of all of them in bytes, this one included.
    Boundary(u32),
    /// Attributes were changed; kept as it is.
    AttributeUpdate(Vec<u8>),
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

/// What stands at a place in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// A record, and where it ends.
    Record(LogRecord, usize),
    /// Nothing yet: the end, or a record that somebody is still writing.
    Unfinished,
}

/// Reads the record at `offset`.
///
/// # Errors
/// [`LogError::Record`] if it is complete but makes no sense.
pub fn decode_record(log: &[u8], offset: usize) -> Result<Framed, LogError> {
    let corrupt = LogError::Record(offset);
    let Some((size, type_word)) = log.get(offset..).and_then(|rest| {
        let mut reader = Reader(rest);
        Some((decode_size(reader.array()?), reader.u32()?))
    }) else {
        return Ok(Framed::Unfinished);
    };
    let end = offset.saturating_add(size);
    if size == 0 || end > log.len() {
        return Ok(Framed::Unfinished);
    }
    let body = log.get(offset.saturating_add(8)..end).filter(|body| !body.is_empty()).ok_or(corrupt)?;
    let change = decode_change(type_word & !(EXTERNAL | SYNC), body).ok_or(corrupt)?;
    let record = LogRecord { external: type_word & EXTERNAL != 0, sync: type_word & SYNC != 0, change };
    Ok(Framed::Record(record, end))
}

/// The record at a place and where it ends, unless it, or the group that it begins, is not complete.
///
/// # Errors
/// As [`decode_record`].
pub fn next_record(log: &[u8], place: usize) -> Result<Option<(LogRecord, usize)>, LogError> {
    let Framed::Record(record, end) = decode_record(log, place)? else { return Ok(None) };
    if let Change::Boundary(size) = record.change {
        let group = place.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
        if group > log.len() {
            return Ok(None);
        }
    }
    Ok(Some((record, end)))
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

fn decode_change(kind: u32, body: &[u8]) -> Option<Change> {
    let mut reader = Reader(body);
    Some(match kind {
        _ if kind == kind::EXPUNGE | EXPUNGE_PROTECTION => Change::Expunge(decode_ranges(reader)?),
        _ if kind == kind::EXPUNGE_GUID | EXPUNGE_PROTECTION => {
            Change::ExpungeGuid(decode_all(reader, |r| Some((r.u32().filter(|uid| *uid != 0)?, r.array()?)))?)
        }
        kind::APPEND => Change::Append(decode_all(reader, |r| Some((r.u32()?, r.u8()?, r.array()?)))?),
        kind::FLAG_UPDATE => {
            let updates = decode_all(reader, |r| {
                let uids = decode_range(r)?;
                let (add, remove, force, _) = (r.u8()?, r.u8()?, r.u8()? != 0, r.u8()?);
                Some(FlagUpdate { uids, add, remove, force })
            })?;
            ascending(updates.iter().map(|update| update.uids)).then_some(Change::FlagUpdate(updates))?
        }
        kind::HEADER_UPDATE => Change::HeaderUpdate(decode_all(reader, |r| {
            let (offset, size) = (r.u16()?, r.u16()?);
            Some((offset, decode_padded(r, size.into())?))
        })?),
        kind::EXT_INTRO => Change::ExtensionIntro(decode_intro(&mut reader)?),
        kind::EXT_RESET => Change::ExtensionReset(reader.u32()?, reader.u8().unwrap_or(0) != 0),
        kind::EXT_HEADER => Change::ExtensionHeader(decode_all(reader, |r| {
            let (offset, size) = (r.u16()?, r.u16()?);
            Some((offset.into(), decode_padded(r, size.into())?))
        })?),
        kind::EXT_HEADER_32 => Change::ExtensionHeader(decode_all(reader, |r| {
            let (offset, size) = (r.u32()?, r.u32()?);
            Some((offset, decode_padded(r, usize::try_from(size).ok()?)?))
        })?),
        kind::EXT_RECORDS => Change::ExtensionRecords(body.to_vec()),
        kind::EXT_INCREMENT => Change::ExtensionIncrement(decode_all(reader, |r| Some((r.u32()?, r.i32()?)))?),
        kind::KEYWORD_UPDATE => {
            let (action, _, size) = (reader.u8()?, reader.u8()?, reader.u16()?);
            let name = reader.take(size.into())?.to_vec();
            let remove = match action {
                0 => false,
                1 => true,
                _ => return None,
            };
            reader.take(padded(name.len(), 4).saturating_sub(name.len()))?;
            let uids = decode_ranges(reader).filter(|_| !name.is_empty())?;
            Change::KeywordUpdate { remove, name, uids }
        }
        kind::KEYWORD_RESET => Change::KeywordReset(decode_ranges(reader)?),
        kind::MODSEQ_UPDATE => Change::ModSeqUpdate(decode_all(reader, |r| Some((r.u32()?, r.u64()?)))?),
        kind::INDEX_DELETED => Change::IndexDeleted,
        kind::INDEX_UNDELETED => Change::IndexUndeleted,
        kind::BOUNDARY => Change::Boundary(reader.u32()?),
        kind::ATTRIBUTE_UPDATE => Change::AttributeUpdate(body.to_vec()),
        _ => return None,
    })
}

/// All of a body, entry by entry.
fn decode_all<T>(mut reader: Reader<'_>, mut entry: impl FnMut(&mut Reader<'_>) -> Option<T>) -> Option<Vec<T>> {
    let mut entries = Vec::new();
    while !reader.is_empty() {
        entries.push(entry(&mut reader)?);
    }
    Some(entries)
}

fn decode_padded(reader: &mut Reader<'_>, size: usize) -> Option<Vec<u8>> {
    let bytes = reader.take(size)?.to_vec();
    reader.take(padded(size, 4).saturating_sub(size))?;
    Some(bytes)
}

fn decode_range(reader: &mut Reader<'_>) -> Option<UidRange> {
    let (first, last) = (reader.u32()?, reader.u32()?);
    (first >= 1 && first <= last).then_some(UidRange { first, last })
}

fn decode_ranges(reader: Reader<'_>) -> Option<Vec<UidRange>> {
    let ranges = decode_all(reader, decode_range)?;
    (!ranges.is_empty() && ascending(ranges.iter().copied())).then_some(ranges)
}

fn ascending(ranges: impl Iterator<Item = UidRange>) -> bool {
    let mut last = 0;
    ranges.into_iter().all(|range| {
        let after = range.first > last;
        last = range.last;
        after
    })
}

fn decode_intro(reader: &mut Reader<'_>) -> Option<ExtensionIntro> {
    let (number, reset_id, header_size) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let (record_size, record_align, flags, name_size) = (reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?);
    let name = reader.take(name_size.into())?;
    let target =
        if number == u32::MAX { ExtensionTarget::Name(name.to_vec()) } else { ExtensionTarget::Number(number) };
    Some(ExtensionIntro { target, reset_id, header_size, record_size, record_align, flags })
}

impl ExtensionIntro {
    /// An intro that names its extension, and never makes smaller what a server may have made larger.
    #[must_use]
    pub fn named(name: &str, reset_id: u32, header_size: u32, record_size: u16, record_align: u16) -> Self {
        let target = ExtensionTarget::Name(name.into());
        Self { target, reset_id, header_size, record_size, record_align, flags: 1 }
    }
}

impl LogRecord {
    /// Something that has happened already.
    #[must_use]
    pub fn external(change: Change) -> Self {
        Self { external: true, sync: false, change }
    }

    /// Something that is to be carried out yet.
    #[must_use]
    pub fn request(change: Change) -> Self {
        Self { external: false, sync: false, change }
    }

    /// The bytes of the record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut record = Vec::new();
        self.encode_to(&mut record);
        record
    }

    /// Adds the bytes of the record to those before it.
    fn encode_to(&self, log: &mut Vec<u8>) {
        let start = log.len();
        log.extend([0; 8]);
        let kind = encode_change(&self.change, log);
        let size = padded(log.len().saturating_sub(start), 4);
        log.resize(start.saturating_add(size), 0);
        let marks = if self.external { EXTERNAL } else { 0 } | if self.sync { SYNC } else { 0 };
        put(log, start, &encode_size(size));
        put_u32(log, start.saturating_add(4), kind | marks);
    }
}

/// Several records as one transaction: with a boundary in front if there are at least two.
#[must_use]
pub fn encode_transaction(records: &[LogRecord]) -> Vec<u8> {
    let external = records.iter().all(|record| record.external);
    let boundary = |size| LogRecord { external, sync: false, change: Change::Boundary(size) }.encode();
    let mut bytes = if records.len() < 2 { Vec::new() } else { boundary(0) };
    records.iter().for_each(|record| record.encode_to(&mut bytes));
    if records.len() >= 2 {
        let size = length_u32(bytes.len());
        put(&mut bytes, 0, &boundary(size));
    }
    bytes
}

fn encode_change(change: &Change, body: &mut Vec<u8>) -> u32 {
    match change {
        Change::Expunge(ranges) => {
            encode_ranges(ranges, body);
            kind::EXPUNGE | EXPUNGE_PROTECTION
        }
        Change::ExpungeGuid(messages) => {
            for (uid, guid) in messages {
                body.extend(uid.to_le_bytes());
                body.extend(guid);
            }
            kind::EXPUNGE_GUID | EXPUNGE_PROTECTION
        }
        Change::Append(messages) => {
            for (uid, flags, rest) in messages {
                body.extend(uid.to_le_bytes());
                body.push(*flags);
                body.extend(rest);
            }
            kind::APPEND
        }
        Change::FlagUpdate(updates) => {
            for update in updates {
                encode_ranges(&[update.uids], body);
                body.extend([update.add, update.remove, u8::from(update.force), 0]);
            }
            kind::FLAG_UPDATE
        }
        Change::HeaderUpdate(patches) => {
            for (offset, bytes) in patches {
                body.extend(offset.to_le_bytes());
                body.extend(length_u16(bytes.len()).to_le_bytes());
                body.extend(bytes);
                pad(body, 4);
            }
            kind::HEADER_UPDATE
        }
        Change::ExtensionIntro(intro) => {
            encode_intro(intro, body);
            kind::EXT_INTRO
        }
        Change::ExtensionReset(reset_id, preserve) => {
            body.extend(reset_id.to_le_bytes());
            body.push(u8::from(*preserve));
            kind::EXT_RESET
        }
        Change::ExtensionHeader(patches) => {
            for (offset, bytes) in patches {
                body.extend(offset.to_le_bytes());
                body.extend(length_u32(bytes.len()).to_le_bytes());
                body.extend(bytes);
                pad(body, 4);
            }
            kind::EXT_HEADER_32
        }
        Change::ExtensionRecords(bytes) => {
            body.extend(bytes);
            kind::EXT_RECORDS
        }
        Change::ExtensionIncrement(increments) => {
            for (uid, difference) in increments {
                body.extend(uid.to_le_bytes());
                body.extend(difference.to_le_bytes());
            }
            kind::EXT_INCREMENT
        }
        Change::KeywordUpdate { remove, name, uids } => {
            body.extend([u8::from(*remove), 0]);
            body.extend(length_u16(name.len()).to_le_bytes());
            body.extend(name);
            pad(body, 4);
            encode_ranges(uids, body);
            kind::KEYWORD_UPDATE
        }
        Change::KeywordReset(ranges) => {
            encode_ranges(ranges, body);
            kind::KEYWORD_RESET
        }
        Change::ModSeqUpdate(updates) => {
            for (uid, modseq) in updates {
                body.extend(uid.to_le_bytes());
                body.extend(modseq.to_le_bytes());
            }
            kind::MODSEQ_UPDATE
        }
        Change::IndexDeleted => {
            body.extend([0; 4]);
            kind::INDEX_DELETED
        }
        Change::IndexUndeleted => {
            body.extend([0; 4]);
            kind::INDEX_UNDELETED
        }
        Change::Boundary(size) => {
            body.extend(size.to_le_bytes());
            kind::BOUNDARY
        }
        Change::AttributeUpdate(bytes) => {
            body.extend(bytes);
            kind::ATTRIBUTE_UPDATE
        }
    }
}

fn encode_ranges(ranges: &[UidRange], body: &mut Vec<u8>) {
    for range in ranges {
        body.extend(range.first.to_le_bytes());
        body.extend(range.last.to_le_bytes());
    }
}

fn encode_intro(intro: &ExtensionIntro, body: &mut Vec<u8>) {
    let (number, name): (u32, &[u8]) = match &intro.target {
        ExtensionTarget::Number(number) => (*number, &[]),
        ExtensionTarget::Name(name) => (u32::MAX, name),
    };
    for value in [number, intro.reset_id, intro.header_size] {
        body.extend(value.to_le_bytes());
    }
    for value in [intro.record_size, intro.record_align, intro.flags, length_u16(name.len())] {
        body.extend(value.to_le_bytes());
    }
    body.extend(name);
}

#[cfg(test)]
mod tests;
