//! A file gets new contents all at once: others see the old or the new, also after a power cut.

use std::fs::File;
use std::io;
use std::path::Path;

use super::mutation;
use super::permissions::Permissions;
use super::{FsError, read};

/// Whether a change has to be durable when the function returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Yes: the file is synced before it gets its name, and the directory after.
    Now,
    /// The caller syncs the file system before anybody relies on it.
    Later,
}

/// Writes `bytes` to `temporary`, in the same directory as `path`, and renames it there. Whatever `temporary` was
/// before is taken for the remains of a crash: the caller holds the lock that keeps others from using it.
///
/// # Errors
/// As the system; `path` still has its old contents then.
pub fn replace(
    path: &Path,
    temporary: &Path,
    bytes: &[u8],
    permissions: &Permissions,
    durability: Durability,
) -> Result<(), FsError> {
    mutation::remove_file(temporary)?;
    // Others who find it after a crash see that it is complete.
    let file = mutation::create_with(temporary, bytes, permissions)?;
    put(&file, path, temporary, durability)
}

/// The same with what `write` writes to the file at `temporary`.
///
/// # Errors
/// As [`replace`].
pub fn replace_with(
    path: &Path,
    temporary: &Path,
    permissions: &Permissions,
    durability: Durability,
    write: &dyn Fn(&File) -> Result<(), FsError>,
) -> Result<(), FsError> {
    mutation::remove_file(temporary)?;
    let file = mutation::create(temporary, permissions)?;
    if let Err(error) = write(&file) {
        let _ = mutation::remove_file(temporary);
        return Err(error);
    }
    put(&file, path, temporary, durability)
}

/// Gives the written file its name.
fn put(file: &File, path: &Path, temporary: &Path, durability: Durability) -> Result<(), FsError> {
    let synced = match durability {
        Durability::Now => mutation::sync_file(file, temporary),
        Durability::Later => Ok(()),
    };
    if let Err(error) = synced.and_then(|()| mutation::rename(temporary, path)) {
        let _ = mutation::remove_file(temporary);
        return Err(error);
    }
    match (durability, path.parent()) {
        (Durability::Now, Some(parent)) => mutation::sync_directory(parent),
        _ => Ok(()),
    }
}

/// Whether the file holds exactly these bytes already.
///
/// # Errors
/// As the system.
pub fn holds(path: &Path, bytes: &[u8]) -> Result<bool, FsError> {
    match read::contents(path, bytes.len() as u64) {
        Ok(contents) => Ok(contents.is_some_and(|contents| contents == bytes)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remains_of_a_crash_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (path, temporary) = (dir.path().join("x"), dir.path().join("x.tmp"));
        std::fs::write(&temporary, b"half").unwrap();
        for contents in [&b"first"[..], b"second"] {
            replace(&path, &temporary, contents, &Permissions::PRIVATE, Durability::Now).unwrap();
            assert!(holds(&path, contents).unwrap());
            assert!(!temporary.exists());
        }
        assert!(!holds(&path, b"sec").unwrap());
    }
}
