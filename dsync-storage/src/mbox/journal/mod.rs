//! Changing an mbox in its place so that a crash at any moment can be made good.
//!
//! A server that waits for the lock has the file open already, so it must not be replaced by another one. All bytes that will
//! change are first written to a journal beside the index, with those that are there, and that is made durable. Whoever opens the
//! mailbox to change it and finds a journal, finishes the work, or sees that it was finished or not begun.
//!
//! Others may come first after the crash. What they have appended behind all that is to change stays. If they have changed
//! anything else, the journal does not fit the file any more: it is put aside, and the file is as they left it.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

mod plan;
mod progress;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crc32fast::Hasher;
use dsync_core::store::{FileRange, StoreError};

use crate::fs::permissions::Permissions;
use crate::fs::{FsError, mutation, read};
use crate::text::lossy;
use plan::{HEAD, Place, Plan};
use progress::Progress;

/// The name of a journal in the directory of an index.
const FILE_NAME: &str = "dsync-rewrite";
const BUFFER: usize = 256 << 10;

/// Where the journal of a mailbox is, given the directory of its index.
pub(super) fn path_in(index: &Path) -> PathBuf {
    index.join(FILE_NAME)
}

/// New bytes for a place in the file.
pub(super) struct Write<'a> {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) bytes: Box<dyn Read + 'a>,
}

/// A journal that was written.
struct Journal<'a> {
    plan: Plan,
    file: Arc<File>,
    path: &'a Path,
}

/// Changes `mbox`, which is locked, so that it has these bytes and this length. `journal` is durable before anything is
/// changed, and gone afterwards.
///
/// # Errors
/// As the system. Before the change began nothing has happened; later the journal stays, and the next who opens the mailbox to
/// change it finishes the work.
pub(super) fn rewrite(
    mbox: &File,
    path: &Path,
    journal: &Path,
    writes: Vec<Write<'_>>,
    new_length: u64,
    permissions: &Permissions,
) -> Result<(), StoreError> {
    let old_length = length_of(mbox, path)?;
    let ready =
        write_journal(mbox, path, journal, writes, (old_length, new_length), permissions).and_then(|written| {
            if let Err(error) = written.grow(mbox, path) {
                mutation::truncate(mbox, path, old_length)?;
                return Err(error);
            }
            Ok(written)
        });
    match ready {
        Ok(written) => {
            written.finish(mbox, path)?;
            remove(journal)
        }
        Err(error) => {
            // Nothing is changed yet, and there may be no room.
            let _ = mutation::remove_file(journal);
            Err(error)
        }
    }
}

fn remove(journal: &Path) -> Result<(), StoreError> {
    mutation::remove_file(journal)?;
    // If it came back with a power cut, it would be about another file.
    if let Some(directory) = journal.parent() {
        mutation::sync_directory(directory)?;
    }
    Ok(())
}

fn write_journal<'a>(
    mbox: &File,
    path: &Path,
    journal: &'a Path,
    writes: Vec<Write<'_>>,
    (old_length, new_length): (u64, u64),
    permissions: &Permissions,
) -> Result<Journal<'a>, StoreError> {
    mutation::remove_file(journal)?;
    let file = Arc::new(mutation::create(journal, permissions)?);
    let mut output =
        Output { file: &file, path: journal, place: Plan::size(writes.len() as u64), sum: Hasher::new() };
    let mut places = Vec::with_capacity(writes.len());
    for mut write in writes {
        let place = Place { offset: write.offset, length: write.length };
        output.copy(&mut write.bytes, write.length, path)?;
        let before = place.before(old_length);
        output.copy(&mut part(mbox, path, write.offset, before)?, before, path)?;
        places.push(place);
    }
    let data = output.sum.finalize();
    let tail = checksum(mbox, path, new_length, old_length.saturating_sub(new_length))?;
    let plan = Plan { old_length, new_length, tail, data, writes: places };
    mutation::write_at(&file, journal, &plan.encode(), 0)?;
    mutation::sync_file(&file, journal)?;
    if let Some(directory) = journal.parent() {
        mutation::sync_directory(directory)?;
    }
    Ok(Journal { plan, file, path: journal })
}

