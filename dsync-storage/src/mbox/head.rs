//! Where the parts of a stored header are: the lines of the message, and those that only the mailbox knows.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use dsync_core::store::{FileRange, StoreError};

use super::header::is_metadata;
use super::scan::ScannedMessage;
use crate::fs::FsError;

/// The header of a stored message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StoredHead {
    /// The lines of the message, as they are stored.
    pub(super) visible: Vec<Range<u64>>,
    /// How many bytes of metadata headers are at the end, if all are there.
    pub(super) metadata_at_end: Option<u64>,
    /// Where the header ends: at the empty line, or at the end of the message.
    pub(super) end: u64,
    /// The last line of the message has no line end.
    pub(super) is_cut_off: bool,
}

const BUFFER: usize = 32 << 10;

/// Reads the header of a message.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn read(file: &File, path: &Path, message: &ScannedMessage) -> Result<StoredHead, StoreError> {
    let failed = |error| FsError::new("read", path, error);
    let end = message.body.unwrap_or(message.end);
    let length = end.saturating_sub(message.header);
    let range = FileRange::new(Arc::new(file.try_clone().map_err(failed)?), message.header, length);
    let mut lines = Lines { input: BufReader::with_capacity(BUFFER, range), place: message.header };
    let mut head = StoredHead { end, ..StoredHead::default() };
    let mut hidden = false;
    let mut hidden_bytes = 0;
    while let Some(line) = lines.next().map_err(failed)? {
        if line.is_empty && message.body.is_some() && line.range.end == end {
            head.end = line.range.start;
            break;
        }
        hidden = if line.is_continuation { hidden } else { line.is_metadata };
        if hidden {
            hidden_bytes += line.range.end.saturating_sub(line.range.start);
            continue;
        }
        head.is_cut_off = !line.is_complete;
        match head.visible.last_mut() {
            Some(last) if last.end == line.range.start => last.end = line.range.end,
            _ => head.visible.push(line.range),
        }
    }
    let visible_end = head.visible.last().map_or(message.header, |last| last.end);
    let at_end = head.end.saturating_sub(visible_end) == hidden_bytes;
    head.metadata_at_end = at_end.then_some(hidden_bytes);
    Ok(head)
}

/// A header line.
struct Line {
    range: Range<u64>,
    is_empty: bool,
    is_continuation: bool,
    is_metadata: bool,
    is_complete: bool,
}

/// Lines of any length, of which only the beginning is looked at.
struct Lines<R> {
    input: R,
    place: u64,
}

/// No name of a metadata header with blanks behind it is looked for further than this.
const LOOKED_AT: usize = 256;

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> io::Result<Option<Line>> {
        let start = self.place;
        let mut beginning = Vec::new();
        let mut is_complete = false;
        while !is_complete {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let count;
            (count, is_complete) = match memchr::memchr(b'\n', buffer) {
                Some(at) => (at.saturating_add(1), true),
                None => (buffer.len(), false),
            };
            let part = buffer.get(..count).unwrap_or_default();
            let room = LOOKED_AT.saturating_sub(beginning.len());
            beginning.extend_from_slice(part.get(..room.min(count)).unwrap_or_default());
            self.input.consume(count);
            self.place = self.place.saturating_add(count as u64);
        }
        if self.place == start {
            return Ok(None);
        }
        Ok(Some(Line {
            range: start..self.place,
            is_empty: matches!(&*beginning, b"\n" | b"\r\n"),
            is_continuation: beginning.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')),
            is_metadata: is_metadata(&beginning),
            is_complete,
        }))
    }
}
