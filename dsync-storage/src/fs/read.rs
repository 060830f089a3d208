//! Reading without leaving a trace: no access time changes where the system lets us ask for that, and nothing that
//! is no plain file is ever opened for reading in a way that could block.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::FsError;

/// Opens a plain file for reading. Symbolic links are followed; anything else than a file is refused.
///
/// # Errors
/// As the system; [`io::ErrorKind::InvalidInput`] if it is no plain file.
pub fn open(path: &Path) -> Result<(File, Metadata), FsError> {
    let failed = |error| FsError::new("open", path, error);
    let with = |flags: OFlag| OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    let file = match with(OFlag::O_NOATIME | OFlag::O_NONBLOCK) {
        // Only the owner may ask for that.
        Err(error) if error.raw_os_error() == Some(nix::libc::EPERM) => with(OFlag::O_NONBLOCK),
        result => result,
    };
    let file = file.map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file")));
    }
    Ok((file, metadata))
}

/// How much memory is reserved on the word of a file alone.
const MOST_RESERVED: usize = 16 << 20;

/// The contents of a file, or `None` if there is none. Refuses one of more than `limit` bytes.
///
/// # Errors
/// As the system; [`io::ErrorKind::InvalidData`] if it is too large.
pub fn contents(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FsError> {
    let (file, metadata) = match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result?,
    };
    let failed = |error| FsError::new("read", path, error);
    let too_large = || failed(io::Error::new(io::ErrorKind::InvalidData, format!("it is larger than {limit} bytes")));
    if metadata.len() > limit {
        return Err(too_large());
    }
    // A file can claim to be larger than what it holds.
    let announced = usize::try_from(metadata.len()).unwrap_or(0).min(MOST_RESERVED);
    let mut bytes = Vec::with_capacity(announced);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(too_large());
    }
    Ok(Some(bytes))
}

/// What kind of thing a directory entry is, as the directory itself says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A plain file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A pipe, socket, device, or unknown to the directory.
    Other,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// What it is.
    pub kind: EntryKind,
    /// The inode number that the directory shows.
    pub inode: u64,
}

/// The entries of a directory without `.` and `..`, in the order of the directory; `None` if there is no directory.
///
/// # Errors
/// As the system.
pub fn directory(path: &Path) -> Result<Option<Vec<Entry>>, FsError> {
    let mut entries = Vec::new();
    let there = for_each_entry(path, &mut |name, kind, inode| {
        entries.push(Entry { name: OsString::from_vec(name.to_vec()), kind, inode });
    })?;
    Ok(there.then_some(entries))
}

/// Whether a directory is there and can be listed; its entries are not looked at.
///
/// # Errors
/// As the system.
pub fn is_listable(path: &Path) -> Result<bool, FsError> {
    let Some(mut directory) = open_directory(path)? else { return Ok(false) };
    let first = directory.iter().next().transpose();
    first.map(|_| true).map_err(|error| FsError::new("list", path, error.into()))
}

/// Calls `each` with name, kind and inode number of every entry that [`directory`] gives: there may be millions. Whether
/// there is a directory.
///
/// # Errors
/// As the system.
pub fn for_each_entry(path: &Path, each: &mut dyn FnMut(&[u8], EntryKind, u64)) -> Result<bool, FsError> {
    let failed = |error: nix::Error| FsError::new("list", path, error.into());
    let Some(mut directory) = open_directory(path)? else { return Ok(false) };
    for entry in directory.iter() {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let kind = match entry.file_type() {
            Some(Type::File) => EntryKind::File,
            Some(Type::Directory) => EntryKind::Directory,
            Some(Type::Symlink) => EntryKind::Link,
            _ => EntryKind::Other,
        };
        each(name, kind, entry.ino());
    }
    Ok(true)
}

/// A directory, open; `None` if there is none.
fn open_directory(path: &Path) -> Result<Option<Dir>, FsError> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let opened = match Dir::open(path, flags | OFlag::O_NOATIME, Mode::empty()) {
        Err(nix::Error::EPERM) => Dir::open(path, flags, Mode::empty()),
        result => result,
    };
    match opened {
        Err(nix::Error::ENOENT) => Ok(None),
        result => result.map(Some).map_err(|error| FsError::new("list", path, error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_none_and_what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(contents(&dir.path().join("x"), 10).unwrap().is_none());
        assert!(directory(&dir.path().join("x")).unwrap().is_none());
        assert!(contents(dir.path(), 10).is_err());
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        assert_eq!(open(&fifo).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_file_beyond_the_limit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(contents(&path, 5).unwrap().unwrap(), b"12345");
        assert_eq!(contents(&path, 4).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_directory_lists_names_and_kinds() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), b"").unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::os::unix::fs::symlink("f", dir.path().join("l")).unwrap();
        let mut entries = directory(dir.path()).unwrap().unwrap();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let kinds: Vec<_> = entries.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, [EntryKind::Directory, EntryKind::File, EntryKind::Link]);
    }
}
