//! Locking an index and bringing it into a wanted state, beside a server that has it open.
//!
//! The log is the lock. Whoever holds it reads the log again to its end before anything else, because a view made before
//! may be out of date. A transaction is one write at the end of the log; a log that starts anew is written beside the old
//! one, locked, and renamed over it, so that others see the one or the other.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use dsync_core::model::SyncPoint;

use super::cache::{self, Cache};
use super::files::{self, IndexError, IndexFiles, IndexState};
use super::log::{Change, LogHeader, LogRecord, encode_transaction, next_record};
use super::main_index::{MainIndex, offset};
use super::points;
use super::target::{self, CachePlaces, IndexTarget};
use super::view::{CACHE, IndexView};
use crate::fs::clock::now;
use crate::fs::lock::FileLock;
use crate::fs::permissions::Permissions;
use crate::fs::replace::{self, Durability};
use crate::fs::{FsError, mutation, read};

/// How long to wait for a server that holds the lock; servers wait as long.
const WAIT: Duration = Duration::from_secs(180);
/// How long to wait for somebody who has made a new log and has only to rename it.
const WAIT_FOR_COMPLETE: Duration = Duration::from_secs(5);
/// How long to wait for the lock of the cache; servers wait as long.
const CACHE_WAIT: Duration = Duration::from_secs(10);
/// The number of the first log; servers begin with 2 and take any.
const FIRST_LOG: u32 = 2;

/// Dates of saving, by ascending UID.
pub type SaveDates = [(u32, u32)];

/// An index whose lock is held; released when dropped.
#[derive(Debug)]
pub struct LockedIndex {
    files: IndexFiles,
    permissions: Permissions,
    lock: FileLock,
    state: IndexState,
}

/// Makes the index of a mailbox that has none, and that no server is just making one for. Whatever is left there of an
/// older index is removed first.
///
/// # Errors
/// As the system.
pub fn create(
    files: &IndexFiles,
    target: IndexTarget,
    dates: &SaveDates,
    permissions: &Permissions,
    durability: Durability,
) -> Result<(), IndexError> {
    // A server that has the old one open must not be writing to it meanwhile.
    let old = match File::options().read(true).append(true).open(files.log()) {
        Ok(file) => Some(FileLock::exclusive_by_any_method(file, &files.log(), WAIT)?),
        Err(_) => None,
    };
    for path in [files.log(), files.old_log(), files.cache(), files.main()] {
        mutation::remove_file(&path)?;
    }
    let index_id = now().as_u32().max(1);
    write_snapshot(files, (index_id, FIRST_LOG), target, dates, permissions, durability)?;
    drop(old);
    Ok(())
}

/// Writes the state into the main index, and then a log of this id and number that only continues it. In this order a crash
/// leaves an index that servers correct by the old log without losing a message.
fn write_snapshot(
    files: &IndexFiles,
    (index_id, log_seq): (u32, u32),
    target: IndexTarget,
    dates: &SaveDates,
    permissions: &Permissions,
    durability: Durability,
) -> Result<(), IndexError> {
    let places = write_new_cache(files, index_id, index_id, dates, permissions, durability)?;
    let highest_modseq = target.highest_modseq;
    let index = target::snapshot(index_id, log_seq, target, &places);
    let (path, temporary) = (files.main(), files.with(".tmp"));
    replace::replace_with(&path, &temporary, permissions, durability, &|file| {
        index.encode_in_pieces(&mut |piece| mutation::write(file, &temporary, piece))
    })?;
    continue_snapshot(files, &index, highest_modseq, permissions, durability)
}

/// Puts the log in its place that only continues a main index.
fn continue_snapshot(
    files: &IndexFiles,
    index: &MainIndex,
    highest_modseq: u64,
    permissions: &Permissions,
    durability: Durability,
) -> Result<(), IndexError> {
    let log_seq = index.get(offset::LOG_SEQ);
    let mut header = LogHeader::new(index.index_id(), log_seq, now().as_u32(), highest_modseq);
    // With 0 it would start the index from nothing.
    header.prev_file_seq = log_seq.saturating_sub(1).max(1);
    header.prev_file_offset = index.get(offset::LOG_HEAD);
    replace::replace(&files.log(), &files.with(".log.newlock"), &header.encode(), permissions, durability)?;
    Ok(())
}

