//! LZ4 as Dovecot frames it.
//!
//! ```text
//! header  "Dovecot-LZ4" 0d 2a 9b c5     magic
//!         u32 big-endian                most bytes that a chunk has when it is plain
//! chunk   u32 big-endian                size of the block
//!         one LZ4 block, which refers to no other
//! ```
//!
//! The last chunk is followed by the end of the file, so data that was cut between two chunks is told only by its size.
//! Source: observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::io::{self, Read, Write};

use lz4_flex::block;

use super::compression::{Codec, LZ4_MAGIC as MAGIC, StoredReader};

/// The most plain bytes in a chunk that Dovecot writes, and so do we.
const CHUNK: u32 = 64 * 1024;
/// The most that is believed.
const LARGEST_CHUNK: usize = 16 << 20;

pub(super) const CODEC: Codec = Codec { read, write };

fn read(stored: StoredReader) -> Box<dyn Read + Send> {
    Box::new(Lz4Reader::new(stored))
}

/// Reads framed data from its magic on.
#[derive(Debug)]
pub struct Lz4Reader<R> {
    source: R,
    /// `None` until the header was read.
    largest_chunk: Option<usize>,
    block: Vec<u8>,
    plain: Vec<u8>,
    /// How much of `plain` was given away.
    given: usize,
}

impl<R: Read> Lz4Reader<R> {
    /// A reader of the plain bytes.
    pub fn new(source: R) -> Self {
        Self { source, largest_chunk: None, block: Vec::new(), plain: Vec::new(), given: 0 }
    }

    fn header(&mut self) -> io::Result<usize> {
        let mut magic = [0; MAGIC.len()];
        self.source.read_exact(&mut magic)?;
        let largest = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        if magic != MAGIC || largest > LARGEST_CHUNK {
            return Err(damaged("the LZ4 header is invalid"));
        }
        Ok(largest)
    }

    fn number(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.source.read_exact(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    /// Reads the next chunk into `plain`; leaves it empty at the end.
    fn next_chunk(&mut self) -> io::Result<()> {
        let largest = match self.largest_chunk {
            Some(largest) => largest,
            None => self.header()?,
        };
        self.largest_chunk = Some(largest);
        self.given = 0;
        self.plain.clear();
        self.block.clear();
        self.source.by_ref().take(4).read_to_end(&mut self.block)?;
        let size = match self.block.as_slice() {
            [] => return Ok(()),
            bytes => u32::from_be_bytes(bytes.try_into().map_err(|_| io::ErrorKind::UnexpectedEof)?),
        };
        // A block that could not be made smaller is larger than what it holds, but only by so much.
        let most = largest.saturating_add(largest / 255).saturating_add(16);
        let size = usize::try_from(size).ok().filter(|size| (1..=most).contains(size));
        let size = size.ok_or_else(|| damaged("an LZ4 chunk has an impossible size"))?;
        self.block.clear();
        self.source.by_ref().take(size as u64).read_to_end(&mut self.block)?;
        if self.block.len() < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.plain.resize(largest, 0);
        let length = block::decompress_into(&self.block, &mut self.plain)
            .map_err(|error| damaged(&format!("an LZ4 chunk is invalid: {error}")))?;
        if length == 0 {
            // It would be taken for the end.
            return Err(damaged("an LZ4 chunk is empty"));
        }
        self.plain.truncate(length);
        Ok(())
    }
}

impl<R: Read> Read for Lz4Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given >= self.plain.len() {
            self.next_chunk()?;
        }
        let count = self.plain.get(self.given..).unwrap_or_default().read(buffer)?;
        self.given = self.given.saturating_add(count);
        Ok(count)
    }
}

/// Writes what `plain` gives in frames, from the magic on. There is only one level.
fn write(_level: u32, _size: Option<u64>, plain: &mut dyn Read, stored: &mut dyn Write) -> io::Result<()> {
    stored.write_all(&MAGIC)?;
    stored.write_all(&CHUNK.to_be_bytes())?;
    let mut chunk = Vec::new();
    loop {
        chunk.clear();
        if plain.take(CHUNK.into()).read_to_end(&mut chunk)? == 0 {
            return Ok(());
        }
        let block = block::compress(&chunk);
        let size = u32::try_from(block.len()).map_err(|_| damaged("an LZ4 block is too large"))?;
        stored.write_all(&size.to_be_bytes())?;
        stored.write_all(&block)?;
    }
}

fn damaged(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
