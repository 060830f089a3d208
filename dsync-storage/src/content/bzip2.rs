//! bzip2, also of several members.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::io::{self, Read, Write};

use bzip2::Compression;
use bzip2::bufread::MultiBzDecoder;
use bzip2::write::BzEncoder;

use super::compression::{Codec, StoredReader};

pub(super) const CODEC: Codec = Codec { read, write };

fn read(stored: StoredReader) -> Box<dyn Read + Send> {
    Box::new(MultiBzDecoder::new(stored))
}

fn write(level: u32, _size: Option<u64>, plain: &mut dyn Read, stored: &mut dyn Write) -> io::Result<()> {
    let mut encoder = BzEncoder::new(stored, Compression::new(level));
    io::copy(plain, &mut encoder)?;
    encoder.finish().map(drop)
}
