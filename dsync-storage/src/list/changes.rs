//! Changes of the tree that are the same in every store: renaming, subscribing, making a level, and writing down what was
//! done.
//!
//! Each change is made under the lock of the list, then logged, then the list index (if there is one) is told to look at
//! the directories again.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dsync_core::model::{MailboxGuid, MailboxIdentity, MailboxName, MailboxTree, NameHash, TreeChange, TreeHistory};
use dsync_core::store::{ErrorKind, StoreError};

use super::context::{Context, invalid_name, refuse_inbox};
use super::files::{allocate_uid_validity, log_changes, read_changes, set_subscribed as write_subscription};
use super::layout::{Layout, MBOX_INDEXES, index_beside};
use super::list_index::{self, Stale};
use super::lock::ListLock;
use crate::fs::permissions::Permissions;
use crate::fs::{FsError, mutation, read, unique};

/// What the files of a new mailbox look like: as those of its nearest parent mailbox, else as those of the root.
pub(crate) fn permissions_for(context: &Context, name: &MailboxName) -> Permissions {
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

/// Renames a mailbox or directory with everything below it. `tree` lists the store.
pub(crate) fn rename(
    context: &Context,
    from: &MailboxName,
    to: &MailboxName,
    tree: &dyn Fn() -> Result<MailboxTree, StoreError>,
) -> Result<(), StoreError> {
    refuse_inbox(from)?;
    refuse_inbox(to)?;
    if to.is_below(from) {
        let text = format!("{from} cannot be moved below itself");
        return Err(StoreError::new(ErrorKind::InvalidName, text));
    }
    let directory = |name| context.naming.directory(name).map_err(|error| invalid_name(&error));
    let (from_directory, to_directory) = (directory(from)?, directory(to)?);
    let lock = lock(context)?;
    let trees = context.roots.trees(context.naming.layout);
    let (mails, others) = trees.split_first().ok_or_else(|| StoreError::new(ErrorKind::Impossible, "no root"))?;
    let mut moves = moves_in(context, mails, &from_directory, &to_directory)?;
    if !occupied(context, &from_directory)? {
        return Err(context.no_mailbox(from));
    }
    if occupied(context, &to_directory)? {
        let text = format!("{to} exists already in {}", context.location);
        return Err(StoreError::new(ErrorKind::Exists, text));
    }
    for root in others {
        moves.extend(moves_in(context, root, &from_directory, &to_directory)?);
    }
    for (from, to) in &moves {
        let places = [from.parent().unwrap_or(from).to_owned(), to.clone()];
        let roots = |place: &PathBuf| trees.iter().filter(|tree| place.starts_with(tree)).collect::<Vec<_>>();
        let all = places.iter().flat_map(|place| roots(place).into_iter().map(move |root| (place, root)));
        context.refuse_if_elsewhere(all)?;
    }
    let permissions = permissions_for(context, to);
    for (from, to) in &moves {
        if let Some(parent) = to.parent() {
            mutation::create_directories(parent, &permissions)?;
        }
        match context.naming.layout {
            Layout::Mbox if from.is_file() => {
                // A delivery may just have made one, which must not be lost.
                mutation::rename_to_free_name(from, to)?;
            }
            Layout::Mbox if to.exists() && is_index_place(to) => {
                // The index of a mailbox that is gone.
                mutation::remove_tree(to)?;
                mutation::rename(from, to)?;
            }
            _ => mutation::rename(from, to)?,
        }
    }
    for directory in moves.iter().flat_map(|(from, to)| [from.parent(), to.parent()]).flatten() {
        mutation::sync_directory(directory)?;
    }
    note(context, &named(context, to, TreeChange::Renamed), &stale_names(context, to, tree)?)?;
    drop(lock);
    Ok(())
}

/// Whether the index of an mbox is at this path.
fn is_index_place(path: &Path) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|name| name == MBOX_INDEXES)
}

/// What a server's list index still shows under the old names, after something was renamed to `to`. It would go on listing
/// them where there are mailboxes below.
fn stale_names(
    context: &Context,
    to: &MailboxName,
    tree: &dyn Fn() -> Result<MailboxTree, StoreError>,
) -> Result<Vec<Stale>, StoreError> {
    if !context.list_index_root().is_some_and(|root| list_index::exists(&root)) {
        return Ok(Vec::new());
    }
    let tree = tree()?;
    let moved = tree.iter().filter(|(name, _)| *name == to || name.is_below(to));
    Ok(moved.filter_map(|(_, node)| Some(Stale { guid: node.guid()?, deleted: true })).collect())
}

