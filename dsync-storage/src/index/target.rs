//! The state that a writer wants, and the log records that lead to it. Pure.
//!
//! The result is exact: every modseq is the wanted one, also where counting records would give another. The extension
//! `modseq` may be set to any value as data; only HIGHESTMODSEQ can but grow within one log. So there are two ways: a
//! transaction, if the wanted state can be reached from the present one; and a new log that starts the history anew.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

mod messages;

use std::collections::BTreeMap;
use std::sync::Arc;

use dsync_core::model::Keywords;

use super::log::{Change, ExtensionIntro, FlagUpdate, LogRecord, UidRange};
use super::main_index::{Extension, MainIndex, offset};
use super::modseqs::MODSEQ;
use super::view::{CACHE, Contradiction, IndexView, KEYWORDS};

pub use messages::{TargetMessage, TargetMessages};

/// The version of logs whose rules we write by.
pub(super) const MINOR: u8 = 3;
/// The bits that clients see.
const FLAGS: u8 = 0x1f;
/// What the storage notes for itself about a message.
const STORAGE: u8 = 0x40;
/// The flags have not been written to the storage.
const DIRTY: u8 = 0x80;

/// What the index is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexTarget {
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// UIDNEXT.
    pub next_uid: u32,
    /// First recent UID.
    pub first_recent_uid: u32,
    /// HIGHESTMODSEQ.
    pub highest_modseq: u64,
    /// The changes repeat what happened elsewhere: a later look for changes leaves them out.
    pub mirrored: bool,
    /// 128-bit GUIDs of messages that are not in the target, by ascending UID, as far as they are known.
    pub removed: Vec<(u32, [u8; 16])>,
    /// A UID names another message than before, so that nothing known about the old one may be used.
    pub reuses_uids: bool,
    /// UIDs of messages about which the cache is wrong now, ascending.
    pub stale_in_cache: Vec<u32>,
    /// What the storage keeps in the index. Other extensions stay as they are.
    pub extensions: Vec<TargetExtension>,
    /// All messages, by ascending UID.
    pub messages: TargetMessages,
}

/// An extension of an [`IndexTarget`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetExtension {
    /// Its name.
    pub name: &'static str,
    /// Its header; bytes after that stay as they are.
    pub header: Vec<u8>,
    /// How many bytes each message has of it; 0 if it is about the mailbox alone.
    pub record_size: u16,
    /// Their alignment.
    pub record_align: u16,
    /// The bytes of all messages, in the order of the messages. If they stay what they are, those of the present state can be
    /// shared.
    pub records: Arc<Vec<u8>>,
}

impl TargetExtension {
    /// An extension with nothing but a header.
    #[must_use]
    pub fn header_only(name: &'static str, header: Vec<u8>) -> Self {
        Self { name, header, record_size: 0, record_align: 0, records: Arc::default() }
    }

    fn intro(&self, reset_id: u32) -> ExtensionIntro {
        let header_size = super::bytes::length_u32(self.header.len());
        ExtensionIntro::named(self.name, reset_id, header_size, self.record_size, self.record_align)
    }

    /// The bytes of the message at `place`.
    fn record(&self, place: usize) -> &[u8] {
        let size = usize::from(self.record_size);
        let start = place.saturating_mul(size);
        self.records.get(start..start.saturating_add(size)).unwrap_or_default()
    }
}

/// The places of the dates in the cache file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CachePlaces {
    /// The number of the cache file.
    pub file_seq: u32,
    /// Whether the file is new, so that all places known so far mean nothing.
    pub new_file: bool,
    /// UID and offset, by ascending UID.
    pub offsets: Vec<(u32, u32)>,
}

/// Whether the counters can go from where they are to those of the target: they only grow within one log.
#[must_use]
pub fn counters_fit(present: &IndexView, target: &IndexTarget) -> bool {
    !target.reuses_uids
        && target.uid_validity == present.uid_validity()
        && target.next_uid >= present.next_uid()
        && target.highest_modseq >= present.highest_modseq()
}

/// Whether a transaction may lead from `present` to `target`: no message comes back.
#[must_use]
pub fn may_be_reached(present: &IndexView, target: &IndexTarget) -> bool {
    let known = |message: &TargetMessage| message.uid < present.next_uid();
    let mut old = target.messages.iter().take_while(known);
    counters_fit(present, target) && old.all(|message| present.index_of(message.uid).is_some())
}

