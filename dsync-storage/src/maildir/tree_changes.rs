//! Deleting, renaming and subscribing in a Maildir store.
//!
//! Each change is made under the lock of the list, then logged, then the list index (if there is one) is told to look at
//! the directories again.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dsync_core::model::{MailboxGuid, MailboxName, NameHash, TreeChange};
use dsync_core::store::{ErrorKind, StoreError};

use super::context::{Context, invalid_name};
use super::hidden::hidden_place;
use super::{listing, scan};
use crate::fs::permissions::Permissions;
use crate::fs::read::EntryKind;
use crate::fs::{FsError, mutation, read};
use crate::list::files::{log_changes, set_subscribed as write_subscription};
use crate::list::layout::{Layout, MailboxPaths};
use crate::list::list_index::{self, Stale};
use crate::list::lock::ListLock;

/// What the files of a new mailbox look like: as those of its nearest parent mailbox, else as those of the root.
pub(super) fn permissions_for(context: &Context, name: &MailboxName) -> Permissions {
    let mut parent = name.parent();
    while let Some(above) = parent {
        let paths = context.roots.of_mailbox(context.naming, &above);
        if let Ok(paths) = paths
            && paths.mails.is_dir()
        {
            return Permissions::like(&paths.mails, &paths.mails);
        }
        parent = above.parent();
    }
    context.permissions()
}

