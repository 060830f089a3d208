//! gzip, also of several members.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::compression::{Codec, StoredReader};

pub(super) const CODEC: Codec = Codec { read, write };

fn read(stored: StoredReader) -> Box<dyn Read + Send> {
    Box::new(MultiGzDecoder::new(stored))
}

fn write(level: u32, _size: Option<u64>, plain: &mut dyn Read, stored: &mut dyn Write) -> io::Result<()> {
    let mut encoder = GzEncoder::new(stored, Compression::new(level));
    io::copy(plain, &mut encoder)?;
    encoder.finish().map(drop)
}
