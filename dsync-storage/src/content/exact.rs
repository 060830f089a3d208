//! Streams that have to have their length.

use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;

use crate::text::lossy;

/// Where a stored message is, for people.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The file.
    pub(super) path: PathBuf,
    /// Where in it the body begins.
    pub(super) offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            0 => write!(f, "{}", lossy(&self.path)),
            offset => write!(f, "the message at offset {offset} of {}", lossy(&self.path)),
        }
    }
}

/// A stream whose errors name the place it comes from, and which is an error itself if it does not end where it
/// should. Neither its end nor an error is ever taken back.
pub(super) struct Exact {
    source: Option<Box<dyn Read + Send>>,
    count: u64,
    expected: Option<u64>,
    place: Place,
    failed: bool,
}

impl Exact {
    pub(super) fn new(source: Box<dyn Read + Send>, expected: Option<u64>, place: Place) -> Self {
        Self { source: Some(source), count: 0, expected, place, failed: false }
    }

    fn failure(&mut self, kind: io::ErrorKind, problem: impl fmt::Display) -> io::Error {
        self.source = None;
        self.failed = true;
        io::Error::new(kind, format!("{} {problem}", self.place))
    }
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(self.failure(io::ErrorKind::InvalidData, "is damaged"));
        }
        let Some(source) = self.source.as_mut().filter(|_| !buffer.is_empty()) else { return Ok(0) };
        match source.read(buffer) {
            Ok(0) => {
                self.source = None;
                match self.expected.filter(|expected| *expected != self.count) {
                    None => Ok(0),
                    Some(expected) => {
                        let problem = format!("has {} bytes, but should have {expected}", self.count);
                        Err(self.failure(io::ErrorKind::InvalidData, problem))
                    }
                }
            }
            Ok(count) => {
                self.count = self.count.saturating_add(count as u64);
                match self.expected.filter(|expected| self.count > *expected) {
                    None => Ok(count),
                    Some(expected) => {
                        let problem = format!("has more than the {expected} bytes that it should have");
                        Err(self.failure(io::ErrorKind::InvalidData, problem))
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) if error.raw_os_error().is_some() => {
                Err(self.failure(error.kind(), format!("cannot be read: {error}")))
            }
            Err(error) => Err(self.failure(io::ErrorKind::InvalidData, format!("is damaged: {error}"))),
        }
    }
}
