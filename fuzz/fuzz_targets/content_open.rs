//! A stored message of any bytes, most often behind the magic of a format.
#![no_main]

use std::cell::OnceCell;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use dsync_core::store::FileRange;
use dsync_storage::content;

const MAGICS: [&[u8]; 7] = [
    b"",
    b"\x1f\x8b\x08",
    b"BZh1",
    b"\xfd7zXZ\0\0",
    b"\x28\xb5\x2f\xfd",
    b"Dovecot-LZ4\x0d\x2a\x9b\xc5\0\0",
    b"CRYPTED\x03\x07",
];
/// Some bytes become very many.
const MOST_READ: u64 = 4 << 20;

thread_local! {
    static FILE: OnceCell<Arc<File>> = const { OnceCell::new() };
}

/// A file without a name, made once.
fn file() -> Arc<File> {
    let make = || {
        let path = std::env::temp_dir().join(format!("dsync-fuzz-{}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path).expect("a file can be made");
        fs::remove_file(path).expect("it can be removed");
        Arc::new(file)
    };
    FILE.with(|file| Arc::clone(file.get_or_init(make)))
}

libfuzzer_sys::fuzz_target!(|input: (u8, Option<u16>, &[u8])| {
    let (format, plain_size, bytes) = input;
    let stored = [MAGICS[usize::from(format) % MAGICS.len()], bytes].concat();
    let file = file();
    file.set_len(0).and_then(|()| file.write_all_at(&stored, 0)).expect("it can be written");
    let range = FileRange::new(file, 0, stored.len() as u64);
    let plain_size = plain_size.map(u64::from);
    let Ok(mut body) = content::open(range, plain_size, Path::new("m.1")) else { return };
    let announced = body.size;
    let mut body = body.by_ref().take(MOST_READ);
    match io::copy(&mut body, &mut io::sink()) {
        Ok(count) => assert!(count == MOST_READ || announced.is_none_or(|announced| announced == count)),
        // It stays one.
        Err(_) => assert!(body.read(&mut [0]).is_err()),
    }
});
