//! The header of a log.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use super::LogError;
use crate::index::bytes::Reader;

/// Size of the header that we write.
pub const HEADER_SIZE: u16 = 40;
const MAJOR: u8 = 1;
const MINOR: u8 = 3;
const LITTLE_ENDIAN: u8 = 1;

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

    /// Whether the index starts from nothing with this log, whatever else there is.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        self.prev_file_seq == 0
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
