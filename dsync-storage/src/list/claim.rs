//! Keeping other synchronisations out of a store.
//!
//! Two runs at once would each carry out what they decided on trees that the other one has changed since, and undo each other's
//! renamings. Servers never lock the root directory, so it is free for this; nothing is written, and the lock goes with the process.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use dsync_core::store::{ErrorKind, StoreError};

use crate::fs::FsError;
use crate::fs::lock::DirectoryLock;
use crate::list::context::Context;

/// No other synchronisation changes the store, as long as the value lives.
#[derive(Debug)]
pub(crate) struct Claim {
    _lock: DirectoryLock,
}

impl Claim {
    /// Takes one for a store that may be changed, unless `claim` is one already.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(crate) fn keep(claim: &mut Option<Self>, context: &Context, patience: Duration) -> Result<(), StoreError> {
        if !context.read_only && claim.is_none() {
            *claim = Self::take(context, patience)?;
        }
        Ok(())
    }

    /// Waits for others as long as `patience`. `None` for a store that is not there yet: its first run makes everything anew.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] if another one is still at work then; others if the root cannot be opened.
    pub(crate) fn take(context: &Context, patience: Duration) -> Result<Option<Self>, StoreError> {
        let root: &Path = &context.roots.mails;
        let directory = match File::open(root) {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FsError::new("open", root, error).into()),
        };
        match DirectoryLock::take(directory, root, patience) {
            Ok(lock) => Ok(Some(Self { _lock: lock })),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                let text = format!(
                    "another synchronisation has been at work in {} for {} seconds and more; try again when it is done",
                    context.location,
                    patience.as_secs()
                );
                Err(StoreError::new(ErrorKind::Locked, text))
            }
            Err(error) => Err(error.into()),
        }
    }
}
