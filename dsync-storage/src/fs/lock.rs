//! Locks on whole files that exclude those of other programs: record locks (fcntl), and flock(2).
//!
//! Record locks are open file description locks: unlike plain record locks they are not lost when this process closes another
//! descriptor of the same file, and they exclude other threads too.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};
use nix::libc;

use super::FsError;

/// A lock on a file, held as long as the value lives.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    _flock: Option<Flock<File>>,
}

impl FileLock {
    /// Locks `file`, which must be open for writing, waiting for others as long as `timeout`. `path` is for messages.
    ///
    /// # Errors
    /// As the system; [`io::ErrorKind::TimedOut`] if others held it for too long.
    pub fn exclusive(file: File, path: &Path, timeout: Duration) -> Result<Self, FsError> {
        Ok(Self { file: lock_record(file, path, timeout, libc::F_WRLCK)?, _flock: None })
    }

    /// Takes a lock that excludes only those who want to change the file. It must be open for reading.
    ///
    /// # Errors
    /// As [`exclusive`](Self::exclusive).
    pub fn shared(file: File, path: &Path, timeout: Duration) -> Result<Self, FsError> {
        Ok(Self { file: lock_record(file, path, timeout, libc::F_RDLCK)?, _flock: None })
    }

    /// Locks a file that servers lock as their setting `lock_method` says: by record locks or by flock(2). Who holds both
    /// keeps out either kind, and need not know which it is. A server takes only one, so nobody waits in a circle.
    ///
    /// # Errors
    /// As [`exclusive`](Self::exclusive).
    pub fn exclusive_by_any_method(file: File, path: &Path, timeout: Duration) -> Result<Self, FsError> {
        let give_up = Instant::now() + timeout;
        let mut lock = Self::exclusive(file, path, timeout)?;
        let handle = lock.file.try_clone().map_err(|error| FsError::new("lock", path, error))?;
        lock._flock = match Flock::lock(handle, FlockArg::LockExclusiveNonblock) {
            Ok(flock) => Some(flock),
            Err((handle, Errno::EAGAIN | Errno::EINTR)) => {
                let left = give_up.saturating_duration_since(Instant::now());
                Some(wait_in_queue(path, left, move || flock_when_free(handle))?)
            }
            // On a file system that does not know it, no server uses it.
            Err(_) => None,
        };
        Ok(lock)
    }

    /// Whether the locked file is still the one with this name.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        is_same_file(&self.file, path)
    }

    /// The locked file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// A lock on a whole file by flock(2), of which other programs make use for files that grow.
#[derive(Debug)]
pub struct GrowthLock {
    file: Flock<File>,
}

impl GrowthLock {
    /// Locks `file`; `None` if somebody else holds the lock. It is never waited for.
    ///
    /// # Errors
    /// As the system.
    pub fn try_exclusive(file: File, path: &Path) -> Result<Option<Self>, FsError> {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Some(Self { file })),
            Err((_, Errno::EAGAIN | Errno::EINTR)) => Ok(None),
            Err((_, error)) => Err(FsError::new("lock", path, error.into())),
        }
    }

    /// Whether the locked file is still the one with this name.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        is_same_file(&self.file, path)
    }

    /// The locked file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// A lock on a directory by flock(2). It excludes only those who lock the directory, too.
#[derive(Debug)]
pub struct DirectoryLock {
    /// `None` on a file system that has no such locks.
    _lock: Option<Flock<File>>,
}

impl DirectoryLock {
    /// Locks `directory`, waiting for others as long as `timeout`. `path` is for messages.
    ///
    /// # Errors
    /// As the system; [`io::ErrorKind::TimedOut`] if others held it for too long.
    pub fn take(directory: File, path: &Path, timeout: Duration) -> Result<Self, FsError> {
        let lock = match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Some(lock),
            Err((directory, Errno::EAGAIN | Errno::EINTR)) => {
                Some(wait_in_queue(path, timeout, move || flock_when_free(directory))?)
            }
            // Network file systems may know locks only of files that are open for writing, or none.
            Err(_) => None,
        };
        Ok(Self { _lock: lock })
    }
}

