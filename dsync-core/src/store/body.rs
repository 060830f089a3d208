//! The bytes of a message on their way from one store to another.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

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
    /// A part of an open plain file, or all of it. The receiver may let the kernel copy or share the bytes.
    File(FileRange),
    /// Anything else that can be read to its end.
    Stream(Box<dyn Read + Send>),
}

/// A part of an open plain file, read from its start to its end. Reading does not move the place of the file, so many
/// messages of one file can share its handle.
#[derive(Clone, Debug)]
pub struct FileRange {
    file: Arc<File>,
    offset: u64,
    length: u64,
}

impl FileRange {
    /// `length` bytes from `offset` on. If the file ends earlier, reading ends there too.
    #[must_use]
    pub fn new(file: Arc<File>, offset: u64, length: u64) -> Self {
        Self { file, offset, length }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where in the file the next byte is.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes are left.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl Read for FileRange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.length == 0 {
            return Ok(0);
        }
        let most = usize::try_from(self.length).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..most], self.offset)?;
        self.offset = self.offset.saturating_add(count as u64);
        self.length = self.length.saturating_sub(count as u64);
        Ok(count)
    }
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
        Self::from_range(FileRange::new(Arc::new(file), 0, size))
    }

    /// A part of an open file.
    #[must_use]
    pub fn from_range(range: FileRange) -> Self {
        Self { size: Some(range.length()), source: BodySource::File(range) }
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
            BodySource::File(range) => range.read(buffer),
            BodySource::Stream(stream) => stream.read(buffer),
        }
    }
}

impl fmt::Debug for MessageBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageBody").field("size", &self.size).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_where_it_says_or_where_the_file_does() {
        let path = std::env::temp_dir().join(format!("dsync-range-{}", std::process::id()));
        std::fs::write(&path, b"0123456789").unwrap();
        let file = Arc::new(File::open(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        let read = |offset, length| {
            let mut bytes = Vec::new();
            FileRange::new(Arc::clone(&file), offset, length).read_to_end(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(read(2, 3), b"234");
        assert_eq!(read(8, 9), b"89");
        assert!(MessageBody::from_range(FileRange::new(Arc::clone(&file), 8, 9)).read_all().is_err());
    }
}
