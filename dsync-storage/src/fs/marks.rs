//! By what one can see from outside that somebody changed something: identity, size and times of files and directories.
//!
//! Two looks between which something was changed must differ, however soon one follows the other. Times alone do not tell
//! that: file systems take them from a clock that ticks every few milliseconds. So a [`Glance`] is believed only if all that it
//! stands for was last changed well before it, because the next change gets a later time then. Since Linux 6.13 that need not be
//! waited for: it gives a file that was looked at a time of its own with the next change
//! (`Documentation/filesystems/multigrain-ts.rst`).

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dsync_core::model::Glance;
use sha1::{Digest, Sha1};

/// How long ago the last change must have been, so that the next one cannot have the same time: a hundred ticks of the slowest clock.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// What some files and directories look like. Two are the same if that is.
#[derive(Clone, Debug)]
pub struct Marks {
    marks: Vec<Option<Mark>>,
    /// All of it was last changed so long before it was looked at that the next change must show.
    settled: bool,
}

impl PartialEq for Marks {
    fn eq(&self, other: &Self) -> bool {
        self.marks == other.marks
    }
}

impl Eq for Marks {}

/// What one looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Mark {
    fn of(path: &Path) -> Option<Self> {
        let metadata: Metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Whether the last change was before a time since 1970.
    fn is_before(&self, time: Duration) -> bool {
        let (seconds, nanoseconds) = self.changed;
        let (Ok(seconds), Ok(nanoseconds)) = (u64::try_from(seconds), u32::try_from(nanoseconds)) else {
            return true;
        };
        (seconds, nanoseconds) < (time.as_secs(), time.subsec_nanos())
    }
}

impl Marks {
    /// What is at these paths now. Links are followed.
    #[must_use]
    pub fn of(paths: &[impl AsRef<Path>]) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let latest = now.saturating_sub(SETTLED_AFTER);
        let marks: Vec<_> = paths.iter().map(|path| Mark::of(path.as_ref())).collect();
        let settled = marks.iter().flatten().all(|mark| mark.is_before(latest));
        Self { marks, settled }
    }

    /// These marks, with those at the places that `is_own` names taken from `now`: nobody but us can have changed what is
    /// there.
    #[must_use]
    pub fn renewed(self, now: &Self, is_own: impl Fn(usize) -> bool) -> Self {
        let pairs = self.marks.into_iter().zip(&now.marks).enumerate();
        let marks = pairs.map(|(place, (before, now))| if is_own(place) { *now } else { before }).collect();
        Self { marks, settled: self.settled && now.settled }
    }

    /// Whether all is on one of these devices.
    #[must_use]
    pub fn are_on(&self, devices: &[u64]) -> bool {
        self.marks.iter().flatten().all(|mark| devices.contains(&mark.device))
    }

    /// One value for all of them. `None` if the first, which has to be there, is not, or if a change might not show.
    #[must_use]
    pub fn glance(&self) -> Option<Glance> {
        self.marks.first().copied().flatten()?;
        if !(self.settled || gives_each_change_its_time()) {
            return None;
        }
        // ext2, ext3 and old file systems of ext4 look like any ext4, but know whole seconds only. A time that just
        // happens to be one costs a look into the mailbox.
        if self.marks.iter().flatten().any(|mark| mark.changed.1 == 0) {
            return None;
        }
        let mut hash = Sha1::new();
        for mark in &self.marks {
            hash.update([u8::from(mark.is_some())]);
            let Some(mark) = mark else { continue };
            for number in [mark.device, mark.inode, mark.size] {
                hash.update(number.to_le_bytes());
            }
            for (seconds, nanoseconds) in [mark.modified, mark.changed] {
                hash.update(seconds.to_le_bytes());
                hash.update(nanoseconds.to_le_bytes());
            }
        }
        let outside = hash.finalize().first_chunk().copied()?;
        Some(Glance { outside, inside: None })
    }
}

