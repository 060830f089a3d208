//! What all parts of one opened Maildir share.

use dsync_core::store::{ErrorKind, StoreError};

use crate::fs::permissions::Permissions;
use crate::list::layout::{InvalidName, Naming, Roots};

/// A store that was opened: where it is and what may be done to it.
#[derive(Debug)]
pub(super) struct Context {
    /// As the user wrote it.
    pub(super) location: String,
    pub(super) roots: Roots,
    pub(super) naming: Naming,
    /// Separators that clients of the store may see.
    pub(super) separators: Vec<char>,
    /// Name of the subscriptions file.
    pub(super) subscriptions: String,
    pub(super) read_only: bool,
}

impl Context {
    /// # Errors
    /// If nothing may be changed.
    pub(super) fn refuse_if_read_only(&self) -> Result<(), StoreError> {
        if self.read_only {
            let text = format!("{} was opened for reading only", self.location);
            return Err(StoreError::new(ErrorKind::ReadOnly, text));
        }
        Ok(())
    }

    /// What new files in the root look like.
    pub(super) fn permissions(&self) -> Permissions {
        Permissions::like(&self.roots.mails, &self.roots.mails)
    }
}

/// A name that the store cannot hold.
pub(super) fn invalid_name(error: &InvalidName) -> StoreError {
    StoreError::new(ErrorKind::InvalidName, error.to_string())
}