/// The records that lead from `present` to `target`; `None` if no transaction can. Empty if nothing is to be done.
#[must_use]
pub fn transaction(present: IndexView, target: &IndexTarget, cache: &CachePlaces) -> Option<Vec<LogRecord>> {
    if !may_be_reached(&present, target) {
        return None;
    }
    let mut builder = Builder::new(present, target.mirrored);
    builder.remove_others(target).ok()?;
    builder.enable_modseqs().ok()?;
    builder.add_new(target).ok()?;
    builder.set_flags(target).ok()?;
    builder.set_keywords(target).ok()?;
    builder.set_extensions(target).ok()?;
    builder.set_cache(target, cache).ok()?;
    builder.finish(target).ok()?
}

/// The records of a log that starts anew, and the highest modseq that its header must have; `None` if HIGHESTMODSEQ is
/// to be lower than these records alone count.
#[must_use]
pub fn whole_log(index_id: u32, target: &IndexTarget, cache: &CachePlaces) -> Option<(Vec<LogRecord>, u64)> {
    // What the records count does not depend on where counting starts.
    let counted = whole_log_from(index_id, 1, target, cache)?.1.checked_sub(1)?;
    let initial = target.highest_modseq.checked_sub(counted).filter(|initial| *initial >= 1)?;
    let (records, _) = whole_log_from(index_id, initial, target, cache)?;
    Some((records, initial))
}

/// Also says the highest modseq that was counted before it was set.
fn whole_log_from(
    index_id: u32,
    initial: u64,
    target: &IndexTarget,
    cache: &CachePlaces,
) -> Option<(Vec<LogRecord>, u64)> {
    let mut builder = Builder::new(IndexView::empty(index_id, initial), target.mirrored);
    builder.set_header(offset::UID_VALIDITY, target.uid_validity).ok()?;
    builder.enable_modseqs().ok()?;
    builder.add_new(target).ok()?;
    builder.set_keywords(target).ok()?;
    builder.set_extensions(target).ok()?;
    builder.set_cache(target, cache).ok()?;
    let counted = builder.view.highest_modseq();
    let target = IndexTarget { highest_modseq: target.highest_modseq.max(counted), ..target.clone() };
    Some((builder.finish(&target).ok()??, counted))
}

/// The main index that holds the target, for an index without any log. `log_seq` is the number of a log that need not
/// exist.
#[must_use]
pub fn snapshot(index_id: u32, log_seq: u32, target: IndexTarget, cache: &CachePlaces) -> MainIndex {
    let mut index = MainIndex::new(index_id);
    index.set(offset::UID_VALIDITY, target.uid_validity);
    index.set(offset::NEXT_UID, target.next_uid);
    index.set(offset::FIRST_RECENT, target.first_recent_uid);
    index.set(offset::LOG_SEQ, log_seq);
    let head = u32::from(super::log::HEADER_SIZE);
    index.set(offset::LOG_TAIL, head);
    index.set(offset::LOG_HEAD, head);
    let mut header = target.highest_modseq.to_le_bytes().to_vec();
    header.extend(log_seq.to_le_bytes());
    header.extend(head.to_le_bytes());
    index.extensions.push(Extension {
        name: MODSEQ.into(),
        header,
        record_size: 8,
        record_align: 8,
        ..Extension::default()
    });
    let (keywords, places) = (keywords_extension(&target), cache_extension(&target, cache));
    let (mut messages, modseqs) = target.messages.into_columns();
    messages.iter_mut().for_each(|(_, flags)| *flags &= FLAGS | STORAGE);
    index.messages = messages;
    if let Some(extension) = index.extensions.last_mut() {
        extension.records = Arc::new(modseqs);
    }
    index.extensions.extend(target.extensions.into_iter().map(|extension| Extension {
        name: extension.name.into(),
        reset_id: 0,
        header: extension.header,
        record_size: extension.record_size,
        record_align: extension.record_align,
        records: extension.records,
    }));
    index.extensions.extend(keywords);
    index.extensions.extend(places);
    index
}

