//! Hidden places, where things are built before they appear and taken apart after they vanished: somewhere in a root where
//! servers look at nothing. What a crash leaves there is removed by a later run.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::context::Context;
use super::files::TEMPORARY_SUFFIX;
use super::layout::MBOX_INDEXES;
use crate::fs::permissions::Permissions;
use crate::fs::read::EntryKind;
use crate::fs::{FsError, mutation, read, unique};

/// A server removes old files from such places after the same time.
const ABANDONED: Duration = Duration::from_secs(36 * 60 * 60);

/// Where the hidden places of a store are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HiddenPlaces {
    /// The directory in the root; empty for the root itself.
    pub(crate) directory: &'static str,
    /// How their names begin.
    pub(crate) prefix: &'static str,
}

impl HiddenPlaces {
    /// In a Maildir: in `tmp`.
    pub(crate) const MAILDIR: Self = Self { directory: "tmp", prefix: "dsync." };
    /// In an mbox: where the indexes are, because any file beside the mailboxes is one.
    pub(crate) const MBOX: Self = Self { directory: MBOX_INDEXES, prefix: ".temp.dsync." };
    /// In an mdbox or sdbox: in the root, under a name that servers take for a temporary one.
    pub(crate) const DBOX: Self = Self { directory: "", prefix: ".temp.dsync." };
}

/// A path for something hidden, of which nothing exists yet.
pub(crate) fn hidden_place(context: &Context, root: &Path, permissions: &Permissions) -> Result<PathBuf, FsError> {
    let directory = root.join(context.hidden.directory);
    mutation::create_directories(&directory, permissions)?;
    Ok(directory.join(format!("{}{}", context.hidden.prefix, unique::file_name())))
}

/// Removes what crashed runs left.
pub(crate) fn remove_abandoned(context: &Context) -> Result<(), FsError> {
    let roots = &context.roots;
    let all = [Some(&roots.mails), Some(&roots.control), roots.index.as_ref(), roots.alt.as_ref()];
    for root in all.into_iter().flatten() {
        remove_abandoned_in(&root.join(context.hidden.directory), context.hidden.prefix)?;
    }
    let lists = [Some(roots.control.as_path()), context.subscriptions.parent()];
    for directory in lists.into_iter().flatten() {
        remove_abandoned_between(directory, "", TEMPORARY_SUFFIX)?;
    }
    Ok(())
}

/// Removes what crashed runs left in a directory under names that begin with `prefix`.
pub(crate) fn remove_abandoned_in(directory: &Path, prefix: &str) -> Result<(), FsError> {
    remove_abandoned_between(directory, prefix, "")
}

fn remove_abandoned_between(directory: &Path, prefix: &str, suffix: &str) -> Result<(), FsError> {
    let mut candidates = Vec::new();
    read::for_each_entry(directory, &mut |name, kind, _| {
        if name.starts_with(prefix.as_bytes()) && name.ends_with(suffix.as_bytes()) {
            candidates.push((OsStr::from_bytes(name).to_owned(), kind));
        }
    })?;
    for (name, kind) in candidates {
        let path = directory.join(&name);
        let name = name.to_string_lossy();
        let unique_name = name.strip_prefix(prefix).and_then(|name| name.strip_suffix(suffix));
        if !unique_name.is_some_and(|name| is_abandoned(name, &path)) {
            continue;
        }
        if kind == EntryKind::Directory {
            mutation::remove_tree(&path)?;
        } else {
            mutation::remove_file(&path)?;
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
