//! The files of an index, by their names.

use std::path::{Path, PathBuf};

/// The files of one index: a directory and the name that all of them begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexFiles {
    directory: PathBuf,
    prefix: &'static str,
}

impl IndexFiles {
    /// The index of a mailbox.
    #[must_use]
    pub fn of_mailbox(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), prefix: "dovecot.index" }
    }

    /// The index of the list of mailboxes.
    #[must_use]
    pub fn of_list(root: &Path) -> Self {
        Self { directory: root.to_owned(), prefix: "dovecot.list.index" }
    }

    /// The map of an mdbox: where the messages are.
    #[must_use]
    pub fn of_map(storage: &Path) -> Self {
        Self { directory: storage.to_owned(), prefix: "dovecot.map.index" }
    }

    /// Where they are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The main index.
    #[must_use]
    pub fn main(&self) -> PathBuf {
        self.with("")
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.with(".log")
    }

    /// The log before.
    #[must_use]
    pub fn old_log(&self) -> PathBuf {
        self.with(".log.2")
    }

    /// The cache.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.with(".cache")
    }

    /// One of the files by what its name ends with.
    pub(super) fn with(&self, suffix: &str) -> PathBuf {
        self.directory.join(format!("{}{suffix}", self.prefix))
    }
}
