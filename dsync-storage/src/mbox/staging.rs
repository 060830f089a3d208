//! New messages that wait, in the form that an mbox keeps, until a commit puts them into the mailbox.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use dsync_core::store::{ErrorKind, MessageBody, StoreError};

use super::encode::{Encoded, encode_message};
use super::header::HeaderDigest;
use super::marks::Marks;
use crate::fs::permissions::Permissions;
use crate::fs::{FsError, mutation};

/// A temporary file with all messages that wait. Removed when dropped.
#[derive(Debug)]
pub(super) struct Staging {
    path: PathBuf,
    file: File,
    length: u64,
    messages: Vec<StagedMessage>,
    digest: HeaderDigest,
}

/// A message that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct StagedMessage {
    /// Where its header begins; the body follows.
    pub(super) offset: u64,
    pub(super) header_length: u64,
    /// None: it has no end-of-header line.
    pub(super) body_length: Option<u64>,
    /// What was changed.
    pub(super) marks: Marks,
}

const BUFFER: usize = 128 << 10;

impl Staging {
    /// An empty file at a hidden path.
    pub(super) fn new(path: PathBuf, digest: HeaderDigest, permissions: &Permissions) -> Result<Self, FsError> {
        let file = mutation::create(&path, permissions)?;
        Ok(Self { path, file, length: 0, messages: Vec::new(), digest })
    }

    /// Takes the bytes of a message. Gives its number.
    ///
    /// # Errors
    /// [`ErrorKind::Source`] if the body cannot be read or has not the announced length; nothing of it remains then.
    pub(super) fn add(&mut self, body: MessageBody) -> Result<usize, StoreError> {
        let mut input = CountedBody { announced: body.size, body, count: 0, error: None };
        let offset = self.length;
        let output = Output { file: &self.file, path: &self.path, place: offset, error: None };
        let mut output = BufWriter::with_capacity(BUFFER, output);
        let encoded = encode_message(&mut input, &mut output, self.digest);
        let flushed = encoded.and_then(|encoded| output.flush().map(|()| encoded));
        let output_error = output.get_mut().error.take();
        // What is still buffered is worth nothing.
        let _ = output.into_parts();
        match (flushed, input.finish(), output_error) {
            (Ok(encoded), Ok(()), None) => {
                let Encoded { header_length, body_length, marks, .. } = encoded;
                let length = header_length.saturating_add(body_length.unwrap_or(0));
                self.length = offset.saturating_add(length);
                self.messages.push(StagedMessage { offset, header_length, body_length, marks });
                Ok(self.messages.len().saturating_sub(1))
            }
            (encoded, input, output) => {
                mutation::truncate(&self.file, &self.path, offset)?;
                if let Some(error) = output {
                    return Err(error.into());
                }
                input?;
                let error = encoded.err().unwrap_or_else(|| io::ErrorKind::Other.into());
                Err(StoreError::with_source(ErrorKind::Source, "the message cannot be read", error))
            }
        }
    }

    /// The message with this number.
    pub(super) fn get(&self, number: usize) -> Result<StagedMessage, StoreError> {
        let message = self.messages.get(number).copied();
        message.ok_or_else(|| StoreError::new(ErrorKind::Impossible, "a message is added whose bytes were not saved"))
    }

    /// Forgets where the messages are, once they are in the mailbox. There may be millions.
    pub(super) fn forget_messages(&mut self) {
        self.messages = Vec::new();
    }

    /// The file with the bytes of all.
    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = mutation::remove_file(&self.path);
    }
}

/// A body that must have the announced length.
struct CountedBody {
    body: MessageBody,
    announced: Option<u64>,
    count: u64,
    error: Option<io::Error>,
}

impl CountedBody {
    fn finish(self) -> Result<(), StoreError> {
        if let Some(error) = self.error {
            return Err(StoreError::with_source(ErrorKind::Source, "the message cannot be read", error));
        }
        match self.announced {
            Some(announced) if announced != self.count => {
                let text = format!("a message of {announced} bytes was announced, but {} bytes came", self.count);
                Err(StoreError::new(ErrorKind::Source, text))
            }
            _ => Ok(()),
        }
    }
}

impl Read for CountedBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.body.read(buffer) {
            Ok(count) => {
                self.count = self.count.saturating_add(count as u64);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.error = Some(error);
                Err(kind.into())
            }
        }
    }
}

/// Writes to a place of a file, and remembers what went wrong.
struct Output<'a> {
    file: &'a File,
    path: &'a Path,
    place: u64,
    error: Option<FsError>,
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match mutation::write_at(self.file, self.path, bytes, self.place) {
            Ok(()) => {
                self.place = self.place.saturating_add(bytes.len() as u64);
                Ok(bytes.len())
            }
            Err(error) => {
                let kind = error.kind();
                self.error = Some(error);
                Err(kind.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
