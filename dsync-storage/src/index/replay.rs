//! A main index with its log replayed over it.

use std::io;
use std::path::PathBuf;

use super::bytes::u32_at;
use super::error::IndexError;
use super::files::IndexFiles;
use super::log::{Change, HEADER_SIZE, LogHeader, LogRecord, next_record};
use super::main_index::{MainIndex, MainIndexError, offset};
use super::modseqs::counted_place;
use super::reading::{IndexState, LARGEST};
use super::view::IndexView;
use crate::fs::{FsError, read};

/// Replays everything, with the log given.
pub(super) fn replay_all(files: &IndexFiles, log: Option<&[u8]>) -> Result<Option<IndexState>, IndexError> {
    replay(files, read_main(files, MainIndex::read)?, log)
}

/// Replays the log, which may continue `main`.
pub(super) fn replay(
    files: &IndexFiles,
    main: Option<MainIndex>,
    log: Option<&[u8]>,
) -> Result<Option<IndexState>, IndexError> {
    let lost = |reason| IndexError::Lost { path: files.directory().to_owned(), reason };
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
        None if header.is_reset() => (IndexView::empty(header.index_id, header.initial_modseq), current.start()),
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
    let start = u32::from(HEADER_SIZE);
    main.get(offset::LOG_HEAD) == start && main.get(offset::LOG_TAIL) == start
}

/// The state at the place of the log from where it has to be replayed.
fn start_of(files: &IndexFiles, main: MainIndex, current: &LogFile<'_>) -> Result<(IndexView, usize), IndexError> {
    let lost = |reason| IndexError::Lost { path: files.directory().to_owned(), reason };
    let header = current.header;
    let (seq, head) = (main.get(offset::LOG_SEQ), main.get(offset::LOG_HEAD));
    let head_place = usize::try_from(head).unwrap_or(usize::MAX);
    if seq == header.file_seq {
        if header.is_reset() && head_place <= current.start() {
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
    if header.is_reset() && seq < header.file_seq {
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
    pub(crate) fn is_log_outdated(&self) -> bool {
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
                tail = tail.max(usize::try_from(u32_at(bytes, skip)).unwrap_or(0));
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

/// How a main index of some length is read.
pub(super) type ReadMain = fn(&mut dyn io::Read, u64) -> io::Result<Result<MainIndex, MainIndexError>>;

pub(super) fn read_main(files: &IndexFiles, read_from: ReadMain) -> Result<Option<MainIndex>, IndexError> {
    let path = files.main();
    let (mut file, metadata) = match read::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result?,
    };
    if metadata.len() > LARGEST {
        let error = io::Error::new(io::ErrorKind::InvalidData, format!("it is larger than {LARGEST} bytes"));
        return Err(FsError::new("read", &path, error).into());
    }
    match read_from(&mut file, metadata.len()) {
        Ok(Ok(index)) => Ok(Some(index)),
        Ok(Err(error)) => Err(IndexError::Main { path, error }),
        Err(error) => Err(FsError::new("read", &path, error).into()),
    }
}
