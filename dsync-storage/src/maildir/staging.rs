//! Messages on their way in: written to `tmp`, counted, dated, and moved into place later.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dsync_core::model::Timestamp;
use dsync_core::store::{ErrorKind, MessageBody, StoreError};
use memchr::memchr_iter;

use crate::fs::permissions::Permissions;
use crate::fs::{FsError, mutation, unique};

/// A message in `tmp`. Removed when dropped, unless it was moved into place.
#[derive(Debug)]
pub(super) struct StagedFile {
    path: PathBuf,
    sizes: Sizes,
    placed: bool,
}

/// How long a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    /// As it is stored.
    pub(super) physical: u64,
    /// With every line end counted as CRLF.
    pub(super) virtual_size: u64,
}

const BUFFER: usize = 128 * 1024;

impl StagedFile {
    /// Writes `body` to a new file in `tmp` of the mailbox and gives it the time at which it was received. Nothing is
    /// durable yet.
    ///
    /// # Errors
    /// [`ErrorKind::Source`] if the body breaks off, cannot be read or has not the announced length.
    pub(super) fn write(
        maildir: &Path,
        body: MessageBody,
        received: Timestamp,
        permissions: &Permissions,
    ) -> Result<Self, StoreError> {
        let path = maildir.join("tmp").join(unique::file_name());
        let file = mutation::create(&path, permissions)?;
        let mut staged = Self { path, sizes: Sizes::default(), placed: false };
        let announced = body.size;
        staged.sizes = copy(body, |bytes| mutation::write(&file, &staged.path, bytes))?;
        if announced.is_some_and(|announced| announced != staged.sizes.physical) {
            let text = format!(
                "a message of {} bytes was announced, but {} bytes came",
                announced.unwrap_or_default(),
                staged.sizes.physical
            );
            return Err(StoreError::new(ErrorKind::Source, text));
        }
        mutation::set_modified(&file, &staged.path, received.seconds())?;
        Ok(staged)
    }

    pub(super) fn sizes(&self) -> Sizes {
        self.sizes
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its final name.
    pub(super) fn place(&mut self, target: &Path) -> Result<(), FsError> {
        mutation::rename(&self.path, target)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.placed {
            let _ = mutation::remove_file(&self.path);
        }
    }
}

fn copy(mut body: MessageBody, mut write: impl FnMut(&[u8]) -> Result<(), FsError>) -> Result<Sizes, StoreError> {
    let capacity = body.size.and_then(|size| usize::try_from(size).ok()).unwrap_or(BUFFER).clamp(1, BUFFER);
    let mut buffer = vec![0; capacity];
    let mut counter = SizeCounter::default();
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) => return Ok(counter.sizes),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(StoreError::with_source(ErrorKind::Source, "the message cannot be read", error));
            }
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        counter.add(bytes);
        write(bytes)?;
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

    #[test]
    fn a_dropped_message_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("tmp")).unwrap();
        let body = MessageBody::from_bytes(b"a\nb".to_vec());
        let staged = StagedFile::write(dir.path(), body, Timestamp(77), &Permissions::PRIVATE).unwrap();
        assert_eq!(staged.sizes(), Sizes { physical: 3, virtual_size: 4 });
        let path = staged.path().to_owned();
        assert!(path.exists());
        drop(staged);
        assert!(!path.exists());
    }
}
