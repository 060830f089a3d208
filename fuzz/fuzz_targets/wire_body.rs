//! Bodies in the dsync protocol.
#![no_main]

use dsync_core::wire::{BodyDecoder, BodyEncoder};

libfuzzer_sys::fuzz_target!(|content: &[u8]| {
    let mut wire = Vec::new();
    BodyEncoder::default().push(content, &mut wire);
    wire.extend(BodyEncoder::END);
    let (mut input, mut decoded) = (wire.as_slice(), Vec::new());
    assert!(BodyDecoder::default().take(&mut input, &mut decoded));
    assert!(input.is_empty() && decoded == content);
    // What somebody else wrote ends somewhere, or it does not.
    let _ = BodyDecoder::default().take(&mut &*content, &mut decoded);
});
