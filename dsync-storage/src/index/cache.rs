//! The cache file `dovecot.index.cache`, as far as it holds dates.
//!
//! ```text
//! header, 32 bytes                       field list                          record
//!  0  u8   1                              0  offset of a newer list, or 0     0  u32  offset of the record before, or 0
//!  1  u8   size of file offsets, 8        4  u32  size                        4  u32  size
//!  2  u8   1                              8  u32  count n                     8       fields: u32 number, data; a length
//!  4  u32  index id                      12       n × u32 last used                   in front unless the size is fixed;
//!  8  u32  number of the file                     n × u32 size                        padded to 4
//! 12  u32  continued records                      n × u8  type, n × u8 decision
//! 16  u32  records                                n names with a NUL each
//! 28       offset of the field list
//! ```
//!
//! Offsets of field lists are coded like the size words of the log. The date when a message was saved has no other place
//! in a Maildir. Source: observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use super::bytes::{Reader, length_u32, pad, put, put_u32, u32_at};
use super::log::{decode_offset, encode_offset};

/// Name of the field with the date of saving, in seconds.
pub const SAVE_DATE: &str = "date.save";
/// Name of the field with the received date, in seconds.
pub const RECEIVED_DATE: &str = "date.received";

const HEADER_SIZE: usize = 32;
const OFFSET_SIZE: u8 = 8;
/// Types of fields whose size is fixed: they have no length in front.
const FIXED: u8 = 0;
const BITMASK: u8 = 3;
/// Decision "keep".
const YES: u8 = 2;
/// No mail has more records than this, so that a loop ends.
const LONGEST_CHAIN: usize = 1000;
/// Field lists that were replaced point on to newer ones; a loop ends too.
const MOST_LISTS: usize = 100;

/// A cache file that was read.
#[derive(Clone, Debug)]
pub struct Cache<'a> {
    bytes: &'a [u8],
    fields: Vec<Field>,
    list_offset: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: Vec<u8>,
    size: u32,
    kind: u8,
    decision: u8,
    last_used: u32,
}

/// What the list of fields says about one of them.
pub(crate) struct FieldDescription<'a> {
    pub(crate) name: &'a [u8],
    /// How many bytes it has, if it is of a type whose size is fixed.
    pub(crate) size: u32,
    /// 0 fixed size, 1 any size, 2 text, 3 bits, 4 header.
    pub(crate) kind: u8,
    /// 0 not kept, 1 for some time, 2 always; and 128 if a server was told so.
    pub(crate) decision: u8,
    /// Unix time.
    pub(crate) last_used: u32,
}

impl<'a> Cache<'a> {
    /// Reads a file; `None` if it is none, or not the one that belongs to the index: the index knows its own id and the
    /// number of the cache file (the reset id of the extension `cache`).
    #[must_use]
    pub fn decode(bytes: &'a [u8], index_id: u32, file_seq: u32) -> Option<Self> {
        let mut header = Reader(bytes);
        let (major, offset_size) = (header.u8()?, header.u8()?);
        let _ = header.u16()?;
        let (id, seq) = (header.u32()?, header.u32()?);
        if major != 1 || offset_size != OFFSET_SIZE || id != index_id || seq != file_seq || seq == 0 {
            return None;
        }
        let mut list_offset = decode_offset(Reader(bytes.get(28..)?).array()?);
        if list_offset == 0 {
            return Some(Self { bytes, fields: Vec::new(), list_offset });
        }
        for _ in 0..MOST_LISTS {
            if list_offset < HEADER_SIZE {
                return None;
            }
            let newer = decode_offset(Reader(bytes.get(list_offset..)?).array()?);
            if newer == 0 {
                let fields = decode_fields(bytes.get(list_offset..)?)?;
                return Some(Self { bytes, fields, list_offset });
            }
            list_offset = newer;
        }
        None
    }

