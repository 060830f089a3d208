//! Freeing the space of messages of an mdbox that no mailbox refers to any more.
//!
//! A file with such messages is replaced: what is still used goes to another file, byte for byte, the map is told, and then the
//! file is removed. Nothing that is used is ever without a place. Counts in the map are not believed alone: a message goes
//! only if no mailbox refers to it either.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dsync_core::store::{ErrorKind, StoreError};

use super::commit::lock_map;
use super::locked_map::LockedMap;
use super::map::{Map, MapChanges, MapEntry, MapPlace};
use super::references::{self, References};
use super::shared::{Shared, corrupt};
use super::staging::Staging;
use super::storage::{Located, Storage};
use crate::fs::lock::GrowthLock;
use crate::fs::{FsError, mutation, read};
use crate::text::lossy;

/// What a purge did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PurgeReport {
    /// How many files were replaced or removed.
    pub files: u64,
    /// How many messages are gone.
    pub messages: u64,
    /// How many bytes that freed.
    pub bytes: u64,
    /// Files that were left as they are, each with the reason.
    pub problems: Vec<String>,
}

/// Purges a whole storage.
pub(super) fn purge(shared: &Shared, storage: &Arc<Storage>) -> Result<PurgeReport, StoreError> {
    let permissions = shared.context.permissions();
    let mut report = PurgeReport::default();
    let file_ids = {
        let map = lock_map(shared, storage, &permissions)?;
        let actual = references::count(shared)?;
        let mut map = raise_counts(shared, storage, map, &actual)?;
        let unused = map.map().entries().filter(|entry| is_unused(entry, &actual));
        let file_ids: BTreeSet<u32> = unused.map(|entry| entry.place.file_id).collect();
        forget_missing(&mut map, storage, &actual)?;
        file_ids
    };
    for file_id in file_ids {
        match purge_file(shared, storage, file_id, &mut report) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Changed) => {
                report.problems.push(error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

fn is_unused(entry: &MapEntry, actual: &References) -> bool {
    entry.references == 0 && !actual.contains_key(&entry.map_uid)
}

/// A message that is referred to more often than the map knows would be lost with the next purge of a server.
fn raise_counts(
    shared: &Shared,
    storage: &Arc<Storage>,
    map: LockedMap,
    actual: &References,
) -> Result<LockedMap, StoreError> {
    let too_low = map.map().entries().filter_map(|entry| {
        let missing = references::wanted(actual, entry.map_uid).saturating_sub(entry.references);
        (missing > 0).then_some((entry.map_uid, i32::from(missing)))
    });
    let count: Vec<_> = too_low.collect();
    if count.is_empty() {
        return Ok(map);
    }
    map.finish(&MapChanges { count, ..MapChanges::default() })?;
    lock_map(shared, storage, &shared.context.permissions())
}

/// Messages that nobody refers to and whose file is gone need no entry.
fn forget_missing(map: &mut LockedMap, storage: &Storage, actual: &References) -> Result<(), StoreError> {
    let missing = map
        .map()
        .entries()
        .filter(|entry| is_unused(entry, actual) && storage.paths(entry.place.file_id).all(|path| !path.exists()));
    let remove: Vec<u32> = missing.map(|entry| entry.map_uid).collect();
    match remove.is_empty() {
        true => Ok(()),
        false => map.carry_out(&MapChanges { remove, ..MapChanges::default() }),
    }
}

/// The messages of a file in the map, in the order of the file.
fn entries_of(map: Map<'_>, file_id: u32) -> Vec<MapEntry> {
    let mut entries: Vec<_> = map.entries().filter(|entry| entry.place.file_id == file_id).collect();
    entries.sort_by_key(|entry| entry.place.offset);
    entries
}

fn purge_file(
    shared: &Shared,
    storage: &Arc<Storage>,
    file_id: u32,
    report: &mut PurgeReport,
) -> Result<(), StoreError> {
    let permissions = shared.context.permissions();
    let Some(path) = storage.paths(file_id).find(|path| path.exists()) else { return Ok(()) };
    let file = read::open_to_change(&path)?;
    // Somebody who is adding to it, or purging it, will come to an end.
    let Some(lock) = GrowthLock::try_exclusive(file, &path)? else { return Ok(()) };
    if !lock.is_at(&path) {
        return Ok(());
    }
    storage.forget_files();
    let before = entries_of(storage.map()?.map(), file_id);
    let messages = all_messages(storage, file_id, &before, &lock, &path)?;
    let directory = path.parent().unwrap_or(Path::new(".")).to_owned();
    let mut staging = Staging::new(directory.clone(), permissions, Some(shared.settings.rotate_size), None);
    let mut kept = Vec::new();
    for (entry, message) in before.iter().zip(&messages) {
        if entry.references > 0 {
            kept.push((entry.map_uid, staging.copy(message)?));
        }
    }
    staging.sync()?;
    let mut map = lock_map(shared, storage, &permissions)?;
    if entries_of(map.map(), file_id) != before {
        let text = format!("{} was changed by somebody else meanwhile; run again", lossy(&path));
        return Err(StoreError::new(ErrorKind::Changed, text));
    }
    let actual = references::count(shared)?;
    let removed: Vec<&MapEntry> = before.iter().filter(|entry| entry.references == 0).collect();
    if let Some(entry) = removed.iter().find(|entry| actual.contains_key(&entry.map_uid)) {
        let text = format!("message number {} in {} is used after all; run again", entry.map_uid, lossy(&path));
        return Err(StoreError::new(ErrorKind::Changed, text));
    }
    let mut remove = map.place_copies(&mut staging, &kept, &directory)?;
    mutation::remove_file(&path)?;
    mutation::sync_directory(&directory)?;
    storage.forget_files();
    // What the map does not know is new mail to a server that makes it anew, so it knows them to the end.
    remove.extend(removed.iter().map(|entry| entry.map_uid));
    remove.sort_unstable();
    map.finish(&MapChanges { remove, ..MapChanges::default() })?;
    report.files += 1;
    for (entry, message) in before.iter().zip(&messages) {
        if entry.references == 0 {
            report.messages += 1;
            report.bytes += message.message.size;
            remove_attachments(shared, message);
        }
    }
    Ok(())
}

/// All messages of a file. They must be exactly those of the map, from its beginning to its end.
fn all_messages(
    storage: &Storage,
    file_id: u32,
    entries: &[MapEntry],
    lock: &GrowthLock,
    path: &Path,
) -> Result<Vec<Located>, StoreError> {
    let differs = || corrupt(&format!("{} does not hold what the map says", lossy(path)));
    let file = storage.file(file_id)?;
    let length = lock.file().metadata().map_err(|error| FsError::new("read", path, error))?.len();
    let mut end = file.first;
    let mut messages = Vec::with_capacity(entries.len());
    for entry in entries {
        let located = storage.locate(entry.place)?;
        let size = u64::from(entry.place.size);
        if located.message.offset != end || size != 0 && size != located.message.size {
            return Err(differs());
        }
        end = located.message.end();
        messages.push(located);
    }
    if end == length { Ok(messages) } else { Err(differs()) }
}

/// Attachments in files of their own are removed with their message. One that cannot be removed only takes up space.
fn remove_attachments(shared: &Shared, message: &Located) {
    let Some(directory) = &shared.settings.attachments else { return };
    let Ok(attachments) = message.message.metadata.attachments() else { return };
    for attachment in attachments {
        remove_attachment(&directory.join(attachment.path()));
    }
}

/// Removes an attachment, and the second name by which equal attachments are found if nobody else uses it.
fn remove_attachment(path: &Path) {
    if mutation::remove_file(path).is_err() {
        return;
    }
    if let Some(shared_name) = name_by_hash(path)
        && std::fs::metadata(&shared_name).is_ok_and(|metadata| metadata.nlink() == 1)
    {
        let _ = mutation::remove_file(&shared_name);
    }
}

/// `hashes/<hash>` beside `<hash>-<GUID>`.
fn name_by_hash(path: &Path) -> Option<PathBuf> {
    let (hash, _) = path.file_name()?.to_str()?.split_once('-')?;
    Some(path.parent()?.join("hashes").join(hash))
}

impl LockedMap {
    /// Gives the files of copies their names, and says that the messages are there now. Until the map says so each copy is
    /// an unused message of its own, and from then on the original is; the numbers of those are returned.
    fn place_copies(
        &mut self,
        staging: &mut Staging,
        kept: &[(u32, usize)],
        directory: &Path,
    ) -> Result<Vec<u32>, StoreError> {
        let mut file_ids = Vec::new();
        let mut last = self.map().highest_file_id();
        for _ in staging.files() {
            last = self.free_file_id(last)?;
            file_ids.push(last);
        }
        let (mut moved, mut left) = (Vec::with_capacity(kept.len()), Vec::with_capacity(kept.len()));
        for (map_uid, number) in kept {
            let (file, offset, size) = staging.place_of(*number)?;
            let file_id = file_ids.get(file).copied().unwrap_or(0);
            let (Ok(offset), Ok(size)) = (u32::try_from(offset), u32::try_from(size)) else {
                return Err(corrupt("a message is too large for the map"));
            };
            moved.push((*map_uid, MapPlace { file_id, offset, size }));
            left.extend(self.map().get(*map_uid).map(|entry| entry.place));
        }
        // They are entered before anybody sees the files.
        let copies = self.begin_with_copies(moved.iter().map(|(_, place)| *place), file_ids.last().copied())?;
        for (file, file_id) in staging.files_mut().iter_mut().zip(&file_ids) {
            file.place(&directory.join(format!("m.{file_id}")))?;
        }
        if !file_ids.is_empty() {
            mutation::sync_directory(directory)?;
        }
        moved.extend(copies.iter().copied().zip(left));
        moved.sort_unstable();
        self.carry_out(&MapChanges { moved, ..MapChanges::default() })?;
        Ok(copies)
    }
}
