//! Writing a main index.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use super::{MainIndex, PIECE, offset};
use crate::index::bytes::{length_u16, length_u32, pad, padded, put, put_u32};

impl MainIndex {
    /// The bytes of the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let written = self.encode_in_pieces(&mut |piece| {
            file.extend_from_slice(piece);
            Ok::<_, std::convert::Infallible>(())
        });
        match written {
            Ok(()) => file,
        }
    }

    /// Hands the bytes of the file out piece by piece, because all of them would take as much memory as the index itself.
    /// The layout of the message records is our own; readers take it from the headers.
    ///
    /// # Errors
    /// As `write`.
    pub fn encode_in_pieces<E>(&self, write: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let (places, record_size) = self.place_extensions();
        let mut bytes = self.base.clone();
        pad(&mut bytes, 8);
        for (extension, place) in self.extensions.iter().zip(&places) {
            bytes.extend(length_u32(extension.header.len()).to_le_bytes());
            bytes.extend(extension.reset_id.to_le_bytes());
            for value in [
                if extension.record_size > 0 { length_u16(*place) } else { 0 },
                extension.record_size,
                extension.record_align,
                length_u16(extension.name.len()),
            ] {
                bytes.extend(value.to_le_bytes());
            }
            bytes.extend(&extension.name);
            pad(&mut bytes, 8);
            bytes.extend(&extension.header);
            pad(&mut bytes, 8);
        }
        let header_size = bytes.len();
        put(&mut bytes, 2, &length_u16(self.base.len()).to_le_bytes());
        put_u32(&mut bytes, 4, length_u32(header_size));
        put_u32(&mut bytes, 8, length_u32(record_size));
        put_u32(&mut bytes, offset::MESSAGES.into(), length_u32(self.messages.len()));
        let with = |bit: u8| length_u32(self.messages.iter().filter(|(_, flags)| flags & bit != 0).count());
        put_u32(&mut bytes, offset::SEEN.into(), with(0x08));
        put_u32(&mut bytes, offset::DELETED.into(), with(0x04));
        for (number, (uid, flags)) in self.messages.iter().enumerate() {
            let start = bytes.len();
            bytes.resize(start.saturating_add(record_size), 0);
            put_u32(&mut bytes, start, *uid);
            put(&mut bytes, start.saturating_add(4), &[*flags]);
            for (extension, place) in self.extensions.iter().zip(&places) {
                put(&mut bytes, start.saturating_add(*place), extension.record(number));
            }
            if bytes.len() >= PIECE {
                write(&bytes)?;
                bytes.clear();
            }
        }
        write(&bytes)
    }

    /// Where the data of each extension start in a record, and how long a record is.
    fn place_extensions(&self) -> (Vec<usize>, usize) {
        let mut places = vec![0; self.extensions.len()];
        let mut order: Vec<usize> = (0..self.extensions.len()).collect();
        let align =
            |number: &usize| self.extensions.get(*number).map_or(1, |extension| extension.record_align.max(1));
        order.sort_by_key(|number| std::cmp::Reverse(align(number)));
        // The widest first, from the first multiple of 8 on, leaves no holes but the three bytes before it.
        let mut end = 8usize;
        let mut widest = 4usize;
        for number in order {
            let Some(extension) = self.extensions.get(number).filter(|extension| extension.record_size > 0) else {
                continue;
            };
            let start = padded(end, extension.record_align.into());
            widest = widest.max(extension.record_align.into());
            end = start.saturating_add(extension.record_size.into());
            if let Some(place) = places.get_mut(number) {
                *place = start;
            }
        }
        (places, padded(end, widest))
    }
}
