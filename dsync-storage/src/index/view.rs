//! The state of an index: a snapshot, with what the log says has happened since.
//!
//! Modseqs come out of the log: every record that a client can notice counts one (records, not messages), starting at the
//! value in the header of the log. A message has one of its own only once the extension `modseq` exists; before that,
//! and if its value is 0, it has the highest there is. Source: observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

mod apply;
mod extensions;
mod requests;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::bytes::{Reader, u32_at};
use super::keywords::{bit, decode_keywords};
use super::log::{LogRecord, UidRange};
use super::main_index::{Extension, MainIndex, offset};
use super::modseqs::{MODSEQ, counted};

/// Name of the extension with the keywords.
pub const KEYWORDS: &str = "keywords";
/// Name of the extension with the places in the cache file.
pub const CACHE: &str = "cache";

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

    /// The same state with another highest modseq: what the next log says in its header.
    pub(super) fn counting_from(self, highest_modseq: u64) -> Self {
        Self { highest_modseq, ..self }
    }

    /// Counts a record for the highest modseq, without applying it.
    pub(super) fn count(&mut self, record: &LogRecord, log_minor: u8) {
        self.highest_modseq = counted(self.highest_modseq, record, log_minor);
    }
}

#[cfg(test)]
mod tests;
