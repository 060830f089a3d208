//! Messages on their way in: written to temporary files in the form in which they are stored, and given their names later.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dsync_core::model::MessageRecord;
use dsync_core::store::{ErrorKind, MessageBody, StoreError};

use super::message_file::{FileHeader, MESSAGE_HEADER_SIZE, Metadata, NewMetadata, encode_message_header};
use super::storage::{Located, MessageFile};
use crate::content::Compression;
use crate::fs::clock::now;
use crate::fs::permissions::Permissions;
use crate::fs::{FsError, mutation, unique};
use crate::incoming::{self, Sizes};
use crate::list::hidden::HiddenPlaces;

/// Messages up to this size are put together in memory and written at once.
const SMALL: u64 = 256 * 1024;
/// What header and metadata of a message take at most, mostly.
const ALLOWANCE: u64 = 512;
/// From how many new files on it is cheaper to sync the whole file system than each file.
const MANY: usize = 8;

/// Where messages wait.
#[derive(Debug)]
pub(super) struct Staging {
    place: Arc<Place>,
    /// How many temporary files were made.
    made: u32,
    permissions: Permissions,
    /// No file grows beyond this; `None` if each message has a file of its own.
    rotate_size: Option<u64>,
    compression: Option<Compression>,
    files: Vec<StagedFile>,
    messages: Vec<StagedMessage>,
    /// How many of the messages are one that the storage has already, by its number in the map.
    known: BTreeMap<u32, u32>,
}

/// Where temporary files are.
#[derive(Debug)]
struct Place {
    directory: PathBuf,
    /// What nobody else has in the names of files.
    unique: String,
}

/// A temporary file. Removed when dropped, unless it was given its name. In an sdbox there is one for each message, so they
/// are kept small.
#[derive(Debug)]
pub(super) struct StagedFile {
    place: Arc<Place>,
    number: u32,
    file: Option<File>,
    /// Where the first message begins.
    first: u32,
    /// Where the last message ends.
    length: u64,
    placed: bool,
}

/// A message that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StagedMessage {
    /// In a file: its number, where in it, and how many bytes.
    New { file: u32, offset: u64, size: u64 },
    /// The storage has it already, under this number in the map.
    Known { map_uid: u32 },
}

impl Staging {
    /// In a directory. Messages that are added are compressed, if that is wanted.
    pub(super) fn new(
        directory: PathBuf,
        permissions: Permissions,
        rotate_size: Option<u64>,
        compression: Option<Compression>,
    ) -> Self {
        Self {
            place: Arc::new(Place { directory, unique: unique::file_name() }),
            made: 0,
            permissions,
            rotate_size,
            compression,
            files: Vec::new(),
            messages: Vec::new(),
            known: BTreeMap::new(),
        }
    }

    /// A new temporary file; it is not there yet.
    fn new_file(&mut self) -> StagedFile {
        self.made = self.made.saturating_add(1);
        StagedFile {
            place: Arc::clone(&self.place),
            number: self.made,
            file: None,
            first: 0,
            length: 0,
            placed: false,
        }
    }

    /// Takes the bytes of a message. `first_mailbox` is the name on disk of the mailbox that it is saved to, where that is
    /// noted. Gives the number of the message.
    ///
    /// # Errors
    /// [`ErrorKind::Source`] if the body cannot be read; nothing of it remains then.
    pub(super) fn add(
        &mut self,
        record: &MessageRecord,
        body: MessageBody,
        first_mailbox: Option<&[u8]>,
    ) -> Result<usize, StoreError> {
        let compression = self.compression;
        self.take(body.size, |staged| staged.write(record, body, first_mailbox, compression))
    }

