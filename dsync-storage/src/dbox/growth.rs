//! Adding messages to a file of an mdbox that is there already, so that a store that gets a few messages at a time does not
//! end up with a file for each.
//!
//! The map says where the messages will be before they are there. If that is cut off, whoever locks the map next takes away
//! what is not whole; nobody has ever referred to it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use dsync_core::store::StoreError;

use super::map::Map;
use super::message_file::read_file_header;
use super::storage::Storage;
use crate::fs::lock::GrowthLock;
use crate::fs::{FsError, mutation, read};

/// Only so many bytes are added to a file; more get a file of their own.
pub(super) const MOST: u64 = 1 << 20;
/// How many files are looked at, the latest first.
const MOST_FILES: usize = 10;
const BUFFER: usize = 128 * 1024;

/// A file that can grow, whose lock is held.
#[derive(Debug)]
pub(super) struct Growing {
    lock: GrowthLock,
    path: PathBuf,
    pub(super) file_id: u32,
    /// Where the new messages begin.
    pub(super) end: u64,
}

/// A file with room for `size` bytes; `None` if there is none that nobody else is using.
///
/// # Errors
/// As the system.
pub(super) fn find(
    storage: &Storage,
    map: Map<'_>,
    size: u64,
    rotate_size: u64,
) -> Result<Option<Growing>, StoreError> {
    let mut seen = BTreeSet::new();
    for entry in map.entries().rev() {
        let file_id = entry.place.file_id;
        if !seen.insert(file_id) {
            continue;
        }
        if seen.len() > MOST_FILES {
            break;
        }
        let end = u64::from(entry.place.offset).saturating_add(entry.place.size.into());
        if entry.place.size == 0 || end.saturating_add(size) >= rotate_size {
            continue;
        }
        if let Some(growing) = lock(storage, file_id, end)? {
            return Ok(Some(growing));
        }
    }
    Ok(None)
}

/// Locks a file that ends at `end`; `None` if it ends elsewhere, may not grow, or is in use.
fn lock(storage: &Storage, file_id: u32, end: u64) -> Result<Option<Growing>, StoreError> {
    let path = storage.primary().join(format!("m.{file_id}"));
    let Ok(file) = read::open_to_change(&path) else { return Ok(None) };
    let Some(lock) = GrowthLock::try_exclusive(file, &path)? else { return Ok(None) };
    let may_grow = read_file_header(lock.file()).is_ok_and(|(header, _)| header.allows_appending());
    let length = lock.file().metadata().map(|metadata| metadata.len()).ok();
    // What somebody left at the end is for a server to clear up.
    if !may_grow || length != Some(end) || !lock.is_at(&path) {
        return Ok(None);
    }
    Ok(Some(Growing { lock, path, file_id, end }))
}

impl Growing {
    /// Adds everything that is in `source` from `start` on, and makes it durable. If that fails the file is as it was.
    ///
    /// # Errors
    /// As the system.
    pub(super) fn add(&self, source: &File, start: u64) -> Result<(), FsError> {
        let copied = self.copy(source, start).and_then(|()| mutation::sync_file(self.lock.file(), &self.path));
        if copied.is_err() {
            mutation::truncate(self.lock.file(), &self.path, self.end)?;
        }
        copied
    }

    fn copy(&self, source: &File, start: u64) -> Result<(), FsError> {
        let mut buffer = vec![0; BUFFER];
        let (mut from, mut to) = (start, self.end);
        loop {
            let count = match source.read_at(&mut buffer, from) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(FsError::new("read", &self.path, error)),
            };
            mutation::write_at(self.lock.file(), &self.path, buffer.get(..count).unwrap_or_default(), to)?;
            from = from.saturating_add(count as u64);
            to = to.saturating_add(count as u64);
        }
    }
}

/// Takes away what somebody who crashed had begun to add to a file from `end` on. Whether that was possible: not while
/// somebody else is using the file.
///
/// # Errors
/// As the system.
pub(super) fn take_back(storage: &Storage, file_id: u32, end: u64) -> Result<bool, StoreError> {
    let path = storage.primary().join(format!("m.{file_id}"));
    let file = match read::open_to_change(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        result => result?,
    };
    let Some(lock) = GrowthLock::try_exclusive(file, &path)? else { return Ok(false) };
    let length = lock.file().metadata().map_err(|error| FsError::new("read", &path, error))?.len();
    if length > end {
        mutation::truncate(lock.file(), &path, end)?;
        mutation::sync_file(lock.file(), &path)?;
    }
    Ok(true)
}
