//! Finding the messages of a file, and what their headers say.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use dsync_core::model::{Keywords, Timestamp};
use memchr::memchr;
use memchr::memmem::Finder;

use super::ScannedMessage;
use crate::mbox::from_line;
use crate::mbox::header::{HeaderDigest, HeaderReader, Metadata};
use crate::mbox::visible;
use crate::mbox::window::{FileAt, Window};

/// A From_ line in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct FoundFromLine {
    /// Where the separator begins.
    pub(super) offset: u64,
    /// Where the line begins.
    from: u64,
    received: Timestamp,
}

/// Where a message ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    at: u64,
    /// The From_ line behind it. None at the end of the file.
    next: Option<FoundFromLine>,
}

pub(super) struct Scanner<'a> {
    window: Window<FileAt<'a>>,
    file: &'a File,
    length: u64,
    digest: HeaderDigest,
    separator: Finder<'static>,
    /// Where the last `\nFrom ` was that was looked at.
    last_match: Option<u64>,
    /// Behind the last byte that is no NUL, if it was looked for.
    content_end: Option<u64>,
    pub(super) ignored_nuls: Option<u64>,
}

/// What every separator ends with the beginning of.
const SEPARATOR: &[u8] = b"\nFrom ";

impl<'a> Scanner<'a> {
    pub(super) fn new(file: &'a File, length: u64, digest: HeaderDigest) -> Self {
        Self {
            window: Window::new(FileAt { file, offset: 0, end: length }),
            file,
            length,
            digest,
            separator: Finder::new(SEPARATOR),
            last_match: None,
            content_end: None,
            ignored_nuls: None,
        }
    }

    pub(super) fn first_from_line(&mut self) -> io::Result<Option<FoundFromLine>> {
        let received = self.valid_from_line()?;
        Ok(received.map(|received| FoundFromLine { offset: 0, from: 0, received }))
    }

    /// If a valid From_ line comes next, when its message was received. A line that does not end is none.
    fn valid_from_line(&mut self) -> io::Result<Option<Timestamp>> {
        Ok(complete_from_line(self.window.peek(from_line::LOOK_AHEAD)?))
    }

    /// Whether this `\nFrom `, whose LF is at `at`, is looked at: the byte behind another one is not.
    fn is_seen(&mut self, at: u64) -> bool {
        let is_hidden = self.last_match.is_some_and(|last| last + SEPARATOR.len() as u64 == at);
        if !is_hidden {
            self.last_match = Some(at);
        }
        !is_hidden
    }

    /// The message that begins with this From_ line, which comes next in the window.
    pub(super) fn message(
        &mut self,
        from_line: FoundFromLine,
        is_first: bool,
    ) -> io::Result<(ScannedMessage, Metadata, Option<FoundFromLine>)> {
        self.last_match = None;
        self.skip_line()?;
        let header = self.window.position();
        let mut reader = HeaderReader::new(self.digest, is_first);
        let header_end = self.header(&mut reader)?;
        let metadata = reader.finish();
        let (body, end) = match header_end {
            HeaderEnd::Message(end) => (None, end),
            HeaderEnd::EmptyLine { body, end: natural } => {
                match (self.end_by_length(body, metadata.content_length)?, natural) {
                    (Some(end), _) => (Some(body), end),
                    // The empty line was the separator.
                    (None, Some(end)) => (None, end),
                    (None, None) => (Some(body), self.natural_end(body)?),
                }
            }
        };
        let next = end.next.map_or(self.length, |next| next.from);
        self.window.seek(next);
        let mut message = ScannedMessage {
            offset: from_line.offset,
            from: from_line.from,
            header,
            body,
            end: end.at,
            next,
            received: from_line.received,
            uid: None,
            flags: metadata.flags,
            seen_by_session: metadata.seen_by_session,
            keywords: Keywords::none(),
            md5: metadata.md5,
            marks: metadata.marks,
            visible_size: metadata.visible_size + body.map_or(0, |body| 1 + end.at.saturating_sub(body)),
        };
        if !message.marks.is_empty() {
            visible::check_marks(self.file, &mut message)?;
        }
        Ok((message, metadata, end.next))
    }

    pub(super) fn skip_line(&mut self) -> io::Result<()> {
        // A line end among the first bytes is not that of the line: the date may stand behind it.
        loop {
            let piece = self.window.line_piece()?;
            self.window.consume(piece.length);
            if piece.ends {
                self.window.consume(1);
                return Ok(());
            }
        }
    }

    /// Reads the header, up to and including the empty line behind it.
    pub(super) fn header(&mut self, reader: &mut HeaderReader) -> io::Result<HeaderEnd> {
        let start = self.window.position();
        let mut line_end = 0;
        loop {
            let line = self.window.position();
            let is_first_line = line == start;
            let bytes = self.window.peek(2)?;
            let is_empty = bytes.is_empty();
            let empty_line = match bytes {
                [b'\n', ..] => 1,
                [b'\r', b'\n', ..] => 2,
                _ => 0,
            };
            if is_empty {
                return Ok(HeaderEnd::Message(End { at: line - line_end, next: None }));
            }
            if !is_first_line
                && self.window.starts_with(from_line::PREFIX)?
                && self.is_seen(line - 1)
                && let Some(received) = self.valid_from_line()?
            {
                let offset = line - line_end;
                let next = FoundFromLine { offset, from: line, received };
                return Ok(HeaderEnd::Message(End { at: offset, next: Some(next) }));
            }
            if empty_line > 0 {
                self.window.consume(empty_line);
                let body = self.window.position();
                let end = if self.window.peek(1)?.is_empty() {
                    Some(End { at: line, next: None })
                } else if self.window.starts_with(from_line::PREFIX)? && self.is_seen(body - 1) {
                    let received = self.valid_from_line()?;
                    received.map(|received| {
                        let next = FoundFromLine { offset: line, from: body, received };
                        End { at: line, next: Some(next) }
                    })
                } else {
                    None
                };
                return Ok(HeaderEnd::EmptyLine { body, end });
            }
            line_end = self.header_line(reader)?;
        }
    }

