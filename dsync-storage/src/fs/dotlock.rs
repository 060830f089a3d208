//! Dotlocks: a file whose existence says that something is locked.
//!
//! The file holds `<pid>:<host>` of its owner. Who waits for it takes it over when the owner is a dead process of
//! this host, or when it is not known to be alive here and nothing has moved for a while. These are the rules of the
//! servers that share the store; both sides must follow the same.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::signal::kill;
use nix::sys::stat::fstatat;
use nix::unistd::Pid;

use super::permissions::Permissions;
use super::{FsError, mutation, read, saved_group, unique};

/// How long the locks of one kind are respected and waited for.
#[derive(Clone, Copy, Debug)]
pub struct DotlockRules {
    /// A lock of an unknown owner is stale if neither it nor the file it protects changed for this long.
    pub stale_after: Duration,
    /// How long to wait before giving up.
    pub wait: Duration,
    /// It may be made with the rights of the group that the process has put aside.
    pub with_saved_group: bool,
}

impl DotlockRules {
    /// `dovecot-uidlist.lock`.
    pub const UIDLIST: Self =
        Self { stale_after: Duration::from_secs(120), wait: Duration::from_secs(122), with_saved_group: false };
    /// `subscriptions.lock`.
    pub const SUBSCRIPTIONS: Self =
        Self { stale_after: Duration::from_secs(30), wait: Duration::from_secs(120), with_saved_group: false };

    /// Does what makes or removes a lock.
    fn carry_out<T>(self, path: &Path, work: impl Fn() -> Result<T, FsError>) -> Result<T, FsError> {
        if self.with_saved_group { saved_group::or_with_it(path, work) } else { work() }
    }
}

/// A lock that is held; released when dropped.
///
/// Its directory may be renamed meanwhile: servers rename a Maildir without a look at its locks. A lock that stayed there would be that
/// of a living process, and a server would wait for it.
#[derive(Debug)]
pub struct Dotlock {
    path: PathBuf,
    /// Where it is, whatever that is called by now.
    directory: fs::File,
    inode: u64,
    device: u64,
    rules: DotlockRules,
}

/// Device and inode of the lock files that this process holds. A lock with the number of this process that is not
/// among them was left by an earlier process with the same number, as in a container that was restarted.
static HELD: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());

fn held() -> std::sync::MutexGuard<'static, BTreeSet<(u64, u64)>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

const POLL: Duration = Duration::from_millis(20);

