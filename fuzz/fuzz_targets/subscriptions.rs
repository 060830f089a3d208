//! The subscriptions file, parsed, printed and parsed again.
#![no_main]

use dsync_storage::list::subscriptions::Subscriptions;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let file = Subscriptions::decode(bytes, b'.');
    let again = Subscriptions::decode(&file.encode(), b'.');
    assert!(again.names().eq(file.names()));
});
