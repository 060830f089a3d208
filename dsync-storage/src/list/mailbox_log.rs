//! `dovecot.mailbox.log`: what happened to mailboxes as such.
//!
//! ```text
//! offset  size
//!      0     1  type: 1 mailbox deleted, 2 directory deleted, 3 renamed to this name, 4 subscribed, 5 unsubscribed
//!      1     3  zero
//!      4    16  GUID of the mailbox (type 1), else the hash of the name
//!     20     4  time in seconds, big-endian
//! ```
//!
//! Records follow each other without a file header. Each is appended with one write; at 4096 bytes the file is renamed
//! to `dovecot.mailbox.log.2`. A record of another type, or a part of one, makes a server delete the file. The hash of
//! a name is the first 16 bytes of the SHA-1 of the visible name, with the separator of its namespace. Source:
//! observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use dsync_core::model::{MailboxGuid, Timestamp};
use sha1::{Digest, Sha1};

/// Size of a record in bytes.
pub const RECORD_SIZE: usize = 24;
/// The size from which on the file is rotated away.
pub const ROTATE_SIZE: u64 = 4096;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The mailbox with this GUID was deleted.
    MailboxDeleted(MailboxGuid),
    /// The directory of this name was deleted.
    DirectoryDeleted(NameHash),
    /// A mailbox or directory was renamed to this name.
    Renamed(NameHash),
    /// The name was subscribed to.
    Subscribed(NameHash),
    /// The subscription was cancelled.
    Unsubscribed(NameHash),
}

/// A name, as the log knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameHash(pub [u8; 16]);

impl NameHash {
    /// The hash of a visible name with its separators.
    #[must_use]
    pub fn of(visible_name: &str) -> Self {
        let digest = Sha1::digest(visible_name.as_bytes());
        let mut hash = [0; 16];
        hash.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(hash)
    }
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// What happened.
    pub change: Change,
    /// When; 0 to the end of 32 bits.
    pub time: Timestamp,
}

impl LogRecord {
    /// The bytes of the record.
    #[must_use]
    pub fn encode(&self) -> [u8; RECORD_SIZE] {
        let (kind, id) = match &self.change {
            Change::MailboxDeleted(guid) => (1, guid.as_bytes()),
            Change::DirectoryDeleted(hash) => (2, &hash.0),
            Change::Renamed(hash) => (3, &hash.0),
            Change::Subscribed(hash) => (4, &hash.0),
            Change::Unsubscribed(hash) => (5, &hash.0),
        };
        let fields = [kind, 0, 0, 0].into_iter().chain(*id).chain(self.time.as_u32().to_be_bytes());
        let mut bytes = [0; RECORD_SIZE];
        bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        bytes
    }

    /// Reads one record; `None` if its type is unknown.
    #[must_use]
    pub fn decode(bytes: &[u8; RECORD_SIZE]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        let (id, time) = rest.split_first_chunk::<16>()?;
        let hash = NameHash(*id);
        let change = match head.first()? {
            1 => Change::MailboxDeleted(MailboxGuid::new(*id)?),
            2 => Change::DirectoryDeleted(hash),
            3 => Change::Renamed(hash),
            4 => Change::Subscribed(hash),
            5 => Change::Unsubscribed(hash),
            _ => return None,
        };
        let time = u32::from_be_bytes(time.try_into().ok()?);
        Some(Self { change, time: Timestamp(i64::from(time)) })
    }
}

/// All records of a file, in order. What is not understood, and an incomplete end, is skipped.
#[must_use]
pub fn decode(bytes: &[u8]) -> Vec<LogRecord> {
    let records = bytes.chunks_exact(RECORD_SIZE).filter_map(|record| record.try_into().ok());
    records.filter_map(LogRecord::decode).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_as_a_server_writes_it() {
        let change = Change::Subscribed(NameHash::of("foo"));
        let record = LogRecord { change, time: Timestamp(0x6b04_3a8a) };
        let bytes = record.encode();
        assert_eq!(bytes[..8], [4, 0, 0, 0, 0x0b, 0xee, 0xc7, 0xb5]);
        assert_eq!(bytes[20..], [0x6b, 0x04, 0x3a, 0x8a]);
    }

    #[test]
    fn unknown_types_and_fragments_are_skipped() {
        let known = LogRecord { change: Change::Renamed(NameHash([7; 16])), time: Timestamp(5) };
        let mut bytes = [6; RECORD_SIZE].to_vec();
        bytes.extend(known.encode());
        bytes.extend([1, 2, 3]);
        assert_eq!(decode(&bytes), [known]);
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(bytes in prop::array::uniform24(any::<u8>()), kind in 0u8..7) {
            let mut bytes = bytes;
            bytes[..4].copy_from_slice(&[kind, 0, 0, 0]);
            if let Some(record) = LogRecord::decode(&bytes) {
                prop_assert_eq!(record.encode(), bytes);
            }
        }
    }
}
