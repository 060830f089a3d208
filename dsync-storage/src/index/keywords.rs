//! The extension `keywords`: names in its header, a bit for each in the data of a message.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use super::bytes::Reader;

/// No index has more keywords than this, so that a hostile log cannot make every message larger and larger.
pub(super) const MOST_KEYWORDS: usize = 4096;

/// The header of the extension `keywords`: a count, for each a zero and the offset of its name, then the names with a
/// NUL each.
#[must_use]
pub fn encode_keywords(names: &[Vec<u8>]) -> Vec<u8> {
    let mut header = super::bytes::length_u32(names.len()).to_le_bytes().to_vec();
    let mut texts = Vec::new();
    for name in names {
        header.extend([0; 4]);
        header.extend(super::bytes::length_u32(texts.len()).to_le_bytes());
        texts.extend(name);
        texts.push(0);
    }
    header.extend(texts);
    header
}

/// See [`encode_keywords`]. Names that are not there are left out, with all after them.
#[must_use]
pub fn decode_keywords(header: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = Reader(header);
    let count = reader.u32().and_then(|count| usize::try_from(count).ok()).unwrap_or(0).min(MOST_KEYWORDS);
    let mut offsets = Vec::new();
    for _ in 0..count {
        let (Some(_), Some(offset)) = (reader.u32(), reader.u32()) else { return Vec::new() };
        offsets.push(usize::try_from(offset).unwrap_or(usize::MAX));
    }
    let name = |offset: &usize| {
        let text = reader.0.get(*offset..)?;
        let end = text.iter().position(|byte| *byte == 0)?;
        text.get(..end).map(<[u8]>::to_vec)
    };
    offsets.iter().map_while(name).collect()
}

/// Whether a message has the keyword of this number.
pub(crate) fn bit(bits: &[u8], number: usize) -> bool {
    bits.get(number / 8).is_some_and(|byte| byte & (1 << (number % 8)) != 0)
}
