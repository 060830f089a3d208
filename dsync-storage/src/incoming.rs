//! The bytes of a message on their way in, counted while they are copied, and compressed if that is wanted.

use std::cell::Cell;
use std::io::{self, Read, Write};

use dsync_core::store::{ErrorKind, MessageBody, StoreError};
use memchr::memchr_iter;

use crate::content::Compression;
use crate::fs::FsError;

/// How long a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// As it is stored.
    pub(crate) physical: u64,
    /// With every line end counted as CRLF.
    pub(crate) virtual_size: u64,
}

const BUFFER: usize = 128 * 1024;

/// Gives the bytes of a message to `write`, piece by piece, and counts them.
///
/// # Errors
/// [`ErrorKind::Source`] if the body breaks off, cannot be read or has not the announced length.
pub(crate) fn copy(
    body: MessageBody,
    mut write: impl FnMut(&[u8]) -> Result<(), FsError>,
) -> Result<Sizes, StoreError> {
    let mut body = CountedBody::new(body);
    let mut buffer = vec![0; body.buffer_size()];
    loop {
        let count = body.read_counted(&mut buffer)?;
        if count == 0 {
            return body.sizes();
        }
        write(buffer.get(..count).unwrap_or_default())?;
    }
}

/// The same with what comes out when the message is compressed, or with the message as it is if it is not to be. The sizes are
/// those of the message.
///
/// # Errors
/// As [`copy`].
pub(crate) fn store(
    body: MessageBody,
    compression: Option<Compression>,
    write: &mut dyn FnMut(&[u8]) -> Result<(), FsError>,
) -> Result<Sizes, StoreError> {
    let Some(compression) = compression else { return copy(body, write) };
    let size = body.size;
    let has_failed = Cell::new(false);
    let mut plain = Plain { body: CountedBody::new(body), has_failed: &has_failed, error: None };
    let mut stored = Stored { write, has_failed: &has_failed, error: None };
    let result = compression.write(size, &mut plain, &mut stored);
    let Stored { error: written, .. } = stored;
    let Plain { body, error: read, .. } = plain;
    if let Some(error) = written {
        return Err(error.into());
    }
    read.map_or(Ok(()), Err)?;
    // Neither end has an error of its own any more.
    result
        .map_err(|error| StoreError::with_source(ErrorKind::Impossible, "the message cannot be compressed", error))?;
    body.sizes()
}

/// What an encoder reads from. Errors are noted, and the message just ends: not every encoder can have any.
struct Plain<'a> {
    body: CountedBody,
    has_failed: &'a Cell<bool>,
    error: Option<StoreError>,
}

impl Read for Plain<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.has_failed.get() {
            return Ok(0);
        }
        Ok(self.body.read_counted(buffer).unwrap_or_else(|error| {
            self.has_failed.set(true);
            self.error = Some(error);
            0
        }))
    }
}

/// What an encoder writes to. After an error, which is noted, all goes nowhere.
struct Stored<'a> {
    write: &'a mut dyn FnMut(&[u8]) -> Result<(), FsError>,
    has_failed: &'a Cell<bool>,
    error: Option<FsError>,
}

impl Write for Stored<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.has_failed.get()
            && let Err(error) = (self.write)(bytes)
        {
            self.has_failed.set(true);
            self.error = Some(error);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A body whose bytes are counted, and which has to have the announced length.
struct CountedBody {
    body: MessageBody,
    counter: SizeCounter,
}

impl CountedBody {
    fn new(body: MessageBody) -> Self {
        Self { body, counter: SizeCounter::default() }
    }

    fn buffer_size(&self) -> usize {
        self.body.size.and_then(|size| usize::try_from(size).ok()).unwrap_or(BUFFER).clamp(1, BUFFER)
    }

    fn read_counted(&mut self, buffer: &mut [u8]) -> Result<usize, StoreError> {
        let count = loop {
            match self.body.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        let problem = |error| StoreError::with_source(ErrorKind::Source, "the message cannot be read", error);
        let count = count.map_err(problem)?;
        self.counter.add(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }

    /// # Errors
    /// If another length was announced.
    fn sizes(self) -> Result<Sizes, StoreError> {
        let sizes = self.counter.sizes;
        match self.body.size.filter(|announced| *announced != sizes.physical) {
            None => Ok(sizes),
            Some(announced) => {
                let text = format!("a message of {announced} bytes was announced, but {} bytes came", sizes.physical);
                Err(StoreError::new(ErrorKind::Source, text))
            }
        }
    }
}

/// Counts a message that comes in pieces.
#[derive(Default)]
struct SizeCounter {
    sizes: Sizes,
    after_cr: bool,
}

impl SizeCounter {
    fn add(&mut self, bytes: &[u8]) {
        let bare = memchr_iter(b'\n', bytes).filter(|&at| match at.checked_sub(1) {
            Some(before) => bytes.get(before) != Some(&b'\r'),
            None => !self.after_cr,
        });
        let bare = bare.count() as u64;
        self.sizes.physical += bytes.len() as u64;
        self.sizes.virtual_size += bytes.len() as u64 + bare;
        self.after_cr = bytes.last().map_or(self.after_cr, |last| *last == b'\r');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_count_like_the_whole(
            bytes in prop::collection::vec(prop::sample::select(b"\r\na".to_vec()), 0..40),
            cuts in prop::collection::vec(0usize..40, 0..5),
        ) {
            let whole = bytes.len() + bytes.iter().enumerate()
                .filter(|(at, byte)| **byte == b'\n' && (*at == 0 || bytes[at - 1] != b'\r')).count();
            let mut counter = SizeCounter::default();
            let mut rest = &bytes[..];
            for cut in cuts {
                let (piece, tail) = rest.split_at(cut.min(rest.len()));
                counter.add(piece);
                rest = tail;
            }
            counter.add(rest);
            prop_assert_eq!(counter.sizes, Sizes { physical: bytes.len() as u64, virtual_size: whole as u64 });
        }
    }
}
