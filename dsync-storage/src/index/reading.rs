//! Reading the index of a mailbox from its files, without a lock and without changing anything.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use super::error::IndexError;
use super::files::IndexFiles;
use super::history::{self, IndexHistory, LogBytes};
use super::log::{Change, LogHeader, LogRecord};
use super::main_index::{MainIndex, offset};
use super::replay::{read_main, replay, replay_all};
use super::view::IndexView;
use crate::fs::{FsError, read};

/// Sizes and offsets in these files are coded in 28 bits, in units of 4.
pub(crate) const LARGEST: u64 = 1 << 30;
/// How often to start again while a server rotates its log.
const TRIES: u32 = 5;
/// How often, and how long each time, to wait for somebody who is just writing a record.
const WRITER_TRIES: u32 = 10;
const WRITER_PAUSE: Duration = Duration::from_millis(5);

/// The state of an index and the place in the log that it goes up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexState {
    /// The state.
    pub view: IndexView,
    /// The header of the log; `None` if there is none, and the main index is everything.
    pub log: Option<LogHeader>,
    /// Where the last complete record of the log ends.
    pub log_end: usize,
    /// Up to where the log says that everything it asks for has been carried out.
    pub log_tail: usize,
    /// Whether something incomplete follows there: another writer is at work, or one crashed.
    pub unfinished: bool,
}

/// A moment of an index: as long as it is the same, nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexMark {
    index_id: u32,
    log_seq: u32,
    log_end: usize,
}

impl IndexMark {
    /// The moment of this state.
    #[must_use]
    pub fn of(state: &IndexState) -> Self {
        Self {
            index_id: state.view.snapshot().index_id(),
            log_seq: state.log.as_ref().map_or(0, |log| log.file_seq),
            log_end: state.log_end,
        }
    }
}

/// Reads an index; `None` if there is none.
///
/// # Errors
/// If its files cannot be read, are corrupt, or do not belong together.
pub fn read_index(files: &IndexFiles) -> Result<Option<IndexState>, IndexError> {
    let (mut tries, mut pauses) = (0, 0);
    loop {
        tries += 1;
        let log = read::contents(&files.log(), LARGEST)?;
        match replay_all(files, log.as_deref()) {
            // The log may have been replaced between the moments at which the files were read.
            Err(IndexError::Lost { .. }) if tries < TRIES => {}
            Ok(Some(state)) if state.unfinished && pauses < WRITER_TRIES => {
                pauses += 1;
                std::thread::sleep(WRITER_PAUSE);
            }
            result => return result,
        }
    }
}

/// Reads what an index says about the mailbox as a whole, without its messages: that costs little, however many there are.
///
/// # Errors
/// As [`read_index`].
pub fn read_head(files: &IndexFiles) -> Result<Option<IndexState>, IndexError> {
    let log = read::contents(&files.log(), LARGEST)?;
    let main = read_main(files, MainIndex::read_head);
    match main.and_then(|main| replay(files, main, log.as_deref())) {
        Ok(Some(state)) if !state.unfinished => Ok(Some(state)),
        // Somebody is at work, or something is wrong. What it is only the whole index tells.
        _ => read_index(files),
    }
}

/// Whether the last record of the log says that everything before it has been carried out. One that does not may still be
/// complete.
///
/// # Errors
/// As the system.
pub fn is_carried_out(files: &IndexFiles) -> Result<bool, FsError> {
    let path = files.log();
    let (file, metadata) = match read::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        result => result?,
    };
    let Ok(length) = u32::try_from(metadata.len()) else { return Ok(false) };
    let expected = end_mark(length).encode();
    let mut last = vec![0; expected.len()];
    let Some(place) = metadata.len().checked_sub(last.len() as u64) else { return Ok(false) };
    file.read_exact_at(&mut last, place).map_err(|error| FsError::new("read", &path, error))?;
    Ok(last == expected)
}

/// The record that says that the log has been carried out up to a place.
pub(super) fn end_mark(tail: u32) -> LogRecord {
    LogRecord::external(Change::HeaderUpdate(vec![(offset::LOG_TAIL, tail.to_le_bytes().to_vec())]))
}

/// What happened since the highest modseq was `since`, or as long as the logs go back ([`history::read`]). Nothing is known if there is no
/// index.
///
/// # Errors
/// If the files cannot be read. Logs that cannot be understood tell nothing.
pub fn read_history(files: &IndexFiles, since: Option<u64>, mirrored_until: u64) -> Result<IndexHistory, FsError> {
    let state = match read_index(files) {
        Ok(Some(state)) => state,
        Err(IndexError::Fs(error)) => return Err(error),
        Ok(None) | Err(_) => return Ok(IndexHistory::default()),
    };
    let log = |path: &Path| -> Result<Option<LogBytes>, FsError> {
        let Some(bytes) = read::contents(path, LARGEST)? else { return Ok(None) };
        let header = LogHeader::decode(&bytes).ok();
        let same_index = header.filter(|header| header.index_id == state.view.snapshot().index_id());
        Ok(same_index.map(|header| LogBytes { header, bytes }))
    };
    let current = log(&files.log())?;
    let mut old = log(&files.old_log())?;
    if let (Some(before), Some(current)) = (&mut old, &current) {
        if before.header.file_seq == current.header.prev_file_seq {
            // What was appended after the end that the log after it knows was never seen by anybody.
            before.bytes.truncate(usize::try_from(current.header.prev_file_offset).unwrap_or(usize::MAX));
        } else {
            old = None;
        }
    }
    // Without its successor an old log does not lead to the present.
    let logs: Vec<_> = current.map(|current| old.into_iter().chain([current]).collect()).unwrap_or_default();
    Ok(history::read(&logs, since, mirrored_until, &state.view).unwrap_or_default())
}

#[cfg(test)]
mod tests;
