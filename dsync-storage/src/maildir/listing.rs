//! Which mailboxes a Maildir store has.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dsync_core::model::{MailboxName, MailboxNode, MailboxTree, NodeKind};
use dsync_core::store::{ErrorKind, StoreError};

use super::{foreign, snapshot};
use crate::fs::read::{self, Entry, EntryKind};
use crate::list::context::Context;
use crate::list::files::read_subscriptions;
use crate::list::layout::{Layout, MailboxPaths};
use crate::text::lossy;

/// How deep a tree of directories may be before something must be wrong with it.
const DEEPEST: usize = 100;

/// How often to list again while others create, delete and rename.
const TRIES: u32 = 10;

/// All names of the store. A mailbox that is renamed while its directory is listed may be seen twice or not at all, so
/// it is listed again if anything moved.
pub(super) fn tree(context: &Context) -> Result<MailboxTree, StoreError> {
    let moved = || fs::metadata(&context.roots.mails).and_then(|metadata| metadata.modified()).ok();
    let mut tries = 0;
    let mut previous = None;
    loop {
        let before = moved();
        let tree = tree_once(context)?;
        tries += 1;
        // Of nested directories the root alone does not tell.
        let settled = context.naming.layout == Layout::MaildirPlusPlus || previous.as_ref() == Some(&tree);
        if tries == TRIES || settled && before == moved() {
            return Ok(tree);
        }
        previous = Some(tree);
    }
}

fn tree_once(context: &Context) -> Result<MailboxTree, StoreError> {
    let mut tree = MailboxTree::new();
    let inbox = MailboxName::inbox();
    if let Ok(paths) = context.roots.of_mailbox(context.naming, &inbox)
        && is_mailbox(context.naming.layout, &inbox, &paths.mails)
    {
        put(&mut tree, inbox, node_of(&paths));
    }
    match context.naming.layout {
        Layout::MaildirPlusPlus => maildir_plus_plus(context, &mut tree)?,
        Layout::Fs | Layout::Dbox => {
            let mut walk = Walk { context, tree: &mut tree, parents: BTreeSet::new() };
            walk.directory(&context.roots.mails, &mut Vec::new())?;
        }
    }
    subscriptions(context, &mut tree)?;
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

fn put(tree: &mut MailboxTree, name: MailboxName, kind: NodeKind) {
    tree.insert(name, MailboxNode { kind, subscribed: false });
}

fn node_of(paths: &MailboxPaths) -> NodeKind {
    // A directory that cannot be listed is better found now, before anything is decided about the mailbox.
    let readable = ["cur", "new"].iter().try_for_each(|sub| read::directory(&paths.mails.join(sub)).map(drop));
    if let Err(error) = fs::metadata(&paths.mails) {
        return NodeKind::Unreadable(format!("{} cannot be reached: {error}", lossy(&paths.mails)));
    }
    let has = |subdirectory: &str| paths.mails.join(subdirectory).exists();
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
        if stored.starts_with(b".") || !is_directory(&context.roots.mails, &entry) {
            continue;
        }
        let parts: Vec<&[u8]> = stored.split(|byte| *byte == b'.').collect();
        add(context, tree, &parts, &context.roots.mails.join(&entry.name));
    }
    Ok(())
}

/// Adds the mailbox in a directory, or the complaint about it.
fn add(context: &Context, tree: &mut MailboxTree, parts: &[&[u8]], directory: &Path) {
    match context.naming.name_of_directory(parts) {
        // INBOX is elsewhere; servers do not show a directory of this name.
        Ok(name) if name.is_inbox() => {}
        Ok(name) => {
            let kind = match context.roots.of_mailbox(context.naming, &name) {
                Ok(paths) => node_of(&paths),
                Err(error) => NodeKind::Unreadable(error.to_string()),
            };
            put(tree, name, kind);
        }
        Err(error) => {
            let shown = parts.iter().map(|part| crate::text::lossy_bytes(part));
            if let Some(name) = MailboxName::new(shown.map(|part| if part.is_empty() { "?".into() } else { part })) {
                let reason = format!("{}: {error}", lossy(directory));
                // A mailbox that can be read and happens to look the same is worth more.
                tree.entry(name).or_insert(MailboxNode { kind: NodeKind::Unreadable(reason), subscribed: false });
            }
        }
    }
}

