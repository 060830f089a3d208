//! Messages whose attachments are stored in files of their own (`mail_attachment_dir`).
//!
//! ```text
//! message      ........[attachment 1]....[attachment 2]........
//! stored body  ........              ....              ........
//! ```
//!
//! The places are counted in the whole message. An attachment that was sent as base64 is stored decoded; its lines are
//! made again. Every length is known beforehand and has to be right, so that a message comes whole or not at all. Source:
//! observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dsync_core::store::{BodySource, ErrorKind, MessageBody, StoreError};

use super::exact::{Exact, Place};
use crate::dbox::message_file::{Attachment, Encoding, LineEnd};
use crate::fs::read;
use crate::text::lossy;

/// Where the attachments of a store are.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttachmentFiles<'a> {
    /// The directory, if one is configured.
    pub directory: Option<&'a Path>,
    /// What follows the names of the files: nothing in mdbox, `-<mailbox GUID>-<UID>` in sdbox.
    pub suffix: &'a str,
}

impl AttachmentFiles<'_> {
    fn path(&self, attachment: &Attachment) -> Option<PathBuf> {
        let mut path: OsString = self.directory?.join(attachment.path()).into();
        path.push(self.suffix);
        Some(path.into())
    }
}

/// A whole message from `rest`, which is what is left of it without its attachments. `plain_size` is how many bytes the
/// message has, if that is known. The attachments are in the order of the message.
///
/// # Errors
/// [`ErrorKind::Source`] if no directory is configured, or a file is missing or of the wrong size.
pub(super) fn assemble(
    rest: MessageBody,
    attachments: Vec<Attachment>,
    files: &AttachmentFiles<'_>,
    plain_size: Option<u64>,
    place: &Place,
) -> Result<MessageBody, StoreError> {
    let refused = |text: String| StoreError::new(ErrorKind::Source, text);
    let mut located = VecDeque::with_capacity(attachments.len());
    let mut size = rest.size;
    for attachment in attachments {
        let path = files.path(&attachment).ok_or_else(|| {
            let text = format!(
                "{place} has attachments in files of their own, but it is not known where; give the directory \
                 (mail_attachment_dir)"
            );
            refused(text)
        })?;
        // Said before the message has begun, if possible.
        let (_, metadata) =
            read::open(&path).map_err(|error| refused(format!("{place} lacks an attachment: {error}")))?;
        if encoded_size(metadata.len(), attachment.encoding) != Some(attachment.size) {
            return Err(refused(format!("{} is an attachment of the wrong size of {place}", lossy(&path))));
        }
        size = size.and_then(|size| size.checked_add(attachment.size));
        located.push_back((attachment, path));
    }
    let size = plain_size.or(size);
    let assembly = Assembly { rest, attachments: located, position: 0, attachment: None };
    let exact = Exact::new(Box::new(assembly), size, place.clone());
    Ok(MessageBody { size, source: BodySource::Stream(Box::new(exact)) })
}

/// How many bytes of the message a file of `length` bytes becomes.
fn encoded_size(length: u64, encoding: Encoding) -> Option<u64> {
    let Encoding::Base64 { line_length, line_end } = encoding else { return Some(length) };
    let characters = length.div_ceil(3).checked_mul(4)?;
    let line_ends = characters.div_ceil(u64::from(line_length).max(1)).saturating_sub(1);
    characters.checked_add(line_ends.checked_mul(line_end_bytes(line_end).len() as u64)?)
}

fn line_end_bytes(line_end: LineEnd) -> &'static [u8] {
    match line_end {
        LineEnd::Lf => b"\n",
        LineEnd::CrLf => b"\r\n",
    }
}

/// The message, piece by piece.
struct Assembly {
    rest: MessageBody,
    /// Those still to come, with their files.
    attachments: VecDeque<(Attachment, PathBuf)>,
    /// How many bytes of the message have been given.
    position: u64,
    /// The attachment that is being given.
    attachment: Option<Exact>,
}

impl Assembly {
    /// Opens the next attachment if this is its place.
    fn begin_attachment(&mut self) -> io::Result<()> {
        let due = self.attachments.front().is_some_and(|(next, _)| next.start <= self.position);
        let next = if due { self.attachments.pop_front() } else { None };
        let Some((attachment, path)) = next else { return Ok(()) };
        let (file, _) = read::open(&path).map_err(|error| io::Error::new(error.kind(), error.to_string()))?;
        let reader: Box<dyn Read + Send> = match attachment.encoding {
            Encoding::Raw => Box::new(file),
            Encoding::Base64 { line_length, line_end } => Box::new(Base64Lines::new(file, line_length, line_end)),
        };
        let place = Place { path, offset: 0 };
        self.attachment = Some(Exact::new(reader, Some(attachment.size), place));
        Ok(())
    }
}

impl Read for Assembly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(attachment) = &mut self.attachment {
                let count = attachment.read(buffer)?;
                if count > 0 {
                    self.position = self.position.saturating_add(count as u64);
                    return Ok(count);
                }
                self.attachment = None;
            }
            self.begin_attachment()?;
            if self.attachment.is_some() {
                continue;
            }
            let before_next = self.attachments.front().map(|(next, _)| next.start.saturating_sub(self.position));
            let most = before_next.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
            let most = most.min(buffer.len());
            let count = self.rest.read(buffer.get_mut(..most).unwrap_or_default())?;
            if count == 0 && before_next.is_some() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "it ends before its attachment"));
            }
            self.position = self.position.saturating_add(count as u64);
            return Ok(count);
        }
    }
}

/// A file as lines of base64, without a line end behind the last.
struct Base64Lines<R> {
    source: R,
    line_length: usize,
    line_end: &'static [u8],
    /// Characters in the line so far.
    column: usize,
    text: Vec<u8>,
    /// How much of `text` was given away.
    given: usize,
}

impl<R: Read> Base64Lines<R> {
    /// Bytes that are coded at once: whole groups of three, so that nothing is padded but the end.
    const GROUP: u64 = 3 * 8 * 1024;

    fn new(source: R, line_length: u32, line_end: LineEnd) -> Self {
        let line_length = usize::try_from(line_length).unwrap_or(usize::MAX).max(1);
        Self { source, line_length, line_end: line_end_bytes(line_end), column: 0, text: Vec::new(), given: 0 }
    }

    fn refill(&mut self) -> io::Result<()> {
        let mut plain = Vec::new();
        self.source.by_ref().take(Self::GROUP).read_to_end(&mut plain)?;
        self.text.clear();
        self.given = 0;
        let characters = STANDARD.encode(plain);
        let mut characters = characters.as_bytes();
        while !characters.is_empty() {
            if self.column == self.line_length {
                self.text.extend(self.line_end);
                self.column = 0;
            }
            let room = self.line_length.saturating_sub(self.column).min(characters.len());
            let (line, others) = characters.split_at_checked(room).unwrap_or((characters, &[]));
            self.text.extend(line);
            self.column = self.column.saturating_add(line.len());
            characters = others;
        }
        Ok(())
    }
}

impl<R: Read> Read for Base64Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given >= self.text.len() {
            self.refill()?;
        }
        let count = self.text.get(self.given..).unwrap_or_default().read(buffer)?;
        self.given = self.given.saturating_add(count);
        Ok(count)
    }
}
