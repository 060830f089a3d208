//! All that a peer says in the dsync protocol. It does not matter in which pieces it comes.
#![no_main]

use dsync_core::wire::{Decoder, Incoming};

fn said(pieces: [&[u8]; 2]) -> (Vec<Incoming>, bool) {
    let (mut decoder, mut all) = (Decoder::new(), Vec::new());
    for mut piece in pieces {
        loop {
            match decoder.next(&mut piece) {
                Err(_) => return (all, false),
                Ok(None) => break,
                Ok(Some(Incoming::Body(content))) => match all.last_mut() {
                    Some(Incoming::Body(before)) => before.extend(content),
                    _ => all.push(Incoming::Body(content)),
                },
                Ok(Some(incoming)) => all.push(incoming),
            }
        }
    }
    (all, true)
}

libfuzzer_sys::fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let pieces = bytes.split_at(usize::from(cut).min(bytes.len()));
    assert_eq!(said([bytes, &[]]), said(pieces.into()));
});
