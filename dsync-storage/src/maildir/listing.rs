//! Which mailboxes a Maildir store has.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use dsync_core::model::{MailboxName, MailboxTree, NodeKind};
use dsync_core::store::{ErrorKind, StoreError};

use super::{foreign, snapshot, uidlist};
use crate::fs::{links, read};
use crate::index::files::IndexFiles;
use crate::list::being_made;
use crate::list::context::Context;
use crate::list::layout::{Layout, MailboxPaths};
use crate::list::listing::{self, Level, Walk};
use crate::text::lossy;

/// A file that tells delivery agents that a Maildir is a folder of another one.
pub(super) const FOLDER_MARK: &str = "maildirfolder";

/// All names of the store.
pub(super) fn tree(context: &Context) -> Result<MailboxTree, StoreError> {
    listing::settled(context, &|| tree_once(context))
}

fn tree_once(context: &Context) -> Result<MailboxTree, StoreError> {
    let mut tree = MailboxTree::new();
    let inbox = MailboxName::inbox();
    if let Ok(paths) = context.roots.of_mailbox(context.naming, &inbox)
        && is_mailbox(context.naming.layout, &inbox, &paths.mails)
    {
        listing::put(&mut tree, inbox, node_of(&paths));
    }
    match context.naming.layout {
        Layout::MaildirPlusPlus => maildir_plus_plus(context, &mut tree)?,
        Layout::Fs | Layout::Dbox | Layout::Mbox => {
            let walk = Walk::new(context, &["cur", "new"], &["cur", "new", "tmp"], &node_of);
            walk.list(&mut tree)?;
        }
    }
    listing::add_subscriptions(context, &mut tree, &|| foreign::subscriptions(&context.roots.mails))?;
    Ok(tree)
}

/// Whether a mailbox is at the path.
pub(super) fn is_mailbox(layout: Layout, name: &MailboxName, mails: &Path) -> bool {
    let has = |subdirectory: &str| mails.join(subdirectory).is_dir();
    match layout {
        // Any directory with such a name is one.
        Layout::MaildirPlusPlus if !name.is_inbox() => mails.is_dir(),
        _ => has("cur") || has("new"),
    }
}

/// # Errors
/// [`ErrorKind::NotFound`] if the mailbox that was at the paths is there no more.
pub(super) fn refuse_if_gone(context: &Context, name: &MailboxName, paths: &MailboxPaths) -> Result<(), StoreError> {
    if is_mailbox(context.naming.layout, name, &paths.mails) {
        return Ok(());
    }
    let text = format!("{} was deleted or renamed by somebody else meanwhile", lossy(&paths.mails));
    Err(StoreError::new(ErrorKind::NotFound, text))
}

/// Waits while a server may still be making the mailbox: its directories, the file that says that it is a folder, the log of its
/// index, and the uidlist at last.
pub(super) fn wait_until_made(paths: &MailboxPaths) {
    let mails = &paths.mails;
    being_made::wait_until_made(mails, || {
        let has_log = || paths.index.as_ref().is_some_and(|index| IndexFiles::of_mailbox(index).log().exists());
        ["cur", "new", "tmp"].iter().all(|sub| mails.join(sub).is_dir())
            && (paths.control.join(uidlist::FILE_NAME).exists() || !(mails.join(FOLDER_MARK).exists() || has_log()))
    });
}

fn node_of(paths: &MailboxPaths) -> NodeKind {
    wait_until_made(paths);
    for own in ["cur", "new"] {
        if let Err(error) = links::refuse_distrusted(&paths.mails.join(own), &paths.root) {
            return NodeKind::Unreadable(error.to_string());
        }
    }
    // A directory that cannot be listed is better found now, before anything is decided about the mailbox.
    let readable = ["cur", "new"].iter().try_for_each(|sub| read::is_listable(&paths.mails.join(sub)).map(drop));
    if let Err(error) = fs::metadata(&paths.mails) {
        return NodeKind::Unreadable(format!("{} cannot be reached: {error}", lossy(&paths.mails)));
    }
    // One that cannot be looked at may be there.
    let has = |subdirectory: &str| paths.mails.join(subdirectory).try_exists().unwrap_or(true);
    if !["cur", "new", "tmp"].into_iter().any(has) {
        // A server would make an empty mailbox of it. That it is empty must not be believed.
        return NodeKind::Unreadable(format!(
            "{} has none of the directories of a mailbox; check whether its file system is mounted, and remove it if it \
             is no mailbox",
            lossy(&paths.mails)
        ));
    }
    match readable.and_then(|()| snapshot::identity(&paths.control)) {
        Ok(identity) => NodeKind::Mailbox { guid: identity.guid, uid_validity: identity.uid_validity },
        Err(error) => NodeKind::Unreadable(error.to_string()),
    }
}

fn maildir_plus_plus(context: &Context, tree: &mut MailboxTree) -> Result<(), StoreError> {
    for entry in read::directory(&context.roots.mails)?.unwrap_or_default() {
        let bytes = entry.name.as_bytes();
        let Some(stored) = bytes.strip_prefix(b".").filter(|stored| !stored.is_empty()) else { continue };
        // Names that begin with two dots are those of mailboxes that are being deleted, or nobody's.
        if stored.starts_with(b".") {
            continue;
        }
        let parts: Vec<&[u8]> = stored.split(|byte| *byte == b'.').collect();
        match Level::of(&context.roots.mails, &entry, &context.roots.mails) {
            Level::Directory => {}
            Level::File | Level::Alias => continue,
            Level::Refused(reason) => {
                listing::complain(context, tree, &parts, reason);
                continue;
            }
        }
        // INBOX is elsewhere; servers do not show a directory of this name.
        if !context.naming.name_of_directory(&parts).is_ok_and(|name| name.is_inbox()) {
            listing::add(context, tree, &parts, &context.roots.mails.join(&entry.name), &node_of);
        }
    }
    Ok(())
}