impl Dotlock {
    /// Takes the lock `path` that protects `protected`, waiting for others as the rules say.
    ///
    /// # Errors
    /// As the system; [`io::ErrorKind::TimedOut`] if the lock stayed held for too long.
    pub fn take(
        path: &Path,
        protected: &Path,
        rules: DotlockRules,
        permissions: &Permissions,
    ) -> Result<Self, FsError> {
        let give_up = Instant::now() + rules.wait;
        loop {
            if let Some(lock) = Self::try_take(path, protected, rules, permissions)? {
                return Ok(lock);
            }
            if Instant::now() >= give_up {
                let text = format!("somebody else has held this lock for {} seconds", rules.wait.as_secs());
                return Err(FsError::new("lock", path, io::Error::new(io::ErrorKind::TimedOut, text)));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Takes the lock unless somebody else has it: `None` then. A stale one is removed; the next try may succeed.
    ///
    /// # Errors
    /// As the system.
    pub fn try_take(
        path: &Path,
        protected: &Path,
        rules: DotlockRules,
        permissions: &Permissions,
    ) -> Result<Option<Self>, FsError> {
        let directory = open_directory(path)?;
        let file = match rules.carry_out(path, || take_free(path, permissions)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if is_stale(path, protected, rules) {
                    rules.carry_out(path, || mutation::remove_file(path))?;
                }
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        match file.metadata() {
            Ok(metadata) => {
                held().insert((metadata.dev(), metadata.ino()));
                let (inode, device) = (metadata.ino(), metadata.dev());
                let mut lock = Self { path: path.to_owned(), directory, inode, device, rules };
                if !lock.is_there() {
                    // The directory was renamed before the lock was made, in another one of its name.
                    lock.directory = open_directory(path)?;
                    return Ok(Some(lock).filter(Self::is_there));
                }
                Ok(Some(lock))
            }
            Err(error) => {
                let _ = rules.carry_out(path, || mutation::remove_file(path));
                Err(FsError::new("lock", path, error))
            }
        }
    }
}

impl Dotlock {
    /// Whether the lock is in its directory, wherever that is by now. If somebody took it over, it is theirs.
    fn is_there(&self) -> bool {
        let name = self.path.file_name().unwrap_or_default();
        fstatat(&self.directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)
            .is_ok_and(|found| (found.st_ino, found.st_dev) == (self.inode, self.device))
    }
}

impl Drop for Dotlock {
    fn drop(&mut self) {
        held().remove(&(self.device, self.inode));
        if self.is_there() {
            let _ = self.rules.carry_out(&self.path, || mutation::remove_file_in(&self.directory, &self.path));
        }
    }
}

/// The directory in which a lock is to be, for looking up names in it alone.
fn open_directory(lock: &Path) -> Result<fs::File, FsError> {
    let parent = lock.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = (OFlag::O_PATH | OFlag::O_DIRECTORY).bits();
    let opened = fs::File::options().read(true).custom_flags(flags).open(parent);
    opened.map_err(|error| FsError::new("open", parent, error))
}

/// Makes the lock file, if there is none. It never exists without the name of its owner, so that after a crash others
/// know at once that the owner is gone.
fn take_free(path: &Path, permissions: &Permissions) -> Result<fs::File, FsError> {
    if path.symlink_metadata().is_ok() {
        return Err(FsError::new("lock", path, io::ErrorKind::AlreadyExists.into()));
    }
    let owner = format!("{}:{}", std::process::id(), unique::host());
    mutation::create_with(path, owner.as_bytes(), permissions)
}

fn is_stale(path: &Path, protected: &Path, rules: DotlockRules) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else { return false };
    let age = |time: io::Result<SystemTime>| time.ok().and_then(|time| time.elapsed().ok()).unwrap_or_default();
    let lock_age = age(metadata.modified());
    let content = read::contents(path, 1024).ok().flatten().unwrap_or_default();
    match owner_here(&content) {
        Some(pid) if pid == Pid::this() => !held().contains(&(metadata.dev(), metadata.ino())),
        Some(pid) => kill(pid, None) == Err(Errno::ESRCH),
        None => {
            let protected_age = fs::metadata(protected).map_or(lock_age, |metadata| age(metadata.modified()));
            lock_age.min(protected_age) >= rules.stale_after
        }
    }
}

/// The process that owns the lock, if it says to be of this host.
fn owner_here(content: &[u8]) -> Option<Pid> {
    let (pid, host) = std::str::from_utf8(content).ok()?.trim_end().split_once(':')?;
    let pid: i32 = pid.parse().ok().filter(|pid| *pid > 0)?;
    (host == unique::host()).then(|| Pid::from_raw(pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: DotlockRules = DotlockRules {
        stale_after: Duration::from_secs(60),
        wait: Duration::from_millis(100),
        with_saved_group: false,
    };

    fn take(dir: &Path, rules: DotlockRules) -> Result<Dotlock, FsError> {
        Dotlock::take(&dir.join("x.lock"), &dir.join("x"), rules, &Permissions::PRIVATE)
    }

    fn age(path: &Path, seconds: u64) {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn a_lock_excludes_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let lock = take(dir.path(), QUICK).unwrap();
        let content = fs::read_to_string(dir.path().join("x.lock")).unwrap();
        assert_eq!(content, format!("{}:{}", std::process::id(), unique::host()));
        assert_eq!(take(dir.path(), QUICK).unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(lock);
        take(dir.path(), QUICK).unwrap();
    }

    #[test]
    fn a_lock_goes_from_a_directory_that_was_renamed() {
        let dir = tempfile::tempdir().unwrap();
        let [before, after] = ["before", "after"].map(|name| dir.path().join(name));
        fs::create_dir(&before).unwrap();
        let lock = take(&before, QUICK).unwrap();
        fs::rename(&before, &after).unwrap();
        fs::create_dir(&before).unwrap();
        let other = take(&before, QUICK).unwrap();
        drop(lock);
        assert_eq!([&before, &after].map(|dir| dir.join("x.lock").exists()), [true, false]);
        drop(other);
        assert_eq!(fs::read_dir(&before).unwrap().count(), 0);
    }

    #[test]
    fn the_lock_of_a_dead_process_is_taken_over_and_that_of_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        // Process numbers end far below this.
        fs::write(&path, format!("2147483646:{}", unique::host())).unwrap();
        age(&path, 5);
        take(dir.path(), QUICK).unwrap();
        fs::write(&path, format!("1:{}", unique::host())).unwrap();
        age(&path, 5000);
        assert!(take(dir.path(), QUICK).is_err());
    }

    #[test]
    fn the_own_number_proves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let lock = take(dir.path(), QUICK).unwrap();
        age(&dir.path().join("x.lock"), 5000);
        assert!(take(dir.path(), QUICK).is_err(), "held by another thread");
        drop(lock);
        let path = dir.path().join("x.lock");
        fs::write(&path, format!("{}:{}", std::process::id(), unique::host())).unwrap();
        age(&path, 5);
        take(dir.path(), QUICK).unwrap();
    }

    #[test]
    fn the_lock_of_another_host_is_stale_only_after_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        fs::write(&path, "77:elsewhere.example").unwrap();
        age(&path, 30);
        assert!(take(dir.path(), QUICK).is_err());
        age(&path, 90);
        take(dir.path(), QUICK).unwrap();
    }
}
