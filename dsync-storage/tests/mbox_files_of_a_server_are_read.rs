//! The messages of mbox files that a real Dovecot and others wrote are those that this Dovecot saw in them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use dsync_storage::mbox::header::HeaderDigest;
use dsync_storage::mbox::scan::scan;
use dsync_storage::mbox::visible::VisibleMessage;
use sha1::{Digest, Sha1};

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/mbox");

#[test]
fn every_message_is_as_it_was_served() {
    let expected = fs::read_to_string(Path::new(DIRECTORY).join("expected.txt")).unwrap();
    let mut by_file: BTreeMap<&str, Vec<Vec<&str>>> = BTreeMap::new();
    for line in expected.lines().skip(1) {
        let columns: Vec<_> = line.split('\t').collect();
        by_file.entry(columns[0]).or_default().push(columns);
    }
    by_file.insert("emptied", Vec::new());
    assert_eq!(by_file.len(), 10);
    for (name, rows) in by_file {
        let path = Path::new(DIRECTORY).join(format!("{name}.mbox"));
        let file = Arc::new(File::open(&path).unwrap());
        let scanned = scan(&file, &path, HeaderDigest::Apop3d).unwrap();
        assert_eq!(scanned.messages.len(), rows.len(), "{name}");
        assert_eq!(scanned.problems, Vec::<String>::new(), "{name}");
        for (message, row) in scanned.messages.iter().zip(rows) {
            let [_, uid, guid, flags, received, size, sha1] = row[..] else { panic!("seven columns") };
            if scanned.base.is_some() {
                assert_eq!(message.uid.unwrap().to_string(), uid, "{name}");
            }
            let md5: String = message.md5.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(md5, guid, "{name} {uid}");
            let mut wanted: Vec<_> =
                flags.split(' ').filter(|flag| !flag.is_empty() && *flag != "\\Recent").collect();
            let system = message.flags.to_string();
            let mut found: Vec<_> = system.split(' ').filter(|flag| !flag.is_empty()).collect();
            found.extend(message.keywords.iter().map(|keyword| keyword.as_str()));
            wanted.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, wanted, "{name} {uid}");
            // Without a zone it is what clocks show, here and there.
            let difference = message.received.seconds() - received.parse::<i64>().unwrap();
            assert!(difference % 900 == 0 && difference.abs() <= 14 * 3600, "{name} {uid}: {difference}");
            let mut body = Vec::new();
            VisibleMessage::new(Arc::clone(&file), message).read_to_end(&mut body).unwrap();
            assert_eq!(body.len() as u64, message.visible_size, "{name} {uid}");
            // Where lines end with CRLF, it may be one less than Dovecot says of the last message.
            if name != "crlf" && name != "local" {
                assert_eq!(message.visible_size.to_string(), size, "{name} {uid}");
            }
            let mut seen = Vec::new();
            for byte in body {
                match byte {
                    b'\n' if seen.last() != Some(&b'\r') => seen.extend(b"\r\n"),
                    0 => seen.push(0x80),
                    byte => seen.push(byte),
                }
            }
            let digest: String = Sha1::digest(&seen).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(digest, sha1, "{name} {uid}: {}", seen.escape_ascii());
        }
    }
}

#[test]
fn an_emptied_mailbox_keeps_its_state() {
    let path = Path::new(DIRECTORY).join("emptied.mbox");
    let scanned = scan(&File::open(&path).unwrap(), &path, HeaderDigest::Apop3d).unwrap();
    let base = scanned.base.unwrap();
    assert_eq!((base.last_uid, base.is_pseudo, scanned.messages.len()), (2, true, 0));
    assert_eq!(base.keywords, Vec::<Vec<u8>>::new());
    assert_eq!(scanned.pseudo.unwrap().next, scanned.length);
}
