//! Reading with a look ahead of bounded size.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use memchr::memchr;

/// As much as is kept in memory of a file.
const CAPACITY: usize = 256 * 1024;
/// How much is read after a jump, because not much may be needed there.
const FIRST_READ: usize = 8 * 1024;

/// The next bytes of a source, which can be looked at before they are taken.
#[derive(Debug)]
pub(super) struct Window<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    read_size: usize,
    at_end: bool,
}

impl<R: Read> Window<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), start: 0, end: 0, read_size: FIRST_READ, at_end: false }
    }

    /// What was read already and not taken yet.
    pub(super) fn buffered(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// At least `wanted` bytes, if the source has so many more. `wanted` must be much less than the window can hold, so
    /// that looking ahead again and again takes no more time than reading.
    pub(super) fn peek(&mut self, wanted: usize) -> io::Result<&[u8]> {
        debug_assert!(wanted <= CAPACITY / 2);
        while self.end - self.start < wanted && !self.at_end {
            self.fill()?;
        }
        Ok(self.buffered())
    }

    /// Takes bytes that were looked at.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
    }

    /// Whether `prefix` comes next.
    pub(super) fn starts_with(&mut self, prefix: &[u8]) -> io::Result<bool> {
        Ok(self.peek(prefix.len())?.starts_with(prefix))
    }

    /// Takes all repetitions of `token` that come next, and says how many they were.
    pub(super) fn take_run(&mut self, token: &[u8]) -> io::Result<u64> {
        let mut count = 0;
        while self.starts_with(token)? {
            self.consume(token.len());
            count += 1;
        }
        Ok(count)
    }

    /// How much of what comes next belongs to the present line, and whether that line ends behind it.
    pub(super) fn line_piece(&mut self) -> io::Result<LinePiece> {
        let bytes = self.peek(1)?;
        Ok(match memchr(b'\n', bytes) {
            Some(at) => LinePiece { length: at, ends: true },
            None => LinePiece { length: bytes.len(), ends: bytes.is_empty() },
        })
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 && (self.start == self.end || self.end == self.buffer.len()) {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let wanted = (self.end + self.read_size).clamp(FIRST_READ, CAPACITY);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        let room_end = self.buffer.len().min(self.end + self.read_size);
        let room = self.buffer.get_mut(self.end..room_end).unwrap_or_default();
        match self.source.read(room) {
            Ok(0) => self.at_end = true,
            Ok(count) => {
                self.end += count.min(room.len());
                self.read_size = (self.read_size * 2).min(CAPACITY);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// See [`Window::line_piece`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinePiece {
    /// How many bytes, without the LF.
    pub(super) length: usize,
    /// The LF or the end of the source follows.
    pub(super) ends: bool,
}

/// A file that is read from some offset on, without moving the place of its handle.
#[derive(Debug)]
pub(super) struct FileAt<'a> {
    pub(super) file: &'a File,
    pub(super) offset: u64,
    /// What is behind that was not there when it was looked at.
    pub(super) end: u64,
}

impl Read for FileAt<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let most = left.min(buffer.len());
        let count = self.file.read_at(buffer.get_mut(..most).unwrap_or_default(), self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

impl Window<FileAt<'_>> {
    /// Where in the file the next byte is.
    pub(super) fn position(&self) -> u64 {
        self.source.offset - (self.end - self.start) as u64
    }

    /// At least `wanted` bytes from `position` on, if they are in memory.
    pub(super) fn ahead(&self, position: u64, wanted: usize) -> Option<&[u8]> {
        let ahead = usize::try_from(position.checked_sub(self.position())?).ok()?;
        self.buffered().get(ahead..).filter(|bytes| bytes.len() >= wanted)
    }

    /// Goes on somewhere else.
    pub(super) fn seek(&mut self, position: u64) {
        match position.checked_sub(self.position()).and_then(|ahead| usize::try_from(ahead).ok()) {
            Some(ahead) if ahead <= self.end - self.start => self.start += ahead,
            _ => {
                (self.start, self.end) = (0, 0);
                self.source.offset = position;
                self.read_size = FIRST_READ;
                self.at_end = false;
            }
        }
    }
}
