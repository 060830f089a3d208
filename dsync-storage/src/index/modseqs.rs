//! How modseqs come out of the log: which records count.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use super::bytes::Reader;
use super::log::{Change, ExtensionTarget, FlagUpdate, LogRecord};
use super::main_index::MainIndex;

/// Name of the extension with the modseqs.
pub const MODSEQ: &str = "modseq";

/// The highest modseq after a record.
#[must_use]
pub fn counted(before: u64, record: &LogRecord, log_minor: u8) -> u64 {
    let next = before.saturating_add(1);
    if before == 0 {
        // Logs from before there were modseqs start counting when the extension is announced.
        let announced = matches!(&record.change, Change::ExtensionIntro(intro)
            if intro.target == ExtensionTarget::Name(MODSEQ.into()));
        return u64::from(announced);
    }
    match &record.change {
        Change::Append(_) | Change::KeywordUpdate { .. } | Change::KeywordReset(_) | Change::AttributeUpdate(_) => {
            next
        }
        Change::Expunge(_) | Change::ExpungeGuid(_) if record.external => next,
        Change::FlagUpdate(updates) if log_minor < 3 || updates.iter().any(|update| !is_internal(update)) => next,
        Change::ModSeqUpdate(updates) => updates.iter().map(|(_, modseq)| *modseq).max().unwrap_or(0).max(before),
        _ => before,
    }
}

/// A change of bits that no client sees.
pub(super) fn is_internal(update: &FlagUpdate) -> bool {
    (update.add | update.remove) & 0x1f == 0 && !update.force
}

/// The place in the log up to which a header's highest modseq counts; `None` if the snapshot does not say.
pub(super) fn counted_place(index: &MainIndex) -> Option<(u64, u32, u32)> {
    let mut header = Reader(&index.extension(MODSEQ)?.header);
    let (highest, log_seq, log_offset) = (header.u64()?, header.u32()?, header.u32()?);
    (highest != 0).then_some((highest, log_seq, log_offset))
}
