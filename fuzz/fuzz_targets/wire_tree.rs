//! The handshake and the tree in the dsync protocol.
#![no_main]

mod wire;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    wire::check_row(b"HND", bytes);
});
