//! What the dsync protocol says of a mailbox.
#![no_main]

mod wire;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    wire::check_row(b"SBA", bytes);
});
