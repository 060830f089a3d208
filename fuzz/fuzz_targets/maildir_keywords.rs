//! Keyword letters, parsed, printed and parsed again.
#![no_main]

use dsync_storage::maildir::keywords::KeywordSlots;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let slots = KeywordSlots::decode(bytes);
    assert_eq!(KeywordSlots::decode(&slots.encode()), slots);
});
