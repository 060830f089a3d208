//! The dates of saving, which are kept in the cache file.

use std::io;
use std::time::Duration;

use super::{LockedIndex, SaveDates, read_locked};
use crate::fs::clock::now;
use crate::fs::lock::FileLock;
use crate::fs::permissions::Permissions;
use crate::fs::replace::{self, Durability};
use crate::fs::{FsError, mutation, read};
use crate::index::cache::{self, Cache};
use crate::index::error::IndexError;
use crate::index::files::IndexFiles;
use crate::index::reading::LARGEST;
use crate::index::target::{CachePlaces, IndexTarget};
use crate::index::view::CACHE;

/// How long to wait for the lock of the cache; servers wait as long.
const CACHE_WAIT: Duration = Duration::from_secs(10);

impl LockedIndex {
    /// The dates that the cache does not hold yet.
    pub(super) fn new_dates(&self, target: &IndexTarget, dates: &SaveDates) -> Result<Vec<(u32, u32)>, IndexError> {
        let known = self.known_dates()?;
        // A UID that is given again is another message.
        let again = target.reuses_uids || target.uid_validity != self.view().uid_validity();
        let needed = |(uid, date): &(u32, u32)| {
            again || known.binary_search(&(*uid, *date)).is_err() || target.stale_in_cache.binary_search(uid).is_ok()
        };
        Ok(dates.iter().copied().filter(needed).collect())
    }

    /// Writes dates into the cache file, before the index points to them.
    pub(super) fn write_dates(&self, target: &IndexTarget, dates: &SaveDates) -> Result<CachePlaces, IndexError> {
        if dates.is_empty() {
            return Ok(CachePlaces::default());
        }
        let view = &self.state.view;
        let index_id = view.snapshot().index_id();
        let file_seq = view.extension(CACHE).map_or(0, |extension| extension.reset_id);
        let path = self.files.cache();
        if let Ok(file) = read::open_to_change(&path) {
            let lock = FileLock::exclusive_by_any_method(file, &path, CACHE_WAIT)?;
            if lock.is_at(&path)
                && let Some(places) = self.add_dates(&lock, file_seq, &target.stale_in_cache, dates)?
            {
                return Ok(places);
            }
        }
        let file_seq = now().as_u32().max(file_seq.saturating_add(1));
        let all = self.all_dates(dates)?;
        write_new_cache(&self.files, index_id, file_seq, &all, &self.permissions, Durability::Now)
    }

    /// A new file replaces all dates, so those that were known come along.
    pub(super) fn all_dates(&self, dates: &SaveDates) -> Result<Vec<(u32, u32)>, IndexError> {
        let mut all = self.known_dates()?;
        all.retain(|(known, _)| dates.binary_search_by_key(known, |(uid, _)| *uid).is_err());
        all.extend(dates.iter().copied());
        all.sort_unstable();
        Ok(all)
    }

    /// The dates that the cache holds, by ascending UID.
    fn known_dates(&self) -> Result<Vec<(u32, u32)>, IndexError> {
        let view = &self.state.view;
        let bytes = read::contents(&self.files.cache(), LARGEST)?.unwrap_or_default();
        let cache = view
            .extension(CACHE)
            .and_then(|extension| Cache::decode(&bytes, view.snapshot().index_id(), extension.reset_id));
        let Some(cache) = cache else { return Ok(Vec::new()) };
        let messages = view.messages().iter().enumerate();
        Ok(messages
            .filter_map(|(place, (uid, _))| Some((*uid, cache.date(view.cache_offset(place), cache::SAVE_DATE)?)))
            .collect())
    }

    /// `None` if the file cannot be used.
    fn add_dates(
        &self,
        lock: &FileLock,
        file_seq: u32,
        stale: &[u32],
        dates: &SaveDates,
    ) -> Result<Option<CachePlaces>, IndexError> {
        let view = &self.state.view;
        let path = &self.files.cache();
        let bytes = read_locked(lock.file(), path)?;
        let Some(cache) = Cache::decode(&bytes, view.snapshot().index_id(), file_seq) else { return Ok(None) };
        let known_place = |uid: u32| match stale.binary_search(&uid) {
            Ok(_) => 0,
            Err(_) => view.index_of(uid).map_or(0, |place| view.cache_offset(place)),
        };
        let with_places: Vec<(u32, u32)> = dates.iter().map(|(uid, date)| (known_place(*uid), *date)).collect();
        let Some(addition) = cache::encode_addition(&cache, now().as_u32(), &with_places) else { return Ok(None) };
        mutation::write_at(lock.file(), path, &addition.append, bytes.len() as u64)?;
        // What points to it comes after it, also after a power cut.
        mutation::sync_file(lock.file(), path)?;
        for (offset, patch) in &addition.patches {
            mutation::write_at(lock.file(), path, patch, *offset as u64)?;
        }
        mutation::sync_file(lock.file(), path)?;
        let uids = dates.iter().map(|(uid, _)| *uid);
        Ok(Some(CachePlaces { file_seq, new_file: false, offsets: uids.zip(addition.offsets).collect() }))
    }
}

pub(super) fn write_new_cache(
    files: &IndexFiles,
    index_id: u32,
    file_seq: u32,
    dates: &SaveDates,
    permissions: &Permissions,
    durability: Durability,
) -> Result<CachePlaces, IndexError> {
    if dates.is_empty() {
        return Ok(CachePlaces::default());
    }
    let values: Vec<u32> = dates.iter().map(|(_, date)| *date).collect();
    let path = files.cache();
    let Some((bytes, offsets)) = cache::encode_new(index_id, file_seq, now().as_u32(), &values) else {
        let text = "it would become too large";
        return Err(FsError::new("write", &path, io::Error::new(io::ErrorKind::FileTooLarge, text)).into());
    };
    let temporary = files.with(".cache.tmp");
    replace::replace(&path, &temporary, &bytes, permissions, durability)?;
    let uids = dates.iter().map(|(uid, _)| *uid);
    Ok(CachePlaces { file_seq, new_file: true, offsets: uids.zip(offsets).collect() })
}