fn keywords_extension(target: &IndexTarget) -> Option<Extension> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    for keyword in target.messages.keywords().flatten() {
        let keyword = keyword.as_str().as_bytes();
        if !names.iter().any(|name| name.eq_ignore_ascii_case(keyword)) {
            names.push(keyword.to_vec());
        }
    }
    if names.is_empty() {
        return None;
    }
    let size = names.len().div_ceil(8);
    let mut records = vec![0; size.saturating_mul(target.messages.len())];
    for (record, message) in records.chunks_exact_mut(size).zip(target.messages.iter()) {
        let number = |name: &&[u8]| names.iter().position(|known| known.eq_ignore_ascii_case(name));
        for number in names_of(&message.keywords).iter().filter_map(number) {
            if let Some(byte) = record.get_mut(number / 8) {
                *byte |= 1 << (number % 8);
            }
        }
    }
    let mut header = super::keywords::encode_keywords(&names);
    // Servers want the last byte to be the NUL of a name, or room after it.
    super::bytes::pad(&mut header, 4);
    Some(Extension {
        name: KEYWORDS.into(),
        reset_id: 0,
        header,
        record_size: super::bytes::length_u16(size),
        record_align: 1,
        records: Arc::new(records),
    })
}

fn cache_extension(target: &IndexTarget, cache: &CachePlaces) -> Option<Extension> {
    if cache.offsets.is_empty() {
        return None;
    }
    let of = |message: TargetMessage| {
        let place = cache.offsets.binary_search_by_key(&message.uid, |(uid, _)| *uid).ok();
        let offset = place.and_then(|place| cache.offsets.get(place)).map_or(0, |(_, offset)| *offset);
        offset.to_le_bytes()
    };
    Some(Extension {
        name: CACHE.into(),
        reset_id: cache.file_seq,
        header: Vec::new(),
        record_size: 4,
        record_align: 4,
        records: Arc::new(target.messages.iter().flat_map(of).collect()),
    })
}

/// A keyword that is set or removed.
struct KeywordChange {
    name: Vec<u8>,
    uids: Vec<UidRange>,
}

/// Collects records, and knows the state after them.
struct Builder {
    view: IndexView,
    records: Vec<LogRecord>,
    /// What the records say is no change of this replica.
    mirrored: bool,
}

impl Builder {
    fn new(view: IndexView, mirrored: bool) -> Self {
        Self { view, records: Vec::new(), mirrored }
    }

    fn push(&mut self, change: Change) -> Result<(), Contradiction> {
        let record = LogRecord { sync: self.mirrored, ..LogRecord::external(change) };
        self.view.apply(&record, MINOR)?;
        self.records.push(record);
        Ok(())
    }

    fn set_header(&mut self, at: u16, value: u32) -> Result<(), Contradiction> {
        if self.view.snapshot().get(at) == value {
            return Ok(());
        }
        self.push(Change::HeaderUpdate(vec![(at, value.to_le_bytes().to_vec())]))
    }

    fn remove_others(&mut self, target: &IndexTarget) -> Result<(), Contradiction> {
        let wanted = |uid: u32| target.messages.contains(uid);
        let uids = self.view.messages().iter().map(|(uid, _)| *uid).filter(|uid| !wanted(*uid));
        let guid = |uid: u32| {
            let place = target.removed.binary_search_by_key(&uid, |(uid, _)| *uid).ok()?;
            target.removed.get(place).map(|(_, guid)| *guid)
        };
        let gone: Vec<_> = uids.map(|uid| (uid, guid(uid).unwrap_or_default())).collect();
        if gone.is_empty() { Ok(()) } else { self.push(Change::ExpungeGuid(gone)) }
    }

    fn enable_modseqs(&mut self) -> Result<(), Contradiction> {
        if self.view.has_modseqs() {
            return Ok(());
        }
        let mut header = self.view.highest_modseq().to_le_bytes().to_vec();
        header.extend([0; 8]);
        self.push(Change::ExtensionIntro(ExtensionIntro::named(MODSEQ, 0, 16, 8, 8)))?;
        self.push(Change::ExtensionHeader(vec![(0, header)]))
    }

