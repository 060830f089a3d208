//! What all parts of one opened store share.

use dsync_core::store::{ErrorKind, StoreError};

use super::hidden::HiddenPlaces;
use super::layout::{InvalidName, Naming, Roots};
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
    /// Name of the subscriptions file.
    pub(crate) subscriptions: String,
    /// Where things are built before they appear.
    pub(crate) hidden: HiddenPlaces,
    pub(crate) read_only: bool,
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

    /// What new files in the root look like.
    pub(crate) fn permissions(&self) -> Permissions {
        Permissions::like(&self.roots.mails, &self.roots.mails)
    }
}

/// A name that the store cannot hold.
pub(crate) fn invalid_name(error: &InvalidName) -> StoreError {
    StoreError::new(ErrorKind::InvalidName, error.to_string())
}
