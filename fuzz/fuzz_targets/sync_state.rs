//! The state of a synchronisation as a user gives it: any text, and any content behind a right checksum.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dsync_core::state::SyncState;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = SyncState::parse(text);
    }
    let checksum = crc32fast::hash(bytes).to_le_bytes();
    if let Ok(state) = SyncState::parse(&STANDARD.encode([bytes, &checksum].concat())) {
        assert_eq!(SyncState::parse(&state.to_string()), Ok(state));
    }
});
