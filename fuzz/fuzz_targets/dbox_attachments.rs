//! Lists of attachments: what is accepted is in order and stays in its directory.
#![no_main]

use std::path::Component;

use dsync_storage::dbox::message_file::parse_attachments;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut end = 0;
    for attachment in parse_attachments(bytes).into_iter().flatten() {
        assert!(attachment.start >= end);
        end = attachment.start + attachment.size;
        assert!(attachment.path().file_name().is_some());
        assert!(attachment.path().components().all(|component| matches!(component, Component::Normal(_))));
    }
});
