//! Deleting in an mdbox or sdbox.

use std::io;
use std::path::Path;

use dsync_core::model::{MailboxName, MailboxStatus, TreeChange};
use dsync_core::store::{ErrorKind, StoreError};

use super::commit::{lock_index, lock_map};
use super::shared::Shared;
use super::snapshot::{self, Snapshot};
use crate::fs::read::{self, EntryKind};
use crate::fs::{FsError, mutation};
use crate::index::log::{Change, LogRecord};
use crate::list::changes::{lock, named, note};
use crate::list::hidden::hidden_place;
use crate::list::layout::MailboxPaths;
use crate::list::list_index::Stale;

/// Deletes a mailbox. What lies below it stays. With `expected` only if it still is that.
///
/// The messages of an mdbox are no longer referred to before the mailbox is gone, so that no server brings them back; if
/// that is cut off, the references are counted again.
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
    let mut map = match &shared.storage {
        Some(storage) => Some(lock_map(shared, storage, &permissions)?),
        None => None,
    };
    let mut index = lock_index(paths, None, &permissions)?;
    let snapshot = snapshot::look(shared, paths)?;
    if expected.is_some_and(|expected| *expected != snapshot.status) {
        let text = format!("mailbox {name} in {} was changed meanwhile; it stays", context.location);
        return Err(StoreError::new(ErrorKind::Changed, text));
    }
    if let Some(map) = &mut map {
        map.count(std::iter::empty(), all_numbers(&snapshot).into_iter())?;
    }
    index.cut_unfinished()?;
    mutation::rename(&paths.mails, &hidden)?;
    if let Some(level) = paths.mails.parent() {
        mutation::sync_directory(level)?;
    }
    // Sessions that have the mailbox open see it, and stop using it: until now they wait for the lock. Any earlier, and a
    // crash would leave a mailbox that is there and that nobody can open.
    index.append_records(&[LogRecord::external(Change::IndexDeleted)])?;
    if let Some(map) = map {
        map.done()?;
    }
    drop(index);
    let gone = remove_rest(paths)?;
    let guid = snapshot.status.identity.guid;
    let mut changes: Vec<TreeChange> = guid.map(TreeChange::MailboxDeleted).into_iter().collect();
    if gone {
        changes.extend(named(context, name, TreeChange::DirectoryDeleted));
    }
    let stale: Vec<Stale> = guid.map(|guid| Stale { guid, deleted: true }).into_iter().collect();
    note(context, &changes, &stale)?;
    drop(list_lock);
    // Nobody sees it any more; that it takes long matters to nobody.
    mutation::remove_tree(&hidden)?;
    Ok(())
}

/// Every message that the mailbox refers to, as often as it does.
fn all_numbers(snapshot: &Snapshot) -> Vec<u32> {
    let lost = snapshot.lost.iter().map(|lost| lost.record.map_uid);
    let doomed = snapshot.doomed.iter().map(|(_, map_uid)| *map_uid);
    snapshot.map_uids().chain(lost).chain(doomed).collect()
}

/// Removes what a deleted mailbox leaves in other places, and its level if nothing is below. Whether that is gone.
fn remove_rest(paths: &MailboxPaths) -> Result<bool, FsError> {
    if let Some(alt) = &paths.alt {
        mutation::remove_tree(alt)?;
        remove_level(alt.parent())?;
    }
    if let Some(index) = paths.index.as_ref().filter(|index| **index != paths.mails) {
        for entry in read::directory(index)?.unwrap_or_default() {
            if entry.kind != EntryKind::Directory {
                mutation::remove_file(&index.join(&entry.name))?;
            }
        }
        if remove_level(Some(index))? && index.file_name() == paths.mails.file_name() {
            remove_level(index.parent())?;
        }
    }
    remove_level(paths.mails.parent())
}

/// Removes a directory if it is empty. Whether it is gone.
fn remove_level(directory: Option<&Path>) -> Result<bool, FsError> {
    let Some(directory) = directory else { return Ok(false) };
    match mutation::remove_directory(directory) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a level that is no mailbox and has nothing below it.
pub(super) fn delete_directory(shared: &Shared, name: &MailboxName, level: &Path) -> Result<(), StoreError> {
    if !level.exists() {
        return Ok(());
    }
    let context = &shared.context;
    let list_lock = lock(context)?;
    if !remove_level(Some(level))? {
        let text = format!("{name} is not an empty directory");
        return Err(StoreError::new(ErrorKind::Impossible, text));
    }
    if let Some(parent) = level.parent() {
        mutation::sync_directory(parent)?;
    }
    note(context, &named(context, name, TreeChange::DirectoryDeleted), &[])?;
    drop(list_lock);
    Ok(())
}
