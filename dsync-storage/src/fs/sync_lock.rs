//! The lock that keeps two synchronisations of one user apart.
//!
//! It is a file in the home directory, made as servers make it: under a name of its own, locked, and only then linked to
//! the name that others look for. Who finds that name waits for the lock on the file, and looks again whether it still has the name.
//! The name goes before the lock does. If its owner died, the lock is free and whoever gets it next owns the file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::lock::FileLock;
use super::permissions::Permissions;
use super::{FsError, mutation, read, unique};

/// The name of the file.
const NAME: &str = ".dovecot-sync.lock";

/// The lock, held as long as the value lives.
#[derive(Debug)]
pub struct SyncLock {
    path: PathBuf,
    _lock: FileLock,
}

impl SyncLock {
    /// Takes the lock of the user whose home directory this is, and waits for others as long as `timeout`.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] if others held it for too long; others as the system.
    pub fn take(home: &Path, timeout: Duration) -> Result<Self, FsError> {
        let path = home.join(NAME);
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if let Some(lock) = create(&path)? {
                return Ok(Self { path, _lock: lock });
            }
            let left = deadline.map_or(timeout, |deadline| deadline.saturating_duration_since(Instant::now()));
            let Some(file) = open(&path)? else { continue };
            let lock = FileLock::exclusive(file, &path, left)?;
            if lock.is_at(&path) {
                return Ok(Self { path, _lock: lock });
            }
        }
    }
}

impl Drop for SyncLock {
    fn drop(&mut self) {
        // What remains of it is in nobody's way: it is not locked.
        let _ = mutation::remove_file(&self.path);
    }
}

/// The lock under a new file; `None` if there is one already.
fn create(path: &Path) -> Result<Option<FileLock>, FsError> {
    let random: String = unique::random_guid().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let own = path.with_file_name(format!("{NAME}{random}"));
    let file = mutation::create(&own, &Permissions::PRIVATE)?;
    let lock = FileLock::exclusive(file, &own, Duration::ZERO);
    let linked = lock.and_then(|lock| mutation::link(&own, path).map(|()| lock));
    mutation::remove_file(&own)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        linked => linked.map(Some),
    }
}

fn open(path: &Path) -> Result<Option<File>, FsError> {
    match read::open_to_change(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(home: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(home).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn only_one_has_it_and_nothing_remains() {
        let home = tempfile::tempdir().unwrap();
        let lock = SyncLock::take(home.path(), Duration::ZERO).unwrap();
        assert_eq!(files(home.path()), [NAME]);
        let error = SyncLock::take(home.path(), Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let waiting = std::thread::scope(|scope| {
            let second = scope.spawn(|| SyncLock::take(home.path(), Duration::from_secs(20)));
            std::thread::sleep(Duration::from_millis(50));
            drop(lock);
            second.join().unwrap().unwrap()
        });
        assert_eq!(files(home.path()), [NAME]);
        drop(waiting);
        assert!(files(home.path()).is_empty());
    }

    #[test]
    fn what_a_dead_process_left_is_taken_over() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(NAME), b"").unwrap();
        let lock = SyncLock::take(home.path(), Duration::ZERO).unwrap();
        assert!(SyncLock::take(home.path(), Duration::ZERO).is_err());
        drop(lock);
        assert!(files(home.path()).is_empty());
        assert!(SyncLock::take(&home.path().join("nowhere"), Duration::ZERO).is_err());
    }
}
