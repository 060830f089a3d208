//! All messages of a dbox file. Each lies within the file and behind the one before, and is read alike by its place alone.
#![no_main]

use dsync_storage::dbox::message_file::{read_file_header, read_message, walk};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok((header, start)) = read_file_header(bytes) else { return };
    let mut place = start;
    for message in walk(bytes, header, start) {
        let Ok(message) = message else { break };
        assert_eq!(message.offset, place);
        place = message.end();
        assert!(message.offset < message.body_offset && message.body_offset + message.body_size < place);
        assert!(place <= bytes.len() as u64);
        let again = read_message(bytes, &header, message.offset, Some(message.size));
        assert_eq!(again.expect("it was read before"), message);
    }
});
