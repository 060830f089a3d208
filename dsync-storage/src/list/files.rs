//! Reading and changing the files beside the mailboxes: subscriptions, change log, UIDVALIDITY counter.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dsync_core::model::{TreeChange, TreeEvent, UidValidity};

use super::mailbox_log::{self, ROTATE_SIZE};
use super::subscriptions::Subscriptions;
use super::uidvalidity;
use crate::fs::clock::now;
use crate::fs::dotlock::{Dotlock, DotlockRules};
use crate::fs::permissions::Permissions;
use crate::fs::replace::Durability;
use crate::fs::{FsError, mutation, read, replace};

/// No list of this kind is larger.
const LARGEST: u64 = 64 << 20;

/// How the names of files end that are about to replace others.
pub(super) const TEMPORARY_SUFFIX: &str = ".dsync.lock";

/// The subscriptions in `path`; those of a new file if there is none.
///
/// # Errors
/// As the system.
pub fn read_subscriptions(path: &Path, separator: char) -> Result<Option<Subscriptions>, FsError> {
    let separator = u8::try_from(separator).unwrap_or(b'/');
    Ok(read::contents(path, LARGEST)?.map(|bytes| Subscriptions::decode(&bytes, separator)))
}

/// Subscribes to a name, given by its stored parts, or cancels that. Whether anything changed.
///
/// # Errors
/// As the system; the file is as it was then.
pub fn set_subscribed(
    path: &Path,
    separator: char,
    parts: &[&[u8]],
    subscribed: bool,
    permissions: &Permissions,
) -> Result<bool, FsError> {
    let lock = Dotlock::take(&lock_path(path), path, DotlockRules::SUBSCRIPTIONS, permissions)?;
    let mut file = read_subscriptions(path, separator)?.unwrap_or_default();
    if !file.set(parts, subscribed) {
        return Ok(false);
    }
    let temporary = path.with_file_name(temporary_name());
    replace::replace(path, &temporary, &file.encode(), permissions, Durability::Now)?;
    drop(lock);
    Ok(true)
}

/// The name of a file that is about to replace another one. It is none that servers take for a mailbox.
fn temporary_name() -> String {
    format!("{}{TEMPORARY_SUFFIX}", crate::fs::unique::file_name())
}

/// The lock file that belongs to a file.
fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Appends to the change log in the root of the indexes. Call it after the change took effect.
///
/// # Errors
/// As the system; the log is as it was then.
pub fn log_changes(index_root: &Path, changes: &[TreeChange], permissions: &Permissions) -> Result<(), FsError> {
    let path = index_root.join("dovecot.mailbox.log");
    for change in changes {
        let file = mutation::open_append(&path, permissions)?;
        let length = file.metadata().map_err(|error| FsError::new("read", &path, error))?.len();
        let record = TreeEvent { change: *change, time: now() };
        if let Err(error) = mutation::write(&file, &path, &mailbox_log::encode(&record)) {
            // A part of a record would make a server delete the whole log.
            mutation::truncate(&file, &path, length)?;
            return Err(error);
        }
        mutation::sync_file(&file, &path)?;
        let length = file.metadata().map_err(|error| FsError::new("read", &path, error))?.len();
        if length >= ROTATE_SIZE {
            mutation::rename(&path, &index_root.join("dovecot.mailbox.log.2"))?;
        }
    }
    Ok(())
}

/// What the change log in the root of the indexes says, the latest last.
///
/// # Errors
/// As the system.
pub fn read_changes(index_root: &Path) -> Result<Vec<TreeEvent>, FsError> {
    let mut events = Vec::new();
    for name in ["dovecot.mailbox.log.2", "dovecot.mailbox.log"] {
        let bytes = read::contents(&index_root.join(name), LARGEST)?;
        events.extend(mailbox_log::decode(&bytes.unwrap_or_default()));
    }
    Ok(events)
}

