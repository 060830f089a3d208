//! How far HIGHESTMODSEQ has to be raised for a store to be able to count what it writes.

use crate::model::MessageRecord;

/// How much a store may count while it writes changes of these messages down: a record each for what is added, removed
/// and flagged, one to spare, and two for every keyword.
pub(super) fn headroom<'a>(records: impl Iterator<Item = &'a MessageRecord>) -> u64 {
    let mut keywords: Vec<_> = records.flat_map(|record| &record.keywords).collect();
    keywords.sort_unstable();
    keywords.dedup();
    keywords.len().saturating_mul(2).saturating_add(4) as u64
}
