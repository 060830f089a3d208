//! A failed operation on the file system.

use std::io;
use std::path::{Path, PathBuf};

use dsync_core::store::{ErrorKind, StoreError};
use thiserror::Error;

use crate::text::lossy;

/// What was being done to which path, and what the system said.
#[derive(Debug, Error)]
#[error("cannot {doing} {}: {source}{}", lossy(path), advice(source))]
pub struct FsError {
    /// The operation as a verb: "create", "rename".
    pub doing: &'static str,
    /// The path it was done to.
    pub path: PathBuf,
    /// The system's answer.
    #[source]
    pub source: io::Error,
}

impl FsError {
    /// An error for `path`.
    pub fn new(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self { doing, path: path.to_owned(), source }
    }

    /// The class of the system's answer.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

/// What the user can do, where that is not obvious.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => " (run as the user who owns the mail, or correct the permissions)",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => " (make room and run again)",
        io::ErrorKind::ReadOnlyFilesystem => " (the file system is mounted read-only)",
        _ => "",
    }
}

impl From<FsError> for StoreError {
    fn from(error: FsError) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => ErrorKind::Exists,
            io::ErrorKind::PermissionDenied => ErrorKind::Permission,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => ErrorKind::Locked,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoRoom,
            _ => ErrorKind::Io,
        };
        Self::new(kind, error.to_string())
    }
}
