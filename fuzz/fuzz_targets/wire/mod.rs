//! Rows of the dsync protocol: what is understood means the same after it was written.

use dsync_core::wire::{Decoder, Encoder, Incoming, Item};

/// Reads one row, if it is one of `kinds`. The first byte says which.
pub fn check_row(kinds: &[u8], bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let Some(character) = kinds.get(usize::from(*kind) % kinds.len()) else { return };
    let mut row = vec![*character];
    row.extend(rest.iter().filter(|byte| **byte != b'\n'));
    row.push(b'\n');
    if let Some(item) = read(&row) {
        let mut written = Vec::new();
        Encoder::default().item(&item, &mut written);
        assert_eq!(read(&written), Some(item));
    }
}

fn read(row: &[u8]) -> Option<Item> {
    let mut stream = Vec::new();
    Encoder::default().greeting(&mut stream);
    stream.extend(row);
    let (mut decoder, mut input) = (Decoder::new(), stream.as_slice());
    assert!(matches!(decoder.next(&mut input), Ok(Some(Incoming::Greeting(_)))));
    match decoder.next(&mut input) {
        Ok(Some(Incoming::Item(item))) => Some(item),
        _ => None,
    }
}