    /// Takes over a message as it is stored elsewhere: the same bytes, and the same that is written about it.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub(super) fn copy(&mut self, from: &Located) -> Result<usize, StoreError> {
        let metadata = &from.message.metadata;
        let body = MessageBody::from_range(from.body());
        self.take(body.size, |staged| staged.write_with(body, None, &|_| metadata.encode()))
    }

    /// Has a message of about this size written, which says how many bytes that were. Gives the number of the message.
    fn take(
        &mut self,
        size: Option<u64>,
        write: impl FnOnce(&StagedFile) -> Result<u64, StoreError>,
    ) -> Result<usize, StoreError> {
        if self.messages.is_empty() {
            mutation::create_directories(&self.place.directory, &self.permissions)?;
        }
        let number = self.file_for(size)?;
        let staged = self.files.get_mut(number).ok_or_else(no_file)?;
        let offset = staged.length;
        let size = match write(staged) {
            Ok(size) => size,
            Err(error) => {
                staged.cut(offset)?;
                return Err(error);
            }
        };
        staged.length = offset.saturating_add(size);
        if self.rotate_size.is_none() {
            // There may be thousands of them.
            staged.file = None;
        }
        let file = u32::try_from(number).map_err(|_| no_file())?;
        self.messages.push(StagedMessage::New { file, offset, size });
        Ok(self.messages.len().saturating_sub(1))
    }

    /// The file of a new message, where it is in it, and how many bytes it takes.
    ///
    /// # Errors
    /// If it is no new one.
    pub(super) fn place_of(&self, number: usize) -> Result<(usize, u64, u64), StoreError> {
        match self.messages.get(number) {
            Some(StagedMessage::New { file, offset, size }) => Ok((*file as usize, *offset, *size)),
            _ => Err(no_file()),
        }
    }

    /// The file for a message of about this size.
    fn file_for(&mut self, size: Option<u64>) -> Result<usize, StoreError> {
        if let (Some(most), Some(size), Some(last)) = (self.rotate_size, size, self.files.last())
            && last.length.saturating_add(size).saturating_add(ALLOWANCE) < most
        {
            return Ok(self.files.len().saturating_sub(1));
        }
        if let Some(last) = self.files.last_mut() {
            // It is complete; nothing is left to do for it but to be synced.
            last.file = None;
        }
        let mut staged = self.new_file();
        staged.create(&self.permissions)?;
        self.files.push(staged);
        Ok(self.files.len().saturating_sub(1))
    }

    /// All messages that wait, in the order of their numbers.
    pub(super) fn messages(&self) -> &[StagedMessage] {
        &self.messages
    }

    /// The messages that the storage has already: their numbers in the map, and how many of those that wait each is.
    pub(super) fn known(&self) -> &BTreeMap<u32, u32> {
        &self.known
    }

    pub(super) fn files(&self) -> &[StagedFile] {
        &self.files
    }

    pub(super) fn files_mut(&mut self) -> &mut [StagedFile] {
        &mut self.files
    }

    /// The message that was taken last, as it is stored now.
    ///
    /// # Errors
    /// If it cannot be read again.
    pub(super) fn last(&self) -> Result<Option<Located>, StoreError> {
        let Some(StagedMessage::New { file, offset, size }) = self.messages.last() else { return Ok(None) };
        let staged = self.files.get(*file as usize).ok_or_else(no_file)?;
        Ok(Some(Arc::new(MessageFile::open(&staged.path())?).message(*offset, Some(*size))?))
    }

    /// Forgets the bytes of the message that was taken last: the storage has them already.
    ///
    /// # Errors
    /// As the system.
    pub(super) fn replace_last_by_known(&mut self, map_uid: u32) -> Result<(), StoreError> {
        if let Some(StagedMessage::New { file, offset, .. }) = self.messages.last().copied()
            && let Some(staged) = self.files.get_mut(file as usize)
        {
            staged.cut(offset)?;
        }
        if let Some(last) = self.messages.last_mut() {
            *last = StagedMessage::Known { map_uid };
            let count = self.known.entry(map_uid).or_default();
            *count = count.saturating_add(1);
        }
        Ok(())
    }

    /// Puts another name of the file at `path` in the place of the message that was taken last. Whether that was possible.
    ///
    /// # Errors
    /// As the system.
    pub(super) fn replace_last_by_link(&mut self, path: &Path) -> Result<bool, StoreError> {
        let mut linked = self.new_file();
        let Some(last) = self.files.last_mut() else { return Ok(false) };
        if mutation::link(path, &linked.path()).is_err() {
            // Gone, on another file system, or with too many names already.
            return Ok(false);
        }
        (linked.first, linked.length) = (last.first, last.length);
        std::mem::swap(last, &mut linked);
        Ok(true)
    }

    /// Forgets where which message waits, once that is of no use any more.
    pub(super) fn forget_messages(&mut self) {
        self.messages = Vec::new();
    }

    /// Makes all bytes durable.
    ///
    /// # Errors
    /// As the system.
    pub(super) fn sync(&self) -> Result<(), FsError> {
        if self.files.len() >= MANY {
            return mutation::sync_file_system(&self.place.directory);
        }
        for staged in &self.files {
            let path = staged.path();
            let (file, _) = crate::fs::read::open(&path)?;
            mutation::sync_file(&file, &path)?;
        }
        Ok(())
    }
}