/// The bytes of a journal on their way.
struct Output<'a> {
    file: &'a File,
    path: &'a Path,
    place: u64,
    sum: Hasher,
}

impl Output<'_> {
    /// Takes so many bytes. `source` is what they are of, for messages.
    fn copy(&mut self, bytes: &mut dyn Read, length: u64, source: &Path) -> Result<(), FsError> {
        let mut buffer = vec![0; usize::try_from(length).unwrap_or(BUFFER).min(BUFFER)];
        let mut left = length;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(BUFFER).min(buffer.len());
            let part = buffer.get_mut(..most).unwrap_or_default();
            bytes.read_exact(part).map_err(|error| FsError::new("read", source, error))?;
            self.sum.update(part);
            mutation::write_at(self.file, self.path, part, self.place)?;
            self.place = self.place.saturating_add(part.len() as u64);
            left = left.saturating_sub(part.len() as u64);
        }
        Ok(())
    }
}

/// Whether a rewriting of the mailbox with this index was begun and not finished, so that the file cannot be read as it is.
///
/// # Errors
/// As the system.
pub(super) fn is_unfinished(mbox: &File, path: &Path, index: &Path) -> Result<bool, StoreError> {
    match Journal::open(&path_in(index))? {
        Some(journal) => Ok(matches!(journal.progress(mbox, path)?, Progress::Growing { .. } | Progress::Grown)),
        None => Ok(false),
    }
}

/// Finishes what a crash has interrupted, if anything. `mbox` is locked. Gives what to tell people if that cannot be done any more.
///
/// # Errors
/// As the system.
pub(super) fn recover(
    mbox: &File,
    path: &Path,
    index: &Path,
    permissions: &Permissions,
) -> Result<Option<String>, StoreError> {
    let journal_path = path_in(index);
    if !journal_path.exists() {
        return Ok(None);
    }
    if let Some(mut journal) = Journal::open(&journal_path)? {
        match journal.progress(mbox, path)? {
            Progress::None => {}
            Progress::Growing { appended } => {
                journal.keep_appended(mbox, path, appended, permissions)?;
                journal.grow(mbox, path)?;
                journal.finish(mbox, path)?;
            }
            Progress::Grown => journal.finish(mbox, path)?,
            Progress::Foreign => {
                let aside = journal_path.with_file_name(format!("{FILE_NAME}.aside"));
                mutation::rename(&journal_path, &aside)?;
                return Ok(Some(format!(
                    "a change of {} was cut off by a crash, and somebody else has changed the file since; what was to be \
                     done is in {}",
                    lossy(path),
                    lossy(&aside)
                )));
            }
        }
    }
    remove(&journal_path)?;
    Ok(None)
}

