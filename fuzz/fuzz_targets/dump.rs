//! Files as text: any bytes are shown, or refused, without a control character.
#![no_main]

use dsync_storage::dump::{FileKind, dump_bytes};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some(kind) = FileKind::recognise("dovecot-keywords", bytes) else { return };
    let mut text = Vec::new();
    let _ = dump_bytes(kind, bytes, &mut text);
    let text = String::from_utf8(text).unwrap();
    assert!(text.chars().all(|it| it == '\n' || !it.is_control()));
});
