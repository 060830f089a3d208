//! What the log knows about the time since a modseq: which messages were expunged, and how flags and keywords of others
//! were changed.
//!
//! Records that carry the *sync* mark repeat what another replica did, so they do not count as changes of this one; only
//! their expunges do. Source: observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use super::log::{Change, LogError, LogHeader, LogRecord, UidRange, next_record};
use super::modseqs::counted;
use super::view::IndexView;

/// The five bits that clients see.
const FLAGS: u8 = 0x1f;
/// Nothing is known of a GUID.
const NO_GUID: [u8; 16] = [0; 16];

/// A log file as it was read.
#[derive(Clone, Debug)]
pub struct LogBytes {
    /// Its header.
    pub header: LogHeader,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// How a message was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageChanges {
    /// Flags that were set.
    pub added: u8,
    /// Flags that were cleared, or said to be clear.
    pub removed: u8,
    /// Keywords, each once: whether it was set.
    pub keywords: Vec<(Vec<u8>, bool)>,
    /// All keywords were removed before that.
    pub cleared_keywords: bool,
}

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexHistory {
    /// Whether the logs reach back to the moment asked for.
    pub complete: bool,
    /// Changes of messages, by UID.
    pub changes: BTreeMap<u32, MessageChanges>,
    /// Messages that are gone, by UID, with their 128-bit GUIDs; zeros if unknown.
    pub expunged: BTreeMap<u32, [u8; 16]>,
    /// Ranges of UIDs, with both ends, that records with the *sync* mark gave to messages, ascending.
    pub given: Vec<(u32, u32)>,
    /// Messages that such records removed: GUID and the lowest UID under which they did.
    pub removed_by_runs: BTreeMap<[u8; 16], u32>,
    /// GUIDs of messages that other records expunged.
    pub expunged_by_clients: BTreeSet<[u8; 16]>,
    /// How many UIDs of ranges were looked at.
    looked_at: u64,
}

/// Reads `logs`, the oldest first, from where the highest modseq was `since`, or all of them. What other replicas did counts
/// while the highest modseq is not greater than `mirrored_until`. `view` is the state at the end of the logs.
///
/// # Errors
/// If a record makes no sense.
pub fn read(
    logs: &[LogBytes],
    since: Option<u64>,
    mirrored_until: u64,
    view: &IndexView,
) -> Result<IndexHistory, LogError> {
    let mut history = IndexHistory { complete: reaches(logs, since, view), ..IndexHistory::default() };
    for log in logs {
        let mut highest = log.header.initial_modseq;
        let mut place = usize::from(log.header.header_size);
        while let Some((record, end)) = next_record(&log.bytes, place)? {
            let before = highest;
            highest = counted(highest, &record, log.header.minor);
            if since.is_none_or(|since| before >= since) {
                history.note(&record, record.sync && highest > mirrored_until, view);
            }
            place = end;
        }
    }
    Ok(history)
}

/// Whether nothing is missing between `since` and now.
fn reaches(logs: &[LogBytes], since: Option<u64>, view: &IndexView) -> bool {
    let oldest = logs.first().map_or_else(|| view.highest_modseq(), |log| log.header.initial_modseq);
    since.is_some_and(|since| oldest <= since && since <= view.highest_modseq())
}

impl IndexHistory {
    fn note(&mut self, record: &LogRecord, only_expunges: bool, view: &IndexView) {
        self.note_origin(record, view);
        match &record.change {
            Change::ExpungeGuid(messages) => {
                for (uid, guid) in messages {
                    // A request counts once it has been carried out; it may know the GUID when the deed does not.
                    if record.external || view.index_of(*uid).is_none() {
                        self.note_expunge(*uid, *guid);
                    }
                }
            }
            _ if only_expunges && !matches!(record.change, Change::Expunge(_)) => {}
            Change::Expunge(ranges) if record.external => {
                for range in ranges {
                    self.note_range(*range, view);
                }
            }
            Change::FlagUpdate(updates) => {
                for update in updates {
                    for uid in present(update.uids, view) {
                        let change = self.changes.entry(uid).or_default();
                        change.added = (change.added | update.add) & !update.remove & FLAGS;
                        change.removed = (change.removed & !update.add | update.remove) & FLAGS;
                    }
                }
            }
            Change::KeywordUpdate { remove, name, uids } => {
                for uid in uids.iter().flat_map(|range| present(*range, view)) {
                    let keywords = &mut self.changes.entry(uid).or_default().keywords;
                    keywords.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                    keywords.push((name.clone(), !remove));
                }
            }
            Change::KeywordReset(ranges) => {
                for uid in ranges.iter().flat_map(|range| present(*range, view)) {
                    let change = self.changes.entry(uid).or_default();
                    change.keywords.clear();
                    change.cleared_keywords = true;
                }
            }
            _ => {}
        }
    }

    /// A range of which nobody knows the GUIDs.
    fn note_range(&mut self, range: UidRange, view: &IndexView) {
        let last = range.last.min(view.next_uid().saturating_sub(1));
        let count = u64::from(last).saturating_add(1).saturating_sub(u64::from(range.first));
        self.looked_at = self.looked_at.saturating_add(count);
        if self.looked_at > MOST_EXPUNGED {
            self.complete = false;
            return;
        }
        for uid in range.first..=last {
            if view.index_of(uid).is_none() {
                self.note_expunge(uid, NO_GUID);
            }
        }
    }

    /// Tells messages that came or went by a synchronisation from those that did so by a client.
    fn note_origin(&mut self, record: &LogRecord, view: &IndexView) {
        match &record.change {
            Change::Append(messages) if record.sync => {
                for (uid, ..) in messages {
                    match self.given.last_mut() {
                        Some((_, last)) if uid.checked_sub(1) == Some(*last) => *last = *uid,
                        Some((_, last)) if *uid <= *last => {}
                        _ => self.given.push((*uid, *uid)),
                    }
                }
            }
            Change::ExpungeGuid(messages) => {
                for (uid, guid) in messages.iter().filter(|(_, guid)| *guid != NO_GUID) {
                    if record.sync {
                        let first = self.removed_by_runs.entry(*guid).or_insert(*uid);
                        *first = (*first).min(*uid);
                    } else if view.index_of(*uid).is_none() {
                        self.expunged_by_clients.insert(*guid);
                    }
                }
            }
            _ => {}
        }
    }

    fn note_expunge(&mut self, uid: u32, guid: [u8; 16]) {
        self.changes.remove(&uid);
        let known = self.expunged.entry(uid).or_insert(guid);
        if guid != NO_GUID {
            *known = guid;
        }
    }
}

/// The messages of a range that are still there. What became of others does not matter.
fn present(range: UidRange, view: &IndexView) -> impl Iterator<Item = u32> + '_ {
    let messages = view.messages();
    let first = messages.partition_point(|(uid, _)| *uid < range.first);
    messages.get(first..).unwrap_or_default().iter().map(|(uid, _)| *uid).take_while(move |uid| *uid <= range.last)
}

/// How many UIDs of expunged ranges are looked at one by one: a range is eight bytes and may name billions.
const MOST_EXPUNGED: u64 = 1 << 24;

#[cfg(test)]
mod tests;
