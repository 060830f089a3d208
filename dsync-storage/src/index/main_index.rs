//! The main index `dovecot.index`, as bytes: a snapshot of everything at some place of the log.
//!
//! ```text
//! base header, 120 bytes        extension header, one after the other      message records
//!  0  u8   major version 7       0  u32  size of the header data            0  u32  UID
//!  1  u8   minor version 3       4  u32  reset id                           4  u8   flags
//!  2  u16  base header size      8  u16  offset in the message record       5       data of the extensions, each
//!  4  u32  whole header size    10  u16  size in it, 0 = none                       at its offset
//!  8  u32  record size          12  u16  alignment in it
//! 12  u8   1 = little-endian    14  u16  length of the name
//! 16  u32  index id             16       name, to 8, header data, to 8
//! 24  u32  UIDVALIDITY
//! 28  u32  UIDNEXT              further: 32 messages, 40 seen, 44 deleted, 48 first recent UID, 60 number of the log,
//!                               64 and 68 tail and head offset in it
//! ```
//!
//! Source: observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::io::{self, Read};
use std::sync::Arc;

use thiserror::Error;

use super::bytes::{Reader, length_u16, length_u32, pad, padded, put, put_u32, u32_at};

/// Size of the base header that we know.
pub const BASE_SIZE: usize = 120;
const MAJOR: u8 = 7;
const MINOR: u8 = 3;
/// No header of a sound index is larger.
const LARGEST_HEADER: usize = 64 << 20;
/// The fields that say how large everything is.
const START: usize = 16;
/// What each message record begins with: UID, flags, and room to the next multiple of four.
const RECORD_START: usize = 8;
/// How much memory is reserved on the word of a file alone.
const MOST_RESERVED: usize = 128 << 20;
/// How many bytes are taken or handed out at once, about.
const PIECE: usize = 256 * 1024;
/// No index has more.
const MOST_EXTENSIONS: usize = 256;

/// Offsets in the base header.
pub mod offset {
    /// UIDVALIDITY.
    pub const UID_VALIDITY: u16 = 24;
    /// UIDNEXT.
    pub const NEXT_UID: u16 = 28;
    /// How many messages there are.
    pub const MESSAGES: u16 = 32;
    /// How many have `\Seen`.
    pub const SEEN: u16 = 40;
    /// How many have `\Deleted`.
    pub const DELETED: u16 = 44;
    /// First recent UID.
    pub const FIRST_RECENT: u16 = 48;
    /// No unseen message has a UID below.
    pub const UNSEEN_LOWWATER: u16 = 52;
    /// No deleted message has a UID below.
    pub const DELETED_LOWWATER: u16 = 56;
    /// Number of the log that the snapshot belongs to.
    pub const LOG_SEQ: u16 = 60;
    /// Up to where requests in that log have been carried out.
    pub const LOG_TAIL: u16 = 64;
    /// Up to where that log is contained in the snapshot.
    pub const LOG_HEAD: u16 = 68;
}

/// Why a file is no index that we can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MainIndexError {
    /// It is of another version.
    #[error("it has major version {0}, only 7 is known")]
    Version(u8),
    /// It was written on a machine of the other byte order.
    #[error("it is not little-endian")]
    ByteOrder,
    /// Its header contradicts itself or the size of the file.
    #[error("its header makes no sense")]
    Header,
    /// An extension is described wrongly.
    #[error("the header of its extension number {0} makes no sense")]
    Extension(usize),
    /// The messages are not in order.
    #[error("its message records are not in the order of their UIDs")]
    Order,
}

/// Why a file could not be read.
enum ReadError {
    Io(io::Error),
    Index(MainIndexError),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<MainIndexError> for ReadError {
    fn from(error: MainIndexError) -> Self {
        Self::Index(error)
    }
}

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MainIndex {
    /// The base header; at least [`BASE_SIZE`] bytes. The fields that follow from the rest (sizes, counts) are set
    /// when it is encoded.
    pub base: Vec<u8>,
    /// The extensions, in their order.
    pub extensions: Vec<Extension>,
    /// UID and flags of each message.
    pub messages: Vec<(u32, u8)>,
}

/// An extension with its data for all messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extension {
    /// Its name.
    pub name: Vec<u8>,
    /// Its reset id.
    pub reset_id: u32,
    /// Its header data.
    pub header: Vec<u8>,
    /// How many bytes each message has of it.
    pub record_size: u16,
    /// Their alignment.
    pub record_align: u16,
    /// The data of all messages, one after the other. A copy shares them until it is changed.
    pub records: Arc<Vec<u8>>,
}

