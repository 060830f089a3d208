//! Messages on their way in: written to `tmp`, counted, dated, and moved into place later.

use std::path::{Path, PathBuf};

use dsync_core::model::Timestamp;
use dsync_core::store::{MessageBody, StoreError};

use crate::fs::permissions::Permissions;
use crate::fs::{FsError, mutation, unique};
use crate::incoming::{self, Sizes};

/// A message in `tmp`. Removed when dropped, unless it was moved into place.
#[derive(Debug)]
pub(super) struct StagedFile {
    path: PathBuf,
    sizes: Sizes,
    placed: bool,
}

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
        staged.sizes = incoming::copy(body, |bytes| mutation::write(&file, &staged.path, bytes))?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
