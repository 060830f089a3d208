//! Locking an index and bringing it into a wanted state, beside a server that has it open.
//!
//! The log is the lock. Whoever holds it reads the log again to its end before anything else, because a view made before
//! may be out of date. A transaction is one write at the end of the log; a log that starts anew is written beside the old
//! one, locked, and renamed over it, so that others see the one or the other.

mod create;
mod dates;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use dsync_core::model::SyncPoint;

use super::error::IndexError;
use super::files::IndexFiles;
use super::log::{Change, LogHeader, LogRecord, encode_transaction, next_record};
use super::points;
use super::reading::{IndexState, LARGEST, end_mark};
use super::replay::replay_all;
use super::target::{self, IndexTarget};
use super::view::{CACHE, IndexView};
use crate::fs::clock::now;
use crate::fs::lock::FileLock;
use crate::fs::permissions::Permissions;
use crate::fs::replace::Durability;
use crate::fs::{FsError, mutation, read};

use create::{continue_snapshot, create_log, write_snapshot};
use dates::write_new_cache;

pub use create::create;

/// How long to wait for a server that holds the lock; servers wait as long.
const WAIT: Duration = Duration::from_secs(180);

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

/// The lock of an index without its state, which may take much memory and is not needed now; released when dropped.
#[derive(Debug)]
pub struct IndexLock {
    files: IndexFiles,
    permissions: Permissions,
    lock: FileLock,
}

impl IndexLock {
    /// Takes the lock of an index without reading it, waiting for servers that hold it. `None` if it has no log.
    ///
    /// # Errors
    /// If it stays locked.
    pub fn take(files: &IndexFiles, permissions: &Permissions) -> Result<Option<Self>, IndexError> {
        let path = files.log();
        loop {
            let file = match File::options().read(true).append(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                opened => opened.map_err(|error| FsError::new("open", &path, error))?,
            };
            let lock = FileLock::exclusive_by_any_method(file, &path, WAIT)?;
            if lock.is_at(&path) {
                return Ok(Some(Self { files: files.clone(), permissions: *permissions, lock }));
            }
        }
    }

    /// Whether the index is still where it was locked.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        self.lock.is_at(&self.files.log())
    }

    /// The index as it was when it was locked, because nobody could change it.
    ///
    /// # Errors
    /// As the system, or if it cannot be understood.
    pub fn read_again(self) -> Result<LockedIndex, IndexError> {
        let Self { files, permissions, lock } = self;
        let state = read_state(&files, &lock)?;
        Ok(LockedIndex { files, permissions, lock, state })
    }
}

impl LockedIndex {
    /// Takes the lock of an index that exists, waiting for servers that hold it.
    ///
    /// # Errors
    /// If it stays locked, or cannot be understood.
    pub fn lock(files: &IndexFiles, permissions: &Permissions) -> Result<Self, IndexError> {
        let path = files.log();
        loop {
            let file = match read::open_to_append(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    create_log(files, &path, permissions)?;
                    continue;
                }
                Err(error) => return Err(error.into()),
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

    /// Keeps the lock and nothing else.
    #[must_use]
    pub fn forget_state(self) -> IndexLock {
        let Self { files, permissions, lock, .. } = self;
        IndexLock { files, permissions, lock }
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
        bytes.extend(end_mark(tail).encode());
        Ok(())
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
    replay_all(files, Some(&bytes))?.ok_or_else(|| IndexError::Lost {
        path: files.directory().to_owned(),
        reason: "the log vanished while it was locked",
    })
}

/// Writes a new file, which is complete as soon as it can be seen, and locks it before it gets the name that others look for.
fn write_locked(path: &Path, bytes: &[u8], permissions: &Permissions) -> Result<FileLock, FsError> {
    let file = mutation::create_with(path, bytes, permissions)?;
    let lock = FileLock::exclusive_by_any_method(file, path, Duration::ZERO)?;
    mutation::sync_file(lock.file(), path)?;
    Ok(lock)
}

/// All of a locked file, through the handle that holds the lock.
fn read_locked(mut file: &File, path: &Path) -> Result<Vec<u8>, FsError> {
    let failed = |error| FsError::new("read", path, error);
    let length = file.metadata().map_err(failed)?.len();
    if length > LARGEST {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it is larger than 1 GiB")));
    }
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    // A file can claim to be larger than what it holds.
    let announced = usize::try_from(length).unwrap_or(0).min(read::MOST_RESERVED);
    let mut bytes = Vec::with_capacity(announced);
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