impl<'a> Journal<'a> {
    /// Opens a journal; `None` if there is none, or it was not completed before the crash: then nothing was begun.
    fn open(path: &'a Path) -> Result<Option<Self>, StoreError> {
        let (file, metadata) = match read::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            result => result?,
        };
        let failed = |error| FsError::new("read", path, error);
        let mut head = [0; HEAD];
        if metadata.len() < HEAD as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut head, 0).map_err(failed)?;
        let Some(size) = Plan::announced_size(&head).filter(|size| *size <= metadata.len()) else { return Ok(None) };
        let mut listed = vec![0; usize::try_from(size).unwrap_or(0)];
        file.read_exact_at(&mut listed, 0).map_err(failed)?;
        let Some(plan) = Plan::decode(&listed) else { return Ok(None) };
        let length = plan.data_length();
        if size.checked_add(length) != Some(metadata.len()) || checksum(&file, path, size, length)? != plan.data {
            return Ok(None);
        }
        Ok(Some(Self { plan, file: Arc::new(file), path }))
    }

    /// Writes what comes behind the old end, from its beginning to its end, as a delivery is written. Nothing else has
    /// changed yet.
    fn grow(&self, mbox: &File, path: &Path) -> Result<(), StoreError> {
        if self.plan.new_length > self.plan.old_length {
            for (place, start) in self.plan.beyond() {
                self.put(mbox, path, place, start)?;
            }
            // It has to be there before the rest changes.
            mutation::sync_file(mbox, path)?;
        }
        Ok(())
    }

    /// Does what remains when the file has grown.
    fn finish(&self, mbox: &File, path: &Path) -> Result<(), StoreError> {
        let Plan { old_length, new_length, .. } = self.plan;
        for (place, start) in self.plan.within() {
            self.put(mbox, path, place, start)?;
        }
        if new_length < old_length {
            // All that is to stay has to be there before the rest goes.
            mutation::sync_file(mbox, path)?;
            mutation::truncate(mbox, path, new_length)?;
        }
        mutation::sync_file(mbox, path)?;
        Ok(())
    }

    /// Copies the bytes that are at `start` in the journal to their place.
    fn put(&self, mbox: &File, path: &Path, write: Place, start: u64) -> Result<(), FsError> {
        let mut bytes = FileRange::new(Arc::clone(&self.file), start, write.length);
        let mut buffer = vec![0; usize::try_from(write.length).unwrap_or(BUFFER).min(BUFFER)];
        let mut done = 0;
        while done < write.length {
            let left = write.length.saturating_sub(done);
            let most = usize::try_from(left).unwrap_or(BUFFER).min(buffer.len());
            let part = buffer.get_mut(..most).unwrap_or_default();
            bytes.read_exact(part).map_err(|error| FsError::new("read", self.path, error))?;
            mutation::write_at(mbox, path, part, write.offset.saturating_add(done))?;
            done = done.saturating_add(most as u64);
        }
        Ok(())
    }

    /// Makes what somebody has appended at `from`, before the file had grown as far as it should, a part of the plan: it then
    /// ends with it.
    fn keep_appended(
        &mut self,
        mbox: &File,
        path: &Path,
        from: u64,
        permissions: &Permissions,
    ) -> Result<(), StoreError> {
        let length = length_of(mbox, path)?;
        let Some(appended) = length.checked_sub(from).filter(|appended| *appended > 0) else { return Ok(()) };
        let mut again: Vec<Write<'_>> = Vec::with_capacity(self.plan.writes.len().saturating_add(1));
        for (write, start) in self.plan.placed() {
            let bytes = Box::new(FileRange::new(Arc::clone(&self.file), start, write.length));
            again.push(Write { offset: write.offset, length: write.length, bytes });
        }
        let new_length = self.plan.new_length.saturating_add(appended);
        let bytes = Box::new(part(mbox, path, from, appended)?);
        again.push(Write { offset: self.plan.new_length, length: appended, bytes });
        // Under another name first: the old journal is needed until this one is complete.
        let longer = self.path.with_file_name(format!("{FILE_NAME}.longer"));
        let written = write_journal(mbox, path, &longer, again, (length, new_length), permissions)?;
        mutation::rename(&longer, self.path)?;
        if let Some(directory) = self.path.parent() {
            mutation::sync_directory(directory)?;
        }
        (self.plan, self.file) = (written.plan, written.file);
        Ok(())
    }
}

/// Reads until the buffer is full or there is no more; how much that was.
fn read_full(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = buffer.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match input.read(rest)? {
            0 => break,
            read => count += read,
        }
    }
    Ok(count)
}

/// A part of a file to read, with a handle of its own.
fn part(file: &File, path: &Path, offset: u64, length: u64) -> Result<FileRange, FsError> {
    let handle = file.try_clone().map_err(|error| FsError::new("open", path, error))?;
    Ok(FileRange::new(Arc::new(handle), offset, length))
}

fn length_of(file: &File, path: &Path) -> Result<u64, FsError> {
    file.metadata().map(|metadata| metadata.len()).map_err(|error| FsError::new("look at", path, error))
}

/// Over what is there of a part of a file.
fn checksum(file: &File, path: &Path, offset: u64, length: u64) -> Result<u32, StoreError> {
    let mut hasher = Hasher::new();
    let mut range = part(file, path, offset, length)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = match range.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count.map_err(|error| FsError::new("read", path, error))?,
        };
        if count == 0 {
            return Ok(hasher.finalize());
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests;
