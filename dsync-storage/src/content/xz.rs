//! xz, also of several streams.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::io::{self, Read, Write};

use lzma_rust2::{XzOptions, XzReader, XzWriter};

use super::compression::{Codec, StoredReader};

/// Enough for every preset, in KiB.
const MOST_MEMORY: u32 = 128 * 1024;
/// The smallest dictionary there is, in bytes.
const LEAST_DICTIONARY: u64 = 4096;

pub(super) const CODEC: Codec = Codec { read, write };

fn read(stored: StoredReader) -> Box<dyn Read + Send> {
    Box::new(XzReader::new_mem_limit(stored, true, MOST_MEMORY))
}

fn write(level: u32, size: Option<u64>, plain: &mut dyn Read, stored: &mut dyn Write) -> io::Result<()> {
    let mut options = XzOptions::with_preset(level);
    // A dictionary costs many times its size, and one that is larger than the message is of no use.
    let enough = size.and_then(|size| u32::try_from(size.max(LEAST_DICTIONARY)).ok());
    let dictionary = &mut options.lzma_options.dict_size;
    *dictionary = enough.map_or(*dictionary, |enough| enough.min(*dictionary));
    let mut encoder = XzWriter::new(stored, options)?;
    io::copy(plain, &mut encoder)?;
    encoder.finish().map(drop)
}
