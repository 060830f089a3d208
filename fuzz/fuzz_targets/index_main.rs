//! The main index, parsed, printed and parsed again.
#![no_main]

use dsync_storage::index::main_index::MainIndex;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = MainIndex::decode(bytes) {
        let again = MainIndex::decode(&index.encode()).expect("what is printed can be parsed");
        assert_eq!(again.messages, index.messages);
        assert_eq!(again.extensions, index.extensions);
    }
});
