//! Changing an mbox in its place so that a crash at any moment can be made good.
//!
//! A server that waits for the lock has the file open already, so it must not be replaced by another one. All bytes that will
//! change are first written to a journal beside the index, and that is made durable. Whoever opens the mailbox to change it and
//! finds a journal, finishes the work, or sees that it was finished or not begun. What somebody has appended after the crash
//! stays.
//!
//! ```text
//! magic, old length, new length, number of writes             8 bytes each, little-endian
//! checksum of the end that is cut off                         4
//! per write: offset, length, checksum before, checksum after  8 + 8 + 4 + 4
//! checksum of all that                                        4
//! the new bytes of all writes
//! ```
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crc32fast::Hasher;
use dsync_core::store::{ErrorKind, StoreError};

use crate::fs::permissions::Permissions;
use crate::fs::{FsError, mutation, read};
use crate::index::bytes::Reader;
use crate::text::lossy;

/// The name of a journal in the directory of an index.
const FILE_NAME: &str = "dsync-rewrite";
const MAGIC: &[u8; 8] = b"dsyncrw1";
/// Magic, two lengths and a count.
const HEAD: usize = 32;
/// One write in the list.
const ENTRY: usize = 24;
/// No rewriting has more writes: two for each of so many messages.
const MOST_WRITES: u64 = 1 << 26;
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    offset: u64,
    length: u64,
    /// Of the bytes there before, as far as the file went.
    before: u32,
    after: u32,
}

/// What is to be done, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Plan {
    old_length: u64,
    new_length: u64,
    /// Checksum of the end of the file that is to be cut off.
    tail: u32,
    writes: Vec<Entry>,
}

impl Plan {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.old_length.to_le_bytes());
        bytes.extend(self.new_length.to_le_bytes());
        bytes.extend((self.writes.len() as u64).to_le_bytes());
        bytes.extend(self.tail.to_le_bytes());
        for write in &self.writes {
            bytes.extend(write.offset.to_le_bytes());
            bytes.extend(write.length.to_le_bytes());
            bytes.extend(write.before.to_le_bytes());
            bytes.extend(write.after.to_le_bytes());
        }
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// How many bytes it takes with so many writes.
    fn size(writes: u64) -> u64 {
        (HEAD as u64).saturating_add(writes.saturating_mul(ENTRY as u64)).saturating_add(8)
    }

    /// Reads it; `None` if it is not whole, because it was never completed.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (listed, checksum) = bytes.split_last_chunk()?;
        if crc32fast::hash(listed) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let mut reader = Reader(listed);
        if reader.take(MAGIC.len())? != MAGIC {
            return None;
        }
        let (old_length, new_length, count) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let tail = reader.u32()?;
        let mut writes = Vec::new();
        for _ in 0..count {
            let (offset, length) = (reader.u64()?, reader.u64()?);
            writes.push(Entry { offset, length, before: reader.u32()?, after: reader.u32()? });
        }
        reader.is_empty().then_some(Self { old_length, new_length, tail, writes })
    }

    fn data_length(&self) -> u64 {
        self.writes.iter().fold(0, |sum: u64, write| sum.saturating_add(write.length))
    }
}

/// A journal that was written, with the file that it is about.
struct Journal<'a> {
    plan: Plan,
    file: File,
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
    let written = write_journal(mbox, path, journal, writes, (old_length, new_length), permissions);
    let written = match written {
        Ok(written) => written,
        Err(error) => {
            let _ = mutation::remove_file(journal);
            return Err(error);
        }
    };
    written.apply(mbox, path)?;
    mutation::remove_file(journal)?;
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
    let file = mutation::create(journal, permissions)?;
    let mut place = Plan::size(writes.len() as u64);
    let mut entries = Vec::with_capacity(writes.len());
    let mut buffer = vec![0; BUFFER];
    for mut write in writes {
        let mut after = Hasher::new();
        let mut left = write.length;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            let part = buffer.get_mut(..most).unwrap_or_default();
            write.bytes.read_exact(part).map_err(|error| FsError::new("read the new bytes of", path, error))?;
            after.update(part);
            mutation::write_at(&file, journal, part, place)?;
            place = place.saturating_add(part.len() as u64);
            left = left.saturating_sub(part.len() as u64);
        }
        let before = checksum(mbox, path, write.offset, write.length.min(old_length.saturating_sub(write.offset)))?;
        entries.push(Entry { offset: write.offset, length: write.length, before, after: after.finalize() });
    }
    let tail = checksum(mbox, path, new_length, old_length.saturating_sub(new_length))?;
    let plan = Plan { old_length, new_length, tail, writes: entries };
    mutation::write_at(&file, journal, &plan.encode(), 0)?;
    mutation::sync_file(&file, journal)?;
    if let Some(directory) = journal.parent() {
        mutation::sync_directory(directory)?;
    }
    Ok(Journal { plan, file, path: journal })
}

