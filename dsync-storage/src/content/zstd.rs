//! Zstandard data: any number of frames, of which some may have to be skipped.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::io::{self, BufRead, Read, Write};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::encoding::{CompressionLevel, FrameCompressor};

use super::compression::{Codec, StoredReader};

/// The most that a frame may want to look back. Dovecot compresses with any level, and the highest ones need this much.
const LARGEST_WINDOW: u64 = 128 << 20;

pub(super) const CODEC: Codec = Codec { read, write };

fn read(stored: StoredReader) -> Box<dyn Read + Send> {
    Box::new(ZstdReader::new(stored))
}

/// There is only one level.
fn write(_level: u32, _size: Option<u64>, plain: &mut dyn Read, stored: &mut dyn Write) -> io::Result<()> {
    let mut encoder = FrameCompressor::new(CompressionLevel::Fastest);
    encoder.set_source(plain);
    encoder.set_drain(stored);
    encoder.compress();
    Ok(())
}

/// Reads compressed data to its end.
struct ZstdReader<R> {
    source: R,
    decoder: FrameDecoder,
    /// Bytes of the current frame that were given away; `None` between frames.
    given: Option<u64>,
}

impl<R: BufRead> ZstdReader<R> {
    fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(LARGEST_WINDOW);
        Self { source, decoder, given: None }
    }

    /// Begins the next frame that holds data; `false` at the end.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => {
                    self.given = Some(0);
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let skipped = io::copy(&mut self.source.by_ref().take(u64::from(length)), &mut io::sink())?;
                    if skipped != u64::from(length) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(invalid(error)),
            }
        }
        Ok(false)
    }

    /// What a frame says about itself has to be true.
    fn check_frame(&self, given: u64) -> io::Result<()> {
        let size = self.decoder.content_size();
        if size != 0 && size != given {
            return Err(invalid("a frame has another size than it says"));
        }
        match self.decoder.get_checksum_from_data() {
            Some(checksum) if Some(checksum) != self.decoder.get_calculated_checksum() => {
                Err(invalid("a checksum is wrong"))
            }
            _ => Ok(()),
        }
    }
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.given.is_none() && !self.next_frame()? {
                return Ok(0);
            }
            let given = self.given.unwrap_or_default();
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.source, one).map_err(invalid)?;
            }
            let count = self.decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                self.given = Some(given.saturating_add(count as u64));
                return Ok(count);
            }
            self.check_frame(given)?;
            self.given = None;
        }
    }
}

fn invalid(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}
