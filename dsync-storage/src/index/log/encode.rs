//! Writing records as a log has them.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use super::{
    Change, EXPUNGE_PROTECTION, EXTERNAL, ExtensionIntro, ExtensionTarget, LogRecord, SYNC, UidRange, encode_size,
    kind,
};
use crate::index::bytes::{length_u16, length_u32, pad, padded, put, put_u32};

impl LogRecord {
    /// The bytes of the record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut record = Vec::new();
        self.encode_to(&mut record);
        record
    }

    /// Adds the bytes of the record to those before it.
    fn encode_to(&self, log: &mut Vec<u8>) {
        let start = log.len();
        log.extend([0; 8]);
        let kind = encode_change(&self.change, log);
        let size = padded(log.len().saturating_sub(start), 4);
        log.resize(start.saturating_add(size), 0);
        let marks = if self.external { EXTERNAL } else { 0 } | if self.sync { SYNC } else { 0 };
        put(log, start, &encode_size(size));
        put_u32(log, start.saturating_add(4), kind | marks);
    }
}

/// Several records as one transaction: with a boundary in front if there are at least two.
#[must_use]
pub fn encode_transaction(records: &[LogRecord]) -> Vec<u8> {
    let external = records.iter().all(|record| record.external);
    let boundary = |size| LogRecord { external, sync: false, change: Change::Boundary(size) }.encode();
    let mut bytes = if records.len() < 2 { Vec::new() } else { boundary(0) };
    records.iter().for_each(|record| record.encode_to(&mut bytes));
    if records.len() >= 2 {
        let size = length_u32(bytes.len());
        put(&mut bytes, 0, &boundary(size));
    }
    bytes
}

fn encode_change(change: &Change, body: &mut Vec<u8>) -> u32 {
    match change {
        Change::Expunge(ranges) => {
            encode_ranges(ranges, body);
            kind::EXPUNGE | EXPUNGE_PROTECTION
        }
        Change::ExpungeGuid(messages) => {
            for (uid, guid) in messages {
                body.extend(uid.to_le_bytes());
                body.extend(guid);
            }
            kind::EXPUNGE_GUID | EXPUNGE_PROTECTION
        }
        Change::Append(messages) => {
            for (uid, flags, rest) in messages {
                body.extend(uid.to_le_bytes());
                body.push(*flags);
                body.extend(rest);
            }
            kind::APPEND
        }
        Change::FlagUpdate(updates) => {
            for update in updates {
                encode_ranges(&[update.uids], body);
                body.extend([update.add, update.remove, u8::from(update.force), 0]);
            }
            kind::FLAG_UPDATE
        }
        Change::HeaderUpdate(patches) => {
            for (offset, bytes) in patches {
                body.extend(offset.to_le_bytes());
                body.extend(length_u16(bytes.len()).to_le_bytes());
                body.extend(bytes);
                pad(body, 4);
            }
            kind::HEADER_UPDATE
        }
        Change::ExtensionIntro(intro) => {
            encode_intro(intro, body);
            kind::EXT_INTRO
        }
        Change::ExtensionReset(reset_id, preserve) => {
            body.extend(reset_id.to_le_bytes());
            body.push(u8::from(*preserve));
            kind::EXT_RESET
        }
        Change::ExtensionHeader(patches) => {
            for (offset, bytes) in patches {
                body.extend(offset.to_le_bytes());
                body.extend(length_u32(bytes.len()).to_le_bytes());
                body.extend(bytes);
                pad(body, 4);
            }
            kind::EXT_HEADER_32
        }
        Change::ExtensionRecords(bytes) => {
            body.extend(bytes);
            kind::EXT_RECORDS
        }
        Change::ExtensionIncrement(increments) => {
            for (uid, difference) in increments {
                body.extend(uid.to_le_bytes());
                body.extend(difference.to_le_bytes());
            }
            kind::EXT_INCREMENT
        }
        Change::KeywordUpdate { remove, name, uids } => {
            body.extend([u8::from(*remove), 0]);
            body.extend(length_u16(name.len()).to_le_bytes());
            body.extend(name);
            pad(body, 4);
            encode_ranges(uids, body);
            kind::KEYWORD_UPDATE
        }
        Change::KeywordReset(ranges) => {
            encode_ranges(ranges, body);
            kind::KEYWORD_RESET
        }
        Change::ModSeqUpdate(updates) => {
            for (uid, modseq) in updates {
                body.extend(uid.to_le_bytes());
                body.extend(modseq.to_le_bytes());
            }
            kind::MODSEQ_UPDATE
        }
        Change::IndexDeleted => {
            body.extend([0; 4]);
            kind::INDEX_DELETED
        }
        Change::IndexUndeleted => {
            body.extend([0; 4]);
            kind::INDEX_UNDELETED
        }
        Change::Boundary(size) => {
            body.extend(size.to_le_bytes());
            kind::BOUNDARY
        }
        Change::AttributeUpdate(bytes) => {
            body.extend(bytes);
            kind::ATTRIBUTE_UPDATE
        }
    }
}

fn encode_ranges(ranges: &[UidRange], body: &mut Vec<u8>) {
    for range in ranges {
        body.extend(range.first.to_le_bytes());
        body.extend(range.last.to_le_bytes());
    }
}

fn encode_intro(intro: &ExtensionIntro, body: &mut Vec<u8>) {
    let (number, name): (u32, &[u8]) = match &intro.target {
        ExtensionTarget::Number(number) => (*number, &[]),
        ExtensionTarget::Name(name) => (u32::MAX, name),
    };
    for value in [number, intro.reset_id, intro.header_size] {
        body.extend(value.to_le_bytes());
    }
    for value in [intro.record_size, intro.record_align, intro.flags, length_u16(name.len())] {
        body.extend(value.to_le_bytes());
    }
    body.extend(name);
}
