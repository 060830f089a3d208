//! Each single change of the file system, as a function of its own.
//!
//! Nothing outside this module creates, changes or removes anything, so that whatever is true of these functions
//! (what they report, what they sync, where a test may stop the world) is true of all stores.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

#[cfg(feature = "fault-injection")]
use super::fault::{self, Step};
use super::permissions::Permissions;
use super::{FsError, read};

/// Takes a step that makes a file, unless a test wants something else.
macro_rules! making {
    ($step:expr, $carry_out:expr) => {{
        #[cfg(feature = "fault-injection")]
        let result = fault::making($step, || $carry_out);
        #[cfg(not(feature = "fault-injection"))]
        let result: io::Result<File> = $carry_out;
        result
    }};
}

/// The same with any other step.
macro_rules! changing {
    ($step:expr, $carry_out:expr) => {{
        #[cfg(feature = "fault-injection")]
        let result = fault::changing($step, || $carry_out);
        #[cfg(not(feature = "fault-injection"))]
        let result: io::Result<()> = $carry_out;
        result
    }};
}

/// Makes a new, empty file and opens it for writing. Fails if the name is taken, also by a dangling link.
///
/// # Errors
/// As the system; [`io::ErrorKind::AlreadyExists`] if the name is taken.
pub fn create(path: &Path, permissions: &Permissions) -> Result<File, FsError> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create_new(true)
        .mode(permissions.first_mode(permissions.file_mode))
        .custom_flags(OFlag::O_NOFOLLOW.bits());
    let file =
        making!(Step::Create(path), options.open(path)).map_err(|error| FsError::new("create", path, error))?;
    share(&file, permissions.file_mode, permissions.group);
    Ok(file)
}

/// Makes a new file that has its contents as soon as it has its name: nobody ever sees it empty, not even after a crash.
/// (Where the file system has no nameless files, it is written right after it was made.)
///
/// # Errors
/// As the system; [`io::ErrorKind::AlreadyExists`] if the name is taken.
pub fn create_with(path: &Path, bytes: &[u8], permissions: &Permissions) -> Result<File, FsError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut options = OpenOptions::new();
    let mode = permissions.first_mode(permissions.file_mode);
    options.read(true).write(true).mode(mode).custom_flags(OFlag::O_TMPFILE.bits());
    if let Ok(file) = making!(Step::CreateNameless, options.open(directory)) {
        share(&file, permissions.file_mode, permissions.group);
        write(&file, path, bytes)?;
        let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
        let named = changing!(
            Step::Name(&file, path),
            linkat(AT_FDCWD, nameless.as_str(), AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW).map_err(io::Error::from)
        );
        match named {
            Ok(()) => return Ok(file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(FsError::new("create", path, error));
            }
            // Without /proc there is no way to give it a name.
            Err(_) => {}
        }
    }
    let file = create(path, permissions)?;
    if let Err(error) = write(&file, path, bytes) {
        remove_file(path)?;
        return Err(error);
    }
    Ok(file)
}

/// Opens a file for writing at its end; it is made if it is missing.
///
/// # Errors
/// As the system.
pub fn open_append(path: &Path, permissions: &Permissions) -> Result<File, FsError> {
    match read::open_to_append(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create_new(true).mode(permissions.first_mode(permissions.file_mode));
    match making!(Step::Create(path), options.open(path)) {
        Ok(file) => {
            share(&file, permissions.file_mode, permissions.group);
            Ok(file)
        }
        // Somebody was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read::open_to_append(path),
        Err(error) => Err(FsError::new("open", path, error)),
    }
}

/// Writes all of `bytes`.
///
/// # Errors
/// As the system; some of the bytes may have been written then.
pub fn write(file: &File, path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    changing!(Step::Write(file, bytes), Pieces(file).write_all(bytes))
        .map_err(|error| FsError::new("write", path, error))
}

/// Overwrites or appends bytes at a place.
///
/// # Errors
/// As the system; some of the bytes may have been written then.
pub fn write_at(file: &File, path: &Path, bytes: &[u8], offset: u64) -> Result<(), FsError> {
    changing!(Step::WriteAt(file, bytes, offset), Pieces(file).write_all_at(bytes, offset))
        .map_err(|error| FsError::new("write", path, error))
}

/// A file as the system writes to it: perhaps not all at once, and interrupted by signals.
struct Pieces<'a>(&'a File);

