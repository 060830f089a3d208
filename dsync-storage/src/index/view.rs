//! The state of an index: a snapshot, with what the log says has happened since.
//!
//! Modseqs come out of the log: every record that a client can notice counts one (records, not messages), starting at the
//! value in the header of the log. A message has one of its own only once the extension `modseq` exists; before that,
//! and if its value is 0, it has the highest there is. Source: observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use super::bytes::{Reader, put, u32_at};
use super::keywords::{MOST_KEYWORDS, bit, decode_keywords, encode_keywords};
use super::log::{Change, ExtensionIntro, ExtensionTarget, FlagUpdate, LogHeader, LogRecord, UidRange};
use super::main_index::{Extension, MainIndex, offset};
use super::modseqs::{MODSEQ, counted, is_internal};

/// Name of the extension with the keywords.
pub const KEYWORDS: &str = "keywords";
/// Name of the extension with the places in the cache file.
pub const CACHE: &str = "cache";

/// No extension has more data than this, for its header or one message.
const LARGEST_HEADER: u32 = (16 << 20) - 1;
const LARGEST_RECORD: u16 = 32767;
/// No message has more data of all extensions together, and no index more of all messages and headers, so that a small
/// hostile log cannot claim much memory.
const LARGEST_WIDTH: usize = 2048;
const LARGEST_TOTAL: usize = 1 << 30;
/// The state at some place of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexView {
    index: MainIndex,
    keywords: Vec<Vec<u8>>,
    highest_modseq: u64,
    /// The extension that the next extension records are about.
    current: Option<Current>,
    deleted: bool,
    pending_expunges: BTreeSet<u32>,
    pending_changes: BTreeSet<u32>,
}

/// The extension of the last intro.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Current {
    number: usize,
    /// Whether the intro knew its reset id. If not, what follows is about an older state of it and is ignored.
    up_to_date: bool,
}

