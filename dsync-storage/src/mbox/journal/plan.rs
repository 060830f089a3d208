//! What a rewriting does, as it is written down before it begins.
//!
//! ```text
//! magic, old length, new length, number of writes   8 bytes each, little-endian
//! checksum of the end that is cut off, of all bytes  4 + 4
//! per write: offset, length                          8 + 8
//! checksum of all that                               4
//! per write: the bytes that come, then those that were there as far as the file went
//! ```
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use crate::index::bytes::Reader;

const MAGIC: &[u8; 8] = b"dsyncrw2";
/// Magic, two lengths and a count.
pub(super) const HEAD: usize = 32;
/// One write in the list.
const ENTRY: u64 = 16;
/// Three checksums.
const CHECKSUMS: u64 = 12;
/// No rewriting has more writes: two for each of so many messages.
const MOST_WRITES: u64 = 1 << 26;

/// A part of the file that gets other bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) length: u64,
}

impl Place {
    /// How many bytes there were before.
    pub(super) fn before(&self, old_length: u64) -> u64 {
        self.length.min(old_length.saturating_sub(self.offset))
    }
}

/// A rewriting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) old_length: u64,
    pub(super) new_length: u64,
    /// Checksum of the end of the file that is to be cut off.
    pub(super) tail: u32,
    /// Checksum of all bytes of all writes, those that come and those that were there.
    pub(super) data: u32,
    pub(super) writes: Vec<Place>,
}

impl Plan {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.old_length.to_le_bytes());
        bytes.extend(self.new_length.to_le_bytes());
        bytes.extend((self.writes.len() as u64).to_le_bytes());
        bytes.extend(self.tail.to_le_bytes());
        bytes.extend(self.data.to_le_bytes());
        for write in &self.writes {
            bytes.extend(write.offset.to_le_bytes());
            bytes.extend(write.length.to_le_bytes());
        }
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// How many bytes it takes with so many writes.
    pub(super) fn size(writes: u64) -> u64 {
        (HEAD as u64).saturating_add(writes.saturating_mul(ENTRY)).saturating_add(CHECKSUMS)
    }

    /// How many bytes a plan takes that begins like this; `None` if it is none.
    pub(super) fn announced_size(head: &[u8; HEAD]) -> Option<u64> {
        let count = head.last_chunk().map(|count| u64::from_le_bytes(*count))?;
        (head.starts_with(MAGIC) && count <= MOST_WRITES).then(|| Self::size(count))
    }

    /// Reads it; `None` if it is not whole, because it was never completed.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (listed, checksum) = bytes.split_last_chunk()?;
        if crc32fast::hash(listed) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let mut reader = Reader(listed);
        if reader.take(MAGIC.len())? != MAGIC {
            return None;
        }
        let (old_length, new_length, count) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let (tail, data) = (reader.u32()?, reader.u32()?);
        let mut writes = Vec::new();
        for _ in 0..count {
            writes.push(Place { offset: reader.u64()?, length: reader.u64()? });
        }
        reader.is_empty().then_some(Self { old_length, new_length, tail, data, writes })
    }

    /// How many bytes follow.
    pub(super) fn data_length(&self) -> u64 {
        let bytes = |write: &Place| write.length.saturating_add(write.before(self.old_length));
        self.writes.iter().fold(0, |sum: u64, write| sum.saturating_add(bytes(write)))
    }

    /// Each write with the place in the journal where its bytes begin.
    pub(super) fn placed(&self) -> impl Iterator<Item = (Place, u64)> {
        let mut place = Self::size(self.writes.len() as u64);
        self.writes.iter().map(move |write| {
            let start = place;
            place = place.saturating_add(write.length).saturating_add(write.before(self.old_length));
            (*write, start)
        })
    }

    /// The parts of writes that change what the file has already, each with the place in the journal where its bytes begin.
    pub(super) fn within(&self) -> impl Iterator<Item = (Place, u64)> {
        self.placed().filter_map(|(write, start)| {
            let length = write.before(self.old_length);
            (length > 0).then_some((Place { offset: write.offset, length }, start))
        })
    }

    /// The parts of writes that come behind the old end.
    pub(super) fn beyond(&self) -> impl Iterator<Item = (Place, u64)> {
        self.placed().filter_map(|(write, start)| {
            let before = write.before(self.old_length);
            let length = write.length.checked_sub(before).filter(|length| *length > 0)?;
            Some((Place { offset: write.offset.saturating_add(before), length }, start.saturating_add(before)))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_plan_is_found_again(
            numbers in any::<(u64, u64, u32, u32)>(),
            writes in prop::collection::vec(any::<(u64, u64)>(), 0..5),
        ) {
            let (old_length, new_length, tail, data) = numbers;
            let writes = writes.into_iter().map(|(offset, length)| Place { offset, length }).collect();
            let plan = Plan { old_length, new_length, tail, data, writes };
            let bytes = plan.encode();
            prop_assert_eq!(bytes.len() as u64, Plan::size(plan.writes.len() as u64));
            prop_assert_eq!(Plan::announced_size(bytes.first_chunk().unwrap()), Some(bytes.len() as u64));
            prop_assert_eq!(Plan::decode(&bytes), Some(plan));
        }

        #[test]
        fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            Plan::decode(&bytes);
        }
    }
}
