//! Which messages a store has already, by their GUIDs, so that one that is in several mailboxes is stored once.
//!
//! A GUID alone proves nothing: whoever finds a message here compares everything, to the last byte.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dsync_core::store::{MessageBody, StoreError};

use super::references::for_each_record;
use super::shared::Shared;
use super::storage::Located;
use crate::content::{self, AttachmentFiles};

/// Messages of an mdbox storage by the 128-bit forms of their GUIDs.
#[derive(Debug, Default)]
pub(super) struct KnownNumbers {
    /// Those that were there when it was first asked, ascending.
    found: Vec<([u8; 16], u32)>,
    /// Those that came later.
    added: HashMap<[u8; 16], Vec<u32>>,
}

impl KnownNumbers {
    /// All messages that the mailboxes of a store refer to, as far as they can be read.
    ///
    /// # Errors
    /// If the mailboxes cannot be listed.
    pub(super) fn read(shared: &Shared) -> Result<Self, StoreError> {
        let mut found = Vec::new();
        // Of a mailbox that cannot be read nothing is shared, that is all.
        let _ = for_each_record(shared, &mut |record| found.push((record.guid, record.map_uid)))?;
        found.sort_unstable();
        found.dedup();
        Ok(Self { found, added: HashMap::new() })
    }

    /// Notes a message that was saved.
    pub(super) fn add(&mut self, guid: [u8; 16], map_uid: u32) {
        self.added.entry(guid).or_default().push(map_uid);
    }

    /// The numbers of all messages with this GUID.
    pub(super) fn with_guid(&self, guid: [u8; 16]) -> Vec<u32> {
        let first = self.found.partition_point(|(known, _)| *known < guid);
        let found = self.found.get(first..).unwrap_or_default().iter().take_while(|(known, _)| *known == guid);
        let added = self.added.get(&guid).into_iter().flatten();
        found.map(|(_, map_uid)| map_uid).chain(added).copied().collect()
    }
}

/// Files of an sdbox by the 128-bit forms of the GUIDs of their messages, as far as they were seen.
#[derive(Debug, Default)]
pub(super) struct KnownFiles {
    directories: Vec<PathBuf>,
    /// GUID, number of the directory, UID.
    files: Vec<([u8; 16], u32, u32)>,
    /// How many of them are in ascending order: they are sorted when one is looked for.
    sorted: usize,
}

impl KnownFiles {
    /// Notes the messages of a mailbox.
    pub(super) fn add(&mut self, directory: &Path, messages: impl Iterator<Item = ([u8; 16], u32)>) {
        let known = self.directories.iter().position(|known| known == directory);
        let number = known.unwrap_or_else(|| {
            self.directories.push(directory.to_owned());
            self.directories.len().saturating_sub(1)
        });
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.files.extend(messages.map(|(guid, uid)| (guid, number, uid)));
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

    /// The directory and UID of a message with this GUID, in the mailbox that was seen last.
    pub(super) fn with_guid(&mut self, guid: [u8; 16]) -> Option<(&Path, u32)> {
        if self.sorted < self.files.len() {
            self.sort();
        }
        let end = self.files.partition_point(|(known, _, _)| *known <= guid);
        let (known, directory, uid) = self.files.get(end.checked_sub(1)?)?;
        let directory = self.directories.get(usize::try_from(*directory).ok()?)?;
        (*known == guid).then_some((directory, *uid))
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
