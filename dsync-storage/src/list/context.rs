//! What all parts of one opened store share.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dsync_core::model::{MailboxName, TreeEvent, TreeHistory};
use dsync_core::store::{ErrorKind, StoreError};

use super::hidden::HiddenPlaces;
use super::layout::{InvalidName, Naming, Roots};
use crate::content::Compression;
use crate::fs::permissions::Permissions;

/// A store that was opened: where it is and what may be done to it.
#[derive(Debug)]
pub(crate) struct Context {
    /// As the user wrote it.
    pub(crate) location: String,
    pub(crate) roots: Roots,
    pub(crate) naming: Naming,
    /// Separators that clients of the store may see.
    pub(crate) separators: Vec<char>,
    /// With what the names that clients see begin, except for INBOX.
    pub(crate) prefix: String,
    /// The subscriptions file.
    pub(crate) subscriptions: PathBuf,
    /// Where things are built before they appear.
    pub(crate) hidden: HiddenPlaces,
    pub(crate) read_only: bool,
    /// How new messages are compressed; never those of an mbox.
    pub(crate) compression: Option<Compression>,
}

impl Context {
    /// # Errors
    /// If nothing may be changed.
    pub(crate) fn refuse_if_read_only(&self) -> Result<(), StoreError> {
        if self.read_only {
            let text = format!("{} was opened for reading only", self.location);
            return Err(StoreError::new(ErrorKind::ReadOnly, text));
        }
        Ok(())
    }

    /// Nothing is written through a link that leads out of the store: it may lead into the very source. `places` are
    /// directories of the mailbox in `mails`, each with the root that it has to be in.
    ///
    /// # Errors
    /// [`ErrorKind::Impossible`] if one is elsewhere and something may be changed.
    pub(crate) fn refuse_if_elsewhere<'a>(
        &self,
        mails: &Path,
        places: impl IntoIterator<Item = (&'a PathBuf, &'a PathBuf)>,
    ) -> Result<(), StoreError> {
        let inside = |path: &Path, root: &Path| match (path.canonicalize(), root.canonicalize()) {
            (Ok(path), Ok(root)) => path.starts_with(root),
            _ => true,
        };
        if self.read_only || places.into_iter().all(|(path, root)| inside(path, root)) {
            return Ok(());
        }
        let text = format!("{} is a link that leads out of the store, so nothing is changed there", mails.display());
        Err(StoreError::new(ErrorKind::Impossible, text))
    }

    /// What happened to the tree.
    pub(crate) fn history(&self, events: Vec<TreeEvent>) -> TreeHistory {
        TreeHistory { prefix: self.prefix.clone(), separators: self.separators.clone(), events }
    }

    /// A name for the store that stays the same and that no other has.
    pub(crate) fn store_id(&self, driver: &str) -> String {
        // Not the name of the host: in a container it may be another one in every run.
        let root = &self.roots.mails;
        let root = root.canonicalize().unwrap_or_else(|_| root.clone());
        // Of two disks that take turns at one place, each is a store of its own.
        let disk = nix::sys::statvfs::statvfs(&root).map_or(0, |file_system| file_system.filesystem_id());
        let inode = std::fs::metadata(&root).map_or(0, |metadata| metadata.ino());
        format!("{driver} {} {disk} {inode}", root.display())
    }

    /// The root that holds what servers keep about the tree of mailboxes.
    pub(crate) fn list_root(&self) -> PathBuf {
        let root = self.roots.index.as_ref().unwrap_or(&self.roots.mails);
        self.naming.layout.list_files(root)
    }

    /// The root that holds what servers keep in indexes about the tree; `None` if that is kept in memory only.
    pub(crate) fn list_index_root(&self) -> Option<PathBuf> {
        Some(self.naming.layout.list_files(self.roots.index.as_ref()?))
    }

    /// What new files in the root look like.
    pub(crate) fn permissions(&self) -> Permissions {
        Permissions::like(&self.roots.mails, &self.roots.mails)
    }
}

/// A name that the store cannot hold.
pub(crate) fn invalid_name(error: &InvalidName) -> StoreError {
    StoreError::new(ErrorKind::InvalidName, error.to_string())
}

/// # Errors
/// If it is INBOX, which stays where it is.
pub(crate) fn refuse_inbox(name: &MailboxName) -> Result<(), StoreError> {
    if name.is_inbox() {
        return Err(StoreError::new(ErrorKind::Impossible, "INBOX can neither be deleted nor renamed"));
    }
    Ok(())
}
