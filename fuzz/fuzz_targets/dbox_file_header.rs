//! The first line of a dbox file.
#![no_main]

use dsync_storage::dbox::message_file::{FileHeader, MESSAGE_HEADER_SIZE};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok((header, length)) = FileHeader::decode(bytes) {
        assert!(length <= bytes.len() && bytes[length - 1] == b'\n');
        assert!(header.message_header_size >= MESSAGE_HEADER_SIZE);
        let printed = FileHeader::encode(header.created.unwrap_or_default());
        let (again, length) = FileHeader::decode(&printed).expect("what is written can be read");
        assert!(again.allows_appending() && length == printed.len());
    }
});
