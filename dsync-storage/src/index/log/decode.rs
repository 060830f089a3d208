//! Reading the records of a log.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use super::{
    Change, EXPUNGE_PROTECTION, EXTERNAL, ExtensionIntro, ExtensionTarget, FlagUpdate, LogError, LogRecord, SYNC,
    UidRange, decode_size, kind,
};
use crate::index::bytes::{Reader, padded};

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
