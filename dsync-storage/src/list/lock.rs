//! `mailboxes.lock`: held while a mailbox is created, deleted or renamed.
//!
//! A file that is created under another name, locked, and then linked to its name, so that it is never visible
//! without being locked. Who finds it locks it too and then makes sure that it still has its name. It is removed before
//! it is unlocked. Source: observation of Dovecot 2.3.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::fs::lock::FileLock;
use crate::fs::permissions::Permissions;
use crate::fs::{FsError, mutation, read, unique};

/// The lock, held; released when dropped.
#[derive(Debug)]
pub struct ListLock {
    path: PathBuf,
    lock: FileLock,
}

/// How long to wait for others.
const WAIT: Duration = Duration::from_secs(60);

impl ListLock {
    /// Takes the lock in the root of the indexes.
    ///
    /// # Errors
    /// As the system; [`io::ErrorKind::TimedOut`] if others held it for a minute.
    pub fn take(index_root: &Path, permissions: &Permissions) -> Result<Self, FsError> {
        let path = index_root.join("mailboxes.lock");
        let give_up = Instant::now() + WAIT;
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            match read::open_to_change(&path) {
                Ok(file) => {
                    let lock = FileLock::exclusive_by_any_method(file, &path, left)?;
                    if lock.is_at(&path) {
                        return Ok(Self { path, lock });
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if let Some(lock) = create(&path, permissions)? {
                        return Ok(Self { path, lock });
                    }
                }
                Err(error) => return Err(error),
            }
            if left.is_zero() {
                let text = "others kept the list of mailboxes locked for a minute";
                return Err(FsError::new("lock", &path, io::Error::new(io::ErrorKind::TimedOut, text)));
            }
        }
    }

    /// Waits until nobody holds the lock who held it when this began. Leaves nothing behind, and nothing new.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn wait_for_others(index_root: &Path) -> Result<(), FsError> {
        let path = index_root.join("mailboxes.lock");
        // Without the file nobody is at work, or somebody of whom nothing can be known.
        if let Ok(file) = read::open_to_change(&path) {
            // If it has its name still, it goes as if it had been taken.
            drop(Self { lock: FileLock::exclusive_by_any_method(file, &path, WAIT)?, path });
        }
        Ok(())
    }
}

impl Drop for ListLock {
    fn drop(&mut self) {
        if self.lock.is_at(&self.path) {
            let _ = mutation::remove_file(&self.path);
        }
    }
}

/// `None` if somebody else was faster.
fn create(path: &Path, permissions: &Permissions) -> Result<Option<FileLock>, FsError> {
    let temporary = path.with_file_name(format!("mailboxes.lock{}", unique::file_name()));
    let file = mutation::create(&temporary, permissions)?;
    let result = FileLock::exclusive_by_any_method(file, &temporary, Duration::ZERO)
        .and_then(|lock| mutation::link(&temporary, path).map(|()| lock));
    mutation::remove_file(&temporary)?;
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        result => result.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_others_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        ListLock::wait_for_others(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let lock = ListLock::take(dir.path(), &Permissions::PRIVATE).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| ListLock::wait_for_others(dir.path()));
            std::thread::sleep(Duration::from_millis(30));
            assert!(!waiting.is_finished());
            drop(lock);
            waiting.join().unwrap().unwrap();
        });
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_lock_file_is_gone_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let lock = ListLock::take(dir.path(), &Permissions::PRIVATE).unwrap();
        assert!(dir.path().join("mailboxes.lock").exists());
        drop(lock);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn threads_take_turns() {
        let dir = tempfile::tempdir().unwrap();
        let counter = dir.path().join("counter");
        std::fs::write(&counter, "0").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let _lock = ListLock::take(dir.path(), &Permissions::PRIVATE).unwrap();
                        let count: u32 = std::fs::read_to_string(&counter).unwrap().parse().unwrap();
                        std::fs::write(&counter, (count + 1).to_string()).unwrap();
                    }
                });
            }
        });
        assert_eq!(std::fs::read_to_string(&counter).unwrap(), "40");
    }
}
