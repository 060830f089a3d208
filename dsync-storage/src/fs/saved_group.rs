//! The group that a process has put aside: its saved group ID, whose rights it takes on for a moment and gives back.
//!
//! Spools like `/var/mail` let only one group make files, and a dotlock is a file. Who serves a user keeps that group aside
//! (`mail_privileged_group`), so that nothing else is ever done with its rights.

use nix::unistd::{Gid, getegid, getresgid, setegid};

use super::FsError;
use std::io;
use std::path::Path;

/// Does `work`, and if that is not permitted, does it again with the group that is put aside, if there is one.
///
/// # Errors
/// As `work`. If the rights cannot be given back, which no system refuses, that is the error.
pub(super) fn or_with_it<T>(path: &Path, work: impl Fn() -> Result<T, FsError>) -> Result<T, FsError> {
    let refused = match work() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => error,
        result => return result,
    };
    let own = getegid();
    let Some(saved) = put_aside(own).filter(|saved| setegid(*saved).is_ok()) else { return Err(refused) };
    let result = work();
    match setegid(own) {
        Ok(()) => result,
        Err(error) => {
            let text = format!("the rights of group {saved} cannot be given back: {error}");
            Err(FsError::new("lock", path, io::Error::other(text)))
        }
    }
}

fn put_aside(own: Gid) -> Option<Gid> {
    getresgid().ok().map(|groups| groups.saved).filter(|saved| *saved != own)
}