    /// What is said about each field.
    pub(crate) fn fields(&self) -> impl Iterator<Item = FieldDescription<'_>> {
        self.fields.iter().map(|field| FieldDescription {
            name: &field.name,
            size: field.size,
            kind: field.kind,
            decision: field.decision,
            last_used: field.last_used,
        })
    }

    fn field(&self, name: &str) -> Option<u32> {
        let number = self
            .fields
            .iter()
            .position(|field| field.name == name.as_bytes() && field.kind == FIXED && field.size == 4)?;
        u32::try_from(number).ok()
    }

    /// The value of a date field of the message whose newest record is at `offset`.
    #[must_use]
    pub fn date(&self, offset: u32, name: &str) -> Option<u32> {
        let wanted = self.field(name)?;
        let mut offset = offset;
        for _ in 0..LONGEST_CHAIN {
            let start = usize::try_from(offset).ok().filter(|start| *start >= HEADER_SIZE)?;
            let mut record = Reader(self.bytes.get(start..)?);
            let (previous, size) = (record.u32()?, record.u32()?);
            let body = usize::try_from(size).ok()?.checked_sub(8)?;
            if let Some(value) = self.value(Reader(record.take(body)?), wanted) {
                return Some(value);
            }
            offset = previous;
        }
        None
    }

    fn value(&self, mut fields: Reader<'_>, wanted: u32) -> Option<u32> {
        while !fields.is_empty() {
            let number = fields.u32()?;
            let field = self.fields.get(usize::try_from(number).ok()?)?;
            let size = match field.kind {
                FIXED | BITMASK => field.size,
                _ => fields.u32()?,
            };
            let size = usize::try_from(size).ok()?;
            let data = fields.take(size)?;
            if number == wanted {
                return Reader(data).u32();
            }
            fields.take(super::bytes::padded(size, 4).checked_sub(size)?)?;
        }
        None
    }
}

fn decode_fields(list: &[u8]) -> Option<Vec<Field>> {
    let mut reader = Reader(list);
    let (_, size, count) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let mut list = Reader(list.get(12..usize::try_from(size).ok()?)?);
    let count = usize::try_from(count).ok().filter(|count| *count <= list.0.len())?;
    let words = |list: &mut Reader<'_>| (0..count).map(|_| list.u32()).collect::<Option<Vec<_>>>();
    let (last_used, sizes) = (words(&mut list)?, words(&mut list)?);
    let (kinds, decisions) = (list.take(count)?, list.take(count)?);
    let mut names = list.0.split(|byte| *byte == 0);
    let numbers = last_used.into_iter().zip(sizes);
    let marks = kinds.iter().zip(decisions);
    numbers
        .zip(marks)
        .map(|((last_used, size), (kind, decision))| {
            let name = names.next()?.to_vec();
            Some(Field { name, size, kind: *kind, decision: *decision, last_used })
        })
        .collect()
}

fn encode_fields(fields: &[Field]) -> Vec<u8> {
    let mut list = vec![0; 8];
    list.extend(length_u32(fields.len()).to_le_bytes());
    list.extend(fields.iter().flat_map(|field| field.last_used.to_le_bytes()));
    list.extend(fields.iter().flat_map(|field| field.size.to_le_bytes()));
    list.extend(fields.iter().map(|field| field.kind));
    list.extend(fields.iter().map(|field| field.decision));
    for field in fields {
        list.extend(&field.name);
        list.push(0);
    }
    let size = length_u32(list.len());
    put_u32(&mut list, 4, size);
    pad(&mut list, 4);
    list
}

fn save_date_field(now: u32) -> Field {
    Field { name: SAVE_DATE.into(), size: 4, kind: FIXED, decision: YES, last_used: now }
}

fn encode_record(previous: u32, number: u32, date: u32) -> Vec<u8> {
    [previous, 16, number, date].into_iter().flat_map(u32::to_le_bytes).collect()
}

/// What a cache file needs to hold dates of saving, beside what it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheAddition {
    /// Bytes to append.
    pub append: Vec<u8>,
    /// Bytes to overwrite then: offset and new bytes.
    pub patches: Vec<(usize, Vec<u8>)>,
    /// The offset at which the newest record of each message is then, in the order in which they were given.
    pub offsets: Vec<u32>,
}