/// Whether a rewriting of the mailbox with this index was begun and not finished, so that the file cannot be read as it is.
///
/// # Errors
/// As the system.
pub(super) fn is_unfinished(mbox: &File, path: &Path, index: &Path) -> Result<bool, StoreError> {
    let journal = path_in(index);
    match Journal::open(&journal)? {
        Some(journal) => Ok(journal.progress(mbox, path)? == Progress::Begun),
        None => Ok(false),
    }
}

/// Finishes what a crash has interrupted, if anything. `mbox` is locked.
///
/// # Errors
/// As the system.
pub(super) fn recover(mbox: &File, path: &Path, index: &Path, permissions: &Permissions) -> Result<(), StoreError> {
    let journal_path = path_in(index);
    if !journal_path.exists() {
        return Ok(());
    }
    if let Some(mut journal) = Journal::open(&journal_path)?
        && journal.progress(mbox, path)? == Progress::Begun
    {
        journal.keep_appended(mbox, path, permissions)?;
        journal.apply(mbox, path)?;
    }
    mutation::remove_file(&journal_path)?;
    Ok(())
}

/// How far a rewriting got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Nothing is changed, or everything.
    None,
    /// The file is neither what it was nor what it is to be.
    Begun,
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
        let count = head.last_chunk().map_or(0, |count| u64::from_le_bytes(*count));
        let size = Plan::size(count);
        if count > MOST_WRITES || size > metadata.len() {
            return Ok(None);
        }
        let mut listed = vec![0; usize::try_from(size).unwrap_or(0)];
        file.read_exact_at(&mut listed, 0).map_err(failed)?;
        let plan = Plan::decode(&listed);
        let complete = plan.filter(|plan| size.saturating_add(plan.data_length()) == metadata.len());
        Ok(complete.map(|plan| Self { plan, file, path }))
    }

    fn progress(&self, mbox: &File, path: &Path) -> Result<Progress, StoreError> {
        let length = length_of(mbox, path)?;
        let is_untouched = match self.plan.new_length > self.plan.old_length {
            // It gets its new length first, filled with zeros.
            true => length < self.plan.new_length || !self.has_grown(mbox, path)?,
            false => self.is_uncut(mbox, path, length)?,
        };
        if is_untouched && self.all(&|write| self.is_before(mbox, path, write))? {
            return Ok(Progress::None);
        }
        // Somebody may have appended since.
        let is_after = |write: &Entry| Ok(checksum(mbox, path, write.offset, write.length)? == write.after);
        let is_cut = self.plan.new_length >= self.plan.old_length || !self.is_uncut(mbox, path, length)?;
        match length >= self.plan.new_length && is_cut && self.all(&is_after)? {
            true => Ok(Progress::None),
            false => Ok(Progress::Begun),
        }
    }

    fn all(&self, holds: &dyn Fn(&Entry) -> Result<bool, StoreError>) -> Result<bool, StoreError> {
        self.plan.writes.iter().try_fold(true, |all, write| Ok(all && holds(write)?))
    }

    fn is_before(&self, mbox: &File, path: &Path, write: &Entry) -> Result<bool, StoreError> {
        let there = write.length.min(self.plan.old_length.saturating_sub(write.offset));
        Ok(checksum(mbox, path, write.offset, there)? == write.before)
    }

    /// Whether the end that is to be cut off is still there.
    fn is_uncut(&self, mbox: &File, path: &Path, length: u64) -> Result<bool, StoreError> {
        let Plan { old_length, new_length, tail, .. } = self.plan;
        Ok(length >= old_length && checksum(mbox, path, new_length, old_length.saturating_sub(new_length))? == tail)
    }

    /// Whether what is beyond the old length is what this rewriting puts there: zeros, and then new bytes. What somebody else has
    /// appended is something else.
    fn has_grown(&self, mbox: &File, path: &Path) -> Result<bool, StoreError> {
        let Plan { old_length, writes, .. } = &self.plan;
        let mut place = Plan::size(writes.len() as u64);
        for write in writes {
            let skipped = old_length.saturating_sub(write.offset).min(write.length);
            let length = write.length.saturating_sub(skipped);
            let mut new = part(&self.file, self.path, place.saturating_add(skipped), length)?;
            let mut there = part(mbox, path, write.offset.saturating_add(skipped), length)?;
            if !is_made_of(&mut there, &mut new).map_err(|error| FsError::new("read", path, error))? {
                return Ok(false);
            }
            place = place.saturating_add(write.length);
        }
        Ok(true)
    }

    /// Carries the plan out.
    fn apply(&self, mbox: &File, path: &Path) -> Result<(), StoreError> {
        let Plan { old_length, new_length, writes, .. } = &self.plan;
        if new_length > old_length && length_of(mbox, path)? < *new_length {
            mutation::truncate(mbox, path, *new_length)?;
        }
        let mut place = Plan::size(writes.len() as u64);
        for write in writes {
            copy((&self.file, self.path, place), (mbox, path, write.offset), write.length)?;
            place = place.saturating_add(write.length);
        }
        if new_length < old_length {
            // All that is to stay has to be there before the rest goes.
            mutation::sync_file(mbox, path)?;
            mutation::truncate(mbox, path, self.plan.new_length)?;
        }
        mutation::sync_file(mbox, path)?;
        Ok(())
    }

    /// Adds what somebody has appended to a file that was half changed: the plan then ends with it.
    fn keep_appended(&mut self, mbox: &File, path: &Path, permissions: &Permissions) -> Result<(), StoreError> {
        let length = length_of(mbox, path)?;
        let end = self.plan.old_length.max(self.plan.new_length);
        let Some(appended) = length.checked_sub(end).filter(|appended| *appended > 0) else { return Ok(()) };
        let writes = self.plan.writes.clone();
        let mut place = Plan::size(writes.len() as u64);
        let mut again = Vec::with_capacity(writes.len().saturating_add(1));
        for write in writes {
            again.push(Write {
                offset: write.offset,
                length: write.length,
                bytes: Box::new(part(&self.file, self.path, place, write.length)?),
            });
            place = place.saturating_add(write.length);
        }
        let new_length = self.plan.new_length.saturating_add(appended);
        again.push(Write {
            offset: self.plan.new_length,
            length: appended,
            bytes: Box::new(part(mbox, path, end, appended)?),
        });
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

/// A part of a file to read, with a handle of its own.
fn part(file: &File, path: &Path, offset: u64, length: u64) -> Result<dsync_core::store::FileRange, FsError> {
    let handle = file.try_clone().map_err(|error| FsError::new("open", path, error))?;
    Ok(dsync_core::store::FileRange::new(std::sync::Arc::new(handle), offset, length))
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
        let count = range.read(&mut buffer).map_err(|error| FsError::new("read", path, error))?;
        if count == 0 {
            return Ok(hasher.finalize());
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
    }
}

/// Whether every byte is either the same as in `new` or zero.
fn is_made_of(there: &mut impl Read, new: &mut impl Read) -> io::Result<bool> {
    let (mut have, mut want) = (vec![0; BUFFER], vec![0; BUFFER]);
    loop {
        let count = new.read(&mut want)?;
        if count == 0 {
            return Ok(true);
        }
        let have = have.get_mut(..count).unwrap_or_default();
        match there.read_exact(have) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            result => result?,
        }
        if !have.iter().zip(&want).all(|(have, want)| *have == 0 || have == want) {
            return Ok(false);
        }
    }
}