impl Pieces<'_> {
    /// How much of so many bytes is written at once.
    #[cfg(not(feature = "fault-injection"))]
    #[allow(clippy::unnecessary_wraps)]
    fn at_once(bytes: &[u8]) -> io::Result<&[u8]> {
        Ok(bytes)
    }

    #[cfg(feature = "fault-injection")]
    fn at_once(bytes: &[u8]) -> io::Result<&[u8]> {
        fault::at_once(bytes)
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        { self.0 }.write(Self::at_once(bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        { self.0 }.flush()
    }
}

impl FileExt for Pieces<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(Self::at_once(bytes)?, offset)
    }
}

/// Cuts a file to `length` bytes.
///
/// # Errors
/// As the system.
pub fn truncate(file: &File, path: &Path, length: u64) -> Result<(), FsError> {
    changing!(Step::Truncate(file, length), file.set_len(length))
        .map_err(|error| FsError::new("truncate", path, error))
}

/// Sets the modification time, in whole seconds since 1970; times before that become 1970.
///
/// # Errors
/// As the system.
pub fn set_modified(file: &File, path: &Path, seconds: i64) -> Result<(), FsError> {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let time: SystemTime = UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH);
    changing!(Step::SetModified, file.set_modified(time))
        .map_err(|error| FsError::new("set the time of", path, error))
}

/// Makes the contents of a file durable.
///
/// # Errors
/// As the system. The contents are to be taken for lost then, a second call proves nothing.
pub fn sync_file(file: &File, path: &Path) -> Result<(), FsError> {
    changing!(Step::SyncFile(file), file.sync_data()).map_err(|error| FsError::new("sync", path, error))
}

/// Makes the names in a directory durable.
///
/// # Errors
/// As the system.
pub fn sync_directory(path: &Path) -> Result<(), FsError> {
    let synced = changing!(Step::SyncDirectory(path), File::open(path).and_then(|directory| directory.sync_all()));
    synced.map_err(|error| FsError::new("sync", path, error))
}

/// Makes everything on the file system that holds `path` durable: cheaper than syncing many files one by one.
///
/// # Errors
/// As the system.
pub fn sync_file_system(path: &Path) -> Result<(), FsError> {
    let synced = changing!(
        Step::SyncFileSystem,
        File::open(path).and_then(|file| nix::unistd::syncfs(&file).map_err(io::Error::from))
    );
    synced.map_err(|error| FsError::new("sync the file system of", path, error))
}

/// Renames a file or directory, replacing a file or an empty directory at `to`.
///
/// # Errors
/// As the system.
pub fn rename(from: &Path, to: &Path) -> Result<(), FsError> {
    changing!(Step::Rename(from, to), fs::rename(from, to)).map_err(|error| FsError::new("rename", from, error))
}

