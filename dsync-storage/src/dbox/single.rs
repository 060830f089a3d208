//! The message files of an sdbox mailbox: `u.<UID>`, one message each.

use std::path::PathBuf;

use dsync_core::model::{MessageGuid, Uid};
use dsync_core::store::StoreError;

use super::commit::lock_index;
use super::snapshot::{Snapshot, index_files};
use super::storage::{Located, MessageFile, number_after};
use crate::fs::permissions::Permissions;
use crate::fs::{mutation, read};
use crate::index::reading::read_history;
use crate::list::layout::MailboxPaths;

/// The places where the message with this UID can be, the first choice first.
pub(super) fn paths_of(paths: &MailboxPaths, uid: Uid) -> impl Iterator<Item = PathBuf> {
    let name = format!("u.{uid}");
    [Some(&paths.mails), paths.alt.as_ref()].into_iter().flatten().map(move |directory| directory.join(&name))
}

/// The message with this UID.
///
/// # Errors
/// [`NotFound`](dsync_core::store::ErrorKind::NotFound) if it has no file.
pub(super) fn locate(paths: &MailboxPaths, uid: Uid) -> Result<Located, StoreError> {
    let file = MessageFile::open_first(paths_of(paths, uid), &format!("u.{uid}"))?;
    file.message(file.first, None)
}

/// Removes the files of messages that were expunged by somebody who crashed before they were gone: a server that makes the
/// index anew would bring them back. A file of which the log knows nothing stays: it may be a message that somebody lost.
///
/// # Errors
/// If the index cannot be locked, is no longer as in `snapshot`, or as the system.
pub(super) fn remove_expunged(
    paths: &MailboxPaths,
    snapshot: &Snapshot,
    permissions: &Permissions,
) -> Result<(), StoreError> {
    let mut unknown = Vec::new();
    for directory in [Some(&paths.mails), paths.alt.as_ref()].into_iter().flatten() {
        read::for_each_entry(directory, &mut |name, _, _| {
            let uid = number_after(name, b"u.").and_then(Uid::new);
            unknown.extend(uid.filter(|uid| *uid < snapshot.status.uid_next && !snapshot.knows(*uid)));
        })?;
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let index = lock_index(paths, snapshot.mark, permissions)?;
    let expunged = read_history(&index_files(paths)?, None, 0)?.expunged;
    for uid in unknown {
        let Some(guid) = expunged.get(&uid.get()).filter(|_| index.view().index_of(uid.get()).is_none()) else {
            continue;
        };
        let stored = locate(paths, uid).ok().and_then(|located| located.message.metadata.guid());
        if *guid == [0; 16] || stored.as_ref().map(MessageGuid::to_128) == Some(*guid) {
            paths_of(paths, uid).try_for_each(|path| mutation::remove_file(&path))?;
        }
    }
    Ok(())
}