/// What has to be renamed to what in one root, the mailbox itself first.
fn moves_in(context: &Context, root: &Path, from: &Path, to: &Path) -> Result<Vec<(PathBuf, PathBuf)>, FsError> {
    match context.naming.layout {
        Layout::Fs | Layout::Dbox => {
            let path = root.join(from);
            Ok(if path.is_dir() { vec![(path, root.join(to))] } else { Vec::new() })
        }
        Layout::Mbox => {
            // The index first: a file without it would be another mailbox, an index without a file is nothing.
            let index = (index_beside(&root.join(from)), index_beside(&root.join(to)));
            let path = (root.join(from), root.join(to));
            Ok([index, path].into_iter().filter(|(from, _)| from.exists()).collect())
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
    let root = &context.naming.layout.tree(&context.roots.mails);
    match context.naming.layout {
        Layout::Fs | Layout::Dbox | Layout::Mbox => Ok(root.join(directory).exists()),
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

/// What happened to the tree, as the change log in `root` says. What was there to be seen before this is called is in it.
pub(crate) fn history(context: &Context, root: Option<&Path>) -> Result<TreeHistory, StoreError> {
    let Some(root) = root else { return Ok(context.history(Vec::new())) };
    if !context.read_only {
        // Servers write down a change after they have made it, under this lock.
        ListLock::wait_for_others(&context.list_root())?;
    }
    Ok(context.history(read_changes(root)?))
}

/// Makes a level without mails.
pub(crate) fn create_directory(context: &Context, directory: &Path) -> Result<(), StoreError> {
    let lock = lock(context)?;
    mutation::create_directories(directory, &context.permissions())?;
    if let Some(parent) = directory.parent() {
        mutation::sync_directory(parent)?;
    }
    note(context, &[], &[])?;
    drop(lock);
    Ok(())
}

/// Subscribes to a name or cancels that.
pub(crate) fn set_subscribed(context: &Context, name: &MailboxName, subscribed: bool) -> Result<(), StoreError> {
    let path = &context.subscriptions;
    let parts = context.naming.stored_parts(name);
    let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
    let separator = context.naming.layout.separator();
    if write_subscription(path, separator, &parts, subscribed, &context.permissions())? {
        let change = if subscribed { TreeChange::Subscribed } else { TreeChange::Unsubscribed };
        log(context, &named(context, name, change))?;
    }
    Ok(())
}

/// Takes the lock of the list.
pub(crate) fn lock(context: &Context) -> Result<ListLock, FsError> {
    ListLock::take(&context.list_root(), &context.permissions())
}

/// A change of a name, for each way in which a server may spell the name. Those that it does not know mean nothing to it.
pub(crate) fn named(context: &Context, name: &MailboxName, change: fn(NameHash) -> TreeChange) -> Vec<TreeChange> {
    let mut hashes: Vec<_> = NameHash::of_spellings(name, &context.prefix, &context.separators).collect();
    hashes.dedup();
    hashes.into_iter().map(change).collect()
}

/// Writes down what happened to the tree.
pub(crate) fn note(context: &Context, changes: &[TreeChange], stale: &[Stale]) -> Result<(), StoreError> {
    log(context, changes)?;
    match context.list_index_root() {
        Some(root) => list_index::request_refresh(&root, stale),
        None => Ok(()),
    }
}

/// Writes down that the mailbox with this GUID is no more.
pub(crate) fn note_deleted(context: &Context, guid: MailboxGuid) -> Result<(), StoreError> {
    note(context, &[TreeChange::MailboxDeleted(guid)], &[])
}

/// An identity that no mailbox has had.
pub(crate) fn new_identity(context: &Context) -> Result<MailboxIdentity, StoreError> {
    Ok(decide_identity(context, MailboxIdentity::UNDECIDED, &context.permissions())?)
}

/// The identity of a mailbox, with what `wanted` leaves undecided chosen anew.
pub(crate) fn decide_identity(
    context: &Context,
    wanted: MailboxIdentity,
    permissions: &Permissions,
) -> Result<MailboxIdentity, FsError> {
    let mut identity = wanted;
    if identity.guid.is_none() {
        identity.guid = MailboxGuid::new(unique::random_guid());
    }
    if identity.uid_validity.is_none() {
        let control = &context.roots.control;
        mutation::create_directories(control, permissions)?;
        identity.uid_validity = Some(allocate_uid_validity(control, permissions)?);
    }
    Ok(identity)
}

/// Tells a server that a mailbox has become another one: it shows the GUID that its list index has, without a look at the
/// mailbox.
pub(crate) fn note_identity(
    context: &Context,
    before: MailboxIdentity,
    after: MailboxIdentity,
) -> Result<(), StoreError> {
    match (before.guid, context.list_index_root()) {
        (Some(guid), Some(root)) if before != after => {
            list_index::request_refresh(&root, &[Stale { guid, deleted: false }])
        }
        _ => Ok(()),
    }
}

fn log(context: &Context, changes: &[TreeChange]) -> Result<(), StoreError> {
    if let Some(root) = context.list_index_root() {
        log_changes(&root, changes, &context.permissions())?;
    }
    Ok(())
}
