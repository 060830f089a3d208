//! Changing the state as the records of a log say.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use super::extensions::widen;
use super::{Contradiction, IndexView, KEYWORDS};
use crate::index::bytes::{Reader, length_u16, put};
use crate::index::keywords::{MOST_KEYWORDS, encode_keywords};
use crate::index::log::{Change, FlagUpdate, LogRecord, UidRange};
use crate::index::main_index::{Extension, offset};
use crate::index::modseqs::{MODSEQ, is_internal};

impl IndexView {
    /// Applies a record: counts it, and changes what it says.
    ///
    /// # Errors
    /// If the record cannot be right after what came before it.
    pub fn apply(&mut self, record: &LogRecord, log_minor: u8) -> Result<(), Contradiction> {
        self.count(record, log_minor);
        match &record.change {
            Change::Expunge(ranges) if record.external => self.remove(ranges.iter().copied()),
            Change::ExpungeGuid(messages) if record.external => {
                self.remove(messages.iter().map(|(uid, _)| UidRange { first: *uid, last: *uid }));
            }
            Change::Append(messages) => {
                for (uid, flags, _) in messages {
                    self.append(*uid, *flags)?;
                }
            }
            Change::FlagUpdate(updates) => updates.iter().for_each(|update| self.update_flags(update)),
            Change::HeaderUpdate(patches) => {
                for (offset, bytes) in patches {
                    self.patch_header(*offset, bytes)?;
                }
            }
            Change::ExtensionIntro(intro) => self.introduce(intro)?,
            Change::ExtensionReset(reset_id, preserve) => self.reset_extension(*reset_id, *preserve),
            Change::ExtensionHeader(patches) => {
                for (offset, bytes) in patches {
                    self.patch_extension_header(*offset, bytes)?;
                }
            }
            Change::ExtensionRecords(bytes) => self.set_extension_records(bytes)?,
            Change::ExtensionIncrement(increments) => {
                for (uid, difference) in increments {
                    self.increment(*uid, *difference)?;
                }
            }
            Change::KeywordUpdate { remove, name, uids } => self.update_keyword(*remove, name, uids)?,
            Change::KeywordReset(ranges) => {
                for place in ranges.iter().flat_map(|range| self.places(*range)).collect::<Vec<_>>() {
                    if let Some(extension) = self.extension_mut(KEYWORDS) {
                        extension.record_mut(place).fill(0);
                    }
                    self.touch(place);
                }
            }
            Change::ModSeqUpdate(updates) => {
                for (uid, modseq) in updates.iter().filter(|(uid, _)| *uid != 0) {
                    self.raise_modseq(*uid, *modseq)?;
                }
            }
            Change::IndexDeleted => self.deleted = record.external,
            Change::IndexUndeleted => self.deleted = false,
            Change::Expunge(_) | Change::ExpungeGuid(_) | Change::Boundary(_) | Change::AttributeUpdate(_) => {}
        }
        Ok(())
    }

    pub(super) fn extension_mut(&mut self, name: &str) -> Option<&mut Extension> {
        self.index.extensions.iter_mut().find(|extension| extension.name == name.as_bytes())
    }

    fn remove(&mut self, ranges: impl Iterator<Item = UidRange>) {
        let gone: BTreeSet<usize> = ranges.flat_map(|range| self.places(range)).collect();
        if gone.is_empty() {
            return;
        }
        if let (Some(first), Some(last), true) = (gone.first(), gone.last(), is_one_range(&gone)) {
            self.remove_range(*first, *last);
            return;
        }
        for extension in &mut self.index.extensions {
            let size = usize::from(extension.record_size);
            if size > 0 {
                let kept =
                    extension.records.chunks_exact(size).enumerate().filter(|(place, _)| !gone.contains(place));
                extension.records = Arc::new(kept.flat_map(|(_, record)| record).copied().collect());
            }
        }
        let mut place = 0usize;
        self.index.messages.retain(|_| {
            let keep = !gone.contains(&place);
            place = place.saturating_add(1);
            keep
        });
        self.forget_requests_for_missing();
    }

    /// Most records are about one message, and there may be thousands of them.
    fn remove_range(&mut self, first: usize, last: usize) {
        for extension in &mut self.index.extensions {
            let size = usize::from(extension.record_size);
            let (start, end) = (first.saturating_mul(size), last.saturating_add(1).saturating_mul(size));
            if size > 0 && end <= extension.records.len() {
                drop(Arc::make_mut(&mut extension.records).drain(start..end));
            }
        }
        if last < self.index.messages.len() {
            drop(self.index.messages.drain(first..=last));
        }
        self.forget_requests_for_missing();
    }