/// A record that contradicts the state it is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it contradicts the records before it: {0}")]
pub struct Contradiction(pub &'static str);

impl IndexView {
    /// The state of a new index.
    #[must_use]
    pub fn empty(index_id: u32, initial_modseq: u64) -> Self {
        Self::of_snapshot(MainIndex::new(index_id), initial_modseq)
    }

    /// The state of a snapshot, with the highest modseq at its place in the log.
    #[must_use]
    pub fn of_snapshot(index: MainIndex, highest_modseq: u64) -> Self {
        let keywords = index.extension(KEYWORDS).map(|extension| decode_keywords(&extension.header));
        Self {
            keywords: keywords.unwrap_or_default(),
            index,
            highest_modseq,
            current: None,
            deleted: false,
            pending_expunges: BTreeSet::new(),
            pending_changes: BTreeSet::new(),
        }
    }

    /// The state as a snapshot.
    #[must_use]
    pub fn snapshot(&self) -> &MainIndex {
        &self.index
    }

    /// UIDVALIDITY; 0 if there is none yet.
    #[must_use]
    pub fn uid_validity(&self) -> u32 {
        self.index.get(offset::UID_VALIDITY)
    }

    /// UIDNEXT.
    #[must_use]
    pub fn next_uid(&self) -> u32 {
        self.index.get(offset::NEXT_UID)
    }

    /// First recent UID.
    #[must_use]
    pub fn first_recent_uid(&self) -> u32 {
        self.index.get(offset::FIRST_RECENT)
    }

    /// HIGHESTMODSEQ.
    #[must_use]
    pub fn highest_modseq(&self) -> u64 {
        self.highest_modseq
    }

    /// UID and flags of all messages, by ascending UID. Bits beyond the five flags of clients: 0x40 is the storage's,
    /// 0x80 says that the flags have not been written to the storage.
    #[must_use]
    pub fn messages(&self) -> &[(u32, u8)] {
        &self.index.messages
    }

    /// Whether messages have modseqs of their own.
    #[must_use]
    pub fn has_modseqs(&self) -> bool {
        self.index.extension(MODSEQ).is_some()
    }

    /// The modseq of the message at a place of [`messages`](Self::messages).
    #[must_use]
    pub fn modseq(&self, index: usize) -> u64 {
        let own = self.index.extension(MODSEQ).and_then(|extension| Reader(extension.record(index)).u64());
        own.filter(|modseq| *modseq != 0).unwrap_or(self.highest_modseq)
    }

    /// The names of the keywords that were ever used.
    #[must_use]
    pub fn keyword_names(&self) -> &[Vec<u8>] {
        &self.keywords
    }

    /// The keywords of the message at a place of [`messages`](Self::messages), as numbers of
    /// [`keyword_names`](Self::keyword_names).
    pub fn keywords(&self, index: usize) -> impl Iterator<Item = usize> {
        let bits = self.index.extension(KEYWORDS).map(|extension| extension.record(index)).unwrap_or_default();
        (0..self.keywords.len()).filter(move |number| bit(bits, *number))
    }

    /// The place in the cache file of the message at a place of [`messages`](Self::messages); 0 if there is none.
    #[must_use]
    pub fn cache_offset(&self, index: usize) -> u32 {
        self.index.extension(CACHE).map_or(0, |extension| u32_at(extension.record(index), 0))
    }

    /// An extension by name.
    #[must_use]
    pub fn extension(&self, name: &str) -> Option<&Extension> {
        self.index.extension(name)
    }

    /// Whether the mailbox is marked as deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Messages whose removal was requested and not carried out yet.
    #[must_use]
    pub fn pending_expunges(&self) -> &BTreeSet<u32> {
        &self.pending_expunges
    }

    /// Messages whose flags or keywords were changed by a request that was not carried out in the storage yet.
    #[must_use]
    pub fn pending_changes(&self) -> &BTreeSet<u32> {
        &self.pending_changes
    }

    /// The place of a message in [`messages`](Self::messages).
    #[must_use]
    pub fn index_of(&self, uid: u32) -> Option<usize> {
        self.index.messages.binary_search_by_key(&uid, |(uid, _)| *uid).ok()
    }

    /// Gives back memory that was reserved for more messages than there are.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.index.extensions.iter_mut().for_each(|extension| Arc::make_mut(&mut extension.records).shrink_to_fit());
        self.index.messages.shrink_to_fit();
    }

    /// Forgets the first messages, so that their memory can be used for something else. What is left is no state to change
    /// or to write any more.
    pub(crate) fn forget_first(&mut self, count: usize) {
        for extension in &mut self.index.extensions {
            let bytes = count.saturating_mul(extension.record_size.into()).min(extension.records.len());
            let records = Arc::make_mut(&mut extension.records);
            drop(records.drain(..bytes));
            records.shrink_to_fit();
        }
        drop(self.index.messages.drain(..count.min(self.index.messages.len())));
        self.index.messages.shrink_to_fit();
    }

    fn places(&self, range: UidRange) -> std::ops::Range<usize> {
        let messages = &self.index.messages;
        let start = messages.partition_point(|(uid, _)| *uid < range.first);
        let end = messages.partition_point(|(uid, _)| *uid <= range.last);
        start..end.max(start)
    }

    /// Notes a request that has not been carried out.
    pub(super) fn note_pending(&mut self, record: &LogRecord) {
        if record.external {
            return;
        }
        let uids = |view: &Self, ranges: &mut dyn Iterator<Item = UidRange>| -> Vec<u32> {
            let places = ranges.flat_map(|range| view.places(range));
            places.filter_map(|place| view.index.messages.get(place)).map(|(uid, _)| *uid).collect()
        };
        match &record.change {
            Change::Expunge(ranges) => {
                let uids = uids(self, &mut ranges.iter().copied());
                self.pending_expunges.extend(uids);
            }
            Change::ExpungeGuid(messages) => {
                let ranges = messages.iter().map(|(uid, _)| UidRange { first: *uid, last: *uid });
                let uids = uids(self, &mut ranges.into_iter());
                self.pending_expunges.extend(uids);
            }
            Change::FlagUpdate(updates) => {
                let uids = uids(self, &mut updates.iter().map(|update| update.uids));
                self.pending_changes.extend(uids);
            }
            Change::KeywordUpdate { uids: ranges, .. } | Change::KeywordReset(ranges) => {
                let uids = uids(self, &mut ranges.iter().copied());
                self.pending_changes.extend(uids);
            }
            _ => {}
        }
    }

    /// The log was rotated, which happens only when nothing is left to be carried out.
    pub(super) fn forget_requests(&mut self) {
        self.pending_expunges.clear();
        self.pending_changes.clear();
    }

    /// The same state with another highest modseq: what the next log says in its header.
    pub(super) fn counting_from(self, highest_modseq: u64) -> Self {
        Self { highest_modseq, ..self }
    }

    /// Counts a record for the highest modseq, without applying it.
    pub(super) fn count(&mut self, record: &LogRecord, log_minor: u8) {
        self.highest_modseq = counted(self.highest_modseq, record, log_minor);
    }

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

    fn extension_mut(&mut self, name: &str) -> Option<&mut Extension> {
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

    fn forget_requests_for_missing(&mut self) {
        let messages = &self.index.messages;
        let there = |uid: &u32| messages.binary_search_by_key(uid, |(uid, _)| *uid).is_ok();
        self.pending_expunges.retain(there);
        self.pending_changes.retain(there);
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

    fn introduce(&mut self, intro: &ExtensionIntro) -> Result<(), Contradiction> {
        self.current = None;
        let number = match &intro.target {
            ExtensionTarget::Number(number) => {
                let number = usize::try_from(*number).unwrap_or(usize::MAX);
                if number >= self.index.extensions.len() {
                    return Err(Contradiction("an unknown extension is used"));
                }
                number
            }
            ExtensionTarget::Name(name) => {
                match self.index.extensions.iter().position(|extension| extension.name == *name) {
                    Some(number) => number,
                    None => self.add_extension(name, intro)?,
                }
            }
        };
        let count = self.index.messages.len();
        let Some(extension) = self.index.extensions.get_mut(number) else { return Ok(()) };
        if extension.name == KEYWORDS.as_bytes() {
            return Err(Contradiction("the keywords are changed as an extension"));
        }
        let before = (extension.record_size, extension.header.len());
        check_sizes(intro)?;
        // The new size counts as soon as it is known, not when it has been reserved.
        let (mut width, mut headers) =
            (usize::from(intro.record_size), usize::try_from(intro.header_size).unwrap_or(0));
        (width, headers) = (width.max(before.0.into()), headers.max(before.1));
        let others = self.index.extensions.iter().enumerate().filter(|(other, _)| *other != number);
        for (_, other) in others {
            width = width.saturating_add(other.record_size.into());
            headers = headers.saturating_add(other.header.len());
        }
        within_limits(width, headers, count)?;
        let Some(extension) = self.index.extensions.get_mut(number) else { return Ok(()) };
        resize(extension, intro, count);
        self.current = Some(Current { number, up_to_date: extension.reset_id == intro.reset_id });
        Ok(())
    }

    fn add_extension(&mut self, name: &[u8], intro: &ExtensionIntro) -> Result<usize, Contradiction> {
        let valid = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b' ');
        if name.is_empty() || name.len() > 63 || !name.iter().all(valid) || self.index.extensions.len() >= 256 {
            return Err(Contradiction("an extension has an impossible name"));
        }
        let extension = Extension { name: name.to_vec(), reset_id: intro.reset_id, ..Extension::default() };
        self.index.extensions.push(extension);
        Ok(self.index.extensions.len().saturating_sub(1))
    }

    fn check_size(&self, count: usize) -> Result<(), Contradiction> {
        let widths = self.index.extensions.iter().map(|extension| usize::from(extension.record_size));
        let headers = self.index.extensions.iter().map(|extension| extension.header.len());
        within_limits(widths.sum(), headers.sum(), count)
    }

    fn current_extension(&mut self) -> Result<Option<&mut Extension>, Contradiction> {
        match self.current {
            None => Err(Contradiction("data of an extension come without saying of which")),
            Some(Current { up_to_date: false, .. }) => Ok(None),
            Some(Current { number, .. }) => Ok(self.index.extensions.get_mut(number)),
        }
    }

    fn reset_extension(&mut self, reset_id: u32, preserve: bool) {
        // A reset is about the extension whatever reset id the intro knew.
        if let Some(current) = &mut self.current
            && let Some(extension) = self.index.extensions.get_mut(current.number)
        {
            current.up_to_date = extension.reset_id == reset_id || current.up_to_date;
            extension.reset_id = reset_id;
            if !preserve {
                extension.header.fill(0);
                Arc::make_mut(&mut extension.records).fill(0);
            }
        }
    }

    fn patch_extension_header(&mut self, at: u32, bytes: &[u8]) -> Result<(), Contradiction> {
        let is_modseq = match self.current_extension()? {
            None => return Ok(()),
            Some(extension) => {
                let start = usize::try_from(at).unwrap_or(usize::MAX);
                let end = start.saturating_add(bytes.len());
                if end > extension.header.len() {
                    return Err(Contradiction("a change of an extension's header lies outside of it"));
                }
                put(&mut extension.header, start, bytes);
                extension.name == MODSEQ.as_bytes()
            }
        };
        if is_modseq {
            self.fill_unknown_modseqs();
        }
        Ok(())
    }

    /// From now on messages have their own modseqs: those that have none yet get the highest of the header.
    fn fill_unknown_modseqs(&mut self) {
        let count = self.index.messages.len();
        if let Some(extension) = self.extension_mut(MODSEQ) {
            let highest = Reader(&extension.header).u64().unwrap_or(0).to_le_bytes();
            for place in 0..count {
                let record = extension.record_mut(place);
                if record.iter().all(|byte| *byte == 0) {
                    put(record, 0, &highest);
                }
            }
        }
    }

    fn set_extension_records(&mut self, bytes: &[u8]) -> Result<(), Contradiction> {
        let next_uid = self.next_uid();
        let Some(size) = self.current_extension()?.map(|extension| usize::from(extension.record_size)) else {
            return Ok(());
        };
        let entry = super::bytes::padded(size, 4).saturating_add(4);
        for entry in bytes.chunks_exact(entry) {
            let mut reader = Reader(entry);
            let (Some(uid), Some(data)) = (reader.u32(), reader.take(size)) else { continue };
            if uid == 0 || uid >= next_uid {
                return Err(Contradiction("data are set for a UID that was never given"));
            }
            if let Some(place) = self.index_of(uid)
                && let Some(extension) = self.current_extension()?
            {
                put(extension.record_mut(place), 0, data);
            }
        }
        Ok(())
    }

    fn increment(&mut self, uid: u32, difference: i32) -> Result<(), Contradiction> {
        let Some(place) = self.index_of(uid) else { return Ok(()) };
        let Some(extension) = self.current_extension()? else { return Ok(()) };
        let record = extension.record_mut(place);
        let mut wide = [0; 8];
        put(&mut wide, 0, record);
        let most = match record.len() {
            1 => u64::from(u8::MAX),
            2 => u64::from(u16::MAX),
            4 => u64::from(u32::MAX),
            8 => u64::MAX,
            _ => return Err(Contradiction("a number of an impossible size is counted")),
        };
        let sum = u64::from_le_bytes(wide).checked_add_signed(difference.into()).filter(|sum| *sum <= most);
        let sum = sum.ok_or(Contradiction("a counter leaves its range"))?.to_le_bytes();
        let length = record.len();
        put(record, 0, sum.get(..length).unwrap_or_default());
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
                widen(extension, super::bytes::length_u16(needed), count);
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

fn within_limits(width: usize, headers: usize, count: usize) -> Result<(), Contradiction> {
    let total = width.saturating_add(8).saturating_mul(count).saturating_add(headers);
    if width > LARGEST_WIDTH || total > LARGEST_TOTAL {
        return Err(Contradiction("the data of its extensions are larger than those of any mailbox"));
    }
    Ok(())
}

fn check_sizes(intro: &ExtensionIntro) -> Result<(), Contradiction> {
    let impossible = Contradiction("an extension has an impossible size");
    if intro.header_size > LARGEST_HEADER || intro.record_size > LARGEST_RECORD {
        return Err(impossible);
    }
    if intro.record_size > 0
        && (!(1..=8).contains(&intro.record_align) || !intro.record_size.is_multiple_of(intro.record_align))
    {
        return Err(impossible);
    }
    Ok(())
}

fn resize(extension: &mut Extension, intro: &ExtensionIntro, count: usize) {
    let never_shrink = intro.flags & 1 != 0;
    let header_size = usize::try_from(intro.header_size).unwrap_or(0);
    if header_size > extension.header.len() || !never_shrink {
        extension.header.resize(header_size, 0);
    }
    if intro.record_size > extension.record_size || !never_shrink && intro.record_size != extension.record_size {
        widen(extension, intro.record_size, count);
        extension.record_align = intro.record_align;
    }
}

/// Gives the data of each message another size.
fn widen(extension: &mut Extension, size: u16, count: usize) {
    let (old, new) = (usize::from(extension.record_size), usize::from(size));
    let mut records = vec![0; new.saturating_mul(count)];
    if old > 0 && new > 0 {
        for (from, to) in extension.records.chunks_exact(old).zip(records.chunks_exact_mut(new)) {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
    }
    extension.records = Arc::new(records);
    extension.record_size = size;
}

/// Whether the log starts the index anew.
pub(super) fn is_reset(header: &LogHeader) -> bool {
    header.prev_file_seq == 0
}

#[cfg(test)]
mod tests;
