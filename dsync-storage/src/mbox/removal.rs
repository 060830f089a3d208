//! Deleting in a tree of mbox files.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use dsync_core::model::{MailboxName, MailboxStatus, TreeChange};
use dsync_core::store::{ErrorKind, StoreError};

use super::lock::MboxLock;
use super::shared::Shared;
use super::snapshot;
use crate::fs::permissions::Permissions;
use crate::fs::{FsError, mutation, read};
use crate::list::changes::{lock, named, note};
use crate::list::hidden::hidden_place;
use crate::list::layout::{MBOX_INDEXES, MailboxPaths};
use crate::list::list_index::Stale;
use crate::settings::MboxLocks;

/// Deletes a mailbox. With `expected` only if it still is that.
pub(super) fn delete(
    shared: &Shared,
    name: &MailboxName,
    paths: &MailboxPaths,
    expected: Option<&MailboxStatus>,
) -> Result<(), StoreError> {
    let context = &shared.context;
    let permissions = context.permissions();
    let hidden = hidden_place(context, &context.roots.mails, &permissions)?;
    let list_lock = lock(context)?;
    let mbox_lock =
        MboxLock::take(&paths.mails, shared.settings.mbox_locks, &Permissions::like(&paths.mails, &paths.mails))?;
    let identity = match expected {
        Some(expected) => {
            let found = snapshot::look_locked(shared, paths, &mbox_lock)?;
            if *expected != found.status || !found.messages.is_decided() {
                let text = format!("mailbox {name} in {} was changed meanwhile; it stays", context.location);
                return Err(StoreError::new(ErrorKind::Changed, text));
            }
            found.status.identity
        }
        None => snapshot::identity_locked(paths, &mbox_lock)?,
    };
    let length = length(&mbox_lock, &paths.mails)?;
    mutation::rename(&paths.mails, &hidden)?;
    if let Some(directory) = paths.mails.parent() {
        mutation::sync_directory(directory)?;
    }
    drop(mbox_lock);
    if let Some(index) = &paths.index {
        mutation::remove_tree(index)?;
    }
    let guid = identity.guid;
    let mut changes: Vec<TreeChange> = guid.map(TreeChange::MailboxDeleted).into_iter().collect();
    changes.extend(named(context, name, TreeChange::DirectoryDeleted));
    let stale: Vec<Stale> = guid.map(|guid| Stale { guid, deleted: true }).into_iter().collect();
    note(context, &changes, &stale)?;
    drop(list_lock);
    if discard(&hidden, &paths.mails, length, shared.settings.mbox_locks)? {
        return Ok(());
    }
    let location = &context.location;
    let text = format!("a message came into mailbox {name} in {location} while it was being deleted; it is back");
    Err(StoreError::new(ErrorKind::Changed, text))
}

/// Removes a file that was hidden when it had `length` bytes. A delivery that had opened it before, and only waited for its
/// lock, may have come after that: then the file gets its name back. Whether it is gone.
fn discard(hidden: &Path, name: &Path, length: u64, locks: MboxLocks) -> Result<bool, FsError> {
    let lock = MboxLock::take(hidden, locks, &Permissions::like(hidden, hidden))?;
    if self::length(&lock, hidden)? == length {
        mutation::remove_file(hidden)?;
        return Ok(true);
    }
    mutation::rename_to_free_name(hidden, name)?;
    Ok(false)
}

fn length(lock: &MboxLock, path: &Path) -> Result<u64, FsError> {
    let metadata = lock.file().metadata().map_err(|error| FsError::new("look at", path, error))?;
    Ok(metadata.len())
}

/// Removes a level that has nothing below it.
pub(super) fn delete_directory(shared: &Shared, name: &MailboxName, level: &Path) -> Result<(), StoreError> {
    if !level.exists() {
        return Ok(());
    }
    let context = &shared.context;
    let list_lock = lock(context)?;
    let entries = read::directory(level)?.unwrap_or_default();
    let is_empty = entries.iter().all(|entry| entry.name.as_bytes() == MBOX_INDEXES.as_bytes());
    let not_empty = || StoreError::new(ErrorKind::Impossible, format!("{name} is not an empty directory"));
    if !is_empty {
        return Err(not_empty());
    }
    // Indexes of mailboxes that are gone.
    mutation::remove_tree(&level.join(MBOX_INDEXES))?;
    match mutation::remove_directory(level) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => return Err(not_empty()),
        result => result?,
    }
    if let Some(parent) = level.parent() {
        mutation::sync_directory(parent)?;
    }
    note(context, &named(context, name, TreeChange::DirectoryDeleted), &[])?;
    drop(list_lock);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_grew_while_it_was_hidden_comes_back() {
        let root = tempfile::tempdir().unwrap();
        let (hidden, name) = (root.path().join(".temp"), root.path().join("Work"));
        fs::write(&hidden, "From a\n\n").unwrap();
        assert!(!discard(&hidden, &name, 4, MboxLocks::default()).unwrap());
        assert_eq!(fs::read_to_string(&name).unwrap(), "From a\n\n");
        fs::rename(&name, &hidden).unwrap();
        assert!(discard(&hidden, &name, 8, MboxLocks::default()).unwrap());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
