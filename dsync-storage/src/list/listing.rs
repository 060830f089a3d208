//! Which mailboxes a store has: what is the same in every format.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dsync_core::model::{MailboxName, MailboxNode, MailboxTree, NodeKind};
use dsync_core::store::StoreError;

use super::context::Context;
use super::files::read_subscriptions;
use super::layout::{Layout, MailboxPaths};
use crate::fs::links;
use crate::fs::read::{self, Entry, EntryKind};
use crate::text::lossy;

/// How deep a tree of directories may be before something must be wrong with it.
pub(crate) const DEEPEST: usize = 100;

/// What is said about the mailbox in some directories.
type NodeOf<'a> = &'a dyn Fn(&MailboxPaths) -> NodeKind;

/// How often to list again while others create, delete and rename.
const TRIES: u32 = 10;

/// The tree that `once` lists. A mailbox that is renamed while its directory is listed may be seen twice or not at all, so
/// it is listed again if anything moved.
pub(crate) fn settled(
    context: &Context,
    once: &dyn Fn() -> Result<MailboxTree, StoreError>,
) -> Result<MailboxTree, StoreError> {
    let moved = || fs::metadata(&context.roots.mails).and_then(|metadata| metadata.modified()).ok();
    let mut tries = 0;
    let mut previous = None;
    loop {
        let before = moved();
        let tree = once()?;
        tries += 1;
        // Of nested directories the root alone does not tell.
        let settled = context.naming.layout == Layout::MaildirPlusPlus || previous.as_ref() == Some(&tree);
        if tries == TRIES || settled && before == moved() {
            return Ok(tree);
        }
        previous = Some(tree);
    }
}

/// Notes what is at a name.
pub(crate) fn put(tree: &mut MailboxTree, name: MailboxName, kind: NodeKind) {
    tree.insert(name, MailboxNode { kind, subscribed: false });
}

/// Adds the mailbox in a directory, or the complaint about it.
pub(crate) fn add(context: &Context, tree: &mut MailboxTree, parts: &[&[u8]], directory: &Path, node_of: NodeOf<'_>) {
    match context.naming.name_of_directory(parts) {
        Ok(name) => {
            let kind = match context.roots.of_mailbox(context.naming, &name) {
                Ok(paths) => node_of(&paths),
                Err(error) => NodeKind::Unreadable(error.to_string()),
            };
            put(tree, name, kind);
        }
        Err(error) => complain(context, tree, parts, format!("{}: {error}", lossy(directory))),
    }
}

/// Notes that something at a place cannot be read, whether the place has a valid name or not.
pub(crate) fn complain(context: &Context, tree: &mut MailboxTree, parts: &[&[u8]], reason: String) {
    let shown = || {
        let parts = parts.iter().map(|part| crate::text::lossy_bytes(part));
        MailboxName::new(parts.map(|part| if part.is_empty() { "?".into() } else { part }))
    };
    // Under any other name it would seem to be gone.
    if let Some(name) = context.naming.name_of_directory(parts).ok().or_else(shown) {
        // A mailbox that can be read and happens to look the same is worth more.
        tree.entry(name).or_insert(MailboxNode { kind: NodeKind::Unreadable(reason), subscribed: false });
    }
}

/// What an entry of a directory is in a tree of mailboxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// A directory, or a link to one, or to something that is not there just now: a mailbox that cannot be read then, not one
    /// that is gone.
    Directory,
    /// A plain file, or a link to one.
    File,
    /// Another name for a mailbox beside it.
    Alias,
    /// Something that is neither, or that a link leads to which is not followed: what there is to say about it.
    Refused(String),
}

impl Level {
    /// What an entry of `parent` is, which is in the store at `root`.
    pub(crate) fn of(parent: &Path, entry: &Entry, root: &Path) -> Self {
        let path = parent.join(&entry.name);
        match entry.kind {
            EntryKind::Directory => Self::Directory,
            EntryKind::File => Self::File,
            EntryKind::Other => Self::Refused(format!("{} is neither a directory nor a plain file", lossy(&path))),
            EntryKind::Link => Self::of_link(&path, root),
        }
    }

    fn of_link(path: &Path, root: &Path) -> Self {
        if let Err(error) = links::refuse_distrusted(path, root) {
            return Self::Refused(error.to_string());
        }
        if fs::read_link(path).is_ok_and(|target| !target.as_os_str().as_bytes().contains(&b'/')) {
            return Self::Alias;
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Self::File,
            Ok(metadata) if !metadata.is_dir() => {
                Self::Refused(format!("{} leads to neither a directory nor a plain file", lossy(path)))
            }
            _ => Self::Directory,
        }
    }
}

/// Lists a tree of nested directories.
pub(crate) struct Walk<'a> {
    context: &'a Context,
    /// A directory is a mailbox if it has one of these.
    marks: &'a [&'a str],
    /// Directories that belong to the mailbox in whose directory they are.
    own: &'a [&'a str],
    node_of: NodeOf<'a>,
    /// Device and inode of the directories that lead here, to see when a link leads back.
    parents: BTreeSet<(u64, u64)>,
}

