//! The state that a writer wants, and the log records that lead to it. Pure.
//!
//! The result is exact: every modseq is the wanted one, also where counting records would give another. The extension
//! `modseq` may be set to any value as data; only HIGHESTMODSEQ can but grow within one log. So there are two ways: a
//! transaction, if the wanted state can be reached from the present one; and a new log that starts the history anew.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

mod messages;
mod records;
mod snapshot;

use std::sync::Arc;

use dsync_core::model::Keywords;

use super::log::ExtensionIntro;
use super::view::IndexView;

pub use messages::{TargetMessage, TargetMessages};
pub use records::{transaction, whole_log};
pub use snapshot::snapshot;

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

fn names_of(keywords: &Keywords) -> Vec<&[u8]> {
    keywords.iter().map(|keyword| keyword.as_str().as_bytes()).collect()
}

#[cfg(test)]
pub(in crate::index) mod tests;
