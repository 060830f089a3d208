//! Reading the index of a mailbox from its files, without a lock and without changing anything.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::history::{self, IndexHistory, LogBytes};
use super::log::{Change, LogError, LogHeader, LogRecord, next_record};
use super::main_index::{MainIndex, MainIndexError, offset};
use super::modseqs::counted_place;
use super::view::{Contradiction, IndexView, is_reset};
use crate::fs::{FsError, read};
use crate::text::lossy;

/// The files of one index: a directory and the name that all of them begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexFiles {
    directory: PathBuf,
    prefix: &'static str,
}

impl IndexFiles {
    /// The index of a mailbox.
    #[must_use]
    pub fn of_mailbox(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), prefix: "dovecot.index" }
    }

    /// The index of the list of mailboxes.
    #[must_use]
    pub fn of_list(root: &Path) -> Self {
        Self { directory: root.to_owned(), prefix: "dovecot.list.index" }
    }

    /// The map of an mdbox: where the messages are.
    #[must_use]
    pub fn of_map(storage: &Path) -> Self {
        Self { directory: storage.to_owned(), prefix: "dovecot.map.index" }
    }

    /// Where they are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The main index.
    #[must_use]
    pub fn main(&self) -> PathBuf {
        self.with("")
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.with(".log")
    }

    /// The log before.
    #[must_use]
    pub fn old_log(&self) -> PathBuf {
        self.with(".log.2")
    }

    /// The cache.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.with(".cache")
    }

    /// One of the files by what its name ends with.
    pub(super) fn with(&self, suffix: &str) -> PathBuf {
        self.directory.join(format!("{}{suffix}", self.prefix))
    }
}

/// Sizes and offsets in these files are coded in 28 bits, in units of 4.
pub(crate) const LARGEST: u64 = 1 << 30;
/// How often to start again while a server rotates its log.
const TRIES: u32 = 5;
/// How often, and how long each time, to wait for somebody who is just writing a record.
const WRITER_TRIES: u32 = 10;
const WRITER_PAUSE: Duration = Duration::from_millis(5);

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

fn read_main(files: &IndexFiles) -> Result<Option<MainIndex>, IndexError> {
    let path = files.main();
    let (mut file, metadata) = match read::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result?,
    };
    if metadata.len() > LARGEST {
        let error = io::Error::new(io::ErrorKind::InvalidData, format!("it is larger than {LARGEST} bytes"));
        return Err(FsError::new("read", &path, error).into());
    }
    match MainIndex::read(&mut file, metadata.len()) {
        Ok(Ok(index)) => Ok(Some(index)),
        Ok(Err(error)) => Err(IndexError::Main { path, error }),
        Err(error) => Err(FsError::new("read", &path, error).into()),
    }
}

/// Replays everything, with the log given.
pub(super) fn replay_all(files: &IndexFiles, log: Option<&[u8]>) -> Result<Option<IndexState>, IndexError> {
    let main = read_main(files)?;
    let lost = |reason| IndexError::Lost { path: files.directory.clone(), reason };
    let Some(bytes) = log else {
        return Ok(main.map(|main| {
            let highest = counted_place(&main).map_or(1, |(highest, _, _)| highest);
            let view = IndexView::of_snapshot(main, highest);
            IndexState { view, log: None, log_end: 0, log_tail: 0, unfinished: false }
        }));
    };
    let log_path = files.log();
    let header = LogHeader::decode(bytes).map_err(|error| IndexError::Log { path: log_path.clone(), error })?;
    let current = LogFile { path: log_path, bytes, header: &header };
    let (view, start) = match main {
        None if is_reset(&header) => (IndexView::empty(header.index_id, header.initial_modseq), current.start()),
        None => return Err(lost("the main index is missing, and the log only continues it")),
        Some(main) if main.index_id() != header.index_id => {
            return Err(lost("index and log have different ids"));
        }
        // Somebody was about to replace the log by an empty one that only continues this.
        Some(main) if main.get(offset::LOG_SEQ) > header.file_seq && needs_no_log(&main) => {
            let highest = counted_place(&main).map_or(1, |(highest, _, _)| highest);
            let view = IndexView::of_snapshot(main, highest);
            let end = bytes.len();
            return Ok(Some(IndexState { view, log: Some(header), log_end: end, log_tail: end, unfinished: false }));
        }
        Some(main) => start_of(files, main, &current)?,
    };
    let log_tail = current.tail(&view, start)?;
    let (view, log_end) = current.replay(view, start)?;
    let unfinished = log_end < bytes.len();
    Ok(Some(IndexState { view, log: Some(header), log_end, log_tail, unfinished }))
}

/// Whether the index goes up to the very beginning of its log.
fn needs_no_log(main: &MainIndex) -> bool {
    let start = u32::from(super::log::HEADER_SIZE);
    main.get(offset::LOG_HEAD) == start && main.get(offset::LOG_TAIL) == start
}

