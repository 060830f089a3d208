//! Why an index cannot be used.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::log::LogError;
use super::main_index::MainIndexError;
use super::view::Contradiction;
use crate::fs::FsError;
use crate::text::lossy;

/// Why an index cannot be used.
#[derive(Debug, Error)]
pub enum IndexError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A log cannot be understood.
    #[error("the index log {} is corrupt: {error} (doveadm force-resync makes a server repair it)", lossy(path))]
    Log {
        /// The log.
        path: PathBuf,
        /// What is wrong.
        #[source]
        error: LogError,
    },
    /// A record of a log cannot be right.
    #[error(
        "the index log {} is corrupt at offset {offset}: {error} (doveadm force-resync makes a server repair it)",
        lossy(path)
    )]
    Contradiction {
        /// The log.
        path: PathBuf,
        /// Where the record starts.
        offset: usize,
        /// What is wrong.
        #[source]
        error: Contradiction,
    },
    /// The main index cannot be understood.
    #[error("the index {} is corrupt: {error} (doveadm force-resync makes a server repair it)", lossy(path))]
    Main {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        error: MainIndexError,
    },
    /// The files do not belong together.
    #[error(
        "the index files in {} do not belong together: {reason} (doveadm force-resync makes a server repair them)",
        lossy(path)
    )]
    Lost {
        /// Their directory.
        path: PathBuf,
        /// What is missing.
        reason: &'static str,
    },
}

impl From<IndexError> for dsync_core::store::StoreError {
    fn from(error: IndexError) -> Self {
        use dsync_core::store::ErrorKind;
        match error {
            IndexError::Fs(error) if error.kind() == io::ErrorKind::TimedOut => {
                Self::new(ErrorKind::Locked, error.to_string())
            }
            IndexError::Fs(error) => error.into(),
            corrupt => Self::new(ErrorKind::Corrupt, corrupt.to_string()),
        }
    }
}