/// Whether the file system of `root` is one whose times are those of the clock of this host, and finer than its ticks.
#[must_use]
pub fn has_exact_times(root: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::statfs;
        const KINDS: [statfs::FsType; 4] =
            [statfs::EXT4_SUPER_MAGIC, statfs::XFS_SUPER_MAGIC, statfs::BTRFS_SUPER_MAGIC, statfs::TMPFS_MAGIC];
        statfs::statfs(root).is_ok_and(|found| KINDS.contains(&found.filesystem_type()))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = root;
        false
    }
}

/// Whether a change that follows a look at a file has a time of its own on such a file system, however soon it comes.
#[must_use]
pub fn gives_each_change_its_time() -> bool {
    #[cfg(target_os = "linux")]
    {
        let release = nix::sys::utsname::uname().ok();
        release.and_then(|system| is_new_enough(system.release().to_str()?)).unwrap_or(false)
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Whether a release of Linux (`6.18.44-fc`) is 6.13 or later.
#[cfg(target_os = "linux")]
fn is_new_enough(release: &str) -> Option<bool> {
    let mut numbers =
        release.split(|character: char| !character.is_ascii_digit()).map(|part| part.parse::<u32>().ok());
    Some((numbers.next()??, numbers.next()??) >= (6, 13))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_shows() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("cur")).unwrap();
        fs::write(path("log"), "1").unwrap();
        let look = || Marks::of(&[path("cur"), path("log"), path("none")]);
        let before = look();
        assert_eq!(before, look());
        if !(has_exact_times(directory.path()) && gives_each_change_its_time()) {
            return;
        }
        let changes: [&dyn Fn(); 5] = [
            &|| fs::write(path("cur/a"), "").unwrap(),
            &|| fs::rename(path("cur/a"), path("cur/b")).unwrap(),
            &|| fs::write(path("log"), "2").unwrap(),
            &|| fs::write(path("none"), "").unwrap(),
            &|| fs::rename(path("none"), path("log")).unwrap(),
        ];
        let mut last = before;
        for change in changes {
            change();
            let now = look();
            assert_ne!(now.glance(), last.glance());
            last = now;
        }
    }

    fn marks(marks: Vec<Option<Mark>>) -> Marks {
        Marks { marks, settled: true }
    }

    #[test]
    fn what_was_just_changed_is_believed_only_where_each_change_shows() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, "1").unwrap();
        let look = || Marks::of(&[&path]);
        assert!(!look().settled);
        assert_eq!(look().glance().is_some(), gives_each_change_its_time());
        std::thread::sleep(SETTLED_AFTER + Duration::from_millis(50));
        assert!(look().settled && look().glance().is_some());
    }

    #[test]
    fn whole_seconds_are_not_believed() {
        let mark =
            |nanoseconds| Some(Mark { device: 1, inode: 2, size: 3, modified: (4, 0), changed: (4, nanoseconds) });
        assert!(marks(vec![mark(1), mark(2), None]).glance().is_some());
        assert_eq!(marks(vec![mark(1), mark(0), None]).glance(), None);
    }

    #[test]
    fn devices_are_those_of_what_is_there() {
        let mark = |device| Some(Mark { device, inode: 2, size: 3, modified: (4, 0), changed: (4, 1) });
        let marks = marks(vec![mark(1), None, mark(7)]);
        assert!(marks.are_on(&[7, 1, 3]));
        assert!(!marks.are_on(&[1]));
    }

    #[test]
    fn what_is_not_there_looks_like_nothing() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Marks::of(&[directory.path().join("x")]).glance(), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn releases_are_compared_as_numbers() {
        let is_new = |release| is_new_enough(release).unwrap_or(false);
        assert!(is_new("6.18.44-fc-v657") && is_new("6.13.0") && is_new("7.0"));
        assert!(!is_new("6.8.0-31-generic") && !is_new("5.15.0") && !is_new("") && !is_new("x.y"));
    }
}
