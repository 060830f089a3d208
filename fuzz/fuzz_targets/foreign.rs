//! What other programs keep in a Maildir.
#![no_main]

use dsync_storage::maildir::foreign::{decode_keywords, decode_subscriptions, mbsync_uidlist};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = decode_keywords(bytes);
    let _ = decode_subscriptions(bytes);
    let _ = mbsync_uidlist(bytes, bytes.split(|byte| *byte == b'\n'));
});
