//! Making an index that is not there, or a log.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::dates::write_new_cache;
use super::{FIRST_LOG, SaveDates, WAIT};
use crate::fs::clock::now;
use crate::fs::lock::FileLock;
use crate::fs::permissions::Permissions;
use crate::fs::replace::{self, Durability};
use crate::fs::{FsError, mutation, read};
use crate::index::error::IndexError;
use crate::index::files::IndexFiles;
use crate::index::log::LogHeader;
use crate::index::main_index::{MainIndex, offset};
use crate::index::reading::LARGEST;
use crate::index::replay::replay_all;
use crate::index::target::{self, IndexTarget};

/// How long to wait for somebody who has made a new log and has only to rename it.
pub(super) const WAIT_FOR_COMPLETE: Duration = Duration::from_secs(5);

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
    let old = match read::open_to_append(&files.log()) {
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
pub(super) fn write_snapshot(
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
pub(super) fn continue_snapshot(
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

/// Makes an empty log that continues the main index, if there is one.
pub(super) fn create_log(files: &IndexFiles, path: &Path, permissions: &Permissions) -> Result<(), IndexError> {
    let mut header = LogHeader::new(now().as_u32().max(1), FIRST_LOG, now().as_u32(), 1);
    if let Some(state) = replay_all(files, None)? {
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
    let complete = read::contents(path, LARGEST)?.is_some_and(|bytes| LogHeader::decode(&bytes).is_ok());
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