/// Whether an entry is a directory, or a link to one that is no alias of a mailbox beside it.
fn is_directory(parent: &Path, entry: &Entry) -> bool {
    let path = parent.join(&entry.name);
    match entry.kind {
        EntryKind::Directory => true,
        EntryKind::File => false,
        EntryKind::Link => {
            let alias = fs::read_link(&path).is_ok_and(|target| !target.as_os_str().as_bytes().contains(&b'/'));
            // A link that leads nowhere just now is a mailbox that cannot be read, not one that is gone.
            !alias && fs::metadata(&path).map_or(true, |metadata| metadata.is_dir())
        }
        EntryKind::Other => path.is_dir(),
    }
}

struct Walk<'a> {
    context: &'a Context,
    tree: &'a mut MailboxTree,
    /// Device and inode of the directories that lead here, to see when a link leads back.
    parents: BTreeSet<(u64, u64)>,
}

impl Walk<'_> {
    fn directory(&mut self, path: &PathBuf, parts: &mut Vec<Vec<u8>>) -> Result<(), StoreError> {
        let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
        let identity = (metadata.dev(), metadata.ino());
        if parts.len() > DEEPEST {
            let borrowed: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            if let Ok(name) = self.context.naming.name_of_directory(&borrowed) {
                put(self.tree, name, NodeKind::Unreadable(format!("{} is nested too deep", lossy(path))));
            }
            return Ok(());
        }
        if !self.parents.insert(identity) {
            return Ok(());
        }
        for entry in read::directory(path)?.unwrap_or_default() {
            let name = entry.name.as_bytes();
            let mails = matches!(name, b"cur" | b"new" | b"tmp");
            let trash = name.eq_ignore_ascii_case(b"..DOVECOT-TRASHED") || name == b"..DOVECOT-TrasH";
            if mails || trash || !is_directory(path, &entry) {
                continue;
            }
            parts.push(name.to_vec());
            let below = path.join(&entry.name);
            let borrowed: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let unreachable =
                |path: &Path| fs::metadata(path).is_err_and(|error| error.kind() != std::io::ErrorKind::NotFound);
            if unreachable(&below.join("cur")) || !below.exists() {
                if let Ok(name) = self.context.naming.name_of_directory(&borrowed) {
                    put(self.tree, name, NodeKind::Unreadable(format!("{} cannot be reached", lossy(&below))));
                }
                parts.pop();
                continue;
            }
            if below.join("cur").is_dir() || below.join("new").is_dir() {
                add(self.context, self.tree, &borrowed, &below);
            } else if let Ok(name) = self.context.naming.name_of_directory(&borrowed)
                && !name.is_inbox()
            {
                put(self.tree, name, NodeKind::Directory);
            }
            self.directory(&below, parts)?;
            parts.pop();
        }
        self.parents.remove(&identity);
        Ok(())
    }
}

fn subscriptions(context: &Context, tree: &mut MailboxTree) -> Result<(), StoreError> {
    let path = context.roots.control.join(&context.subscriptions);
    let separator = context.naming.layout.separator();
    let names: Vec<MailboxName> = match read_subscriptions(&path, separator)? {
        Some(file) => file.names().filter_map(|parts| context.naming.name_of_stored(&parts)).collect(),
        None => foreign::subscriptions(&context.roots.mails)?,
    };
    for name in names {
        let absent = || MailboxNode { kind: NodeKind::Absent, subscribed: true };
        tree.entry(name).or_insert_with(absent).subscribed = true;
    }
    Ok(())
}
