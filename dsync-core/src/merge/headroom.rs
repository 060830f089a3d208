//! How far HIGHESTMODSEQ has to be raised for a store to be able to count what it writes.

use std::collections::BTreeSet;

use crate::model::{Keyword, Keywords};

/// How much a store may count while it writes changes of messages with these keywords down: a record each for what is
/// added, removed and flagged, one to spare, and two for every keyword.
pub(super) fn headroom(keywords: impl Iterator<Item = Keywords>) -> u64 {
    let mut names: BTreeSet<Keyword> = BTreeSet::new();
    for keywords in keywords {
        names.extend(keywords.iter().cloned());
    }
    names.len().saturating_mul(2).saturating_add(4) as u64
}
