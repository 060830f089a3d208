//! The bytes of a message on their way from one store to another.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

/// The bytes of one message: a stream of known length, never a buffer that has to hold all of it.
///
/// The bytes are those that the store keeps, with its line ends; how a server presents them (CRLF) follows from them.
pub struct MessageBody {
    /// How many bytes there are, if the store knows before reading. A stream that ends earlier or later is an error.
    pub size: Option<u64>,
    /// Where they come from.
    pub source: BodySource,
}

/// Where the bytes of a message come from.
pub enum BodySource {
    /// A whole plain file, opened for reading and positioned at the start of the message. The receiver may let the
    /// kernel copy or share the bytes.
    File(File),
    /// Anything else that can be read to its end.
    Stream(Box<dyn Read + Send>),
}

impl MessageBody {
    /// A body in memory.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { size: Some(bytes.len() as u64), source: BodySource::Stream(Box::new(io::Cursor::new(bytes))) }
    }

    /// The whole of an open file.
    #[must_use]
    pub fn from_file(file: File, size: u64) -> Self {
        Self { size: Some(size), source: BodySource::File(file) }
    }

    /// Reads everything; for small messages and tests.
    ///
    /// # Errors
    /// As the underlying source, or `InvalidData` if the length is not the announced one.
    pub fn read_all(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        if self.size.is_some_and(|size| size != bytes.len() as u64) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the message has not the announced length"));
        }
        Ok(bytes)
    }
}

impl Read for MessageBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.source {
            BodySource::File(file) => file.read(buffer),
            BodySource::Stream(stream) => stream.read(buffer),
        }
    }
}

impl fmt::Debug for MessageBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageBody").field("size", &self.size).finish_non_exhaustive()
    }
}
