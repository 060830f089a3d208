//! Opening and reading without leaving a trace: no access time changes where the system lets us ask for that, nothing that is no
//! plain file is opened in a way that could block, and symbolic links are followed only where that is asked for.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::{FsError, links};

/// Opens a plain file for reading. Anything else is refused, a symbolic link too.
///
/// # Errors
/// As the system; [`io::ErrorKind::InvalidInput`] if it is no plain file, or one that is almost nothing but a hole.
pub fn open(path: &Path) -> Result<(File, Metadata), FsError> {
    open_with(path, OpenOptions::new().read(true), OFlag::O_NOFOLLOW | OFlag::O_NOATIME)
}

/// Opens a plain file, or the one to which a symbolic link leads, if that is below `root`.
///
/// # Errors
/// As [`open`].
pub fn open_below(path: &Path, root: &Path) -> Result<(File, Metadata), FsError> {
    match open(path) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput && links::leads_inside(path, root) => {
            open_linked(path)
        }
        result => result,
    }
}

/// Opens a plain file, or the one to which a symbolic link leads, wherever that is: for names that were looked at already.
///
/// # Errors
/// As [`open`].
pub fn open_linked(path: &Path) -> Result<(File, Metadata), FsError> {
    open_with(path, OpenOptions::new().read(true), OFlag::O_NOATIME)
}

/// Opens a plain file that is there for reading and writing. Anything else is refused, a symbolic link too.
///
/// # Errors
/// As [`open`].
pub fn open_to_change(path: &Path) -> Result<File, FsError> {
    open_with(path, OpenOptions::new().read(true).write(true), OFlag::O_NOFOLLOW).map(|(file, _)| file)
}

/// The same, for writing at its end.
///
/// # Errors
/// As [`open`].
pub fn open_to_append(path: &Path) -> Result<File, FsError> {
    open_with(path, OpenOptions::new().read(true).append(true), OFlag::O_NOFOLLOW).map(|(file, _)| file)
}

/// The same, at a name that was looked at already: a symbolic link is followed.
///
/// # Errors
/// As [`open`].
pub fn open_linked_to_change(path: &Path) -> Result<File, FsError> {
    open_with(path, OpenOptions::new().read(true).write(true), OFlag::empty()).map(|(file, _)| file)
}

/// Opens what is there without waiting for anybody, and looks what it is before anything is done with it.
fn open_with(path: &Path, options: &OpenOptions, flags: OFlag) -> Result<(File, Metadata), FsError> {
    let failed = |error| FsError::new("open", path, error);
    let no_file = |text: &str| failed(io::Error::new(io::ErrorKind::InvalidInput, text));
    let with = |flags: OFlag| options.clone().custom_flags((flags | OFlag::O_NONBLOCK).bits()).open(path);
    let opened = match with(flags) {
        // Only the owner may ask for no access time.
        Err(error) if error.raw_os_error() == Some(nix::libc::EPERM) => with(flags - OFlag::O_NOATIME),
        result => result,
    };
    let file = match opened {
        Err(_) if flags.contains(OFlag::O_NOFOLLOW) && path.is_symlink() => return Err(links::refusal("open", path)),
        // A pipe without a reader, a socket, a device without a driver.
        Err(error) if error.raw_os_error() == Some(nix::libc::ENXIO) => return Err(no_file(NO_FILE)),
        result => result.map_err(failed)?,
    };
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(no_file(NO_FILE));
    }
    if is_hollow(&metadata) {
        return Err(no_file("it says to be more than 4 GiB long, but hardly anything of that is there"));
    }
    Ok((file, metadata))
}

const NO_FILE: &str = "it is no plain file";

/// Whether a file is far larger than what is in it, as nobody's mail is. Reading its holes would take hours.
fn is_hollow(metadata: &Metadata) -> bool {
    const LARGE: u64 = 4 << 30;
    // File systems that compress do that a hundredfold at most, with what is like mail.
    metadata.len() > LARGE && metadata.blocks().saturating_mul(512) < metadata.len() / 1024
}

/// How much memory is reserved on the word of a file alone.
pub(crate) const MOST_RESERVED: usize = 16 << 20;

/// The contents of a file, or `None` if there is none. Refuses one of more than `limit` bytes.
///
/// # Errors
/// As the system; [`io::ErrorKind::InvalidData`] if it is too large.
pub fn contents(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FsError> {
    match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => contents_of(opened?, path, limit).map(Some),
    }
}

/// The contents of an open file. Refuses one of more than `limit` bytes. `path` is for messages.
///
/// # Errors
/// As [`contents`].
pub fn contents_of((file, metadata): (File, Metadata), path: &Path, limit: u64) -> Result<Vec<u8>, FsError> {
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
    Ok(bytes)
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
    /// A pipe, socket, or device.
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
            Some(_) => EntryKind::Other,
            None => kind_of(&path.join(OsStr::from_bytes(name))),
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

/// The kind of what a directory does not tell the kind of.
fn kind_of(path: &Path) -> EntryKind {
    match path.symlink_metadata().map(|metadata| metadata.file_type()) {
        Ok(kind) if kind.is_file() => EntryKind::File,
        Ok(kind) if kind.is_dir() => EntryKind::Directory,
        Ok(kind) if kind.is_symlink() => EntryKind::Link,
        _ => EntryKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_missing_is_none_and_what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(contents(&dir.path().join("x"), 10).unwrap().is_none());
        assert!(directory(&dir.path().join("x")).unwrap().is_none());
        assert!(contents(dir.path(), 10).is_err());
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        for refused in [open(&fifo).map(drop), open_to_change(&fifo).map(drop), open_to_append(&fifo).map(drop)] {
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn links_are_followed_only_on_demand() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir(path("root")).unwrap();
        std::fs::write(path("root/file"), "inside").unwrap();
        std::fs::write(path("secret"), "outside").unwrap();
        symlink("file", path("root/link")).unwrap();
        symlink("../secret", path("root/out")).unwrap();
        let is_refused = |opened: Result<(File, Metadata), FsError>| {
            opened
                .is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput && error.to_string().contains("link"))
        };
        for name in ["root/link", "root/out"] {
            assert!(is_refused(open(&path(name))) && open_linked(&path(name)).is_ok(), "{name}");
            assert!(open_to_change(&path(name)).is_err() && open_to_append(&path(name)).is_err(), "{name}");
        }
        assert!(open_below(&path("root/link"), &path("root")).is_ok());
        assert!(is_refused(open_below(&path("root/out"), &path("root"))));
    }

    #[test]
    fn a_file_of_nothing_but_a_hole_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let file = File::create(&path).unwrap();
        file.set_len(1 << 30).unwrap();
        open(&path).unwrap();
        // Not every file system can hold more.
        if file.set_len(1 << 40).is_ok() {
            assert_eq!(open(&path).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
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
        symlink("f", dir.path().join("l")).unwrap();
        let mut entries = directory(dir.path()).unwrap().unwrap();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let kinds: Vec<_> = entries.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, [EntryKind::Directory, EntryKind::File, EntryKind::Link]);
    }
}