impl Extension {
    /// The data of the message at `index`; empty if it has none.
    #[must_use]
    pub fn record(&self, index: usize) -> &[u8] {
        let size = usize::from(self.record_size);
        let start = index.saturating_mul(size);
        self.records.get(start..start.saturating_add(size)).unwrap_or_default()
    }

    /// See [`record`](Self::record).
    pub fn record_mut(&mut self, index: usize) -> &mut [u8] {
        let size = usize::from(self.record_size);
        let start = index.saturating_mul(size);
        Arc::make_mut(&mut self.records).get_mut(start..start.saturating_add(size)).unwrap_or_default()
    }
}

impl MainIndex {
    /// An index of nothing.
    #[must_use]
    pub fn new(index_id: u32) -> Self {
        let mut base = vec![0; BASE_SIZE];
        put(&mut base, 0, &[MAJOR, MINOR]);
        put(&mut base, 12, &[1]);
        put_u32(&mut base, 16, index_id);
        let mut index = Self { base, extensions: Vec::new(), messages: Vec::new() };
        index.set(offset::NEXT_UID, 1);
        index.set(offset::FIRST_RECENT, 1);
        index
    }

    /// The id that all files of the index share.
    #[must_use]
    pub fn index_id(&self) -> u32 {
        u32_at(&self.base, 16)
    }

    /// A field of the base header.
    #[must_use]
    pub fn get(&self, offset: u16) -> u32 {
        u32_at(&self.base, offset.into())
    }

    /// Sets a field of the base header.
    pub fn set(&mut self, offset: u16, value: u32) {
        put_u32(&mut self.base, offset.into(), value);
    }