/// A UIDVALIDITY that no mailbox of the store has had, from the counter in the root of the control files.
///
/// # Errors
/// As the system.
pub fn allocate_uid_validity(control_root: &Path, permissions: &Permissions) -> Result<UidValidity, FsError> {
    let main = control_root.join(uidvalidity::MAIN);
    let mut known = read::contents(&main, 64)?.and_then(|bytes| uidvalidity::decode(&bytes));
    // Each failure means that somebody else was faster, or that the files are in disorder.
    for _ in 0..16 {
        if let Some(value) = known {
            let next = uidvalidity::next(Some(value), 0);
            let from = control_root.join(uidvalidity::numbered(value));
            match mutation::rename(&from, &control_root.join(uidvalidity::numbered(next))) {
                Ok(()) => return finish_uid_validity(&main, next, permissions),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let numbered = numbered_files(control_root)?;
        known = numbered.iter().max().copied();
        if known.is_none() {
            let next = uidvalidity::next(None, now().as_u32());
            let read_only = Permissions { file_mode: 0o444, ..*permissions };
            match mutation::create(&control_root.join(uidvalidity::numbered(next)), &read_only) {
                Ok(_) => return finish_uid_validity(&main, next, permissions),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
    let text = "others kept changing it";
    Err(FsError::new("count up", &main, io::Error::new(io::ErrorKind::TimedOut, text)))
}

fn finish_uid_validity(main: &Path, value: u32, permissions: &Permissions) -> Result<UidValidity, FsError> {
    let temporary = main.with_file_name(temporary_name());
    let text = uidvalidity::encode(value);
    replace::replace(main, &temporary, text.as_bytes(), permissions, Durability::Now)?;
    UidValidity::new(value).ok_or_else(|| {
        FsError::new("count up", main, io::Error::new(io::ErrorKind::InvalidData, "0 is no valid value"))
    })
}

fn numbered_files(control_root: &Path) -> Result<Vec<u32>, FsError> {
    let entries = read::directory(control_root)?.unwrap_or_default();
    Ok(entries.iter().filter_map(|entry| uidvalidity::decode_numbered(entry.name.as_bytes())).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use dsync_core::model::NameHash;

    #[test]
    fn subscriptions_are_changed_under_their_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("subscriptions");
        let set = |name: &[u8], on| set_subscribed(&path, '.', &[name], on, &Permissions::PRIVATE).unwrap();
        assert!(set(b"a", true) && set(b"b", true) && !set(b"a", true) && set(b"a", false));
        assert_eq!(fs::read(&path).unwrap(), b"V\t2\n\nb\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_log_is_rotated_when_it_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let change = TreeChange::Renamed(NameHash::of("a"));
        for _ in 0..171 {
            log_changes(dir.path(), &[change], &Permissions::PRIVATE).unwrap();
        }
        assert!(!dir.path().join("dovecot.mailbox.log").exists());
        let old = fs::read(dir.path().join("dovecot.mailbox.log.2")).unwrap();
        assert_eq!((old.len(), mailbox_log::decode(&old).len()), (4104, 171));
    }

    #[test]
    fn uid_validities_grow_whatever_state_the_files_are_in() {
        let dir = tempfile::tempdir().unwrap();
        let next = || allocate_uid_validity(dir.path(), &Permissions::PRIVATE).unwrap().get();
        let first = next();
        assert_eq!(next(), first + 1);
        fs::write(dir.path().join("dovecot-uidvalidity"), "rubbish").unwrap();
        assert_eq!(next(), first + 2);
        fs::remove_file(dir.path().join("dovecot-uidvalidity")).unwrap();
        assert_eq!(next(), first + 3);
        fs::rename(
            dir.path().join(uidvalidity::numbered(first + 3)),
            dir.path().join(uidvalidity::numbered(first + 9)),
        )
        .unwrap();
        assert_eq!(next(), first + 10);
        assert_eq!(
            fs::read_to_string(dir.path().join("dovecot-uidvalidity")).unwrap(),
            uidvalidity::encode(first + 10)
        );
    }
}
