//! Reading a main index.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::io::{self, Read};
use std::sync::Arc;

use super::{BASE_SIZE, Extension, MAJOR, MainIndex, MainIndexError, PIECE, offset};
use crate::index::bytes::{Reader, padded, u32_at};

/// No header of a sound index is larger.
const LARGEST_HEADER: usize = 64 << 20;
/// The fields that say how large everything is.
const START: usize = 16;
/// What each message record begins with: UID, flags, and room to the next multiple of four.
const RECORD_START: usize = 8;
/// How much memory is reserved on the word of a file alone.
const MOST_RESERVED: usize = 128 << 20;
/// No index has more.
const MOST_EXTENSIONS: usize = 256;

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

impl MainIndex {
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
        Self::read_part(input, length, usize::MAX)
    }

    /// Reads only what is not about single messages, as if there were none.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_head(input: &mut dyn Read, length: u64) -> io::Result<Result<Self, MainIndexError>> {
        Self::read_part(input, length, 0)
    }

    fn read_part(input: &mut dyn Read, length: u64, messages: usize) -> io::Result<Result<Self, MainIndexError>> {
        match Self::read_first(input, length, messages) {
            Ok(index) => Ok(Ok(index)),
            Err(ReadError::Index(error)) => Ok(Err(error)),
            // It is shorter than it says.
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Ok(Err(MainIndexError::Header))
            }
            Err(ReadError::Io(error)) => Err(error),
        }
    }

    /// Reads the first so many messages.
    fn read_first(input: &mut dyn Read, length: u64, messages: usize) -> Result<Self, ReadError> {
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
        let count = count.min(messages);
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
