//! Giving up rights, for good.
//!
//! The order matters: groups can be changed only as long as the user is still root, and so can the root directory.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, chdir, chroot, getresgid, getresuid, setgid, setgroups, setresgid, setuid};
use thiserror::Error;

use super::rights::Rights;

/// Why the process is not what it was to become. It must not go on.
#[derive(Debug, Error)]
pub(crate) enum PrivilegeError {
    /// The system refused something.
    #[error("{what} failed: {error}; run dsync as root, or as the user who owns the mail")]
    System {
        /// What was being done.
        what: String,
        /// What the system says.
        error: Errno,
    },
    /// The rights are not gone.
    #[error(
        "the rights of root could not be given up for good ({0}); this process must not have capabilities of its own"
    )]
    NotGone(&'static str),
}

/// Takes on the rights of a user. The caller must have no other threads.
///
/// # Errors
/// If anything is not as it was to be; what was done until then cannot be undone.
pub(crate) fn take_on(rights: &Rights) -> Result<(), PrivilegeError> {
    let failed = |what: String| move |error| PrivilegeError::System { what, error };
    if let Some(gid) = rights.gid {
        setgid(gid).map_err(failed(format!("changing the group to {gid}")))?;
    }
    if let (Some(gid), Some(saved)) = (rights.gid, rights.saved_group) {
        setresgid(gid, gid, saved).map_err(failed(format!("putting the group {saved} aside")))?;
    }
    if let Some(groups) = &rights.groups {
        setgroups(groups).map_err(failed(format!("changing the supplementary groups to {groups:?}")))?;
    }
    if let Some(directory) = &rights.chroot {
        let change = || chroot(directory).and_then(|()| chdir("/"));
        change().map_err(failed(format!("changing the root directory to {}", directory.display())))?;
    }
    if let Some(uid) = rights.uid {
        setuid(uid).map_err(failed(format!("changing the user to {uid}")))?;
        verify(uid, rights.gid, rights.saved_group.or(rights.gid))?;
    }
    Ok(())
}

/// Makes sure that nothing of what was given up can come back.
fn verify(uid: Uid, gid: Option<Gid>, saved: Option<Gid>) -> Result<(), PrivilegeError> {
    let failed = |error| PrivilegeError::System { what: "looking at the rights of the process".to_owned(), error };
    let users = getresuid().map_err(failed)?;
    if [users.real, users.effective, users.saved] != [uid; 3] {
        return Err(PrivilegeError::NotGone("it is still another user"));
    }
    let groups = getresgid().map_err(failed)?;
    let expected = gid.zip(saved).map(|(gid, saved)| [gid, gid, saved]);
    if expected.is_some_and(|expected| [groups.real, groups.effective, groups.saved] != expected) {
        return Err(PrivilegeError::NotGone("it still has another group"));
    }
    if uid.is_root() {
        return Ok(());
    }
    if setuid(Uid::from_raw(0)).is_ok() {
        return Err(PrivilegeError::NotGone("it can become root again"));
    }
    let is_root_group = |gid: Option<Gid>| gid.is_none_or(|gid| gid.as_raw() == 0);
    if !is_root_group(gid) && !is_root_group(saved) && setgid(Gid::from_raw(0)).is_ok() {
        return Err(PrivilegeError::NotGone("it can take the group of root again"));
    }
    Ok(())
}

/// Goes to the directory of a user, or, if there is none or it cannot be entered, to the root directory: what happens there
/// must not depend on where the caller was.
///
/// # Errors
/// If not even the root directory can be entered.
pub(crate) fn enter_directory(directory: Option<&Path>) -> Result<(), PrivilegeError> {
    let root = PathBuf::from("/");
    let directory = directory.filter(|directory| directory.is_absolute());
    directory
        .map_or(Err(Errno::ENOENT), chdir)
        .or_else(|_| chdir(&root))
        .map_err(|error| PrivilegeError::System { what: "entering the root directory".to_owned(), error })
}
