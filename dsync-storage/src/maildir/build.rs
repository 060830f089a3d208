//! Building a new mailbox in a hidden place.
//!
//! It lies in `tmp` of the root, where servers look at nothing but old files, and is renamed to its place as a whole
//! when it is complete. What a crash leaves there is removed by a later run.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dsync_core::model::{MailboxIdentity, MailboxName};
use dsync_core::store::StoreError;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::context::Context;
use crate::fs::permissions::Permissions;
use crate::fs::{FsError, mutation, read, unique};
use crate::list::layout::{Layout, MailboxPaths};
use crate::list::lock::ListLock;

const PREFIX: &str = "dsync.";
/// A server removes old files from `tmp` after the same time.
const ABANDONED: Duration = Duration::from_secs(36 * 60 * 60);

/// A mailbox that is being built. Dropping it before it is published removes it.
#[derive(Debug)]
pub(super) struct Build {
    hidden: PathBuf,
    paths: MailboxPaths,
    target: MailboxPaths,
    identity: MailboxIdentity,
}

impl Build {
    /// Starts building the mailbox that will be at `target`.
    pub(super) fn start(
        context: &Context,
        target: MailboxPaths,
        identity: MailboxIdentity,
        permissions: &Permissions,
    ) -> Result<Self, StoreError> {
        let hidden = hidden_place(context, permissions)?;
        mutation::create_directory(&hidden, permissions)?;
        let in_place = |path: &PathBuf| if *path == target.mails { hidden.clone() } else { path.clone() };
        let paths = MailboxPaths {
            mails: hidden.clone(),
            control: in_place(&target.control),
            index: target.index.as_ref().map(in_place),
        };
        Ok(Self { hidden, paths, target, identity })
    }

    /// Where its files are now.
    pub(super) fn paths(&self) -> &MailboxPaths {
        &self.paths
    }

    /// The identity it will have.
    pub(super) fn identity(&self) -> MailboxIdentity {
        self.identity
    }

    /// Makes everything durable and puts the mailbox into its place, which it returns.
    pub(super) fn publish(
        self,
        context: &Context,
        name: &MailboxName,
        permissions: &Permissions,
    ) -> Result<MailboxPaths, StoreError> {
        if context.naming.layout == Layout::MaildirPlusPlus {
            drop(mutation::create(&self.hidden.join("maildirfolder"), permissions)?);
        }
        mutation::sync_file_system(&self.hidden)?;
        let _lock = ListLock::take(context.roots.index.as_ref().unwrap_or(&context.roots.mails), permissions)?;
        let target = self.target.clone();
        if let Some(parent) = target.mails.parent() {
            mutation::create_directories(parent, permissions)?;
        }
        if let Err(error) = self.place(&target.mails) {
            let taken = matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists);
            if taken {
                let text = format!("mailbox {name} was created by somebody else meanwhile");
                return Err(StoreError::new(dsync_core::store::ErrorKind::Changed, text));
            }
            return Err(error.into());
        }
        if let Some(parent) = target.mails.parent() {
            mutation::sync_directory(parent)?;
        }
        super::tree_changes::note(context, &[], &[])?;
        Ok(target)
    }

    fn place(&self, target: &Path) -> Result<(), FsError> {
        if !target.exists() {
            return mutation::rename(&self.hidden, target);
        }
        // A level that was no mailbox so far, and may have mailboxes below it: it becomes one with its `cur`, so that
        // comes last.
        let mut entries = read::directory(&self.hidden)?.unwrap_or_default();
        entries.sort_by_key(|entry| entry.name.as_bytes() == b"cur");
        for entry in entries {
            let to = target.join(&entry.name);
            if to.exists() && entry.name.as_bytes() != b"maildirfolder" {
                return Err(FsError::new("create", &to, io::ErrorKind::AlreadyExists.into()));
            }
        }
        let mut entries = read::directory(&self.hidden)?.unwrap_or_default();
        entries.sort_by_key(|entry| entry.name.as_bytes() == b"cur");
        for entry in entries {
            mutation::rename(&self.hidden.join(&entry.name), &target.join(&entry.name))?;
        }
        mutation::sync_directory(target)
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        // After publishing there is nothing left under this name.
        let _ = mutation::remove_tree(&self.hidden);
    }
}

/// A path for something hidden, of which nothing exists yet.
pub(super) fn hidden_place(context: &Context, permissions: &Permissions) -> Result<PathBuf, FsError> {
    let tmp = context.roots.mails.join("tmp");
    mutation::create_directories(&tmp, permissions)?;
    Ok(tmp.join(format!("{PREFIX}{}", unique::file_name())))
}

/// Removes what crashed runs left.
pub(super) fn remove_abandoned(context: &Context) -> Result<(), FsError> {
    let tmp = context.roots.mails.join("tmp");
    for entry in read::directory(&tmp)?.unwrap_or_default() {
        let path = tmp.join(&entry.name);
        let name = entry.name.to_string_lossy();
        if name.strip_prefix(PREFIX).is_some_and(|rest| is_abandoned(rest, &path)) {
            mutation::remove_tree(&path)?;
        }
    }
    Ok(())
}

/// Whether the process that made the name is of this host and gone, or the place has not changed for long.
fn is_abandoned(unique_name: &str, path: &Path) -> bool {
    let here = unique_name.ends_with(&format!(".{}", unique::host_for_names()));
    let pid = unique_name.split_once('P').and_then(|(_, rest)| rest.split_once('Q')).map(|(pid, _)| pid);
    let pid: Option<i32> = pid.and_then(|pid| pid.parse().ok());
    let dead = pid.is_some_and(|pid| kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH));
    let age = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let old = age.and_then(|time| time.elapsed().ok()).is_some_and(|age| age > ABANDONED);
    old || here && dead
}
