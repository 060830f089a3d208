//! Messages on their way in: written to `tmp`, counted, dated, and moved into place later.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dsync_core::model::Timestamp;
use dsync_core::store::{MessageBody, StoreError};

use crate::content::Compression;
use crate::fs::permissions::Permissions;
use crate::fs::{FsError, mutation, unique};
use crate::incoming::{self, Sizes};

/// Messages on their way into one mailbox.
#[derive(Debug)]
pub(super) struct Staging {
    place: Arc<Place>,
    files: Vec<StagedFile>,
}

/// Where they wait.
#[derive(Debug)]
struct Place {
    directory: PathBuf,
    /// What nobody else has in the names of files.
    unique: String,
    compression: Option<Compression>,
}

impl Staging {
    /// In `tmp` of a mailbox. Messages are compressed, if that is wanted.
    pub(super) fn new(maildir: &Path, compression: Option<Compression>) -> Self {
        let place = Place { directory: maildir.join("tmp"), unique: unique::file_name(), compression };
        Self { place: Arc::new(place), files: Vec::new() }
    }

    /// Writes `body` to a new file and gives it the time at which it was received. Nothing is durable yet. Says the number
    /// of the message.
    ///
    /// # Errors
    /// [`ErrorKind::Source`](dsync_core::store::ErrorKind::Source) if the body breaks off, cannot be read or has not the
    /// announced length.
    pub(super) fn add(
        &mut self,
        body: MessageBody,
        received: Timestamp,
        permissions: &Permissions,
    ) -> Result<usize, StoreError> {
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        let mut staged =
            StagedFile { place: Arc::clone(&self.place), number, sizes: Sizes::default(), placed: false };
        staged.write(body, received, permissions)?;
        self.files.push(staged);
        Ok(self.files.len().saturating_sub(1))
    }

    pub(super) fn files_mut(&mut self) -> &mut [StagedFile] {
        &mut self.files
    }
}

/// A message in `tmp`. Removed when dropped, unless it was moved into place. There may be millions, so they are kept small.
#[derive(Debug)]
pub(super) struct StagedFile {
    place: Arc<Place>,
    number: u32,
    sizes: Sizes,
    placed: bool,
}

impl StagedFile {
    fn write(&mut self, body: MessageBody, received: Timestamp, permissions: &Permissions) -> Result<(), StoreError> {
        let path = self.path();
        let file = mutation::create(&path, permissions)?;
        let write = &mut |bytes: &[u8]| mutation::write(&file, &path, bytes);
        self.sizes = incoming::store(body, self.place.compression, write)?;
        Ok(mutation::set_modified(&file, &path, received.seconds())?)
    }

    /// The sizes of the message, which are not those of the file if that is compressed.
    pub(super) fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Where it is until it is moved into place.
    pub(super) fn path(&self) -> PathBuf {
        let Place { directory, unique, .. } = &*self.place;
        directory.join(format!("{unique}.{}", self.number))
    }

    /// Gives the file its final name.
    pub(super) fn place(&mut self, target: &Path) -> Result<(), FsError> {
        mutation::rename(&self.path(), target)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.placed {
            let _ = mutation::remove_file(&self.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_message_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("tmp")).unwrap();
        let mut staging = Staging::new(dir.path(), None);
        for number in 0..2 {
            let body = MessageBody::from_bytes(b"a\nb".to_vec());
            assert_eq!(staging.add(body, Timestamp(77), &Permissions::PRIVATE).unwrap(), number);
        }
        assert_eq!(staging.files[0].sizes(), Sizes { physical: 3, virtual_size: 4 });
        let paths: Vec<_> = staging.files.iter().map(StagedFile::path).collect();
        assert!(paths.iter().all(|path| path.exists()));
        drop(staging);
        assert!(!paths.iter().any(|path| path.exists()));
    }
}