/// The state at the place of the log from where it has to be replayed.
fn start_of(files: &IndexFiles, main: MainIndex, current: &LogFile<'_>) -> Result<(IndexView, usize), IndexError> {
    let lost = |reason| IndexError::Lost { path: files.directory.clone(), reason };
    let header = current.header;
    let (seq, head) = (main.get(offset::LOG_SEQ), main.get(offset::LOG_HEAD));
    let head_place = usize::try_from(head).unwrap_or(usize::MAX);
    if seq == header.file_seq {
        if is_reset(header) && head_place <= current.start() {
            return Ok((IndexView::empty(header.index_id, header.initial_modseq), current.start()));
        }
        if head_place > current.bytes.len() {
            return Err(lost("the index is newer than the end of the log"));
        }
        let (highest, counted_from) = match counted_place(&main) {
            Some((highest, seq, place)) if seq == header.file_seq => {
                (highest, usize::try_from(place).unwrap_or(usize::MAX))
            }
            _ => (header.initial_modseq, current.start()),
        };
        let mut view = IndexView::of_snapshot(main, highest);
        current.count(&mut view, counted_from, head_place)?;
        return Ok((view, head_place));
    }
    if is_reset(header) && seq < header.file_seq {
        return Ok((IndexView::empty(header.index_id, header.initial_modseq), current.start()));
    }
    if seq > header.file_seq {
        return Err(lost("the index belongs to a newer log"));
    }
    if seq == header.prev_file_seq && head == header.prev_file_offset {
        return Ok((IndexView::of_snapshot(main, header.initial_modseq), current.start()));
    }
    let old_path = files.old_log();
    let old_bytes = read::contents(&old_path, LARGEST)?.ok_or_else(|| lost("the log before this one is missing"))?;
    let old_header =
        LogHeader::decode(&old_bytes).map_err(|error| IndexError::Log { path: old_path.clone(), error })?;
    if old_header.index_id != header.index_id || old_header.file_seq != seq || seq != header.prev_file_seq {
        return Err(lost("the log before this one is missing"));
    }
    let end = usize::try_from(header.prev_file_offset).unwrap_or(usize::MAX).min(old_bytes.len());
    let old = LogFile { path: old_path, bytes: old_bytes.get(..end).unwrap_or_default(), header: &old_header };
    let view = IndexView::of_snapshot(main, header.initial_modseq);
    let (mut view, _) = old.replay(view, head_place)?;
    view.forget_requests();
    Ok((view.counting_from(header.initial_modseq), current.start()))
}

/// One log.
struct LogFile<'a> {
    path: PathBuf,
    bytes: &'a [u8],
    header: &'a LogHeader,
}

impl IndexState {
    /// Whether the log is still the one before that which continues the main index.
    pub(super) fn is_log_outdated(&self) -> bool {
        let seq = self.view.snapshot().get(offset::LOG_SEQ);
        self.log.as_ref().is_some_and(|log| log.file_seq < seq) && needs_no_log(self.view.snapshot())
    }
}

impl LogFile<'_> {
    fn start(&self) -> usize {
        self.header.header_size.into()
    }

    /// Applies all records from `start` on. Also says where the last complete one ends.
    fn replay(&self, mut view: IndexView, start: usize) -> Result<(IndexView, usize), IndexError> {
        let tail = self.tail(&view, start)?;
        let requests_from = tail.min(start);
        let mut place = requests_from;
        while let Some((record, end)) = self.next(place)? {
            if place >= start {
                view.apply(&record, self.header.minor).map_err(|error| IndexError::Contradiction {
                    path: self.path.clone(),
                    offset: place,
                    error,
                })?;
            }
            if place >= tail {
                view.note_pending(&record);
            }
            place = end;
        }
        Ok((view, place.max(start)))
    }

    /// Only counts modseqs.
    fn count(&self, view: &mut IndexView, from: usize, to: usize) -> Result<(), IndexError> {
        let mut place = from;
        while place < to
            && let Some((record, end)) = self.next(place)?
        {
            view.count(&record, self.header.minor);
            place = end;
        }
        Ok(())
    }

    /// Up to where requests have been carried out: what the index says, or a later record of the log.
    fn tail(&self, view: &IndexView, start: usize) -> Result<usize, IndexError> {
        let snapshot = view.snapshot();
        let mut tail = if snapshot.get(offset::LOG_SEQ) == self.header.file_seq {
            usize::try_from(snapshot.get(offset::LOG_TAIL)).unwrap_or(0)
        } else {
            0
        };
        let mut place = start;
        while let Some((record, end)) = self.next(place)? {
            if let (true, Change::HeaderUpdate(patches)) = (record.external, &record.change)
                && let Some((at, bytes)) = patches.first()
                && *at <= offset::LOG_TAIL
                && usize::from(*at).saturating_add(bytes.len()) >= usize::from(offset::LOG_TAIL).saturating_add(4)
            {
                let skip = usize::from(offset::LOG_TAIL.saturating_sub(*at));
                tail = tail.max(usize::try_from(super::bytes::u32_at(bytes, skip)).unwrap_or(0));
            }
            place = end;
        }
        Ok(tail.max(self.start()))
    }

    /// The record at a place, unless it, or the group it begins, is not complete.
    fn next(&self, place: usize) -> Result<Option<(LogRecord, usize)>, IndexError> {
        next_record(self.bytes, place).map_err(|error| IndexError::Log { path: self.path.clone(), error })
    }
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

#[cfg(test)]
mod tests;
