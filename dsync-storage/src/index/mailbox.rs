//! The index of a mailbox in the terms of the model.

use std::collections::HashMap;

use dsync_core::model::{
    FlagHistory, Flags, HistoryRange, Keyword, Keywords, MailboxHistory, MessageRecord, ModSeq, RunTraces, SyncPoint,
    Uid,
};

use super::cache::{Cache, RECEIVED_DATE, SAVE_DATE};
use super::error::IndexError;
use super::files::IndexFiles;
use super::reading::{LARGEST, read_history};
use super::target::TargetMessage;
use super::view::{CACHE, IndexView};
use super::writer::LockedIndex;
use crate::fs::{FsError, read};

/// The flags have not been written to the storage.
const DIRTY: u8 = 0x80;

/// One message in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedMessage {
    /// System flags.
    pub flags: Flags,
    /// Keywords.
    pub keywords: Keywords,
    /// The flags are right here and wrong in the storage.
    pub dirty: bool,
    /// When it last changed.
    pub modseq: ModSeq,
    /// The received date, if the cache knows it, in seconds since 1970.
    pub received: Option<u32>,
    /// The saved date, if the cache knows it, in seconds since 1970.
    pub saved: Option<u32>,
}

/// The bytes of the cache file that belongs to an index; none if there is none that can be read. What is lost with it
/// are only dates, and they have other places too.
#[must_use]
pub fn cache_bytes(files: &IndexFiles, view: &IndexView) -> Vec<u8> {
    match view.extension(CACHE) {
        Some(_) => read::contents(&files.cache(), LARGEST).ok().flatten().unwrap_or_default(),
        None => Vec::new(),
    }
}

/// The cache in [`cache_bytes`], if it is that of the index.
#[must_use]
pub fn cache_of<'a>(view: &IndexView, bytes: &'a [u8]) -> Option<Cache<'a>> {
    let extension = view.extension(CACHE)?;
    Cache::decode(bytes, view.snapshot().index_id(), extension.reset_id)
}

/// All messages, by ascending UID.
pub fn messages<'a>(
    view: &'a IndexView,
    cache: Option<&'a Cache<'_>>,
) -> impl Iterator<Item = (Uid, IndexedMessage)> + 'a {
    let names: Vec<Option<Keyword>> =
        view.keyword_names().iter().map(|name| std::str::from_utf8(name).ok().and_then(Keyword::new)).collect();
    let mut sets: HashMap<Vec<usize>, Keywords> = HashMap::new();
    view.messages().iter().enumerate().filter_map(move |(place, (uid, flags))| {
        let numbers: Vec<usize> = view.keywords(place).collect();
        let keywords = sets.entry(numbers).or_insert_with_key(|numbers| {
            numbers.iter().filter_map(|number| names.get(*number).cloned().flatten()).collect()
        });
        let date = |name| cache?.date(view.cache_offset(place), name);
        let message = IndexedMessage {
            flags: Flags::from_bits(*flags),
            keywords: keywords.clone(),
            dirty: flags & DIRTY != 0,
            modseq: ModSeq(view.modseq(place)),
            received: date(RECEIVED_DATE),
            saved: date(SAVE_DATE),
        };
        Some((Uid::new(*uid)?, message))
    })
}

/// What an index is to hold about a message; `None` if it has no UID.
#[must_use]
pub fn target_message(record: &MessageRecord, highest_modseq: ModSeq) -> Option<TargetMessage> {
    Some(TargetMessage {
        uid: record.uid?.get(),
        flags: record.flags.bits(),
        keywords: record.keywords.clone(),
        modseq: record.modseq.unwrap_or(highest_modseq).get(),
    })
}

/// The saved dates of messages, for a storage that has no other place for them.
#[must_use]
pub fn save_dates(records: impl IntoIterator<Item = MessageRecord>) -> Vec<(u32, u32)> {
    records.into_iter().filter_map(|record| Some((record.uid?.get(), record.saved?.as_u32()))).collect()
}

/// What the log knows about a range.
///
/// # Errors
/// If the files cannot be read.
pub fn history(files: &IndexFiles, range: HistoryRange) -> Result<MailboxHistory, FsError> {
    let known = read_history(files, range.since.map(ModSeq::get), range.mirrored_until.get())?;
    let flags = known.changes.into_iter().filter_map(|(uid, changes)| {
        let mut history = FlagHistory::default();
        history.change_flags(Flags::from_bits(changes.added), Flags::from_bits(changes.removed));
        if changes.cleared_keywords {
            history.clear_keywords();
        }
        for (name, set) in changes.keywords {
            if let Some(keyword) = std::str::from_utf8(&name).ok().and_then(Keyword::new) {
                history.change_keyword(keyword, set);
            }
        }
        Some((Uid::new(uid)?, history))
    });
    let guid = |guid: [u8; 16]| Some(guid).filter(|guid| *guid != [0; 16]);
    let expunged = known.expunged.into_iter().filter_map(|(uid, bytes)| Some((Uid::new(uid)?, guid(bytes))));
    let given = known.given.into_iter().filter_map(|(first, last)| Some((Uid::new(first)?, Uid::new(last)?)));
    let removed = known.removed_by_runs.into_iter().filter_map(|(guid, uid)| Some((guid, Uid::new(uid)?)));
    let runs = RunTraces {
        given: given.collect(),
        removed: removed.collect(),
        expunged_by_clients: known.expunged_by_clients,
    };
    Ok(MailboxHistory { complete: known.complete, flags: flags.collect(), expunged: expunged.collect(), runs })
}

/// Keeps a moment of agreement with another store, unless the index is no longer the one of that moment.
///
/// # Errors
/// As [`LockedIndex::remember`].
pub fn remember(index: &mut LockedIndex, point: SyncPoint) -> Result<(), IndexError> {
    let view = index.view();
    let same = view.uid_validity() == point.uid_validity.get() && view.highest_modseq() >= point.highest_modseq.get();
    if !same {
        return Ok(());
    }
    index.cut_unfinished()?;
    index.remember(point)
}