    /// An extension by name.
    #[must_use]
    pub fn extension(&self, name: &str) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.name == name.as_bytes())
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// If it is none, or contradicts itself.
    pub fn decode(bytes: &[u8]) -> Result<Self, MainIndexError> {
        let mut rest = bytes;
        // Nothing but the end can come of reading from memory.
        Self::read(&mut rest, bytes.len() as u64).unwrap_or(Err(MainIndexError::Header))
    }

    /// Reads a file of this length piece by piece, because all of it would take as much memory as the index itself.
    ///
    /// # Errors
    /// If it cannot be read; within that, if it is no index, or contradicts itself.
    pub fn read(input: &mut dyn Read, length: u64) -> io::Result<Result<Self, MainIndexError>> {
        match Self::read_whole(input, length) {
            Ok(index) => Ok(Ok(index)),
            Err(ReadError::Index(error)) => Ok(Err(error)),
            // It is shorter than it says.
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Ok(Err(MainIndexError::Header))
            }
            Err(ReadError::Io(error)) => Err(error),
        }
    }

    fn read_whole(input: &mut dyn Read, length: u64) -> Result<Self, ReadError> {
        let mut start = [0; START];
        input.read_exact(&mut start)?;
        let mut fields = Reader(&start);
        let head =
            (|| Some((fields.u8()?, fields.u8()?, fields.u16()?, fields.u32()?, fields.u32()?, fields.u8()?)))();
        let (major, _, base_size, header_size, record_size, compat) = head.ok_or(MainIndexError::Header)?;
        if major != MAJOR {
            return Err(MainIndexError::Version(major).into());
        }
        if compat & 1 == 0 {
            return Err(MainIndexError::ByteOrder.into());
        }
        let size = |value: u32| usize::try_from(value).map_err(|_| MainIndexError::Header);
        let (base_size, header_size, record_size) = (usize::from(base_size), size(header_size)?, size(record_size)?);
        if base_size < BASE_SIZE || header_size < base_size || header_size > LARGEST_HEADER {
            return Err(MainIndexError::Header.into());
        }
        let behind_header = length.checked_sub(header_size as u64).ok_or(MainIndexError::Header)?;
        let mut header = start.to_vec();
        header.resize(header_size, 0);
        input.read_exact(header.get_mut(START..).unwrap_or_default())?;
        let base = header.get(..base_size).ok_or(MainIndexError::Header)?;
        let count = size(u32_at(base, offset::MESSAGES.into()))?;
        if (count as u64).checked_mul(record_size as u64).is_none_or(|needed| needed > behind_header) {
            return Err(MainIndexError::Header.into());
        }
        let headers = header.get(padded(base_size, 8).min(header_size)..).ok_or(MainIndexError::Header)?;
        let (mut extensions, places): (Vec<_>, Vec<_>) = decode_extensions(headers, record_size)?.into_iter().unzip();
        if record_size < RECORD_START {
            return Err(MainIndexError::Header.into());
        }
        // A file can claim to be larger than what it holds.
        let announced = count.min(MOST_RESERVED / record_size);
        for extension in &mut extensions {
            let bytes = announced.saturating_mul(extension.record_size.into());
            Arc::make_mut(&mut extension.records).reserve_exact(bytes);
        }
        let mut index = Self { base: base.to_vec(), extensions, messages: Vec::with_capacity(announced) };
        let mut records = vec![0; count.min(1 + PIECE / record_size).saturating_mul(record_size)];
        let mut left = count;
        while left > 0 {
            let piece = left.min(records.len() / record_size);
            let bytes = records.get_mut(..piece.saturating_mul(record_size)).unwrap_or_default();
            input.read_exact(bytes)?;
            index.add_records(bytes, record_size, &places)?;
            left = left.saturating_sub(piece);
        }
        let last = index.messages.last().map_or(0, |(uid, _)| *uid);
        if last >= index.get(offset::NEXT_UID).max(1) && last != 0 {
            return Err(MainIndexError::Header.into());
        }
        Ok(index)
    }

    /// Takes message records. `places` says where in each of them the data of each extension are.
    fn add_records(&mut self, bytes: &[u8], record_size: usize, places: &[usize]) -> Result<(), MainIndexError> {
        let mut last = self.messages.last().map_or(0, |(uid, _)| *uid);
        for record in bytes.chunks_exact(record_size) {
            let mut reader = Reader(record);
            let (Some(uid), Some(flags)) = (reader.u32(), reader.u8()) else { return Err(MainIndexError::Header) };
            if uid <= last {
                return Err(MainIndexError::Order);
            }
            last = uid;
            self.messages.push((uid, flags));
        }
        for (extension, place) in self.extensions.iter_mut().zip(places) {
            let end = place.saturating_add(extension.record_size.into());
            if extension.record_size > 0 {
                let records = Arc::make_mut(&mut extension.records);
                for data in bytes.chunks_exact(record_size).filter_map(|record| record.get(*place..end)) {
                    records.extend_from_slice(data);
                }
            }
        }
        Ok(())
    }

    /// The bytes of the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let written = self.encode_in_pieces(&mut |piece| {
            file.extend_from_slice(piece);
            Ok::<_, std::convert::Infallible>(())
        });
        match written {
            Ok(()) => file,
        }
    }

    /// Hands the bytes of the file out piece by piece, because all of them would take as much memory as the index itself.
    /// The layout of the message records is our own; readers take it from the headers.
    ///
    /// # Errors
    /// As `write`.
    pub fn encode_in_pieces<E>(&self, write: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let (places, record_size) = self.place_extensions();
        let mut bytes = self.base.clone();
        pad(&mut bytes, 8);
        for (extension, place) in self.extensions.iter().zip(&places) {
            bytes.extend(length_u32(extension.header.len()).to_le_bytes());
            bytes.extend(extension.reset_id.to_le_bytes());
            for value in [
                if extension.record_size > 0 { length_u16(*place) } else { 0 },
                extension.record_size,
                extension.record_align,
                length_u16(extension.name.len()),
            ] {
                bytes.extend(value.to_le_bytes());
            }
            bytes.extend(&extension.name);
            pad(&mut bytes, 8);
            bytes.extend(&extension.header);
            pad(&mut bytes, 8);
        }
        let header_size = bytes.len();
        put(&mut bytes, 2, &length_u16(self.base.len()).to_le_bytes());
        put_u32(&mut bytes, 4, length_u32(header_size));
        put_u32(&mut bytes, 8, length_u32(record_size));
        put_u32(&mut bytes, offset::MESSAGES.into(), length_u32(self.messages.len()));
        let with = |bit: u8| length_u32(self.messages.iter().filter(|(_, flags)| flags & bit != 0).count());
        put_u32(&mut bytes, offset::SEEN.into(), with(0x08));
        put_u32(&mut bytes, offset::DELETED.into(), with(0x04));
        for (number, (uid, flags)) in self.messages.iter().enumerate() {
            let start = bytes.len();
            bytes.resize(start.saturating_add(record_size), 0);
            put_u32(&mut bytes, start, *uid);
            put(&mut bytes, start.saturating_add(4), &[*flags]);
            for (extension, place) in self.extensions.iter().zip(&places) {
                put(&mut bytes, start.saturating_add(*place), extension.record(number));
            }
            if bytes.len() >= PIECE {
                write(&bytes)?;
                bytes.clear();
            }
        }
        write(&bytes)
    }

    /// Where the data of each extension start in a record, and how long a record is.
    fn place_extensions(&self) -> (Vec<usize>, usize) {
        let mut places = vec![0; self.extensions.len()];
        let mut order: Vec<usize> = (0..self.extensions.len()).collect();
        let align =
            |number: &usize| self.extensions.get(*number).map_or(1, |extension| extension.record_align.max(1));
        order.sort_by_key(|number| std::cmp::Reverse(align(number)));
        // The widest first, from the first multiple of 8 on, leaves no holes but the three bytes before it.
        let mut end = 8usize;
        let mut widest = 4usize;
        for number in order {
            let Some(extension) = self.extensions.get(number).filter(|extension| extension.record_size > 0) else {
                continue;
            };
            let start = padded(end, extension.record_align.into());
            widest = widest.max(extension.record_align.into());
            end = start.saturating_add(extension.record_size.into());
            if let Some(place) = places.get_mut(number) {
                *place = start;
            }
        }
        (places, padded(end, widest))
    }
}

