//! The file of the mapped names, parsed, printed and parsed again.
#![no_main]

use dsync_storage::names::entries::{decode, encode};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let entries = decode(bytes);
    assert_eq!(decode(&encode(&entries)), entries);
});
