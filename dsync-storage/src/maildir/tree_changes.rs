//! Deleting in a Maildir store.
//!
//! Each change is made under the lock of the list, then logged, then the list index (if there is one) is told to look at
//! the directories again.

use std::io;
use std::path::{Path, PathBuf};

use dsync_core::model::{MailboxGuid, MailboxName, TreeChange};
use dsync_core::store::{ErrorKind, StoreError};

use super::files::{FoundFile, MessageFiles};
use super::scan;
use crate::fs::read::EntryKind;
use crate::fs::{FsError, mutation, read};
use crate::list::changes::{lock, named, note};
use crate::list::context::Context;
use crate::list::hidden::hidden_place;
use crate::list::layout::{Layout, MailboxPaths};
use crate::list::list_index::Stale;

/// Deletes a mailbox. What lies below it stays. With `expected`, it comes back if it turns out to hold other files.
pub(super) fn delete(
    context: &Context,
    name: &MailboxName,
    paths: &MailboxPaths,
    guid: Option<MailboxGuid>,
    expected: Option<&MessageFiles>,
) -> Result<(), StoreError> {
    let permissions = context.permissions();
    let hidden = hidden_place(context, &context.roots.mails, &permissions)?;
    let lock = lock(context)?;
    let gone = match context.naming.layout {
        Layout::MaildirPlusPlus => {
            mutation::rename(&paths.mails, &hidden)?;
            if let Err(error) = refuse_if_changed(name, &hidden, &paths.root, expected) {
                mutation::rename(&hidden, &paths.mails)?;
                return Err(error);
            }
            true
        }
        Layout::Fs | Layout::Dbox | Layout::Mbox => {
            mutation::create_directory(&hidden, &permissions)?;
            move_mails(&paths.mails, &hidden)?;
            if let Err(error) = refuse_if_changed(name, &hidden, &paths.root, expected) {
                move_mails(&hidden, &paths.mails)?;
                mutation::remove_directory(&hidden)?;
                return Err(error);
            }
            remove_mail_files(&paths.mails)?
        }
    };
    for path in separate_directories(paths) {
        remove_mail_files(path)?;
    }
    if let Some(parent) = paths.mails.parent() {
        mutation::sync_directory(parent)?;
    }
    let mut changes: Vec<TreeChange> = guid.map(TreeChange::MailboxDeleted).into_iter().collect();
    if gone {
        changes.extend(named(context, name, TreeChange::DirectoryDeleted));
    }
    let stale: Vec<Stale> = guid.map(|guid| Stale { guid, deleted: true }).into_iter().collect();
    note(context, &changes, &stale)?;
    drop(lock);
    // Nobody sees it any more; that it takes long matters to nobody.
    mutation::remove_tree(&hidden)?;
    Ok(())
}

/// Moves the mails of a nested directory elsewhere.
fn move_mails(from: &Path, to: &Path) -> Result<(), FsError> {
    // Without `cur` it is no mailbox, so that goes last: a crash before leaves one that can be deleted again.
    for subdirectory in ["tmp", "new", "cur"] {
        let directory = from.join(subdirectory);
        if directory.exists() {
            mutation::rename(&directory, &to.join(subdirectory))?;
        }
    }
    Ok(())
}

/// Refuses to delete other files than expected: a message may have come, or got other flags. Nobody can do that any more where they
/// are now.
fn refuse_if_changed(
    name: &MailboxName,
    hidden: &Path,
    root: &Path,
    expected: Option<&MessageFiles>,
) -> Result<(), StoreError> {
    let Some(expected) = expected else { return Ok(()) };
    let found = scan::scan(hidden, root)?;
    let is_there = |file: FoundFile<'_>| found.get(file.base()).is_some_and(|there| there.name == file.name);
    if found.len() <= expected.listed.len().saturating_add(expected.doomed.len()) && expected.iter().all(is_there) {
        return Ok(());
    }
    let text = format!("something came into mailbox {name} or was changed while it was being deleted; it stays");
    Err(StoreError::new(ErrorKind::Changed, text))
}

/// Removes the plain files of a mailbox directory, and then the directory if it is empty. Whether it is gone.
fn remove_mail_files(directory: &Path) -> Result<bool, FsError> {
    for entry in read::directory(directory)?.unwrap_or_default() {
        let path = directory.join(&entry.name);
        if !path.is_dir() || path.is_symlink() {
            mutation::remove_file(&path)?;
        }
    }
    match mutation::remove_directory(directory) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        Err(error) => Err(error),
    }
}

/// Control and index directories, if they are not with the mails.
fn separate_directories(paths: &MailboxPaths) -> impl Iterator<Item = &PathBuf> {
    let index = paths.index.iter();
    std::iter::once(&paths.control).chain(index).filter(|path| **path != paths.mails)
}

/// Removes a level without mails.
pub(super) fn delete_directory(
    context: &Context,
    name: &MailboxName,
    paths: &MailboxPaths,
) -> Result<(), StoreError> {
    if !paths.mails.exists() {
        return Ok(());
    }
    let lock = lock(context)?;
    if read::directory(&paths.mails)?.unwrap_or_default().iter().any(|entry| entry.kind != EntryKind::File) {
        let text = format!("{name} is not an empty directory");
        return Err(StoreError::new(ErrorKind::Impossible, text));
    }
    remove_mail_files(&paths.mails)?;
    if let Some(parent) = paths.mails.parent() {
        mutation::sync_directory(parent)?;
    }
    note(context, &named(context, name, TreeChange::DirectoryDeleted), &[])?;
    drop(lock);
    Ok(())
}
