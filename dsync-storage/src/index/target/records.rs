//! The records that lead to a wanted state.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::{CachePlaces, DIRTY, FLAGS, IndexTarget, MINOR, STORAGE, TargetExtension, may_be_reached, names_of};
use crate::index::bytes::pad;
use crate::index::log::{Change, ExtensionIntro, FlagUpdate, LogRecord, UidRange};
use crate::index::main_index::offset;
use crate::index::modseqs::MODSEQ;
use crate::index::view::{CACHE, Contradiction, IndexView};

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

/// A keyword that is set or removed.
struct KeywordChange {
    name: Vec<u8>,
    uids: Vec<UidRange>,
}

/// Collects records, and knows the state after them.
pub(super) struct Builder {
    pub(super) view: IndexView,
    records: Vec<LogRecord>,
    /// What the records say is no change of this replica.
    mirrored: bool,
}

impl Builder {
    pub(super) fn new(view: IndexView, mirrored: bool) -> Self {
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
                pad(&mut entries, 4);
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
    pub(super) fn reaches(&self, target: &IndexTarget) -> bool {
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

fn contains(names: &[&[u8]], name: &[u8]) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

fn extend_ranges(ranges: &mut Vec<UidRange>, uid: u32) {
    match ranges.last_mut() {
        Some(last) if last.last.checked_add(1) == Some(uid) => last.last = uid,
        _ => ranges.push(UidRange { first: uid, last: uid }),
    }
}
