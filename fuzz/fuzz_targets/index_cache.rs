//! The cache: any file, any offset.
#![no_main]

use dsync_storage::index::cache::{Cache, RECEIVED_DATE, SAVE_DATE, encode_addition};

libfuzzer_sys::fuzz_target!(|input: (u32, &[u8])| {
    let (offset, bytes) = input;
    let field =
        |at: usize| bytes.get(at..at + 4).map_or(0, |word| u32::from_le_bytes(word.try_into().expect("four")));
    if let Some(cache) = Cache::decode(bytes, field(4), field(8)) {
        let _ = (cache.date(offset, SAVE_DATE), cache.date(offset, RECEIVED_DATE));
        if let Some(addition) = encode_addition(&cache, 1, &[(offset, 7)]) {
            let mut longer = [bytes, &addition.append].concat();
            for (place, patch) in &addition.patches {
                longer[*place..*place + patch.len()].copy_from_slice(patch);
            }
            if let Some(cache) = Cache::decode(&longer, field(4), field(8)) {
                assert_eq!(cache.date(addition.offsets[0], SAVE_DATE), Some(7));
            }
        }
    }
});
