//! Reading messages at their places, with as few calls of the system as possible.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::metadata::MetadataError;
use super::{FileHeader, MESSAGE_HEADER_SIZE, MessageFileError, Metadata, decode_message_header};

/// What is read of a message at once: enough for header, body and metadata of a small one.
const FIRST_READ: usize = 4096;
/// What is read behind a large body at first.
const METADATA_READ: usize = 512;

/// Something that can be read at any place without a position of its own.
pub trait ReadAt {
    /// Reads from `offset` on; 0 bytes at the end.
    ///
    /// # Errors
    /// As the system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..)).unwrap_or_default();
        let from = rest.iter().take(buffer.len());
        let count = from.len();
        buffer.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        Ok(count)
    }
}

/// A message as it lies in a file, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// Where its header begins.
    pub offset: u64,
    /// Where its body begins.
    pub body_offset: u64,
    /// How many bytes the stored body has.
    pub body_size: u64,
    /// What is written about it.
    pub metadata: Metadata,
    /// All that it takes: header, body and metadata, in bytes.
    pub size: u64,
}

impl StoredMessage {
    /// Where the next message begins, or the file ends.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.size)
    }

    /// The size of the message in bytes, which is not that of the stored body if it is compressed or in parts.
    #[must_use]
    pub fn physical_size(&self) -> u64 {
        self.metadata.plain_size().unwrap_or(self.body_size)
    }
}

/// The header of a file, and where its first message begins.
///
/// # Errors
/// If the file cannot be read or does not begin with one.
pub fn read_file_header(file: &(impl ReadAt + ?Sized)) -> Result<(FileHeader, u64), MessageFileError> {
    let mut head = Window::at(file, 0);
    // Real headers are shorter, but what follows them costs nothing.
    head.fill(FileHeader::LONGEST)?;
    let (header, length) = FileHeader::decode(head.bytes())?;
    Ok((header, length as u64))
}

/// The message at `offset`. `limit` is the size that it is known to have, if that is known: nothing beyond is looked at.
/// A small message costs one read, any other two.
///
/// # Errors
/// If the file cannot be read, there is no message at that place, or it does not end within `limit` and the file.
pub fn read_message(
    file: &(impl ReadAt + ?Sized),
    header: &FileHeader,
    offset: u64,
    limit: Option<u64>,
) -> Result<StoredMessage, MessageFileError> {
    read_next(file, header, offset, limit)?.ok_or(MessageFileError::Incomplete { offset })
}

/// The same; `None` if the file ends before the message begins.
fn read_next(
    file: &(impl ReadAt + ?Sized),
    header: &FileHeader,
    offset: u64,
    limit: Option<u64>,
) -> Result<Option<StoredMessage>, MessageFileError> {
    let incomplete = || MessageFileError::Incomplete { offset };
    let end = limit.map_or(u64::MAX, |limit| offset.saturating_add(limit));
    let header_size = header.message_header_size.max(MESSAGE_HEADER_SIZE);
    let mut window = Window::at(file, offset);
    window.fill(FIRST_READ.max(header_size).min(room(offset, end)))?;
    if window.bytes().is_empty() {
        return Ok(None);
    }
    let head = window.bytes().get(..header_size).ok_or_else(incomplete)?;
    let body_size = decode_message_header(head, offset)?;
    let body_offset = offset.checked_add(header_size as u64).ok_or_else(incomplete)?;
    let metadata_offset = body_offset.checked_add(body_size).filter(|place| *place <= end).ok_or_else(incomplete)?;
    window.advance(metadata_offset);
    let mut wanted = window.bytes().len().max(1);
    let (metadata, length) = loop {
        match Metadata::decode(window.bytes()) {
            Ok(found) => break found,
            Err(MetadataError::Magic) => return Err(MessageFileError::MetadataMagic { offset: metadata_offset }),
            Err(MetadataError::TooLarge) => return Err(MessageFileError::MetadataTooLarge { offset }),
            Err(MetadataError::Incomplete) => {}
        }
        let before = window.bytes().len();
        wanted = wanted.saturating_mul(2).clamp(METADATA_READ, Metadata::LARGEST.saturating_add(1));
        window.fill(wanted.min(room(metadata_offset, end)))?;
        if window.bytes().len() == before {
            return Err(incomplete());
        }
    };
    let message_end = metadata_offset.checked_add(length as u64).ok_or_else(incomplete)?;
    let size = message_end.saturating_sub(offset);
    Ok(Some(StoredMessage { offset, body_offset, body_size, metadata, size }))
}

/// How many bytes there are up to the end, as far as memory is concerned.
fn room(offset: u64, end: u64) -> usize {
    usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX)
}

/// The part of a file that is in memory.
struct Window<'a, Source: ?Sized> {
    source: &'a Source,
    offset: u64,
    buffer: Vec<u8>,
}

impl<'a, Source: ReadAt + ?Sized> Window<'a, Source> {
    fn at(source: &'a Source, offset: u64) -> Self {
        Self { source, offset, buffer: Vec::new() }
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Forgets what lies before `offset`.
    fn advance(&mut self, offset: u64) {
        let gone = usize::try_from(offset.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        self.buffer.drain(..gone.min(self.buffer.len()));
        self.offset = offset;
    }

    /// Reads on until there are `length` bytes, or as many as the file gives at once: a file on disk gives less only at
    /// its end.
    fn fill(&mut self, length: usize) -> Result<(), MessageFileError> {
        let have = self.buffer.len();
        if length <= have {
            return Ok(());
        }
        self.buffer.resize(length, 0);
        let offset = self.offset.saturating_add(have as u64);
        let result = loop {
            let rest = self.buffer.get_mut(have..).unwrap_or_default();
            match self.source.read_at(rest, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.buffer.truncate(have.saturating_add(*result.as_ref().unwrap_or(&0)));
        result.map(drop).map_err(|source| MessageFileError::Read { offset, source })
    }
}

/// All messages of a file from `start` on, which is where its first message begins. At damage there is one error, and
/// nothing after it: where the next message begins is not known then.
pub fn walk<Source: ReadAt + ?Sized>(file: &Source, header: FileHeader, start: u64) -> Walk<'_, Source> {
    Walk { file, header, next: Some(start) }
}

/// The iterator that [`walk`] returns.
#[derive(Debug)]
pub struct Walk<'a, Source: ?Sized> {
    file: &'a Source,
    header: FileHeader,
    next: Option<u64>,
}

impl<Source: ReadAt + ?Sized> Iterator for Walk<'_, Source> {
    type Item = Result<StoredMessage, MessageFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.next.take()?;
        let message = read_next(self.file, &self.header, offset, None).transpose()?;
        self.next = message.as_ref().ok().map(StoredMessage::end);
        Some(message)
    }
}