fn no_file() -> StoreError {
    StoreError::new(ErrorKind::Impossible, "a message has no file")
}

/// A name that servers take for a temporary file, and remove when it is old.
pub(super) fn temporary_path(directory: &Path) -> PathBuf {
    directory.join(format!("{}{}", HiddenPlaces::DBOX.prefix, unique::file_name()))
}

impl StagedFile {
    fn create(&mut self, permissions: &Permissions) -> Result<(), FsError> {
        let path = self.path();
        let file = mutation::create(&path, permissions)?;
        let header = FileHeader::encode(now().as_u32());
        mutation::write_at(&file, &path, &header, 0)?;
        self.first = u32::try_from(header.len()).unwrap_or(u32::MAX);
        self.length = self.first.into();
        self.file = Some(file);
        Ok(())
    }

    /// Where it is until it is given its name.
    pub(super) fn path(&self) -> PathBuf {
        let Place { directory, unique } = &*self.place;
        directory.join(format!("{}{}.{unique}", HiddenPlaces::DBOX.prefix, self.number))
    }

    /// Where its first message begins.
    pub(super) fn first_message(&self) -> u64 {
        self.first.into()
    }

    /// Where its last message ends.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether there is no message in it.
    pub(super) fn is_empty(&self) -> bool {
        self.length <= self.first.into()
    }

    /// Gives the file its final name.
    pub(super) fn place(&mut self, target: &Path) -> Result<(), FsError> {
        mutation::rename(&self.path(), target)?;
        self.placed = true;
        Ok(())
    }

    /// How many bytes the message takes.
    fn write(
        &self,
        record: &MessageRecord,
        body: MessageBody,
        first_mailbox: Option<&[u8]>,
        compression: Option<Compression>,
    ) -> Result<u64, StoreError> {
        self.write_with(body, compression, &|sizes| {
            let new = NewMetadata {
                received: record.received,
                plain_size: compression.map(|_| sizes.physical),
                virtual_size: sizes.virtual_size,
                pop3_uidl: record.pop3_uidl.as_deref(),
                pop3_order: record.pop3_order,
                guid: &record.guid,
                first_mailbox,
            };
            Metadata::new(&new).encode()
        })
    }

    /// Writes a message, with the metadata that its sizes lead to.
    fn write_with(
        &self,
        body: MessageBody,
        compression: Option<Compression>,
        metadata: &dyn Fn(Sizes) -> Vec<u8>,
    ) -> Result<u64, StoreError> {
        let (file, path) = (self.file.as_ref().ok_or_else(no_file)?, self.path());
        if body.size.is_some_and(|size| size <= SMALL) {
            let mut bytes = vec![0; MESSAGE_HEADER_SIZE];
            let sizes = incoming::store(body, compression, &mut |piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            })?;
            let stored = bytes.len().saturating_sub(MESSAGE_HEADER_SIZE) as u64;
            bytes.splice(..MESSAGE_HEADER_SIZE, encode_message_header(stored));
            bytes.extend(metadata(sizes));
            mutation::write_at(file, &path, &bytes, self.length)?;
            return Ok(bytes.len() as u64);
        }
        let start = self.length.saturating_add(MESSAGE_HEADER_SIZE as u64);
        let mut end = start;
        let sizes = incoming::store(body, compression, &mut |piece| {
            mutation::write_at(file, &path, piece, end)?;
            end = end.saturating_add(piece.len() as u64);
            Ok(())
        })?;
        let metadata = metadata(sizes);
        mutation::write_at(file, &path, &metadata, end)?;
        mutation::write_at(file, &path, &encode_message_header(end.saturating_sub(start)), self.length)?;
        Ok(end.saturating_add(metadata.len() as u64).saturating_sub(self.length))
    }

    /// Takes everything from `length` on away again.
    fn cut(&mut self, length: u64) -> Result<(), FsError> {
        if let Some(file) = &self.file {
            mutation::truncate(file, &self.path(), length)?;
        }
        self.length = length;
        Ok(())
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.placed {
            let _ = mutation::remove_file(&self.path());
        }
    }
}