    /// Reads a line of the header, and says how long its line end is.
    fn header_line(&mut self, reader: &mut HeaderReader) -> io::Result<u64> {
        let mut ends_in_cr = false;
        loop {
            let position = self.window.position();
            let piece = self.window.line_piece()?;
            let line = self.window.buffered().get(..piece.length).unwrap_or_default();
            ends_in_cr = line.last().map_or(ends_in_cr, |last| *last == b'\r');
            let line_feed = usize::from(piece.ends && self.window.buffered().len() > piece.length);
            let taken = piece.length + line_feed;
            reader.feed(position, self.window.buffered().get(..taken).unwrap_or_default());
            self.window.consume(taken);
            if piece.ends {
                return Ok(if line_feed == 0 { 0 } else { 1 + u64::from(ends_in_cr) });
            }
        }
    }

    /// The end of a body by its `Content-Length`, if a separator is there.
    fn end_by_length(&mut self, body: u64, length: Option<u64>) -> io::Result<Option<End>> {
        let Some(at) = length.and_then(|length| body.checked_add(length)).filter(|at| *at < self.length) else {
            return Ok(None);
        };
        // A wrong one is not worth to give up what is in memory.
        let mut read = [0; SEPARATOR.len() + 1];
        let count = match self.window.ahead(at, read.len()) {
            Some(bytes) => {
                read.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                read.len()
            }
            None => self.read_at(&mut read, at)?,
        };
        let bytes = read.get(..count).unwrap_or_default();
        let is_last = self.length - at == bytes.len() as u64;
        let line_end = match bytes {
            [b'\n'] | [b'\r', b'\n'] if is_last => return Ok(Some(End { at, next: None })),
            [b'\n', 0, ..] if self.content_end()? == at + 1 => {
                self.ignored_nuls = Some(self.length - at - 1);
                return Ok(Some(End { at, next: None }));
            }
            [b'\n', rest @ ..] if rest.starts_with(from_line::PREFIX) => 1,
            [b'\r', b'\n', rest @ ..] if rest.starts_with(from_line::PREFIX) => 2,
            _ => return Ok(None),
        };
        let from = at + line_end;
        let received = match self.window.ahead(from, from_line::LOOK_AHEAD) {
            Some(line) => complete_from_line(line),
            None => {
                let mut line = vec![0; from_line::LOOK_AHEAD];
                let count = self.read_at(&mut line, from)?;
                complete_from_line(line.get(..count).unwrap_or_default())
            }
        };
        Ok(received.map(|received| End { at, next: Some(FoundFromLine { offset: at, from, received }) }))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        read_at(self.file, buffer, offset)
    }

    /// Behind the last byte of the file that is no NUL.
    fn content_end(&mut self) -> io::Result<u64> {
        if let Some(end) = self.content_end {
            return Ok(end);
        }
        let mut buffer = vec![0; 64 * 1024];
        let mut end = self.length;
        while end > 0 {
            let start = end.saturating_sub(buffer.len() as u64);
            let count = self.read_at(&mut buffer, start)?;
            let bytes = buffer.get(..count.min(usize::try_from(end - start).unwrap_or(count))).unwrap_or_default();
            if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
                end = start + last as u64 + 1;
                break;
            }
            end = start;
        }
        self.content_end = Some(end);
        Ok(end)
    }

    /// The first separator in the body, or the end of the file.
    fn natural_end(&mut self, body: u64) -> io::Result<End> {
        // The line end of the empty line may begin a separator; but that was looked at with the header.
        self.window.seek(body);
        loop {
            let position = self.window.position();
            // The LF of the separator, and a CR before it.
            let bytes = self.window.peek(SEPARATOR.len() + 1)?;
            if let Some(found) = self.separator.find(bytes) {
                let has_cr = found.checked_sub(1).is_some_and(|before| bytes.get(before) == Some(&b'\r'));
                let at = position + found as u64;
                self.window.consume(found + 1);
                if self.is_seen(at)
                    && let Some(received) = self.valid_from_line()?
                {
                    let offset = at - u64::from(has_cr);
                    return Ok(End { at: offset, next: Some(FoundFromLine { offset, from: at + 1, received }) });
                }
                continue;
            }
            if bytes.len() <= SEPARATOR.len() {
                let separator = match bytes {
                    [.., b'\r', b'\n'] => 2,
                    [.., b'\n'] => 1,
                    _ => 0,
                };
                return Ok(End { at: position + (bytes.len() - separator) as u64, next: None });
            }
            let searched = bytes.len() - SEPARATOR.len();
            self.window.consume(searched);
        }
    }
}

/// When the message was received whose From_ line `bytes` begin with, if it is valid and ends.
fn complete_from_line(bytes: &[u8]) -> Option<Timestamp> {
    let line = from_line::parse(bytes)?;
    // Of a long line the end need not be seen.
    let is_long = bytes.len() >= from_line::LOOK_AHEAD;
    let behind = bytes.get(from_line::PREFIX.len() + 1..).unwrap_or_default();
    (is_long || memchr(b'\n', behind).is_some()).then_some(line.received)
}

/// Fills the buffer, unless the file ends before.
pub(in crate::mbox) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read_at(room, offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Where a header ends.
pub(super) enum HeaderEnd {
    /// The message ends, without an empty line.
    Message(End),
    /// Behind an empty line, which may be a separator.
    EmptyLine { body: u64, end: Option<End> },
}
