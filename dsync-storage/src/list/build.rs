//! Building a new mailbox in a hidden place.
//!
//! It is renamed to its place as a whole when it is complete.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use dsync_core::model::{MailboxIdentity, MailboxName};
use dsync_core::store::{ErrorKind, StoreError};

use super::context::Context;
use super::hidden::hidden_place;
use super::layout::{Layout, MailboxPaths};
use super::lock::ListLock;
use crate::fs::permissions::Permissions;
use crate::fs::read::EntryKind;
use crate::fs::{FsError, mutation, read};

/// A mailbox that is being built. Dropping it before it is published removes it.
#[derive(Debug)]
pub(crate) struct Build {
    /// Index and control files if they are kept apart, then the mails: the mailbox is there when they are.
    parts: Vec<Part>,
    paths: MailboxPaths,
    target: MailboxPaths,
    identity: MailboxIdentity,
    layout: Layout,
}

/// One directory of the mailbox.
#[derive(Debug)]
struct Part {
    hidden: PathBuf,
    target: PathBuf,
}

impl Build {
    /// Starts building the mailbox that will be at `target`.
    pub(crate) fn start(
        context: &Context,
        target: MailboxPaths,
        identity: MailboxIdentity,
        permissions: &Permissions,
    ) -> Result<Self, StoreError> {
        let roots = &context.roots;
        let all = [
            (roots.index.as_ref(), target.index.as_ref()),
            (Some(&roots.control), Some(&target.control).filter(|_| context.naming.layout != Layout::Mbox)),
            (Some(&roots.mails), Some(&target.mails)),
        ];
        let mut parts: Vec<Part> = Vec::new();
        for (root, place) in all {
            if let (Some(root), Some(place)) = (root, place)
                && parts.iter().all(|part| part.target != *place)
            {
                let hidden = hidden_place(context, root, permissions)?;
                let is_file = context.naming.layout == Layout::Mbox && *place == target.mails;
                if !is_file {
                    mutation::create_directory(&hidden, permissions)?;
                }
                parts.push(Part { hidden, target: place.clone() });
            }
        }
        parts.sort_by_key(|part| part.target == target.mails);
        // What belongs to no mailbox alone stays where it is.
        let hidden = |path: &PathBuf| {
            let part = parts.iter().find(|part| part.target == *path);
            part.map_or_else(|| path.clone(), |part| part.hidden.clone())
        };
        let paths = MailboxPaths {
            mails: hidden(&target.mails),
            control: hidden(&target.control),
            index: target.index.as_ref().map(hidden),
            // Nothing is built there.
            alt: None,
            root: target.root.clone(),
        };
        Ok(Self { parts, paths, target, identity, layout: context.naming.layout })
    }

    /// Where its files are now.
    pub(crate) fn paths(&self) -> &MailboxPaths {
        &self.paths
    }

    /// The identity it will have.
    pub(crate) fn identity(&self) -> MailboxIdentity {
        self.identity
    }

    /// Makes everything durable that was built.
    pub(crate) fn sync(&self) -> Result<(), FsError> {
        self.parts.iter().try_for_each(|part| mutation::sync_file_system(&part.hidden))
    }

    /// # Errors
    /// [`ErrorKind::Changed`] if a mailbox is in the place by now.
    pub(crate) fn refuse_if_taken(
        &self,
        _lock: &ListLock,
        name: &MailboxName,
        is_taken: &dyn Fn(&MailboxPaths) -> bool,
    ) -> Result<(), StoreError> {
        if is_taken(&self.target) { Err(taken(name)) } else { Ok(()) }
    }

    /// Puts the mailbox into its place, which it returns. `is_taken` says whether a mailbox is there by now. It must have
    /// been [synced](Self::sync).
    pub(crate) fn publish(
        self,
        lock: &ListLock,
        name: &MailboxName,
        permissions: &Permissions,
        is_taken: &dyn Fn(&MailboxPaths) -> bool,
    ) -> Result<MailboxPaths, StoreError> {
        self.refuse_if_taken(lock, name, is_taken)?;
        for part in &self.parts {
            if let Some(parent) = part.target.parent() {
                mutation::create_directories(parent, permissions)?;
            }
            match part.place(self.layout) {
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) =>
                {
                    return Err(taken(name));
                }
                result => result?,
            }
            if let Some(parent) = part.target.parent() {
                mutation::sync_directory(parent)?;
            }
        }
        Ok(self.target.clone())
    }
}

fn taken(name: &MailboxName) -> StoreError {
    let text = format!("mailbox {name} was created by somebody else meanwhile");
    StoreError::new(ErrorKind::Changed, text)
}

impl Part {
    fn place(&self, layout: Layout) -> Result<(), FsError> {
        if layout == Layout::Mbox {
            return self.place_mbox();
        }
        if !self.target.exists() {
            return mutation::rename(&self.hidden, &self.target);
        }
        // A level that is no mailbox, and may have mailboxes below it. What a crash or a deletion left there of a
        // mailbox is not to be mixed with this one.
        for entry in read::directory(&self.target)?.unwrap_or_default() {
            let path = self.target.join(&entry.name);
            let is_directory = entry.kind == EntryKind::Directory;
            match entry.name.as_bytes() {
                b"cur" | b"new" | b"tmp" if is_directory && layout != Layout::Dbox => mutation::remove_tree(&path)?,
                // A directory of such a name is a mailbox of somebody who likes the name.
                name if name.starts_with(b"dovecot") && !is_directory => mutation::remove_file(&path)?,
                _ => {}
            }
        }
        // It becomes a mailbox with the directories that hold mails, so they come last.
        let mut entries = read::directory(&self.hidden)?.unwrap_or_default();
        entries.sort_by_key(|entry| matches!(entry.name.as_bytes(), b"cur" | b"new"));
        for entry in entries {
            mutation::rename(&self.hidden.join(&entry.name), &self.target.join(&entry.name))?;
        }
        mutation::sync_directory(&self.target)
    }

    /// The index of a mailbox that is gone gives way. A file that somebody has put there meanwhile does not.
    fn place_mbox(&self) -> Result<(), FsError> {
        if self.hidden.is_dir() {
            mutation::remove_tree(&self.target)?;
            return mutation::rename(&self.hidden, &self.target);
        }
        mutation::link(&self.hidden, &self.target)?;
        mutation::remove_file(&self.hidden)
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        // After publishing there is nothing left under these names.
        for part in &self.parts {
            let _ = match part.hidden.is_dir() {
                true => mutation::remove_tree(&part.hidden),
                false => mutation::remove_file(&part.hidden),
            };
        }
    }
}
