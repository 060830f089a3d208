//! Keeping others away from an mbox.
//!
//! Whoever changes one holds all the locks of [`MboxLocks`]. Programs take them in different orders, so none is waited for while
//! another one is held: if one cannot be had, all are let go, and after a while it is tried again. Only the record lock has a
//! queue, so that one is waited for.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::fs::dotlock::{Dotlock, DotlockRules};
use crate::fs::lock::{FileLock, GrowthLock};
use crate::fs::permissions::Permissions;
use crate::fs::{FsError, read};
use crate::list::layout::DOTLOCK_SUFFIX;
use crate::settings::{DotlockUse, MboxLocks};

/// The first pause before the next try, and the longest. They differ from process to process.
const PAUSES: (u64, u64) = (10, 200);

/// An mbox that nobody else can change; released when dropped.
#[derive(Debug)]
pub(super) struct MboxLock {
    file: File,
    _record_lock: Option<FileLock>,
    _flock: Option<GrowthLock>,
    _dotlock: Option<Dotlock>,
}

impl MboxLock {
    /// Opens an mbox that exists, and locks it.
    ///
    /// # Errors
    /// As the system; [`io::ErrorKind::TimedOut`] if others kept it for too long.
    pub(super) fn take(path: &Path, locks: MboxLocks, permissions: &Permissions) -> Result<Self, FsError> {
        let give_up = Instant::now() + locks.wait;
        let mut pause = PAUSES.0;
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            if let Some(lock) = Self::take_at_once(path, locks, permissions, left)? {
                return Ok(lock);
            }
            if left.is_zero() {
                let text = format!("somebody else has kept it locked for {} seconds", locks.wait.as_secs());
                return Err(FsError::new("lock", path, io::Error::new(io::ErrorKind::TimedOut, text)));
            }
            std::thread::sleep(Duration::from_millis(pause.saturating_add(u64::from(std::process::id() % 16))));
            pause = pause.saturating_mul(2).min(PAUSES.1);
        }
    }

    /// Waits for the record lock, while nothing else is held, and takes the others if they are free.
    fn take_at_once(
        path: &Path,
        locks: MboxLocks,
        permissions: &Permissions,
        wait: Duration,
    ) -> Result<Option<Self>, FsError> {
        let failed = |error| FsError::new("open", path, error);
        // Whether a link in its place may be followed was looked at when the mailbox was found.
        let file = read::open_linked_to_change(path)?;
        // Locks are those of what was opened, whatever handle they were taken with.
        let record_lock = match locks.fcntl {
            true => Some(FileLock::exclusive(file.try_clone().map_err(failed)?, path, wait)?),
            false => None,
        };
        let flock = match locks.flock {
            true => match GrowthLock::try_exclusive(file.try_clone().map_err(failed)?, path)? {
                None => return Ok(None),
                taken => taken,
            },
            false => None,
        };
        let dotlock = match take_dotlock(path, locks, permissions)? {
            Taken::Busy => return Ok(None),
            Taken::Lock(lock) => Some(lock),
            Taken::Unneeded => None,
        };
        // It may have been replaced before it was locked.
        Ok(is_at(&file, path).then_some(Self { file, _record_lock: record_lock, _flock: flock, _dotlock: dotlock }))
    }

    /// The file, open for reading and writing.
    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

enum Taken {
    Lock(Dotlock),
    Busy,
    Unneeded,
}

fn take_dotlock(path: &Path, locks: MboxLocks, permissions: &Permissions) -> Result<Taken, FsError> {
    let wanted = locks.dotlock;
    if wanted == DotlockUse::Never {
        return Ok(Taken::Unneeded);
    }
    let (stale_after, wait, with_saved_group) = (locks.stale_after, locks.wait, locks.with_saved_group);
    let rules = DotlockRules { stale_after, wait, with_saved_group };
    match Dotlock::try_take(&dotlock_path(path), path, rules, permissions) {
        Ok(Some(lock)) => Ok(Taken::Lock(lock)),
        Ok(None) => Ok(Taken::Busy),
        Err(error)
            if wanted == DotlockUse::IfPossible
                && matches!(
                    error.kind(),
                    io::ErrorKind::PermissionDenied
                        | io::ErrorKind::ReadOnlyFilesystem
                        | io::ErrorKind::StorageFull
                        | io::ErrorKind::QuotaExceeded
                ) =>
        {
            Ok(Taken::Unneeded)
        }
        Err(error) => Err(error),
    }
}

fn dotlock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(DOTLOCK_SUFFIX);
    PathBuf::from(name)
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), fs::metadata(path)) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

/// An mbox that nobody changes while it is read, as far as the others take record locks; released when dropped.
#[derive(Debug)]
pub(super) struct ReadLock {
    _lock: Option<FileLock>,
    file: File,
}

impl ReadLock {
    /// Opens an mbox, and keeps others from changing it. Nothing on disk changes.
    ///
    /// # Errors
    /// As the system; [`io::ErrorKind::TimedOut`] if somebody was changing it for too long.
    pub(super) fn take(path: &Path, locks: MboxLocks) -> Result<Self, FsError> {
        let give_up = Instant::now() + locks.wait;
        loop {
            let (file, _) = read::open_linked(path)?;
            let lock = match locks.fcntl {
                true => {
                    let handle = file.try_clone().map_err(|error| FsError::new("open", path, error))?;
                    Some(FileLock::shared(handle, path, locks.wait)?)
                }
                false => None,
            };
            if is_at(&file, path) {
                return Ok(Self { _lock: lock, file });
            }
            drop(lock);
            if Instant::now() >= give_up {
                let text = format!("it was replaced again and again for {} seconds", locks.wait.as_secs());
                return Err(FsError::new("lock", path, io::Error::new(io::ErrorKind::TimedOut, text)));
            }
            std::thread::sleep(Duration::from_millis(PAUSES.0));
        }
    }

    /// The file, open for reading.
    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> MboxLocks {
        MboxLocks { flock: true, ..MboxLocks::default() }
    }

    fn is_free(path: &Path, locks: MboxLocks) -> bool {
        let taken = MboxLock::take_at_once(path, locks, &Permissions::PRIVATE, Duration::ZERO);
        match taken {
            Ok(taken) => taken.is_some(),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
                false
            }
        }
    }

    #[test]
    fn every_lock_is_held_and_released() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inbox");
        fs::write(&path, "").unwrap();
        let lock = MboxLock::take(&path, all(), &Permissions::PRIVATE).unwrap();
        assert!(dir.path().join("inbox.lock").exists());
        for alone in ["dotlock", "fcntl", "flock"] {
            let locks = alone.parse().unwrap();
            assert!(!is_free(&path, locks), "{alone}");
        }
        drop(lock);
        assert!(!dir.path().join("inbox.lock").exists());
        MboxLock::take(&path, all(), &Permissions::PRIVATE).unwrap();
    }

    #[test]
    fn a_failed_try_leaves_nothing_locked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inbox");
        fs::write(&path, "").unwrap();
        fs::write(dir.path().join("inbox.lock"), format!("1:{}", crate::fs::unique::host())).unwrap();
        assert!(!is_free(&path, all()));
        MboxLock::take(&path, "fcntl flock".parse().unwrap(), &Permissions::PRIVATE).unwrap();
    }

    #[test]
    fn who_reads_keeps_away_who_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inbox");
        fs::write(&path, "").unwrap();
        let read = ReadLock::take(&path, all()).unwrap();
        assert!(!is_free(&path, all()));
        assert!(ReadLock::take(&path, all()).is_ok());
        drop(read);
        assert!(is_free(&path, all()));
    }
}
