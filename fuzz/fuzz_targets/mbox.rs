//! An mbox file: what is found in it is within it, in order, and can be read; and the message goes into an mbox and comes
//! out as it was.
#![no_main]

use std::cell::OnceCell;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use dsync_core::model::{Flags, Timestamp};
use dsync_storage::mbox::encode::{BaseLine, Head, encode_message, metadata};
use dsync_storage::mbox::header::HeaderDigest;
use dsync_storage::mbox::scan::{ScannedMessage, scan};
use dsync_storage::mbox::{from_line, visible::VisibleMessage};

thread_local! {
    static FILE: OnceCell<Arc<File>> = const { OnceCell::new() };
}

/// A file with these bytes and without a name, made once: making one takes a hundred times as long as all the rest.
fn file_with(bytes: &[u8]) -> Arc<File> {
    let make = || {
        let path = std::env::temp_dir().join(format!("dsync-fuzz-mbox-{}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path).expect("a file can be made");
        std::fs::remove_file(path).expect("it can be removed");
        Arc::new(file)
    };
    let file = FILE.with(|file| Arc::clone(file.get_or_init(make)));
    file.set_len(0).and_then(|()| file.write_all_at(bytes, 0)).expect("there is room");
    file
}

fn visible(file: &Arc<File>, message: &ScannedMessage) -> Vec<u8> {
    let mut bytes = Vec::new();
    VisibleMessage::new(Arc::clone(file), message).read_to_end(&mut bytes).expect("it can be read");
    assert_eq!(bytes.len() as u64, message.visible_size);
    bytes
}

fn as_stored(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        match line {
            [.., b'\r', b'\r', b'\n'] => out.extend(line),
            [text @ .., b'\r', b'\n'] => out.extend(text.iter().chain(b"\n")),
            line => out.extend(line),
        }
    }
    out
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let first = from_line::encode(Timestamp(1_700_000_000));
    for (content, digest) in
        [(bytes.to_vec(), HeaderDigest::All), ([&first, bytes].concat(), HeaderDigest::Apop3d)]
    {
        let file = file_with(&content);
        let Ok(scanned) = scan(&file, Path::new("mbox"), digest) else { continue };
        let mut at = 0;
        for message in scanned.pseudo.iter().chain(&scanned.messages) {
            assert_eq!(message.from, at);
            assert!(message.offset <= message.from && message.from < message.header);
            assert!(message.header <= message.end && message.end <= message.next);
            assert!(message.body.is_none_or(|body| message.header < body && body <= message.end));
            visible(&file, message);
            at = message.next;
        }
        assert_eq!(at, scanned.length);
    }
    // Twice, so that one is behind another.
    let mut stored = Vec::new();
    let encoded = encode_message(&mut &*bytes, &mut stored, HeaderDigest::Apop3d).expect("it can be written");
    let (header, body) = stored.split_at(usize::try_from(encoded.header_length).expect("it is in memory"));
    let mut content = Vec::new();
    for uid in 1..=2 {
        let head = Head {
            base: (uid == 1).then_some(BaseLine { uid_validity: 1, last_uid: 2, keywords: &[] }),
            uid,
            flags: Flags::NONE,
            recent: false,
            keywords: &[],
            body_length: encoded.body_length,
            marks: encoded.marks,
            padding: 0,
        };
        content.extend([&first[..], header, &metadata(&head)].concat());
        content.extend(encoded.body_length.map_or(Vec::new(), |_| [b"\n", body].concat()));
        content.push(b'\n');
    }
    let file = file_with(&content);
    let scanned = scan(&file, Path::new("mbox"), HeaderDigest::Apop3d).expect("it is an mbox");
    assert_eq!(scanned.messages.len(), 2);
    for message in &scanned.messages {
        assert_eq!((message.marks, message.md5), (encoded.marks, encoded.md5));
        assert_eq!(visible(&file, message), as_stored(bytes));
    }
});