    fn append(&mut self, uid: u32, flags: u8) -> Result<(), Contradiction> {
        if uid < self.next_uid() || uid == u32::MAX {
            return Err(Contradiction("a message is added under a UID that was used already"));
        }
        self.check_size(self.index.messages.len().saturating_add(1))?;
        make_room(&mut self.index.messages, 1);
        self.index.messages.push((uid, flags));
        for extension in &mut self.index.extensions {
            let length = extension.records.len().saturating_add(extension.record_size.into());
            let records = Arc::make_mut(&mut extension.records);
            make_room(records, extension.record_size.into());
            records.resize(length, 0);
        }
        self.index.set(offset::NEXT_UID, uid.saturating_add(1));
        self.touch(self.index.messages.len().saturating_sub(1));
        Ok(())
    }

    fn update_flags(&mut self, update: &FlagUpdate) {
        for place in self.places(update.uids) {
            if let Some((_, flags)) = self.index.messages.get_mut(place) {
                *flags = (*flags & !update.remove) | update.add;
            }
            if !is_internal(update) {
                self.touch(place);
            }
        }
    }

    /// The message changed just now.
    fn touch(&mut self, place: usize) {
        let highest = self.highest_modseq.to_le_bytes();
        if let Some(extension) = self.extension_mut(MODSEQ) {
            put(extension.record_mut(place), 0, &highest);
        }
    }

    fn patch_header(&mut self, at: u16, bytes: &[u8]) -> Result<(), Contradiction> {
        let end = usize::from(at).saturating_add(bytes.len());
        if end > self.index.base.len() {
            return Err(Contradiction("a change of the header lies outside of it"));
        }
        let next_uid = self.next_uid();
        put(&mut self.index.base, at.into(), bytes);
        self.index.set(offset::NEXT_UID, self.next_uid().max(next_uid));
        Ok(())
    }

    fn update_keyword(&mut self, remove: bool, name: &[u8], ranges: &[UidRange]) -> Result<(), Contradiction> {
        let known = self.keywords.iter().position(|known| known.eq_ignore_ascii_case(name));
        let number = match known {
            Some(number) => number,
            None => {
                if self.keywords.len() >= MOST_KEYWORDS {
                    return Err(Contradiction("there are too many keywords"));
                }
                self.keywords.push(name.to_vec());
                self.keywords.len().saturating_sub(1)
            }
        };
        self.make_room_for_keywords();
        for place in ranges.iter().flat_map(|range| self.places(*range)).collect::<Vec<_>>() {
            if let Some(extension) = self.extension_mut(KEYWORDS)
                && let Some(byte) = extension.record_mut(place).get_mut(number / 8)
            {
                let mask = 1 << (number % 8);
                *byte = if remove { *byte & !mask } else { *byte | mask };
            }
            self.touch(place);
        }
        Ok(())
    }

    fn make_room_for_keywords(&mut self) {
        let header = encode_keywords(&self.keywords);
        let needed = self.keywords.len().div_ceil(8);
        let count = self.index.messages.len();
        if self.extension_mut(KEYWORDS).is_none() {
            let extension = Extension { name: KEYWORDS.into(), record_align: 1, ..Extension::default() };
            self.index.extensions.push(extension);
        }
        if let Some(extension) = self.extension_mut(KEYWORDS) {
            extension.header = header;
            if usize::from(extension.record_size) < needed {
                widen(extension, length_u16(needed), count);
            }
        }
    }

    fn raise_modseq(&mut self, uid: u32, modseq: u64) -> Result<(), Contradiction> {
        if !self.has_modseqs() {
            return Err(Contradiction("a modseq is set before there are any"));
        }
        if let Some(place) = self.index_of(uid)
            && let Some(extension) = self.extension_mut(MODSEQ)
        {
            let record = extension.record_mut(place);
            if Reader(record).u64().is_some_and(|old| modseq >= old) {
                put(record, 0, &modseq.to_le_bytes());
            }
        }
        Ok(())
    }
}

/// Makes room for something to be added. What is large grows by a quarter, not to the double.
fn make_room<T>(values: &mut Vec<T>, count: usize) {
    const LARGE: usize = 1 << 16;
    if values.len() >= LARGE && values.capacity().saturating_sub(values.len()) < count {
        values.reserve_exact(count.max(values.len() / 4));
    }
}

fn is_one_range(places: &BTreeSet<usize>) -> bool {
    let (Some(first), Some(last)) = (places.first(), places.last()) else { return false };
    last.checked_sub(*first).and_then(|length| length.checked_add(1)) == Some(places.len())
}
