//! The message files of an sdbox mailbox: `u.<UID>`, one message each.

use std::path::PathBuf;
use std::sync::Arc;

use dsync_core::model::Uid;
use dsync_core::store::{ErrorKind, StoreError};

use super::storage::{Located, MessageFile};
use crate::list::layout::MailboxPaths;

/// The places where the message with this UID can be, the first choice first.
pub(super) fn paths_of(paths: &MailboxPaths, uid: Uid) -> impl Iterator<Item = PathBuf> {
    let name = format!("u.{uid}");
    [Some(&paths.mails), paths.alt.as_ref()].into_iter().flatten().map(move |directory| directory.join(&name))
}

/// The message with this UID.
///
/// # Errors
/// [`ErrorKind::NotFound`] if it has no file.
pub(super) fn locate(paths: &MailboxPaths, uid: Uid) -> Result<Located, StoreError> {
    let mut missing = None;
    for path in paths_of(paths, uid) {
        match MessageFile::open(&path) {
            Ok(file) => {
                let file = Arc::new(file);
                return file.message(file.first, None);
            }
            // That of the first choice says where the file should be.
            Err(error) if error.kind() == ErrorKind::NotFound => missing = missing.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    Err(missing.unwrap_or_else(|| StoreError::new(ErrorKind::NotFound, format!("there is no u.{uid}"))))
}
