//! What a Maildir keeps in its index: the adapter between the two.

use std::path::Path;

use dsync_core::model::{
    FlagHistory, Flags, HistoryRange, Keyword, Keywords, MailboxHistory, MessageRecord, ModSeq, SyncPoint, Timestamp,
    Uid, UidValidity,
};
use dsync_core::store::StoreError;

use super::join::{IndexedMailbox, IndexedMessage};
use crate::fs::permissions::Permissions;
use crate::fs::read;
use crate::fs::replace::Durability;
use crate::index::cache::{Cache, RECEIVED_DATE, SAVE_DATE};
use crate::index::files::{IndexError, IndexFiles, IndexState, LARGEST, read_history, read_index};
use crate::index::points;
use crate::index::target::{IndexTarget, TargetMessage};
use crate::index::view::{CACHE, IndexView};
use crate::index::writer::{self, LockedIndex};

/// The flags have not been written to the file name.
const DIRTY: u8 = 0x80;

/// Reads the index in a directory; `None` if there is none.
pub(super) fn read(directory: &Path) -> Result<Option<IndexedMailbox>, IndexError> {
    let files = IndexFiles::of_mailbox(directory);
    let Some(IndexState { view, unfinished, .. }) = read_index(&files)? else { return Ok(None) };
    // Dates are all that is lost with the cache, and the files have some too.
    let cache_bytes = match view.extension(CACHE) {
        Some(_) => read::contents(&files.cache(), LARGEST).ok().flatten().unwrap_or_default(),
        None => Vec::new(),
    };
    let cache = view
        .extension(CACHE)
        .and_then(|extension| Cache::decode(&cache_bytes, view.snapshot().index_id(), extension.reset_id));
    Ok(Some(IndexedMailbox { unfinished, ..mailbox_of(&view, cache.as_ref()) }))
}

fn mailbox_of(view: &IndexView, cache: Option<&Cache<'_>>) -> IndexedMailbox {
    let names: Vec<Option<Keyword>> =
        view.keyword_names().iter().map(|name| std::str::from_utf8(name).ok().and_then(Keyword::new)).collect();
    let uids = |uids: &std::collections::BTreeSet<u32>| uids.iter().filter_map(|uid| Uid::new(*uid)).collect();
    let mut messages = std::collections::HashMap::with_capacity(view.messages().len());
    let mut sets: std::collections::HashMap<Vec<usize>, Keywords> = std::collections::HashMap::new();
    for (place, (uid, flags)) in view.messages().iter().enumerate() {
        let Some(uid) = Uid::new(*uid) else { continue };
        let numbers: Vec<usize> = view.keywords(place).collect();
        let keywords = sets.entry(numbers).or_insert_with_key(|numbers| {
            numbers.iter().filter_map(|number| names.get(*number).cloned().flatten()).collect()
        });
        let date = |name| {
            let seconds = cache?.date(view.cache_offset(place), name)?;
            Some(Timestamp(seconds.into()))
        };
        let message = IndexedMessage {
            flags: Flags::from_bits(*flags),
            keywords: keywords.clone(),
            dirty: flags & DIRTY != 0,
            modseq: ModSeq(view.modseq(place)),
            received: date(RECEIVED_DATE),
            saved: date(SAVE_DATE),
        };
        messages.insert(uid, message);
    }
    IndexedMailbox {
        uid_validity: UidValidity::new(view.uid_validity()),
        uid_next: Uid::new(view.next_uid()),
        first_recent_uid: Uid::new(view.first_recent_uid()),
        highest_modseq: ModSeq(view.highest_modseq()),
        has_modseqs: view.has_modseqs(),
        messages,
        pending_expunges: uids(view.pending_expunges()),
        pending_changes: uids(view.pending_changes()),
        points: points::read(view),
        unfinished: false,
    }
}

/// What the log of the index in a directory knows about a range.
pub(super) fn history(directory: &Path, range: HistoryRange) -> Result<MailboxHistory, StoreError> {
    let files = IndexFiles::of_mailbox(directory);
    let known = read_history(&files, range.since.map(ModSeq::get), range.mirrored_until.get())?;
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
    Ok(MailboxHistory { complete: known.complete, flags: flags.collect(), expunged: expunged.collect() })
}

/// The state that the index is to have.
pub(super) struct Wanted<'a> {
    pub(super) uid_validity: Option<UidValidity>,
    pub(super) uid_next: Uid,
    pub(super) first_recent_uid: Uid,
    pub(super) highest_modseq: ModSeq,
    /// The changes were made elsewhere.
    pub(super) mirrored: bool,
    /// Messages that are no longer there, with the 128-bit form of their GUID, by ascending UID.
    pub(super) removed: &'a [(Uid, [u8; 16])],
    /// A UID names another message than before.
    pub(super) reuses_uids: bool,
    pub(super) records: &'a [MessageRecord],
}

impl Wanted<'_> {
    fn target(&self) -> IndexTarget {
        let messages = self.records.iter().filter_map(|record| {
            Some(TargetMessage {
                uid: record.uid?.get(),
                flags: record.flags.bits(),
                keywords: record.keywords.iter().map(|keyword| keyword.as_str().as_bytes().to_vec()).collect(),
                modseq: record.modseq.unwrap_or(self.highest_modseq).get(),
            })
        });
        IndexTarget {
            uid_validity: self.uid_validity.map_or(0, UidValidity::get),
            next_uid: self.uid_next.get(),
            first_recent_uid: self.first_recent_uid.get(),
            highest_modseq: self.highest_modseq.get().max(1),
            mirrored: self.mirrored,
            removed: self.removed.iter().map(|(uid, guid)| (uid.get(), *guid)).collect(),
            reuses_uids: self.reuses_uids,
            messages: messages.collect(),
        }
    }

    fn dates(&self) -> Vec<(u32, u32)> {
        let dates = self.records.iter().filter_map(|record| Some((record.uid?.get(), record.saved?.as_u32())));
        dates.collect()
    }
}

/// Makes an index where there is none.
pub(super) fn create(
    directory: &Path,
    wanted: &Wanted<'_>,
    permissions: &Permissions,
    durability: Durability,
) -> Result<(), StoreError> {
    let files = IndexFiles::of_mailbox(directory);
    Ok(writer::create(&files, &wanted.target(), &wanted.dates(), permissions, durability)?)
}

/// An index whose lock is held.
pub(super) struct Locked(LockedIndex);

/// Locks the index in a directory.
pub(super) fn lock(directory: &Path, permissions: &Permissions) -> Result<Locked, StoreError> {
    Ok(Locked(LockedIndex::lock(&IndexFiles::of_mailbox(directory), permissions)?))
}

impl Locked {
    /// Brings it into the wanted state.
    pub(super) fn change_to(self, wanted: &Wanted<'_>) -> Result<(), StoreError> {
        Ok(self.0.change_to(&wanted.target(), &wanted.dates())?)
    }

    /// Keeps a moment of agreement with another store, unless the index is no longer the one of that moment.
    pub(super) fn remember(&self, point: SyncPoint) -> Result<(), StoreError> {
        let view = self.0.view();
        let same =
            view.uid_validity() == point.uid_validity.get() && view.highest_modseq() >= point.highest_modseq.get();
        if same { Ok(self.0.remember(point)?) } else { Ok(()) }
    }
}
