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

mod decode;
mod encode;

use std::sync::Arc;

use thiserror::Error;

use super::bytes::{put, put_u32, u32_at};

/// Size of the base header that we know.
pub const BASE_SIZE: usize = 120;
const MAJOR: u8 = 7;
const MINOR: u8 = 3;
/// How many bytes are taken or handed out at once, about.
const PIECE: usize = 256 * 1024;
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
}

#[cfg(test)]
mod tests;