/// A new file with dates of saving.
///
/// `None` if the file would become too large.
#[must_use]
pub fn encode_new(index_id: u32, file_seq: u32, now: u32, dates: &[u32]) -> Option<(Vec<u8>, Vec<u32>)> {
    let mut bytes = vec![1, OFFSET_SIZE, 1, 0];
    for value in [index_id, file_seq, 0, length_u32(dates.len()), 0, 0] {
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(encode_offset(HEADER_SIZE));
    bytes.extend(encode_fields(&[save_date_field(now)]));
    let mut offsets = Vec::with_capacity(dates.len());
    for date in dates {
        offsets.push(u32::try_from(bytes.len()).ok().filter(|length| *length < 1 << 30)?);
        bytes.extend(encode_record(0, 0, *date));
    }
    Some((bytes, offsets))
}

/// What has to be added to a file for these dates of saving, each with the offset of the newest record that the message
/// has so far, or 0.
///
/// `None` if the file would become too large.
#[must_use]
pub fn encode_addition(cache: &Cache<'_>, now: u32, dates: &[(u32, u32)]) -> Option<CacheAddition> {
    let mut addition = CacheAddition::default();
    let start = cache.bytes.len().next_multiple_of(4);
    addition.append.resize(start.checked_sub(cache.bytes.len())?, 0);
    let number = match cache.field(SAVE_DATE) {
        Some(number) => number,
        None => {
            let mut fields = cache.fields.clone();
            fields.push(save_date_field(now));
            // A list is replaced by writing where the next one is into it, or into the header if there is none.
            let pointer = if cache.list_offset == 0 { 28 } else { cache.list_offset };
            addition.patches.push((pointer, encode_offset(start).to_vec()));
            addition.append.extend(encode_fields(&fields));
            length_u32(fields.len()).checked_sub(1)?
        }
    };
    let (mut new, mut continued) = (0u32, 0u32);
    for (previous, date) in dates {
        let offset = cache.bytes.len().checked_add(addition.append.len())?;
        addition.offsets.push(u32::try_from(offset).ok().filter(|offset| *offset < 1 << 30)?);
        addition.append.extend(encode_record(*previous, number, *date));
        if *previous == 0 { new = new.saturating_add(1) } else { continued = continued.saturating_add(1) }
    }
    let mut counts = [0; 8];
    put(&mut counts, 0, &u32_at(cache.bytes, 12).saturating_add(continued).to_le_bytes());
    put(&mut counts, 4, &u32_at(cache.bytes, 16).saturating_add(new).to_le_bytes());
    addition.patches.push((12, counts.to_vec()));
    Some(addition)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn apply(bytes: &[u8], addition: &CacheAddition) -> Vec<u8> {
        let mut bytes = [bytes, &addition.append].concat();
        for (offset, patch) in &addition.patches {
            bytes[*offset..*offset + patch.len()].copy_from_slice(patch);
        }
        bytes
    }

    #[test]
    fn dates_are_found_and_replaced() {
        let (bytes, offsets) = encode_new(7, 9, 100, &[11, 12]).unwrap();
        let cache = Cache::decode(&bytes, 7, 9).unwrap();
        assert_eq!(
            offsets.iter().map(|offset| cache.date(*offset, SAVE_DATE)).collect::<Vec<_>>(),
            [Some(11), Some(12)]
        );
        assert_eq!(cache.date(offsets[0], RECEIVED_DATE), None);
        assert_eq!(cache.date(0, SAVE_DATE), None);
        let addition = encode_addition(&cache, 200, &[(offsets[0], 21), (0, 33)]).unwrap();
        let bytes = apply(&bytes, &addition);
        let cache = Cache::decode(&bytes, 7, 9).unwrap();
        let dates: Vec<_> = addition.offsets.iter().map(|offset| cache.date(*offset, SAVE_DATE)).collect();
        assert_eq!(dates, [Some(21), Some(33)]);
        assert_eq!(bytes[12..20], [1, 0, 0, 0, 3, 0, 0, 0]);
    }

    #[test]
    fn a_file_without_the_field_gets_a_longer_list() {
        let (mut bytes, offsets) = encode_new(7, 9, 100, &[11]).unwrap();
        let name = bytes.windows(9).position(|window| window == b"date.save").unwrap();
        bytes[name..name + 9].copy_from_slice(b"date.othr");
        let cache = Cache::decode(&bytes, 7, 9).unwrap();
        assert_eq!(cache.date(offsets[0], SAVE_DATE), None);
        let addition = encode_addition(&cache, 200, &[(offsets[0], 21)]).unwrap();
        let bytes = apply(&bytes, &addition);
        let cache = Cache::decode(&bytes, 7, 9).unwrap();
        assert_eq!(cache.date(addition.offsets[0], SAVE_DATE), Some(21));
        assert_eq!(cache.date(addition.offsets[0], "date.othr"), Some(11));
    }

    #[test]
    fn another_file_is_not_believed() {
        let (bytes, _) = encode_new(7, 9, 100, &[11]).unwrap();
        assert!(Cache::decode(&bytes, 8, 9).is_none());
        assert!(Cache::decode(&bytes, 7, 10).is_none());
        assert!(Cache::decode(&bytes[..20], 7, 9).is_none());
        let mut inside_the_header = bytes.clone();
        inside_the_header[28..32].copy_from_slice(&encode_offset(12));
        assert!(Cache::decode(&inside_the_header, 7, 9).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(offset in 0usize..120, change in prop::collection::vec(any::<u8>(), 0..9), at in 0u32..140) {
            let (mut bytes, _) = encode_new(7, 9, 100, &[11, 12, 13]).unwrap();
            let end = (offset + change.len()).min(bytes.len());
            let start = offset.min(end);
            bytes[start..end].copy_from_slice(&change[..end - start]);
            if let Some(cache) = Cache::decode(&bytes, 7, 9) {
                let _ = cache.date(at, SAVE_DATE);
                let _ = encode_addition(&cache, 1, &[(at, 2)]);
            }
        }
    }
}
