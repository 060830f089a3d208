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

use dsync_core::model::{MailboxGuid, NameHash, Timestamp, TreeChange, TreeEvent};

/// Size of a record in bytes.
pub const RECORD_SIZE: usize = 24;
/// The size from which on the file is rotated away.
pub const ROTATE_SIZE: u64 = 4096;

/// The bytes of a record.
#[must_use]
pub fn encode(event: &TreeEvent) -> [u8; RECORD_SIZE] {
    let (kind, id) = match &event.change {
        TreeChange::MailboxDeleted(guid) => (1, guid.as_bytes()),
        TreeChange::DirectoryDeleted(hash) => (2, &hash.0),
        TreeChange::Renamed(hash) => (3, &hash.0),
        TreeChange::Subscribed(hash) => (4, &hash.0),
        TreeChange::Unsubscribed(hash) => (5, &hash.0),
    };
    let fields = [kind, 0, 0, 0].into_iter().chain(*id).chain(event.time.as_u32().to_be_bytes());
    let mut bytes = [0; RECORD_SIZE];
    bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    bytes
}

/// Reads one record; `None` if its type is unknown.
#[must_use]
pub fn decode_record(bytes: &[u8; RECORD_SIZE]) -> Option<TreeEvent> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    let (id, time) = rest.split_first_chunk::<16>()?;
    let hash = NameHash(*id);
    let change = match head.first()? {
        1 => TreeChange::MailboxDeleted(MailboxGuid::new(*id)?),
        2 => TreeChange::DirectoryDeleted(hash),
        3 => TreeChange::Renamed(hash),
        4 => TreeChange::Subscribed(hash),
        5 => TreeChange::Unsubscribed(hash),
        _ => return None,
    };
    let time = u32::from_be_bytes(time.try_into().ok()?);
    Some(TreeEvent { change, time: Timestamp(i64::from(time)) })
}

/// All records of a file, in order. What is not understood, and an incomplete end, is skipped.
#[must_use]
pub fn decode(bytes: &[u8]) -> Vec<TreeEvent> {
    let records = bytes.chunks_exact(RECORD_SIZE).filter_map(|record| record.try_into().ok());
    records.filter_map(decode_record).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_as_a_server_writes_it() {
        let change = TreeChange::Subscribed(NameHash::of("foo"));
        let bytes = encode(&TreeEvent { change, time: Timestamp(0x6b04_3a8a) });
        assert_eq!(bytes[..8], [4, 0, 0, 0, 0x0b, 0xee, 0xc7, 0xb5]);
        assert_eq!(bytes[20..], [0x6b, 0x04, 0x3a, 0x8a]);
    }

    #[test]
    fn unknown_types_and_fragments_are_skipped() {
        let known = TreeEvent { change: TreeChange::Renamed(NameHash([7; 16])), time: Timestamp(5) };
        let mut bytes = [6; RECORD_SIZE].to_vec();
        bytes.extend(encode(&known));
        bytes.extend([1, 2, 3]);
        assert_eq!(decode(&bytes), [known]);
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(bytes in prop::array::uniform24(any::<u8>()), kind in 0u8..7) {
            let mut bytes = bytes;
            bytes[..4].copy_from_slice(&[kind, 0, 0, 0]);
            if let Some(record) = decode_record(&bytes) {
                prop_assert_eq!(encode(&record), bytes);
            }
        }
    }
}
