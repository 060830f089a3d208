//! The change log of mailboxes.
#![no_main]

use dsync_storage::list::mailbox_log::{decode, encode};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for record in decode(bytes) {
        assert_eq!(decode(&encode(&record)), [record]);
    }
});
