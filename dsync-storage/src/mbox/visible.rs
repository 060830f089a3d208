//! A message as clients see it.
//!
//! That are the lines of its header but for the [metadata](super::header) and their continuation lines, each without the CR
//! before its LF, the empty line, and the body as it is. What was changed so that an mbox could keep the message is undone as
//! far as its [marks](super::marks) say so.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use dsync_core::store::FileRange;

use super::from_line;
use super::header;
use super::marks::{
    LINE_HEAD, Marks, ORIGINAL, ORIGINAL_LINE, has_nul_in_name, line_head, may_be_from_line, may_be_metadata,
};
use super::scan::{ScannedMessage, read_at};
use super::window::{FileAt, Window};

/// Reads a message as clients see it, piece by piece.
#[derive(Debug)]
pub struct VisibleMessage {
    header: Option<VisibleHeader<FileRange>>,
    pending: Vec<u8>,
    given: usize,
    body: FileRange,
}

impl VisibleMessage {
    /// The message of `file` that was found by [`scan`](super::scan::scan()). If the file was changed since, what comes is
    /// anything.
    #[must_use]
    pub fn new(file: Arc<File>, message: &ScannedMessage) -> Self {
        let (start, end) = body_range(message);
        let header_length = message.body.unwrap_or(message.end).saturating_sub(message.header);
        let header = FileRange::new(Arc::clone(&file), message.header, header_length);
        Self {
            header: Some(VisibleHeader::new(header, message.marks, message.body.is_some())),
            pending: Vec::new(),
            given: 0,
            body: FileRange::new(file, start, end.saturating_sub(start)),
        }
    }
}

impl Read for VisibleMessage {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let rest = self.pending.get(self.given..).unwrap_or_default();
            if !rest.is_empty() {
                let count = rest.len().min(buffer.len());
                let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) else { return Ok(0) };
                to.copy_from_slice(from);
                self.given += count;
                return Ok(count);
            }
            self.pending.clear();
            self.given = 0;
            let Some(header) = &mut self.header else { return self.body.read(buffer) };
            if !header.next(&mut self.pending)? {
                self.header = None;
            }
        }
    }
}

/// Where the visible part of the body begins and ends.
fn body_range(message: &ScannedMessage) -> (u64, u64) {
    let start = message.body.map_or(message.end, |body| body + u64::from(message.marks.body_quote));
    let end = message.end - u64::from(message.marks.body_line_feed && message.end > start);
    (start, end)
}

/// Takes back the marks that cannot be true, and computes how much of the message clients see with the others.
pub(super) fn check_marks(file: &File, message: &mut ScannedMessage) -> io::Result<()> {
    let marks = &mut message.marks;
    match message.body {
        None => (marks.body_quote, marks.body_line_feed) = (false, false),
        Some(body) => {
            marks.header_line_feed = false;
            let length = message.end.saturating_sub(body);
            if marks.body_quote {
                let mut start = vec![0; from_line::LOOK_AHEAD];
                let count = read_at(file, &mut start, body)?;
                let start = start.get(..count).unwrap_or_default();
                marks.body_quote = start.strip_prefix(b">").is_some_and(|line| line.starts_with(from_line::PREFIX))
                    && length > from_line::PREFIX.len() as u64;
            }
            if marks.body_line_feed {
                let mut tail = [0; 7];
                let tail_length = length.min(tail.len() as u64);
                let wanted = tail.get_mut(..usize::try_from(tail_length).unwrap_or(0)).unwrap_or_default();
                let count = read_at(file, wanted, message.end - tail_length)?;
                let tail = tail.get(..count).unwrap_or_default();
                marks.body_line_feed = tail == b"From \n" || tail.ends_with(b"\nFrom \n") || tail.ends_with(b"\r\n");
            }
        }
    }
    let header = FileAt { file, offset: message.header, end: message.body.unwrap_or(message.end) };
    let mut header = VisibleHeader::new(header, message.marks, message.body.is_some());
    let mut pending = Vec::new();
    let mut size = 0;
    while header.next(&mut pending)? {
        size += pending.len() as u64;
        pending.clear();
    }
    let (start, end) = body_range(message);
    message.visible_size = size + pending.len() as u64 + end.saturating_sub(start);
    Ok(())
}

