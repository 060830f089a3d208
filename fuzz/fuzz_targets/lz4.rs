//! LZ4 as Dovecot frames it.
#![no_main]

use std::io::{self, Read};

use dsync_storage::content::LZ4_MAGIC;
use dsync_storage::content::lz4::Lz4Reader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // The usual size of a chunk, then whatever comes.
    let framed = [&LZ4_MAGIC[..], &0x1_0000u32.to_be_bytes(), bytes].concat();
    for data in [&framed[..], bytes] {
        let _ = io::copy(&mut Lz4Reader::new(data).take(4 << 20), &mut io::sink());
    }
});