    fn add_new(&mut self, target: &IndexTarget) -> Result<(), Contradiction> {
        let next = self.view.next_uid();
        let new: Vec<_> = target
            .messages
            .iter()
            .filter(|message| message.uid >= next)
            .map(|message| (message.uid, message.flags & (FLAGS | STORAGE), [0; 3]))
            .collect();
        if new.is_empty() { Ok(()) } else { self.push(Change::Append(new)) }
    }

    fn set_flags(&mut self, target: &IndexTarget) -> Result<(), Contradiction> {
        let mut updates: Vec<FlagUpdate> = Vec::new();
        for (message, (uid, present)) in target.messages.iter().zip(self.view.messages()) {
            let wanted = message.flags & FLAGS;
            let (add, remove) = (wanted & !present, present & !wanted & (FLAGS | DIRTY));
            if add == 0 && remove == 0 {
                continue;
            }
            match updates.last_mut() {
                Some(last)
                    if last.add == add && last.remove == remove && last.uids.last.checked_add(1) == Some(*uid) =>
                {
                    last.uids.last = *uid;
                }
                _ => {
                    let uids = UidRange { first: *uid, last: *uid };
                    updates.push(FlagUpdate { uids, add, remove, force: false });
                }
            }
        }
        if updates.is_empty() { Ok(()) } else { self.push(Change::FlagUpdate(updates)) }
    }

    fn set_keywords(&mut self, target: &IndexTarget) -> Result<(), Contradiction> {
        // By name in lower case, so that two spellings of one keyword are one record.
        let mut changes: BTreeMap<(bool, Vec<u8>), KeywordChange> = BTreeMap::new();
        for (place, message) in target.messages.iter().enumerate() {
            let names = self.view.keyword_names();
            let present: Vec<&[u8]> =
                self.view.keywords(place).filter_map(|number| names.get(number)).map(Vec::as_slice).collect();
            let wanted = names_of(&message.keywords);
            let missing = wanted.iter().copied().filter(|name| !contains(&present, name));
            let extra = present.iter().copied().filter(|name| !contains(&wanted, name));
            let wanted = missing.map(|name| (false, name)).chain(extra.map(|name| (true, name)));
            for (remove, name) in wanted {
                let entry = changes.entry((remove, name.to_ascii_lowercase()));
                let change = entry.or_insert_with(|| KeywordChange { name: name.to_vec(), uids: Vec::new() });
                extend_ranges(&mut change.uids, message.uid);
            }
        }
        for ((remove, _), KeywordChange { name, uids }) in changes {
            self.push(Change::KeywordUpdate { remove, name, uids })?;
        }
        Ok(())
    }

    fn set_extensions(&mut self, target: &IndexTarget) -> Result<(), Contradiction> {
        for extension in &target.extensions {
            let known = self.view.extension(extension.name);
            let reset_id = known.map_or(0, |known| known.reset_id);
            let new_header = !known.is_some_and(|known| known.header.starts_with(&extension.header));
            let entries = self.different_records(extension, target);
            if known.is_some() && !new_header && entries.is_empty() {
                continue;
            }
            self.push(Change::ExtensionIntro(extension.intro(reset_id)))?;
            if new_header {
                self.push(Change::ExtensionHeader(vec![(0, extension.header.clone())]))?;
            }
            if !entries.is_empty() {
                self.push(Change::ExtensionRecords(entries))?;
            }
        }
        Ok(())
    }

    /// Entries of UID and data for the messages that have other data so far.
    fn different_records(&self, extension: &TargetExtension, target: &IndexTarget) -> Vec<u8> {
        let mut entries = Vec::new();
        if extension.record_size == 0 {
            return entries;
        }
        let known = self.view.extension(extension.name);
        for (place, message) in target.messages.iter().enumerate() {
            let wanted = extension.record(place);
            if known.is_none_or(|known| !known.record(place).starts_with(wanted)) {
                entries.extend(message.uid.to_le_bytes());
                entries.extend(wanted);
                super::bytes::pad(&mut entries, 4);
            }
        }
        entries
    }