impl LockedIndex {
    /// Takes the lock of an index that exists, waiting for servers that hold it.
    ///
    /// # Errors
    /// If it stays locked, or cannot be understood.
    pub fn lock(files: &IndexFiles, permissions: &Permissions) -> Result<Self, IndexError> {
        let path = files.log();
        loop {
            let file = match File::options().read(true).append(true).open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    create_log(files, &path, permissions)?;
                    continue;
                }
                Err(error) => return Err(FsError::new("open", &path, error).into()),
            };
            let lock = FileLock::exclusive_by_any_method(file, &path, WAIT)?;
            if !lock.is_at(&path) {
                continue;
            }
            let state = read_state(files, &lock)?;
            if state.is_log_outdated() {
                // Whoever was about to replace it held this lock, and crashed.
                let view = &state.view;
                continue_snapshot(files, view.snapshot(), view.highest_modseq(), permissions, Durability::Now)?;
                mutation::remove_file(&files.old_log())?;
                continue;
            }
            return Ok(Self { files: files.clone(), permissions: *permissions, lock, state });
        }
    }

    /// Appends records as one transaction, if the end of the log is sound and the state allows them.
    ///
    /// # Errors
    /// As the system; the log is as it was, then.
    pub fn append_records(&mut self, records: &[LogRecord]) -> Result<(), IndexError> {
        let bytes = encode_transaction(records);
        self.append_applied(records, &bytes)
    }

    /// The same, and says that everything up to there has been carried out.
    ///
    /// # Errors
    /// As [`append_records`](Self::append_records).
    pub fn append_last_records(&mut self, records: &[LogRecord]) -> Result<(), IndexError> {
        let mut bytes = encode_transaction(records);
        self.add_end_mark(&mut bytes)?;
        self.append_applied(records, &bytes)?;
        self.state.log_tail = self.state.log_end;
        Ok(())
    }

    /// Says that everything in the log has been carried out. This may be lost with a power cut.
    ///
    /// # Errors
    /// As [`append_records`](Self::append_records).
    pub fn mark_all_done(&mut self) -> Result<(), IndexError> {
        let mut bytes = Vec::new();
        self.add_end_mark(&mut bytes)?;
        self.write(&bytes)?;
        self.state.log_end = self.state.log_end.saturating_add(bytes.len());
        self.state.log_tail = self.state.log_end;
        Ok(())
    }

    fn append_applied(&mut self, records: &[LogRecord], bytes: &[u8]) -> Result<(), IndexError> {
        if self.state.unfinished {
            let reason = "the log ends in the middle of a record";
            return Err(IndexError::Lost { path: self.files.directory().to_owned(), reason });
        }
        for record in records {
            self.state.view.apply(record, target::MINOR).map_err(|error| {
                // The state is no longer that of the log, so nothing may be added to it.
                self.state.unfinished = true;
                IndexError::Contradiction { path: self.files.log(), offset: self.state.log_end, error }
            })?;
        }
        self.append(bytes)?;
        self.state.log_end = self.state.log_end.saturating_add(bytes.len());
        Ok(())
    }

    /// Cuts off what a crash left at the end of the log: a transaction that was never completed.
    ///
    /// # Errors
    /// As the system.
    pub fn cut_unfinished(&mut self) -> Result<(), IndexError> {
        if self.state.unfinished {
            let path = self.files.log();
            mutation::truncate(self.lock.file(), &path, self.state.log_end as u64)?;
            mutation::sync_file(self.lock.file(), &path)?;
            self.state.unfinished = false;
        }
        Ok(())
    }

    /// The records of the log of which it does not say that they have been carried out.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn records_after_tail(&self) -> Result<Vec<LogRecord>, IndexError> {
        let path = self.files.log();
        let bytes = read_locked(self.lock.file(), &path)?;
        let mut records = Vec::new();
        let mut place = self.state.log_tail;
        while let Some((record, end)) =
            next_record(&bytes, place).map_err(|error| IndexError::Log { path: path.clone(), error })?
        {
            records.push(record);
            place = end;
        }
        Ok(records)
    }

    /// Keeps a moment of agreement with another store.
    ///
    /// # Errors
    /// As [`append_records`](Self::append_records).
    pub fn remember(&mut self, point: SyncPoint) -> Result<(), IndexError> {
        let known = points::read(&self.state.view);
        self.append_records(&points::records(&point.added_to(&known)))
    }

    /// Writes down that messages are expunged, if the log that says so would be lost with the change to `target`: then their
    /// files can be removed before it. Whether that was so.
    ///
    /// # Errors
    /// As [`append_records`](Self::append_records).
    pub fn expunge_before(&mut self, target: &IndexTarget) -> Result<bool, IndexError> {
        let there = |(uid, _): &&(u32, [u8; 16])| self.view().index_of(*uid).is_some();
        let gone: Vec<_> = target.removed.iter().filter(there).copied().collect();
        if gone.is_empty() || self.state.unfinished || target::counters_fit(self.view(), target) {
            return Ok(false);
        }
        let record = LogRecord { sync: target.mirrored, ..LogRecord::external(Change::ExpungeGuid(gone)) };
        self.append_records(&[record])?;
        Ok(true)
    }

    /// The state under the lock.
    #[must_use]
    pub fn view(&self) -> &IndexView {
        &self.state.view
    }

    /// The state under the lock, with the place in the log that it is of.
    #[must_use]
    pub fn state(&self) -> &IndexState {
        &self.state
    }

    /// Brings the index into the wanted state. Every request that was pending is taken to have been carried out. It stays locked
    /// by what is returned, for those who want to see it before others change it.
    ///
    /// # Errors
    /// As the system. The index is in its old state or in the wanted one, then.
    pub fn change_to(mut self, target: IndexTarget, dates: &SaveDates) -> Result<FileLock, IndexError> {
        let dates = self.new_dates(&target, dates)?;
        if self.is_new() {
            // A log that leads here from nothing would say that nothing was expunged before.
            return self.write_whole(target, &dates);
        }
        let places = self.write_dates(&target, &dates)?;
        let sound = !self.state.unfinished && self.state.log.as_ref().is_some_and(|log| log.minor >= target::MINOR);
        if !(sound && target::may_be_reached(&self.state.view, &target)) {
            return self.start_anew(target, &dates);
        }
        // There may be millions of messages, so the state follows the records instead of a copy.
        let present = std::mem::replace(&mut self.state.view, IndexView::empty(0, 1));
        let has_requests = !(present.pending_changes().is_empty() && present.pending_expunges().is_empty());
        let Some(records) = target::transaction(present, &target, &places) else {
            self.state = read_state(&self.files, &self.lock)?;
            return self.start_anew(target, &dates);
        };
        let mut bytes = encode_transaction(&records);
        if has_requests {
            self.add_end_mark(&mut bytes)?;
        }
        self.append(&bytes)?;
        Ok(self.lock)
    }

    /// Adds the record that says that everything before it, and itself, has been carried out.
    fn add_end_mark(&self, bytes: &mut Vec<u8>) -> Result<(), IndexError> {
        /// Size of that record.
        const SIZE: usize = 16;
        let tail = self.state.log_end.saturating_add(bytes.len()).saturating_add(SIZE);
        let Ok(tail) = u32::try_from(tail) else {
            let error = io::Error::new(io::ErrorKind::FileTooLarge, "the log is full");
            return Err(FsError::new("write", &self.files.log(), error).into());
        };
        let patch = vec![(offset::LOG_TAIL, tail.to_le_bytes().to_vec())];
        bytes.extend(LogRecord::external(Change::HeaderUpdate(patch)).encode());
        Ok(())
    }

    /// The dates that the cache does not hold yet.
    fn new_dates(&self, target: &IndexTarget, dates: &SaveDates) -> Result<Vec<(u32, u32)>, IndexError> {
        let known = self.known_dates()?;
        // A UID that is given again is another message.
        let again = target.reuses_uids || target.uid_validity != self.view().uid_validity();
        let needed = |(uid, date): &(u32, u32)| {
            again || known.binary_search(&(*uid, *date)).is_err() || target.stale_in_cache.binary_search(uid).is_ok()
        };
        Ok(dates.iter().copied().filter(needed).collect())
    }

    /// Writes dates into the cache file, before the index points to them.
    fn write_dates(&self, target: &IndexTarget, dates: &SaveDates) -> Result<CachePlaces, IndexError> {
        if dates.is_empty() {
            return Ok(CachePlaces::default());
        }
        let view = &self.state.view;
        let index_id = view.snapshot().index_id();
        let file_seq = view.extension(CACHE).map_or(0, |extension| extension.reset_id);
        let path = self.files.cache();
        let opened = File::options().read(true).write(true).open(&path);
        if let Ok(file) = opened {
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
    fn all_dates(&self, dates: &SaveDates) -> Result<Vec<(u32, u32)>, IndexError> {
        let mut all = self.known_dates()?;
        all.retain(|(known, _)| dates.binary_search_by_key(known, |(uid, _)| *uid).is_err());
        all.extend(dates.iter().copied());
        all.sort_unstable();
        Ok(all)
    }

    /// The dates that the cache holds, by ascending UID.
    fn known_dates(&self) -> Result<Vec<(u32, u32)>, IndexError> {
        let view = &self.state.view;
        let bytes = read::contents(&self.files.cache(), files::LARGEST)?.unwrap_or_default();
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

    fn append(&self, bytes: &[u8]) -> Result<(), IndexError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.write(bytes)?;
        Ok(mutation::sync_file(self.lock.file(), &self.files.log())?)
    }

    fn write(&self, bytes: &[u8]) -> Result<(), IndexError> {
        let path = self.files.log();
        let file = self.lock.file();
        let end = file.metadata().map_err(|error| FsError::new("read", &path, error))?.len();
        if let Err(error) = mutation::write(file, &path, bytes) {
            // A part of a transaction would make a server throw the whole log away.
            mutation::truncate(file, &path, end)?;
            return Err(error.into());
        }
        Ok(())
    }

    /// Whether there was none, and its log was just begun.
    fn is_new(&self) -> bool {
        self.state.view.uid_validity() == 0
    }

    /// The number of a log that replaces this one.
    fn next_log_seq(&self) -> u32 {
        self.state.log.as_ref().map_or(FIRST_LOG, |log| log.file_seq.saturating_add(1))
    }

    /// Writes the wanted state into the main index, with all `dates`, and begins a log behind it.
    fn write_whole(self, target: IndexTarget, dates: &SaveDates) -> Result<FileLock, IndexError> {
        let names = (self.state.view.snapshot().index_id(), self.next_log_seq());
        write_snapshot(&self.files, names, target, dates, &self.permissions, Durability::Now)?;
        mutation::remove_file(&self.files.old_log())?;
        Ok(self.lock)
    }

    /// Replaces the log by one that holds the wanted state and nothing else.
    fn start_anew(self, target: IndexTarget, dates: &SaveDates) -> Result<FileLock, IndexError> {
        let view = &self.state.view;
        let index_id = view.snapshot().index_id();
        let old_seq = view.extension(CACHE).map_or(0, |extension| extension.reset_id);
        // The places of other messages in the cache are forgotten with the log, so all dates are written again.
        let wanted = |(uid, _): &(u32, u32)| target.messages.contains(*uid);
        let all: Vec<_> = self.all_dates(dates)?.into_iter().filter(wanted).collect();
        let cache_seq = now().as_u32().max(old_seq.saturating_add(1));
        let places = write_new_cache(&self.files, index_id, cache_seq, &all, &self.permissions, Durability::Now)?;
        let Some((records, initial)) = target::whole_log(index_id, &target, &places) else {
            // So few changes can have been counted only by an index that was not made by counting; one like it then.
            return self.write_whole(target, &all);
        };
        let header = LogHeader::new(index_id, self.next_log_seq(), now().as_u32(), initial);
        let bytes = [header.encode(), encode_transaction(&records)].concat();
        let (path, new) = (self.files.log(), self.files.with(".log.newlock"));
        // Whoever makes such a file while there is a log holds the log's lock, so it is the remains of a crash.
        mutation::remove_file(&new)?;
        let written = write_locked(&new, &bytes, &self.permissions)
            .and_then(|lock| mutation::rename(&new, &path).map(|()| lock));
        let new_lock = match written {
            Ok(lock) => lock,
            Err(error) => {
                let _ = mutation::remove_file(&new);
                return Err(error.into());
            }
        };
        // Both are out of date now, and readers know it by the log.
        mutation::remove_file(&self.files.main())?;
        mutation::remove_file(&self.files.old_log())?;
        mutation::sync_directory(self.files.directory())?;
        Ok(new_lock)
    }
}

/// The state of an index whose log is locked.
fn read_state(files: &IndexFiles, lock: &FileLock) -> Result<IndexState, IndexError> {
    let bytes = read_locked(lock.file(), &files.log())?;
    files::replay_all(files, Some(&bytes))?.ok_or_else(|| IndexError::Lost {
        path: files.directory().to_owned(),
        reason: "the log vanished while it was locked",
    })
}

/// Makes an empty log that continues the main index, if there is one.
fn create_log(files: &IndexFiles, path: &Path, permissions: &Permissions) -> Result<(), IndexError> {
    let mut header = LogHeader::new(now().as_u32().max(1), FIRST_LOG, now().as_u32(), 1);
    if let Some(state) = files::replay_all(files, None)? {
        let index = state.view.snapshot();
        header.index_id = index.index_id();
        header.prev_file_seq = index.get(offset::LOG_SEQ).max(1);
        header.prev_file_offset = index.get(offset::LOG_HEAD);
        header.file_seq = header.prev_file_seq.saturating_add(1);
        header.initial_modseq = state.view.highest_modseq();
    }
    let new = files.with(".log.newlock");
    // It appears with all that is in it, so that a crash leaves one that others recognise as complete.
    let file = match mutation::create_with(&new, &header.encode(), permissions) {
        // A server is just making one, or crashed doing so; it is never held for long.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            wait_for(&new)?;
            return Ok(());
        }
        result => result?,
    };
    let result = mutation::sync_file(&file, &new)
        .and_then(|()| if path.exists() { mutation::remove_file(&new) } else { mutation::rename(&new, path) });
    if result.is_err() {
        let _ = mutation::remove_file(&new);
    }
    Ok(result?)
}

