//! The wanted state as a main index.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::sync::Arc;

use super::{CachePlaces, FLAGS, IndexTarget, STORAGE, TargetMessage, names_of};
use crate::index::bytes::{length_u16, pad};
use crate::index::keywords::encode_keywords;
use crate::index::log::HEADER_SIZE;
use crate::index::main_index::{Extension, MainIndex, offset};
use crate::index::modseqs::MODSEQ;
use crate::index::view::{CACHE, KEYWORDS};

/// The main index that holds the target, for an index without any log. `log_seq` is the number of a log that need not
/// exist.
#[must_use]
pub fn snapshot(index_id: u32, log_seq: u32, target: IndexTarget, cache: &CachePlaces) -> MainIndex {
    let mut index = MainIndex::new(index_id);
    index.set(offset::UID_VALIDITY, target.uid_validity);
    index.set(offset::NEXT_UID, target.next_uid);
    index.set(offset::FIRST_RECENT, target.first_recent_uid);
    index.set(offset::LOG_SEQ, log_seq);
    let head = u32::from(HEADER_SIZE);
    index.set(offset::LOG_TAIL, head);
    index.set(offset::LOG_HEAD, head);
    let mut header = target.highest_modseq.to_le_bytes().to_vec();
    header.extend(log_seq.to_le_bytes());
    header.extend(head.to_le_bytes());
    index.extensions.push(Extension {
        name: MODSEQ.into(),
        header,
        record_size: 8,
        record_align: 8,
        ..Extension::default()
    });
    let (keywords, places) = (keywords_extension(&target), cache_extension(&target, cache));
    let (mut messages, modseqs) = target.messages.into_columns();
    messages.iter_mut().for_each(|(_, flags)| *flags &= FLAGS | STORAGE);
    index.messages = messages;
    if let Some(extension) = index.extensions.last_mut() {
        extension.records = Arc::new(modseqs);
    }
    index.extensions.extend(target.extensions.into_iter().map(|extension| Extension {
        name: extension.name.into(),
        reset_id: 0,
        header: extension.header,
        record_size: extension.record_size,
        record_align: extension.record_align,
        records: extension.records,
    }));
    index.extensions.extend(keywords);
    index.extensions.extend(places);
    index
}

fn keywords_extension(target: &IndexTarget) -> Option<Extension> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    for keyword in target.messages.keywords().flatten() {
        let keyword = keyword.as_str().as_bytes();
        if !names.iter().any(|name| name.eq_ignore_ascii_case(keyword)) {
            names.push(keyword.to_vec());
        }
    }
    if names.is_empty() {
        return None;
    }
    let size = names.len().div_ceil(8);
    let mut records = vec![0; size.saturating_mul(target.messages.len())];
    for (record, message) in records.chunks_exact_mut(size).zip(target.messages.iter()) {
        let number = |name: &&[u8]| names.iter().position(|known| known.eq_ignore_ascii_case(name));
        for number in names_of(&message.keywords).iter().filter_map(number) {
            if let Some(byte) = record.get_mut(number / 8) {
                *byte |= 1 << (number % 8);
            }
        }
    }
    let mut header = encode_keywords(&names);
    // Servers want the last byte to be the NUL of a name, or room after it.
    pad(&mut header, 4);
    Some(Extension {
        name: KEYWORDS.into(),
        reset_id: 0,
        header,
        record_size: length_u16(size),
        record_align: 1,
        records: Arc::new(records),
    })
}

fn cache_extension(target: &IndexTarget, cache: &CachePlaces) -> Option<Extension> {
    if cache.offsets.is_empty() {
        return None;
    }
    let of = |message: TargetMessage| {
        let place = cache.offsets.binary_search_by_key(&message.uid, |(uid, _)| *uid).ok();
        let offset = place.and_then(|place| cache.offsets.get(place)).map_or(0, |(_, offset)| *offset);
        offset.to_le_bytes()
    };
    Some(Extension {
        name: CACHE.into(),
        reset_id: cache.file_seq,
        header: Vec::new(),
        record_size: 4,
        record_align: 4,
        records: Arc::new(target.messages.iter().flat_map(of).collect()),
    })
}