    fn set_cache(&mut self, target: &IndexTarget, cache: &CachePlaces) -> Result<(), Contradiction> {
        let offsets = self.cache_offsets(target, cache);
        if offsets.is_empty() {
            return Ok(());
        }
        let known = self.view.extension(CACHE).map(|extension| extension.reset_id);
        if cache.new_file || known.is_none() {
            self.push(Change::ExtensionIntro(ExtensionIntro::named(CACHE, known.unwrap_or(0), 0, 4, 4)))?;
            self.push(Change::ExtensionReset(cache.file_seq, false))?;
        }
        let file_seq = if cache.offsets.is_empty() { known.unwrap_or(0) } else { cache.file_seq };
        self.push(Change::ExtensionIntro(ExtensionIntro::named(CACHE, file_seq, 0, 4, 4)))?;
        let entries = offsets.iter().flat_map(|(uid, offset)| [*uid, *offset]);
        self.push(Change::ExtensionRecords(entries.flat_map(u32::to_le_bytes).collect()))
    }

    /// Where the cache has what about which message; 0 for those about which it is wrong.
    fn cache_offsets(&self, target: &IndexTarget, cache: &CachePlaces) -> BTreeMap<u32, u32> {
        let has_cache =
            |uid: &&u32| self.view.index_of(**uid).is_some_and(|place| self.view.cache_offset(place) != 0);
        let stale = target.stale_in_cache.iter().filter(has_cache).map(|uid| (*uid, 0));
        stale.chain(cache.offsets.iter().copied()).collect()
    }

    /// Exact modseqs, then the counters. `None` if the records so far have counted too far.
    fn finish(mut self, target: &IndexTarget) -> Result<Option<Vec<LogRecord>>, Contradiction> {
        if self.view.highest_modseq() > target.highest_modseq {
            return Ok(None);
        }
        let mut entries = Vec::new();
        for (place, message) in target.messages.iter().enumerate() {
            if self.view.modseq(place) != message.modseq {
                entries.extend(message.uid.to_le_bytes());
                entries.extend(message.modseq.to_le_bytes());
            }
        }
        if !entries.is_empty() {
            self.push(Change::ExtensionIntro(ExtensionIntro::named(MODSEQ, 0, 16, 8, 8)))?;
            self.push(Change::ExtensionRecords(entries))?;
        }
        self.set_header(offset::NEXT_UID, target.next_uid)?;
        self.set_header(offset::FIRST_RECENT, target.first_recent_uid)?;
        if self.view.highest_modseq() < target.highest_modseq {
            self.push(Change::ModSeqUpdate(vec![(0, target.highest_modseq)]))?;
        }
        // An intro of `modseq` that is up to date is the only thing that may be left over without a purpose.
        Ok(self.reaches(target).then_some(self.records))
    }

    /// The last check before anything is written: the state is the wanted one.
    fn reaches(&self, target: &IndexTarget) -> bool {
        let view = &self.view;
        let counters = view.uid_validity() == target.uid_validity
            && view.next_uid() == target.next_uid
            && view.first_recent_uid() == target.first_recent_uid
            && view.highest_modseq() == target.highest_modseq;
        let names = view.keyword_names();
        let extensions = target.extensions.iter().all(|extension| {
            let known = view.extension(extension.name);
            known.is_some_and(|known| known.header.starts_with(&extension.header))
                && self.different_records(extension, target).is_empty()
        });
        counters
            && extensions
            && view.messages().len() == target.messages.len()
            && target.messages.iter().zip(view.messages()).enumerate().all(|(place, (message, (uid, flags)))| {
                let keywords: Vec<&[u8]> =
                    view.keywords(place).filter_map(|number| names.get(number)).map(Vec::as_slice).collect();
                message.uid == *uid
                    && message.flags & FLAGS == flags & (FLAGS | DIRTY)
                    && message.modseq == view.modseq(place)
                    && keywords.len() == message.keywords.len()
                    && names_of(&message.keywords).iter().all(|name| contains(&keywords, name))
            })
    }
}

fn names_of(keywords: &Keywords) -> Vec<&[u8]> {
    keywords.iter().map(|keyword| keyword.as_str().as_bytes()).collect()
}

fn contains(names: &[&[u8]], name: &[u8]) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

fn extend_ranges(ranges: &mut Vec<UidRange>, uid: u32) {
    match ranges.last_mut() {
        Some(last) if last.last.checked_add(1) == Some(uid) => last.last = uid,
        _ => ranges.push(UidRange { first: uid, last: uid }),
    }
}

#[cfg(test)]
pub(in crate::index) mod tests;