/// Renames a file to a name that must be free. In one step where the system can do that; else it has both names for a moment.
///
/// # Errors
/// As the system; [`io::ErrorKind::AlreadyExists`] if the name is taken.
pub fn rename_to_free_name(from: &Path, to: &Path) -> Result<(), FsError> {
    let renamed = changing!(Step::Rename(from, to), rename_exclusively(from, to).map_err(io::Error::from));
    match renamed {
        Err(error) if [Some(Errno::EINVAL as i32), Some(Errno::ENOSYS as i32)].contains(&error.raw_os_error()) => {
            link(from, to)?;
            remove_file(from)
        }
        result => result.map_err(|error| FsError::new("rename", from, error)),
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn rename_exclusively(from: &Path, to: &Path) -> nix::Result<()> {
    nix::fcntl::renameat2(AT_FDCWD, from, AT_FDCWD, to, nix::fcntl::RenameFlags::RENAME_NOREPLACE)
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn rename_exclusively(_from: &Path, _to: &Path) -> nix::Result<()> {
    Err(Errno::ENOSYS)
}

/// Gives a file a second name, which must be free.
///
/// # Errors
/// As the system; [`io::ErrorKind::AlreadyExists`] if the name is taken.
pub fn link(from: &Path, to: &Path) -> Result<(), FsError> {
    changing!(Step::Link(from, to), fs::hard_link(from, to)).map_err(|error| FsError::new("link", from, error))
}

/// Removes a file. One that is missing already is fine.
///
/// # Errors
/// As the system.
pub fn remove_file(path: &Path) -> Result<(), FsError> {
    match changing!(Step::Remove(path), fs::remove_file(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FsError::new("remove", path, error)),
        _ => Ok(()),
    }
}

/// Removes the file that was made at `path`, from `directory`, which was its place then and may have another name by now. One
/// that is missing already is fine.
///
/// # Errors
/// As the system.
pub fn remove_file_in(directory: &File, path: &Path) -> Result<(), FsError> {
    let Some(name) = path.file_name() else { return Ok(()) };
    let remove = || unlinkat(directory, name, UnlinkatFlags::NoRemoveDir).map_err(io::Error::from);
    match changing!(Step::Remove(path), remove()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FsError::new("remove", path, error)),
        _ => Ok(()),
    }
}

/// Removes an empty directory.
///
/// # Errors
/// As the system.
pub fn remove_directory(path: &Path) -> Result<(), FsError> {
    changing!(Step::Remove(path), fs::remove_dir(path)).map_err(|error| FsError::new("remove", path, error))
}

/// Removes a directory with everything in it. One that is missing already is fine. Links are removed, not followed.
///
/// # Errors
/// As the system; part of it may be gone then.
pub fn remove_tree(path: &Path) -> Result<(), FsError> {
    match changing!(Step::RemoveTree(path), fs::remove_dir_all(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FsError::new("remove", path, error)),
        _ => Ok(()),
    }
}

/// Makes a directory; its parent must exist.
///
/// # Errors
/// As the system; [`io::ErrorKind::AlreadyExists`] if the name is taken.
pub fn create_directory(path: &Path, permissions: &Permissions) -> Result<(), FsError> {
    let mut builder = DirBuilder::new();
    builder.mode(permissions.first_mode(permissions.directory_mode));
    let made = changing!(Step::CreateDirectory(path), builder.create(path));
    made.map_err(|error| FsError::new("create the directory", path, error))?;
    if let Ok(directory) = File::open(path) {
        share(&directory, permissions.directory_mode, permissions.group);
    }
    Ok(())
}

/// Makes a directory and the parents that it lacks. One that exists already is fine.
///
/// # Errors
/// As the system.
pub fn create_directories(path: &Path, permissions: &Permissions) -> Result<(), FsError> {
    // The parent of a relative path of one part is the empty path: the current directory.
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_directories(parent, permissions)?;
    }
    match create_directory(path, permissions) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result,
    }
}

/// Gives others the rights that they are to have, whatever the umask of the process is. A group that cannot be given is no
/// reason to lose mail: the file is then for its owner alone.
fn share(file: &File, mode: u32, group: Option<u32>) {
    if group.is_some() && fchown(file, None, group).is_err() {
        return;
    }
    let Ok(metadata) = file.metadata() else { return };
    // A directory has set-group-ID from the one that it was made in.
    let wanted = metadata.permissions().mode() & 0o7000 | mode;
    if metadata.permissions().mode() & 0o7777 != wanted {
        let _ = file.set_permissions(PermissionsExt::from_mode(wanted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_get_the_rights_that_they_are_to_have() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mode = |name: &str| path(name).metadata().unwrap().permissions().mode() & 0o7777;
        // More than the usual umask leaves.
        let shared = Permissions { file_mode: 0o662, directory_mode: 0o773, group: None };
        create(&path("created"), &shared).unwrap();
        create_with(&path("written"), b"x", &shared).unwrap();
        open_append(&path("appended"), &shared).unwrap();
        create_directory(&path("directory"), &shared).unwrap();
        assert_eq!(["created", "written", "appended", "directory"].map(mode), [0o662, 0o662, 0o662, 0o773]);
        if nix::unistd::geteuid().is_root() {
            let group = Some(4321);
            open_append(&path("of a group"), &Permissions { group, ..shared }).unwrap();
            assert_eq!(Some(std::os::unix::fs::MetadataExt::gid(&path("of a group").metadata().unwrap())), group);
        }
        fs::set_permissions(path("directory"), PermissionsExt::from_mode(0o2770)).unwrap();
        create_directory(&path("directory/inside"), &shared).unwrap();
        assert_eq!(mode("directory/inside"), 0o2773, "the group is handed down");
    }

    #[test]
    fn a_name_that_is_taken_is_not_renamed_to() {
        let directory = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| directory.path().join(name));
        fs::write(&from, "1").unwrap();
        fs::write(&to, "2").unwrap();
        assert_eq!(rename_to_free_name(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        fs::remove_file(&to).unwrap();
        rename_to_free_name(&from, &to).unwrap();
        assert_eq!((fs::read_to_string(&to).unwrap().as_str(), from.exists()), ("1", false));
    }
}
