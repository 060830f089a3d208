//! The counter of UIDVALIDITYs.
#![no_main]

use dsync_storage::list::uidvalidity::{decode, decode_numbered, encode, numbered};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(value) = decode(bytes) {
        assert_eq!(decode(encode(value).as_bytes()), Some(value));
    }
    if let Some(value) = decode_numbered(bytes) {
        assert_eq!(decode_numbered(numbered(value).as_bytes()), Some(value));
    }
});