/// Waits until a new log has its final name. One that does not get it in time was left by a crash and is taken away: a
/// complete one soon, because nothing but renaming it was left to do; another one after as long as servers wait.
fn wait_for(path: &Path) -> Result<(), FsError> {
    let complete = read::contents(path, files::LARGEST)?.is_some_and(|bytes| LogHeader::decode(&bytes).is_ok());
    let wait = if complete { WAIT_FOR_COMPLETE } else { WAIT };
    let give_up = Instant::now() + wait;
    loop {
        let Ok(metadata) = std::fs::metadata(path) else { return Ok(()) };
        let age = metadata.modified().ok().and_then(|time| time.elapsed().ok()).unwrap_or_default();
        if age > wait || Instant::now() > give_up {
            return mutation::remove_file(path);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Writes a new file, which is complete as soon as it can be seen, and locks it before it gets the name that others look for.
fn write_locked(path: &Path, bytes: &[u8], permissions: &Permissions) -> Result<FileLock, FsError> {
    let file = mutation::create_with(path, bytes, permissions)?;
    let lock = FileLock::exclusive_by_any_method(file, path, Duration::ZERO)?;
    mutation::sync_file(lock.file(), path)?;
    Ok(lock)
}

fn write_new_cache(
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

/// All of a locked file, through the handle that holds the lock.
fn read_locked(mut file: &File, path: &Path) -> Result<Vec<u8>, FsError> {
    let failed = |error| FsError::new("read", path, error);
    let length = file.metadata().map_err(failed)?.len();
    if length > files::LARGEST {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it is larger than 4 GiB")));
    }
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