impl<'a> Walk<'a> {
    /// Directories that hold one of `marks` are mailboxes, and `own` are no levels below them.
    pub(crate) fn new(context: &'a Context, marks: &'a [&'a str], own: &'a [&'a str], node_of: NodeOf<'a>) -> Self {
        Self { context, marks, own, node_of, parents: BTreeSet::new() }
    }

    /// Adds all mailboxes and levels to the tree.
    pub(crate) fn list(mut self, tree: &mut MailboxTree) -> Result<(), StoreError> {
        let root = self.context.naming.layout.tree(&self.context.roots.mails);
        self.directory(&root, &mut Vec::new(), tree)
    }

    fn directory(
        &mut self,
        path: &PathBuf,
        parts: &mut Vec<Vec<u8>>,
        tree: &mut MailboxTree,
    ) -> Result<(), StoreError> {
        let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
        let identity = (metadata.dev(), metadata.ino());
        let borrowed: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        if parts.len() > DEEPEST {
            self.hide(tree, &borrowed, format!("{} is nested too deep", lossy(path)));
            return Ok(());
        }
        if !self.parents.insert(identity) {
            return Ok(());
        }
        let entries = match read::directory(path) {
            // Without any mailbox there is nothing to be sure of.
            Err(error) if !parts.is_empty() => {
                self.hide(tree, &borrowed, error.to_string());
                None
            }
            entries => entries?,
        };
        for entry in entries.unwrap_or_default() {
            let name = entry.name.as_bytes();
            let mails = self.own.iter().any(|own| own.as_bytes() == name);
            let trash = name.eq_ignore_ascii_case(b"..DOVECOT-TRASHED") || name == b"..DOVECOT-TrasH";
            let level = Level::of(path, &entry, &self.context.roots.mails);
            if mails || trash || matches!(level, Level::File | Level::Alias) {
                continue;
            }
            parts.push(name.to_vec());
            let below = path.join(&entry.name);
            let borrowed: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            if let Level::Refused(reason) = level {
                complain(self.context, tree, &borrowed, reason);
                parts.pop();
                continue;
            }
            // A link that leads nowhere just now is no missing mark.
            let unreachable = |path: &Path| {
                fs::metadata(path)
                    .is_err_and(|error| error.kind() != std::io::ErrorKind::NotFound || path.is_symlink())
            };
            if self.marks.iter().any(|mark| unreachable(&below.join(mark))) || !below.exists() {
                if let Ok(name) = self.context.naming.name_of_directory(&borrowed) {
                    put(tree, name, NodeKind::Unreadable(format!("{} cannot be reached", lossy(&below))));
                }
                parts.pop();
                continue;
            }
            let name = self.context.naming.name_of_directory(&borrowed);
            let is_inbox = name.as_ref().is_ok_and(MailboxName::is_inbox);
            // In a Maildir INBOX is elsewhere, and servers do not show a directory of this name.
            let is_shown = !is_inbox || self.context.naming.layout == Layout::Dbox;
            let is_mailbox = self.marks.iter().any(|mark| below.join(mark).is_dir());
            let obstacle = self.marks.iter().map(|mark| below.join(mark)).find(|path| path.exists());
            if let Some(obstacle) = obstacle.filter(|_| !is_mailbox && is_shown) {
                complain(self.context, tree, &borrowed, format!("{} is no directory", lossy(&obstacle)));
            } else if is_mailbox {
                if is_shown {
                    add(self.context, tree, &borrowed, &below, self.node_of);
                }
            } else if let Ok(name) = name
                && !is_inbox
            {
                put(tree, name, NodeKind::Directory);
            }
            self.directory(&below, parts, tree)?;
            parts.pop();
        }
        self.parents.remove(&identity);
        Ok(())
    }
}

impl Walk<'_> {
    /// Notes that what is below a level is not known, even if a mailbox at that level is: nothing there may be taken for missing.
    fn hide(&self, tree: &mut MailboxTree, parts: &[&[u8]], reason: String) {
        match self.context.naming.name_of_directory(parts) {
            Ok(name) => put(tree, name, NodeKind::Unreadable(reason)),
            Err(_) => complain(self.context, tree, parts, reason),
        }
    }
}

/// Marks the names that are subscribed to. `others` says which, if there is no file of the usual format.
pub(crate) fn add_subscriptions(
    context: &Context,
    tree: &mut MailboxTree,
    others: &dyn Fn() -> Result<Vec<MailboxName>, StoreError>,
) -> Result<(), StoreError> {
    let path = &context.subscriptions;
    let separator = context.naming.layout.separator();
    let names: Vec<MailboxName> = match read_subscriptions(path, separator)? {
        Some(file) => file.names().filter_map(|parts| context.naming.name_of_stored(&parts)).collect(),
        None => others()?,
    };
    for name in names {
        let absent = || MailboxNode { kind: NodeKind::Absent, subscribed: true };
        tree.entry(name).or_insert_with(absent).subscribed = true;
    }
    Ok(())
}
