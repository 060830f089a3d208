//! The bytes of a message on their way in, counted while they are copied.

use std::io::{self, Read};

use dsync_core::store::{ErrorKind, MessageBody, StoreError};
use memchr::memchr_iter;

use crate::fs::FsError;

/// How long a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// As it is stored.
    pub(crate) physical: u64,
    /// With every line end counted as CRLF.
    pub(crate) virtual_size: u64,
}

const BUFFER: usize = 128 * 1024;

/// Gives the bytes of a message to `write`, piece by piece, and counts them.
///
/// # Errors
/// [`ErrorKind::Source`] if the body breaks off, cannot be read or has not the announced length.
pub(crate) fn copy(
    mut body: MessageBody,
    mut write: impl FnMut(&[u8]) -> Result<(), FsError>,
) -> Result<Sizes, StoreError> {
    let announced = body.size;
    let capacity = announced.and_then(|size| usize::try_from(size).ok()).unwrap_or(BUFFER).clamp(1, BUFFER);
    let mut buffer = vec![0; capacity];
    let mut counter = SizeCounter::default();
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(StoreError::with_source(ErrorKind::Source, "the message cannot be read", error));
            }
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        counter.add(bytes);
        write(bytes)?;
    }
    let sizes = counter.sizes;
    if let Some(announced) = announced.filter(|announced| *announced != sizes.physical) {
        let text = format!("a message of {announced} bytes was announced, but {} bytes came", sizes.physical);
        return Err(StoreError::new(ErrorKind::Source, text));
    }
    Ok(sizes)
}

/// Counts a message that comes in pieces.
#[derive(Default)]
struct SizeCounter {
    sizes: Sizes,
    after_cr: bool,
}

impl SizeCounter {
    fn add(&mut self, bytes: &[u8]) {
        let bare = memchr_iter(b'\n', bytes).filter(|&at| match at.checked_sub(1) {
            Some(before) => bytes.get(before) != Some(&b'\r'),
            None => !self.after_cr,
        });
        let bare = bare.count() as u64;
        self.sizes.physical += bytes.len() as u64;
        self.sizes.virtual_size += bytes.len() as u64 + bare;
        self.after_cr = bytes.last().map_or(self.after_cr, |last| *last == b'\r');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_count_like_the_whole(
            bytes in prop::collection::vec(prop::sample::select(b"\r\na".to_vec()), 0..40),
            cuts in prop::collection::vec(0usize..40, 0..5),
        ) {
            let whole = bytes.len() + bytes.iter().enumerate()
                .filter(|(at, byte)| **byte == b'\n' && (*at == 0 || bytes[at - 1] != b'\r')).count();
            let mut counter = SizeCounter::default();
            let mut rest = &bytes[..];
            for cut in cuts {
                let (piece, tail) = rest.split_at(cut.min(rest.len()));
                counter.add(piece);
                rest = tail;
            }
            counter.add(rest);
            prop_assert_eq!(counter.sizes, Sizes { physical: bytes.len() as u64, virtual_size: whole as u64 });
        }
    }
}