/// Deletes a mailbox. What lies below it stays. With `at_most`, it comes back if it turns out to hold more messages.
pub(super) fn delete(
    context: &Context,
    name: &MailboxName,
    paths: &MailboxPaths,
    guid: Option<MailboxGuid>,
    at_most: Option<u32>,
) -> Result<(), StoreError> {
    let permissions = context.permissions();
    let hidden = hidden_place(&context.roots.mails, &permissions)?;
    let lock = lock(context)?;
    let gone = match context.naming.layout {
        Layout::MaildirPlusPlus => {
            mutation::rename(&paths.mails, &hidden)?;
            if holds_more(&hidden, at_most)? {
                mutation::rename(&hidden, &paths.mails)?;
                return Err(changed(name));
            }
            true
        }
        Layout::Fs => {
            mutation::create_directory(&hidden, &permissions)?;
            move_mails(&paths.mails, &hidden)?;
            if holds_more(&hidden, at_most)? {
                move_mails(&hidden, &paths.mails)?;
                mutation::remove_tree(&hidden)?;
                return Err(changed(name));
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

/// Whether there are more messages than expected. Nobody can add any more where they are now.
fn holds_more(hidden: &Path, at_most: Option<u32>) -> Result<bool, StoreError> {
    let Some(at_most) = at_most else { return Ok(false) };
    Ok(scan::scan(hidden)?.files.len() > usize::try_from(at_most).unwrap_or(usize::MAX))
}

fn changed(name: &MailboxName) -> StoreError {
    let text = format!("a message came into mailbox {name} while it was being deleted; it stays");
    StoreError::new(ErrorKind::Changed, text)
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

/// Renames a mailbox or directory with everything below it.
pub(super) fn rename(context: &Context, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
    if to.is_below(from) {
        let text = format!("{from} cannot be moved below itself");
        return Err(StoreError::new(ErrorKind::InvalidName, text));
    }
    let directory = |name| context.naming.directory(name).map_err(|error| invalid_name(&error));
    let (from_directory, to_directory) = (directory(from)?, directory(to)?);
    let lock = lock(context)?;
    let roots = &context.roots;
    let mut moves = moves_in(context, &roots.mails, &from_directory, &to_directory)?;
    if moves.is_empty() {
        let text = format!("there is no mailbox {from} in {}", context.location);
        return Err(StoreError::new(ErrorKind::NotFound, text));
    }
    if occupied(context, &to_directory)? {
        let text = format!("{to} exists already in {}", context.location);
        return Err(StoreError::new(ErrorKind::Exists, text));
    }
    for root in [Some(&roots.control), roots.index.as_ref()].into_iter().flatten() {
        if *root != roots.mails && moves.iter().all(|(from, _)| !from.starts_with(root)) {
            moves.extend(moves_in(context, root, &from_directory, &to_directory)?);
        }
    }
    let permissions = permissions_for(context, to);
    for (from, to) in &moves {
        if let Some(parent) = to.parent() {
            mutation::create_directories(parent, &permissions)?;
        }
        mutation::rename(from, to)?;
    }
    for directory in moves.iter().flat_map(|(from, to)| [from.parent(), to.parent()]).flatten() {
        mutation::sync_directory(directory)?;
    }
    note(context, &named(context, to, TreeChange::Renamed), &stale_names(context, to)?)?;
    drop(lock);
    Ok(())
}

/// What a server's list index still shows under the old names, after something was renamed to `to`. It would go on listing
/// them where there are mailboxes below.
fn stale_names(context: &Context, to: &MailboxName) -> Result<Vec<Stale>, StoreError> {
    if !context.roots.index.as_ref().is_some_and(|root| list_index::exists(root)) {
        return Ok(Vec::new());
    }
    let tree = listing::tree(context)?;
    let moved = tree.iter().filter(|(name, _)| *name == to || name.is_below(to));
    Ok(moved.filter_map(|(_, node)| Some(Stale { guid: node.guid()?, deleted: true })).collect())
}

/// What has to be renamed to what in one root, the mailbox itself first.
fn moves_in(context: &Context, root: &Path, from: &Path, to: &Path) -> Result<Vec<(PathBuf, PathBuf)>, FsError> {
    match context.naming.layout {
        Layout::Fs => {
            let path = root.join(from);
            Ok(if path.is_dir() { vec![(path, root.join(to))] } else { Vec::new() })
        }
        Layout::MaildirPlusPlus => {
            let mut moves = Vec::new();
            for name in names_at_or_below(root, from)? {
                let rest = name.as_bytes().get(from.as_os_str().len()..).unwrap_or_default();
                let mut target = to.as_os_str().to_owned();
                target.push(std::ffi::OsStr::from_bytes(rest));
                moves.push((root.join(&name), root.join(target)));
            }
            moves.sort();
            Ok(moves)
        }
    }
}

fn occupied(context: &Context, directory: &Path) -> Result<bool, FsError> {
    let root = &context.roots.mails;
    match context.naming.layout {
        Layout::Fs => Ok(root.join(directory).exists()),
        Layout::MaildirPlusPlus => Ok(!names_at_or_below(root, directory)?.is_empty()),
    }
}

/// The entries of a Maildir++ root that are this directory or belong to a mailbox below it.
fn names_at_or_below(root: &Path, directory: &Path) -> Result<Vec<OsString>, FsError> {
    let wanted = directory.as_os_str().as_bytes();
    let entries = read::directory(root)?.unwrap_or_default().into_iter().map(|entry| entry.name);
    Ok(entries
        .filter(|name| {
            let rest = name.as_bytes().strip_prefix(wanted);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
        })
        .collect())
}

/// Makes a level without mails.
pub(super) fn create_directory(context: &Context, paths: &MailboxPaths) -> Result<(), StoreError> {
    let lock = lock(context)?;
    mutation::create_directories(&paths.mails, &context.permissions())?;
    if let Some(parent) = paths.mails.parent() {
        mutation::sync_directory(parent)?;
    }
    note(context, &[], &[])?;
    drop(lock);
    Ok(())
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

/// Subscribes to a name or cancels that.
pub(super) fn set_subscribed(context: &Context, name: &MailboxName, subscribed: bool) -> Result<(), StoreError> {
    let path = context.roots.control.join(&context.subscriptions);
    let parts = context.naming.stored_parts(name);
    let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
    let separator = context.naming.layout.separator();
    if write_subscription(&path, separator, &parts, subscribed, &context.permissions())? {
        let change = if subscribed { TreeChange::Subscribed } else { TreeChange::Unsubscribed };
        log(context, &named(context, name, change))?;
    }
    Ok(())
}

fn lock(context: &Context) -> Result<ListLock, FsError> {
    let root = context.roots.index.as_ref().unwrap_or(&context.roots.mails);
    ListLock::take(root, &context.permissions())
}

/// A change of a name, for each way in which a server may spell the name. Those that it does not know mean nothing to it.
fn named(context: &Context, name: &MailboxName, change: fn(NameHash) -> TreeChange) -> Vec<TreeChange> {
    let mut hashes: Vec<_> =
        context.separators.iter().map(|separator| NameHash::of(&name.join(*separator))).collect();
    hashes.dedup();
    hashes.into_iter().map(change).collect()
}

/// Writes down what happened to the tree.
pub(super) fn note(context: &Context, changes: &[TreeChange], stale: &[Stale]) -> Result<(), StoreError> {
    log(context, changes)?;
    match &context.roots.index {
        Some(root) => list_index::request_refresh(root, stale),
        None => Ok(()),
    }
}

fn log(context: &Context, changes: &[TreeChange]) -> Result<(), StoreError> {
    if let Some(root) = &context.roots.index {
        log_changes(root, changes, &context.permissions())?;
    }
    Ok(())
}
