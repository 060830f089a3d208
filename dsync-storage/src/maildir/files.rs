//! Files of messages, their names in one piece of memory: a mailbox may have millions.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::file_name::base_of;

/// One of the two directories that hold messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subdirectory {
    /// Delivered, not yet seen by a server session.
    New,
    /// Everything else.
    Cur,
}

impl Subdirectory {
    /// Its name on disk.
    #[must_use]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Cur => "cur",
        }
    }
}

/// One message file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FoundFile<'a> {
    /// Its whole name, with flags.
    pub(super) name: &'a [u8],
    /// Where it lies.
    pub(super) subdirectory: Subdirectory,
}

impl<'a> FoundFile<'a> {
    /// The path of the file, given that of its mailbox.
    #[must_use]
    pub(super) fn path(&self, mailbox: &Path) -> PathBuf {
        path_of(mailbox, self.subdirectory, self.name)
    }

    /// What joins it with the uidlist.
    #[must_use]
    pub(super) fn base(&self) -> &'a [u8] {
        base_of(self.name)
    }
}

/// The path of a message file.
#[must_use]
pub(super) fn path_of(mailbox: &Path, subdirectory: Subdirectory, name: &[u8]) -> PathBuf {
    mailbox.join(subdirectory.name()).join(std::ffi::OsStr::from_bytes(name))
}

/// The names of many files. Each stands behind a byte that says where the file lies, and ends with a NUL, which no name has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FileNames(Vec<u8>);

/// Where a name begins in [`FileNames`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileAt(usize);

impl FileNames {
    pub(super) fn add(&mut self, subdirectory: Subdirectory, name: &[u8]) -> FileAt {
        let start = self.0.len();
        self.0.push(match subdirectory {
            Subdirectory::New => b'n',
            Subdirectory::Cur => b'c',
        });
        self.0.extend_from_slice(name);
        self.0.push(0);
        FileAt(start)
    }

    pub(super) fn get(&self, at: FileAt) -> FoundFile<'_> {
        let rest = self.0.get(at.0..).and_then(<[u8]>::split_first);
        let subdirectory = match rest {
            Some((b'n', _)) => Subdirectory::New,
            _ => Subdirectory::Cur,
        };
        let name = rest.and_then(|(_, rest)| rest.split(|byte| *byte == 0).next()).unwrap_or_default();
        FoundFile { name, subdirectory }
    }

    pub(super) fn shrink_to_fit(&mut self) {
        self.0.shrink_to_fit();
    }
}

/// Files in the order of the messages of a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MessageFiles {
    pub(super) names: FileNames,
    /// The file of each message.
    pub(super) listed: Vec<FileAt>,
    /// Files that are messages to nobody any more: their deletion was requested.
    pub(super) doomed: Vec<FileAt>,
}

impl MessageFiles {
    /// The file of the message at a place of the list.
    pub(super) fn get(&self, index: usize) -> Option<FoundFile<'_>> {
        self.listed.get(index).map(|at| self.names.get(*at))
    }

    /// The files of all messages.
    pub(super) fn iter(&self) -> impl Iterator<Item = FoundFile<'_>> {
        self.listed.iter().map(|at| self.names.get(*at))
    }

    /// See the field.
    pub(super) fn doomed(&self) -> impl Iterator<Item = FoundFile<'_>> {
        self.doomed.iter().map(|at| self.names.get(*at))
    }
}
