//! Which messages a store has already, by their GUIDs, so that one that is in several mailboxes is stored once.
//!
//! A GUID alone proves nothing: whoever finds a message here compares everything, to the last byte.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dsync_core::store::{MessageBody, StoreError};

use super::references::for_each_record;
use super::shared::Shared;
use super::storage::Located;
use crate::content::{self, AttachmentFiles};

/// A checksum of the 128-bit form of a GUID. There may be millions, and what is found is compared anyway.
type GuidSum = u32;

fn guid_sum(guid: [u8; 16]) -> GuidSum {
    crc32fast::hash(&guid)
}

/// Messages of an mdbox storage: their GUIDs, and their numbers in the map.
#[derive(Debug, Default)]
pub(super) struct KnownNumbers {
    /// In ascending order.
    sorted: Vec<(GuidSum, u32)>,
    /// Those that came since.
    recent: Vec<(GuidSum, u32)>,
    is_recent_sorted: bool,
}

impl KnownNumbers {
    /// The others are put in order with the recent ones once these are more than such a part of them.
    const PART: usize = 8;

    /// All messages that the mailboxes of a store refer to, as far as they can be read.
    ///
    /// # Errors
    /// If the mailboxes cannot be listed.
    pub(super) fn read(shared: &Shared) -> Result<Self, StoreError> {
        let mut sorted = Vec::new();
        // Of a mailbox that cannot be read nothing is shared, that is all.
        let _ = for_each_record(shared, &mut |record| sorted.push((guid_sum(record.guid), record.map_uid)))?;
        sorted.sort_unstable();
        sorted.dedup();
        Ok(Self { sorted, recent: Vec::new(), is_recent_sorted: true })
    }

    /// Notes a message that was saved.
    pub(super) fn add(&mut self, guid: [u8; 16], map_uid: u32) {
        self.recent.push((guid_sum(guid), map_uid));
        self.is_recent_sorted = false;
    }

    /// The numbers of all messages that may have this GUID.
    pub(super) fn with_guid(&mut self, guid: [u8; 16]) -> Vec<u32> {
        if self.recent.len() > self.sorted.len() / Self::PART {
            self.sorted.append(&mut self.recent);
            self.sorted.sort_unstable();
        } else if !self.is_recent_sorted {
            self.recent.sort_unstable();
        }
        self.is_recent_sorted = true;
        let sum = guid_sum(guid);
        let of = |known: &[(GuidSum, u32)]| {
            let first = known.partition_point(|(known, _)| *known < sum);
            let found = known.get(first..).unwrap_or_default().iter().take_while(|(known, _)| *known == sum);
            found.map(|(_, map_uid)| *map_uid).collect::<Vec<_>>()
        };
        let mut found = of(&self.sorted);
        found.extend(of(&self.recent));
        found
    }
}

/// Files of an sdbox by the GUIDs of their messages, as far as they were seen.
#[derive(Debug, Default)]
pub(super) struct KnownFiles {
    directories: Vec<PathBuf>,
    /// GUID, number of the directory, UID.
    files: Vec<(GuidSum, u32, u32)>,
    /// How many of them are in ascending order: they are sorted when one is looked for.
    sorted: usize,
}

impl KnownFiles {
    /// Notes the messages of a mailbox, by the 128-bit forms of their GUIDs.
    pub(super) fn add(&mut self, directory: &Path, messages: impl Iterator<Item = ([u8; 16], u32)>) {
        let known = self.directories.iter().position(|known| known == directory);
        let number = known.unwrap_or_else(|| {
            self.directories.push(directory.to_owned());
            self.directories.len().saturating_sub(1)
        });
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.files.extend(messages.map(|(guid, uid)| (guid_sum(guid), number, uid)));
        if known.is_some() {
            self.sort();
        }
    }

    /// Most of it is in order already.
    fn sort(&mut self) {
        self.files.sort();
        self.files.dedup();
        self.sorted = self.files.len();
    }

    /// The directory and UID of a message that may have this GUID, in the mailbox that was seen last.
    pub(super) fn with_guid(&mut self, guid: [u8; 16]) -> Option<(&Path, u32)> {
        if self.sorted < self.files.len() {
            self.sort();
        }
        let sum = guid_sum(guid);
        let end = self.files.partition_point(|(known, _, _)| *known <= sum);
        let (known, directory, uid) = self.files.get(end.checked_sub(1)?)?;
        let directory = self.directories.get(usize::try_from(*directory).ok()?)?;
        (*known == sum).then_some((directory, *uid))
    }
}

/// Whether two stored messages are the same in everything that belongs to a message: GUID, dates, POP3 data and bytes.
///
/// Messages with attachments elsewhere are no candidates: where those are depends on more than the message.
pub(super) fn is_same(first: &Located, second: &Located) -> bool {
    let (one, other) = (&first.message.metadata, &second.message.metadata);
    one.guid() == other.guid()
        && one.guid().is_some()
        && one.received() == other.received()
        && one.pop3_uidl() == other.pop3_uidl()
        && one.pop3_order() == other.pop3_order()
        && one.value(b'X').is_none()
        && other.value(b'X').is_none()
        && have_same_bytes(first, second).unwrap_or(false)
}

fn have_same_bytes(first: &Located, second: &Located) -> io::Result<bool> {
    let (Ok(mut first), Ok(mut second)) = (open(first), open(second)) else { return Ok(false) };
    let (mut one, mut other) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let (count, others) = (fill(&mut first, &mut one)?, fill(&mut second, &mut other)?);
        if count != others || one.get(..count) != other.get(..count) {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

fn open(located: &Located) -> Result<MessageBody, StoreError> {
    let metadata = &located.message.metadata;
    content::open_message(located.body(), metadata, &AttachmentFiles::default(), &located.file.path)
}

/// Reads until the buffer is full or nothing is left.
fn fill(body: &mut MessageBody, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0usize;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match body.read(rest) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_many_came_since() {
        let guid = |number: u32| u128::from(number % 1000).to_le_bytes();
        let mut known = KnownNumbers::default();
        for number in 0..3000 {
            known.add(guid(number), number);
            if number % 7 == 0 {
                assert!(known.with_guid(guid(number)).contains(&number));
            }
        }
        for number in 0..1000 {
            let mut found = known.with_guid(guid(number));
            found.sort_unstable();
            assert_eq!(found, [number, number + 1000, number + 2000]);
        }
        assert_eq!(known.with_guid([7; 16]), []);
    }

    #[test]
    fn the_file_that_was_seen_last_is_found() {
        let mut known = KnownFiles::default();
        known.add(Path::new("a"), [([1; 16], 3), ([2; 16], 4)].into_iter());
        known.add(Path::new("b"), [([1; 16], 5)].into_iter());
        assert_eq!(known.with_guid([1; 16]), Some((Path::new("b"), 5)));
        assert_eq!(known.with_guid([2; 16]), Some((Path::new("a"), 4)));
        assert_eq!(known.with_guid([3; 16]), None);
    }
}
