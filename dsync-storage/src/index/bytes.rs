//! Reading and writing little-endian values.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

/// Reads from the front of a slice; every method gives `None` at its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The value at an offset; 0 beyond the end.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(|rest| Reader(rest).u32()).unwrap_or(0)
}

/// Overwrites the value at an offset; nothing happens beyond the end.
pub(crate) fn put_u32(bytes: &mut [u8], offset: usize, value: u32) {
    put(bytes, offset, &value.to_le_bytes());
}

/// Overwrites bytes at an offset; nothing happens if they do not fit.
pub(crate) fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    let end = offset.saturating_add(value.len());
    if let Some(place) = bytes.get_mut(offset..end) {
        place.copy_from_slice(value);
    }
}

/// Appends zeros up to the next multiple.
pub(crate) fn pad(bytes: &mut Vec<u8>, multiple: usize) {
    let length = bytes.len().next_multiple_of(multiple.max(1));
    bytes.resize(length, 0);
}

/// Rounded up to the next multiple.
pub(crate) fn padded(length: usize, multiple: usize) -> usize {
    length.checked_next_multiple_of(multiple.max(1)).unwrap_or(length)
}

/// A length for a field of 32 bits. Lengths come from files of less than 4 GiB; more is cut, which readers refuse.
pub(crate) fn length_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A length for a field of 16 bits.
pub(crate) fn length_u16(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}