/// The visible part of a header, with the empty line if it has one.
#[derive(Debug)]
struct VisibleHeader<R> {
    window: Window<R>,
    marks: Marks,
    has_end: bool,
    place: Place,
    /// The line before was metadata, so its continuation lines are too.
    hidden: bool,
    is_first_line: bool,
    /// How many From_ lines with `>` are still to be left alone.
    left_alone: u8,
    /// A line end that was not given out yet.
    held_line_feed: bool,
}

#[derive(Debug)]
enum Place {
    LineStart,
    /// So many times the token comes before the rest of the line.
    Repeat(&'static [u8], u64),
    Line,
    End,
}

impl<R: Read> VisibleHeader<R> {
    fn new(source: R, marks: Marks, has_end: bool) -> Self {
        Self {
            window: Window::new(source),
            marks,
            has_end,
            place: Place::LineStart,
            hidden: false,
            is_first_line: true,
            left_alone: marks.header_quotes.saturating_sub(1),
            held_line_feed: false,
        }
    }

    /// Adds the next piece to `out`. False: that was the last.
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        match self.place {
            Place::LineStart => self.line_start(out)?,
            Place::Repeat(_, 0) => self.place = Place::Line,
            Place::Repeat(token, ref mut times) => {
                let now = (*times).min(1024);
                *times -= now;
                (0..now).for_each(|_| out.extend_from_slice(token));
            }
            Place::Line => self.line(out)?,
            Place::End => return Ok(false),
        }
        Ok(true)
    }

    fn line_start(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let head = self.window.peek(LINE_HEAD * 2)?;
        let is_first_line = std::mem::take(&mut self.is_first_line);
        if head.is_empty() {
            self.place = Place::End;
            if self.held_line_feed && (self.has_end || !self.marks.header_line_feed) {
                out.push(b'\n');
            }
            return Ok(());
        }
        if self.has_end && matches!(head, [b'\n'] | [b'\r', b'\n']) {
            let line_feeds = if self.held_line_feed { 2 } else { 1 };
            out.extend(std::iter::repeat_n(b'\n', line_feeds));
            self.place = Place::End;
            return Ok(());
        }
        let continues = !is_first_line && matches!(head, [b' ' | b'\t', ..]);
        if !continues {
            self.hidden = header::is_metadata(head);
        }
        self.place = Place::Line;
        if self.hidden {
            return Ok(());
        }
        let first = head.first().copied();
        if std::mem::take(&mut self.held_line_feed) {
            out.push(b'\n');
        }
        match first {
            Some(b'>') if self.marks.header_quotes > 0 => {
                let quotes = self.window.take_run(b">")?;
                let is_from_line = may_be_from_line(line_head(self.window.peek(LINE_HEAD + 1)?));
                let undo = is_from_line && self.left_alone == 0;
                if is_from_line {
                    self.left_alone = self.left_alone.saturating_sub(1);
                }
                self.place = Place::Repeat(b">", quotes - u64::from(undo));
            }
            Some(b'X') if self.marks.original_lines && self.window.starts_with(ORIGINAL_LINE)? => {
                let times = self.window.take_run(ORIGINAL_LINE)?;
                let undo = has_nul_in_name(line_head(self.window.peek(LINE_HEAD + 1)?));
                self.place = Place::Repeat(ORIGINAL_LINE, times - u64::from(undo));
            }
            Some(b'X') if self.marks.original_names && self.window.starts_with(ORIGINAL)? => {
                let times = self.window.take_run(ORIGINAL)?;
                let undo = may_be_metadata(line_head(self.window.peek(LINE_HEAD + 1)?));
                self.place = Place::Repeat(ORIGINAL, times - u64::from(undo));
            }
            _ => {}
        }
        Ok(())
    }

    /// A piece of a line. A CR may belong to the line end, so it stays until more is seen.
    fn line(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let bytes = self.window.peek(2)?;
        let (piece, taken, ends) = match memchr::memchr(b'\n', bytes) {
            Some(at) => {
                let line = bytes.get(..at).unwrap_or_default();
                (line.strip_suffix(b"\r").unwrap_or(line), at + 1, true)
            }
            None if bytes.len() < 2 => (bytes, bytes.len(), false),
            None => {
                let piece = bytes.get(..bytes.len() - 1).unwrap_or_default();
                (piece, piece.len(), false)
            }
        };
        let at_end = taken == 0;
        if !self.hidden {
            out.extend_from_slice(piece);
        }
        self.window.consume(taken);
        // A header that was cut off gets a line end from servers, because they add metadata behind it.
        if ends || at_end {
            self.held_line_feed |= !self.hidden;
            self.place = Place::LineStart;
        }
        Ok(())
    }
}
