//! Hidden places: in `tmp` of a root, where servers look at nothing but old files. What a crash leaves there is removed by a
//! later run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::context::Context;
use crate::fs::permissions::Permissions;
use crate::fs::{FsError, mutation, read, unique};

const PREFIX: &str = "dsync.";
/// A server removes old files from `tmp` after the same time.
const ABANDONED: Duration = Duration::from_secs(36 * 60 * 60);

/// A path for something hidden, of which nothing exists yet.
pub(super) fn hidden_place(root: &Path, permissions: &Permissions) -> Result<PathBuf, FsError> {
    let tmp = root.join("tmp");
    mutation::create_directories(&tmp, permissions)?;
    Ok(tmp.join(format!("{PREFIX}{}", unique::file_name())))
}

/// Removes what crashed runs left.
pub(super) fn remove_abandoned(context: &Context) -> Result<(), FsError> {
    let roots = &context.roots;
    for root in [Some(&roots.mails), Some(&roots.control), roots.index.as_ref()].into_iter().flatten() {
        let tmp = root.join("tmp");
        for entry in read::directory(&tmp)?.unwrap_or_default() {
            let path = tmp.join(&entry.name);
            let name = entry.name.to_string_lossy();
            if name.strip_prefix(PREFIX).is_some_and(|rest| is_abandoned(rest, &path)) {
                mutation::remove_tree(&path)?;
            }
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
