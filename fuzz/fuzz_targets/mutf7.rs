//! Modified UTF-7: a name survives, any bytes can be decoded.
#![no_main]

use dsync_storage::list::mutf7::{decode, encode};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(name) = decode(bytes) {
        assert_eq!(decode(encode(&name).as_bytes()), Some(name));
    }
    if let Ok(name) = std::str::from_utf8(bytes)
        && !name.contains('\0')
    {
        assert_eq!(decode(encode(name).as_bytes()).as_deref(), Some(name));
    }
});