fn decode_extensions(headers: &[u8], record_size: usize) -> Result<Vec<(Extension, usize)>, MainIndexError> {
    let mut extensions: Vec<(Extension, usize)> = Vec::new();
    let mut reader = Reader(headers);
    while !reader.is_empty() {
        let corrupt = MainIndexError::Extension(extensions.len());
        let found = decode_extension(&mut reader).ok_or(corrupt)?;
        let (extension, place) = &found;
        let (size, align) = (usize::from(extension.record_size), usize::from(extension.record_align));
        let fits = size == 0
            || (place.saturating_add(size) <= record_size
                && *place >= 5
                && align >= 1
                && place.is_multiple_of(align));
        let new = extensions.iter().all(|(other, other_place)| {
            let apart = place.saturating_add(size) <= *other_place
                || other_place.saturating_add(other.record_size.into()) <= *place;
            other.name != extension.name && (size == 0 || other.record_size == 0 || apart)
        });
        if !fits || !new || extension.name.is_empty() || extensions.len() >= MOST_EXTENSIONS {
            return Err(corrupt);
        }
        extensions.push(found);
    }
    Ok(extensions)
}

fn decode_extension(reader: &mut Reader<'_>) -> Option<(Extension, usize)> {
    let (header_size, reset_id) = (reader.u32()?, reader.u32()?);
    let (place, record_size, record_align, name_size) = (reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?);
    let mut part = |size: usize, skip: usize| {
        let part = reader.take(size)?.to_vec();
        // The last padding may be missing.
        reader.take(skip.min(reader.0.len()))?;
        Some(part)
    };
    let name_size = usize::from(name_size);
    let name = part(name_size, padded(name_size, 8).saturating_sub(name_size))?;
    let header_size = usize::try_from(header_size).ok()?;
    let header = part(header_size, padded(header_size, 8).saturating_sub(header_size))?;
    let extension = Extension { name, reset_id, header, record_size, record_align, records: Arc::default() };
    Some((extension, place.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As a server wrote it for an sdbox with one message.
    fn golden() -> Vec<u8> {
        let text = "
            07037800 e8000000 0c000000 01000000 3d3a046b 00000000 3d3a046b 02000000
            01000000 00000000 00000000 00000000 01000000 00000000 00000000 03000000
            28000000 28000000 00000000 503a046b 3d3a046b 0082036b 01000000 00000000
            00000000 00000000 00000000 00000000 00000000 00000000
            18000000 00000000 00000000 00000800 64626f782d686472
            00000000 43c5341d 3d3a046b 7d420000 83ecc375 00000000
            04000000 00000000 00000000 00000d00 6864722d706f70332d7569646c000000 00000000 00000000
            00000000 3d3a046b 08000400 04000500 6361636865000000
            01000000 00000000 84010000";
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn a_file_of_a_server_is_read() {
        let index = MainIndex::decode(&golden()).unwrap();
        assert_eq!(index.index_id(), 0x6b04_3a3d);
        assert_eq!(index.messages, [(1, 0)]);
        assert_eq!((index.get(offset::NEXT_UID), index.get(offset::LOG_SEQ)), (2, 3));
        let names: Vec<_> = index.extensions.iter().map(|e| String::from_utf8_lossy(&e.name).into_owned()).collect();
        assert_eq!(names, ["dbox-hdr", "hdr-pop3-uidl", "cache"]);
        assert_eq!(index.extension("cache").unwrap().record(0), [0x84, 1, 0, 0]);
        assert_eq!(index.encode(), golden());
    }

    #[test]
    fn contradictions_are_refused() {
        let with = |offset: usize, bytes: &[u8]| {
            let mut file = golden();
            file[offset..offset + bytes.len()].copy_from_slice(bytes);
            MainIndex::decode(&file).unwrap_err()
        };
        assert_eq!(with(0, &[6]), MainIndexError::Version(6));
        assert_eq!(with(12, &[0]), MainIndexError::ByteOrder);
        assert_eq!(with(2, &[100]), MainIndexError::Header);
        assert_eq!(with(32, &[2]), MainIndexError::Header);
        assert_eq!(with(8, &[0]), MainIndexError::Extension(2));
        assert_eq!(with(232, &[0]), MainIndexError::Order);
        assert_eq!(MainIndex::decode(&golden()[..200]).unwrap_err(), MainIndexError::Header);
    }

    fn any_index() -> impl Strategy<Value = MainIndex> {
        let extension = (any::<u32>(), prop::collection::vec(any::<u8>(), 0..20), 0u16..3, 0u32..4);
        let messages = prop::collection::btree_map(1u32..u32::MAX, any::<u8>(), 0..6);
        (prop::collection::btree_map("[a-z]{1,9}", extension, 0..5), messages, any::<u8>()).prop_map(
            |(extensions, messages, fill)| {
                let mut index = MainIndex::new(7);
                index.messages = messages.into_iter().collect();
                index.set(offset::NEXT_UID, index.messages.last().map_or(1, |(uid, _)| uid + 1));
                for (name, (reset_id, header, units, align)) in extensions {
                    let record_align = 1 << align;
                    let record_size = units * record_align;
                    let records = Arc::new(vec![fill; usize::from(record_size) * index.messages.len()]);
                    let name = name.into_bytes();
                    index.extensions.push(Extension { name, reset_id, header, record_size, record_align, records });
                }
                index
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(index in any_index()) {
            let bytes = index.encode();
            let read = MainIndex::decode(&bytes).unwrap();
            prop_assert_eq!(&read.extensions, &index.extensions);
            prop_assert_eq!(&read.messages, &index.messages);
            prop_assert_eq!(read.encode(), bytes);
        }

        #[test]
        fn any_bytes_can_be_read(offset in 0usize..244, bytes in prop::collection::vec(any::<u8>(), 0..12), length in 0usize..260) {
            let mut file = golden();
            let end = (offset + bytes.len()).min(file.len());
            file[offset..end].copy_from_slice(&bytes[..end - offset]);
            file.truncate(length);
            if let Ok(index) = MainIndex::decode(&file) {
                prop_assert_eq!(MainIndex::decode(&index.encode()).unwrap().messages, index.messages);
            }
        }
    }
}