fn copy(
    (from, from_path, from_offset): (&File, &Path, u64),
    (to, to_path, to_offset): (&File, &Path, u64),
    length: u64,
) -> Result<(), StoreError> {
    let mut range = part(from, from_path, from_offset, length)?;
    let mut buffer = vec![0; BUFFER];
    let mut place = to_offset;
    let end = to_offset.saturating_add(length);
    while place < end {
        let count = range.read(&mut buffer).map_err(|error| FsError::new("read", from_path, error))?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            let text = format!("{} is shorter than it was", lossy(from_path));
            return Err(StoreError::new(ErrorKind::Corrupt, text));
        }
        mutation::write_at(to, to_path, bytes, place)?;
        place = place.saturating_add(count as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Case {
        dir: tempfile::TempDir,
        mbox: File,
    }

    impl Case {
        fn new(bytes: &[u8]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("mbox"), bytes).unwrap();
            let mbox = File::options().read(true).write(true).open(dir.path().join("mbox")).unwrap();
            Self { dir, mbox }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("mbox")
        }

        fn write(&self, offset: usize, new: &[u8]) {
            self.mbox.write_all_at(new, offset as u64).unwrap();
        }

        fn bytes(&self) -> Vec<u8> {
            std::fs::read(self.path()).unwrap()
        }

        fn journal(&self, writes: &[(usize, Vec<u8>)], new_length: usize) {
            let old = self.bytes().len() as u64;
            let journal = path_in(self.dir.path());
            write_journal(
                &self.mbox,
                &self.path(),
                &journal,
                of(writes),
                (old, new_length as u64),
                &Permissions::PRIVATE,
            )
            .map(drop)
            .unwrap();
        }

        fn recover(&self) {
            recover(&self.mbox, &self.path(), self.dir.path(), &Permissions::PRIVATE).unwrap();
            assert!(!path_in(self.dir.path()).exists());
        }
    }

    fn of(writes: &[(usize, Vec<u8>)]) -> Vec<Write<'_>> {
        let write = |(offset, bytes): &'_ (usize, Vec<u8>)| Write {
            offset: *offset as u64,
            length: bytes.len() as u64,
            bytes: Box::new(io::Cursor::new(bytes.clone())),
        };
        writes.iter().map(write).collect()
    }

    fn changed(old: &[u8], writes: &[(usize, Vec<u8>)], new_length: usize) -> Vec<u8> {
        let mut new = old.to_vec();
        new.resize(new_length.max(old.len()), 0);
        for (offset, bytes) in writes {
            new[*offset..*offset + bytes.len()].copy_from_slice(bytes);
        }
        new.truncate(new_length);
        new
    }

    #[test]
    fn bytes_change_in_place() {
        let case = Case::new(b"0123456789");
        let writes = [(2, b"xy".to_vec()), (8, b"abcd".to_vec())];
        let journal = path_in(case.dir.path());
        rewrite(&case.mbox, &case.path(), &journal, of(&writes), 12, &Permissions::PRIVATE).unwrap();
        assert_eq!(case.bytes(), b"01xy4567abcd");
        assert!(!journal.exists());
    }

    #[test]
    fn an_incomplete_journal_means_that_nothing_was_begun() {
        let case = Case::new(b"0123456789");
        case.journal(&[(0, b"xxxx".to_vec())], 10);
        let journal = path_in(case.dir.path());
        let whole = std::fs::read(&journal).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&journal, &whole[..length]).unwrap();
            case.recover();
            assert_eq!(case.bytes(), b"0123456789");
        }
    }

    proptest! {
        /// The writes of a rewriting reach the file in their order, one after the other, each perhaps in part.
        #[test]
        fn a_rewriting_that_was_cut_off_anywhere_is_finished_and_what_was_appended_stays(
            old in prop::collection::vec(any::<u8>(), 1..40),
            pieces in prop::collection::vec((0usize..40, prop::collection::vec(any::<u8>(), 1..12)), 1..4),
            new_length in 1usize..60,
            stop in 0usize..70,
            appended in prop::collection::vec(1u8.., 0..8),
        ) {
            let mut writes: Vec<(usize, Vec<u8>)> = Vec::new();
            let mut place = 0;
            for (gap, bytes) in pieces {
                let offset = (place + gap).min(old.len());
                if offset + bytes.len() <= new_length && offset >= place {
                    place = offset + bytes.len();
                    writes.push((offset, bytes));
                }
            }
            // A file that grows grows by what is written.
            let new_length = if new_length > old.len() { place.max(old.len()) } else { new_length };
            let new = changed(&old, &writes, new_length);
            let case = Case::new(&old);
            case.journal(&writes, new_length);
            let mut steps = stop;
            if steps > 0 && new_length > old.len() {
                case.mbox.set_len(new_length as u64).unwrap();
                steps -= 1;
            }
            let total: usize = writes.iter().map(|(_, bytes)| bytes.len()).sum();
            let finished = steps > total;
            for (offset, bytes) in &writes {
                let count = steps.min(bytes.len());
                case.write(*offset, &bytes[..count]);
                steps -= count;
            }
            if finished && new_length < old.len() {
                case.mbox.set_len(new_length as u64).unwrap();
            }
            let end = case.bytes().len();
            case.write(end, &appended);
            let before = case.bytes();
            case.recover();
            let result = case.bytes();
            let with = |mut bytes: Vec<u8>| { bytes.extend(&appended); bytes };
            let acceptable = [with(old.clone()), with(new.clone())];
            prop_assert!(acceptable.contains(&result), "{before:?} -> {result:?}, not {acceptable:?}");
        }
    }
}
