//! Which mailboxes a tree of mbox files has.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use dsync_core::model::{MailboxIdentity, MailboxName, MailboxTree, NodeKind};
use dsync_core::store::StoreError;

use super::shared::Shared;
use super::snapshot;
use crate::fs::links;
use crate::fs::read::{self, Entry};
use crate::list::layout::{DOTLOCK_SUFFIX, MBOX_INBOX, MBOX_INDEXES, MailboxPaths};
use crate::list::listing::{self, DEEPEST, Level, put};
use crate::text::lossy;

/// All names of the store.
pub(super) fn tree(shared: &Shared) -> Result<MailboxTree, StoreError> {
    let context = &shared.context;
    listing::settled(context, &|| {
        let mut tree = MailboxTree::new();
        let inbox = context.roots.of_mailbox(context.naming, &MailboxName::inbox());
        if let Ok(paths) = inbox
            && is_there(&paths.mails)
        {
            put(&mut tree, MailboxName::inbox(), node_of(shared, &paths));
        }
        let mut walk = Walk { shared, parents: BTreeSet::new(), tree: &mut tree };
        walk.directory(&context.roots.mails, &mut Vec::new())?;
        listing::add_subscriptions(context, &mut tree, &|| Ok(Vec::new()))?;
        Ok(tree)
    })
}

/// Whether a mailbox is at the path.
pub(super) fn is_mailbox(mails: &Path) -> bool {
    mails.is_file()
}

/// Whether something is there, even if it cannot be reached just now.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn node_of(shared: &Shared, paths: &MailboxPaths) -> NodeKind {
    if let Err(error) = links::refuse_distrusted(&paths.mails, &paths.root) {
        return NodeKind::Unreadable(error.to_string());
    }
    match snapshot::identity(shared, paths) {
        Ok(MailboxIdentity { guid, uid_validity }) => NodeKind::Mailbox { guid, uid_validity },
        Err(error) => NodeKind::Unreadable(error.to_string()),
    }
}

struct Walk<'a> {
    shared: &'a Shared,
    /// Device and inode of the directories that lead here, to see when a link leads back.
    parents: BTreeSet<(u64, u64)>,
    tree: &'a mut MailboxTree,
}

impl Walk<'_> {
    fn directory(&mut self, path: &Path, parts: &mut Vec<Vec<u8>>) -> Result<(), StoreError> {
        let context = &self.shared.context;
        let unreadable = |tree: &mut MailboxTree, reason: String| {
            if let Ok(name) = context.naming.name_of_directory(parts.as_slice()) {
                put(tree, name, NodeKind::Unreadable(reason));
            }
        };
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                unreadable(self.tree, format!("{} cannot be reached: {error}", lossy(path)));
                return Ok(());
            }
        };
        let identity = (metadata.dev(), metadata.ino());
        if parts.len() > DEEPEST {
            unreadable(self.tree, format!("{} is nested too deep", lossy(path)));
            return Ok(());
        }
        if !self.parents.insert(identity) {
            return Ok(());
        }
        let entries = match read::directory(path) {
            // Without any mailbox there is nothing to be sure of.
            Err(error) if !parts.is_empty() => {
                unreadable(self.tree, error.to_string());
                None
            }
            entries => entries?,
        };
        for entry in entries.unwrap_or_default() {
            if self.is_hidden(path, &entry, parts.is_empty()) {
                continue;
            }
            parts.push(entry.name.as_bytes().to_vec());
            let borrowed: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let below = path.join(&entry.name);
            match Level::of(path, &entry, &context.roots.mails) {
                Level::Directory if below.is_dir() => {
                    // `INBOX` is only a level: the mailbox is a file elsewhere.
                    if let Ok(name) = context.naming.name_of_directory(&borrowed)
                        && !name.is_inbox()
                    {
                        put(self.tree, name, NodeKind::Directory);
                    }
                    self.directory(&below, parts)?;
                }
                Level::Refused(reason) => listing::complain(context, self.tree, &borrowed, reason),
                Level::Directory | Level::File | Level::Alias => {
                    listing::add(context, self.tree, &borrowed, &below, &|paths| node_of(self.shared, paths));
                }
            }
            parts.pop();
        }
        self.parents.remove(&identity);
        Ok(())
    }

    /// What servers do not show either.
    fn is_hidden(&self, directory: &Path, entry: &Entry, is_top: bool) -> bool {
        let name = entry.name.as_bytes();
        if name == MBOX_INDEXES.as_bytes() || name.ends_with(DOTLOCK_SUFFIX.as_bytes()) {
            return true;
        }
        let path = directory.join(&entry.name);
        let is_inbox =
            name == MBOX_INBOX.as_bytes() || name.eq_ignore_ascii_case(MBOX_INBOX.as_bytes()) && !path.is_dir();
        path == self.shared.context.subscriptions || is_top && is_inbox
    }
}