fn is_same_file(held: &File, path: &Path) -> bool {
    let (Ok(held), Ok(named)) = (held.metadata(), std::fs::symlink_metadata(path)) else { return false };
    (held.dev(), held.ino()) == (named.dev(), named.ino())
}

fn lock_record(file: File, path: &Path, timeout: Duration, kind: libc::c_int) -> Result<File, FsError> {
    match try_lock(file.as_fd(), kind) {
        Ok(()) => Ok(file),
        Err(Errno::EAGAIN | Errno::EACCES | Errno::EINTR) => wait_in_queue(path, timeout, move || {
            loop {
                match lock_when_free(file.as_fd(), kind) {
                    Err(Errno::EINTR) => {}
                    result => return result.map(|()| file),
                }
            }
        }),
        Err(error) => Err(FsError::new("lock", path, error.into())),
    }
}

/// Who only looks again and again never gets a lock that others queue for, so this one queues too: in a thread of its own,
/// because the system knows no time-out. If that comes too late, it lets go again at once.
fn wait_in_queue<T: Send + 'static>(
    path: &Path,
    timeout: Duration,
    lock: impl FnOnce() -> Result<T, Errno> + Send + 'static,
) -> Result<T, FsError> {
    let timed_out = || {
        let text = format!("somebody else has held the lock for {} seconds", timeout.as_secs());
        FsError::new("lock", path, io::Error::new(io::ErrorKind::TimedOut, text))
    };
    if timeout.is_zero() {
        return Err(timed_out());
    }
    let (sender, receiver) = mpsc::sync_channel(0);
    let queue = move || {
        // If nobody waits any more, what is locked is closed, and with it goes the lock.
        let _ = sender.send(lock());
    };
    thread::Builder::new().spawn(queue).map_err(|error| FsError::new("lock", path, error))?;
    match receiver.recv_timeout(timeout) {
        Ok(locked) => locked.map_err(|error| FsError::new("lock", path, error.into())),
        Err(_) => Err(timed_out()),
    }
}

fn flock_when_free(mut file: File) -> Result<Flock<File>, Errno> {
    loop {
        match Flock::lock(file, FlockArg::LockExclusive) {
            Ok(flock) => return Ok(flock),
            Err((again, Errno::EINTR)) => file = again,
            Err((_, error)) => return Err(error),
        }
    }
}

fn try_lock(file: BorrowedFd<'_>, kind: libc::c_int) -> Result<(), Errno> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&whole_file(kind))).map(drop)
}

fn lock_when_free(file: BorrowedFd<'_>, kind: libc::c_int) -> Result<(), Errno> {
    fcntl(file, FcntlArg::F_OFD_SETLKW(&whole_file(kind))).map(drop)
}

fn whole_file(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: libc::c_short::try_from(kind).unwrap_or_default(),
        l_whence: libc::c_short::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_by_any_method_excludes_both() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path();
        let open = || File::options().read(true).write(true).open(path).unwrap();
        let take =
            |milliseconds| FileLock::exclusive_by_any_method(open(), path, Duration::from_millis(milliseconds));
        let record = FileLock::exclusive(open(), path, Duration::ZERO).unwrap();
        assert_eq!(take(5).unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(record);
        let flock = GrowthLock::try_exclusive(open(), path).unwrap();
        assert_eq!(take(20).unwrap_err().kind(), io::ErrorKind::TimedOut);
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| take(10_000).unwrap());
            std::thread::sleep(Duration::from_millis(20));
            drop(flock);
            waiting.join().unwrap()
        });
        assert!(GrowthLock::try_exclusive(open(), path).unwrap().is_none());
        assert!(FileLock::exclusive(open(), path, Duration::ZERO).is_err());
        drop(waiting);
        take(10_000).unwrap();
    }

    #[test]
    fn a_lock_excludes_other_handles_of_the_same_process() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || File::options().read(true).write(true).open(file.path()).unwrap();
        let lock = FileLock::exclusive(open(), file.path(), Duration::ZERO).unwrap();
        drop(open());
        let error = FileLock::exclusive(open(), file.path(), Duration::from_millis(5)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(lock);
        // Whoever gave up may still be in the queue, and lets go at once.
        FileLock::exclusive(open(), file.path(), Duration::from_secs(10)).unwrap();
    }
}
