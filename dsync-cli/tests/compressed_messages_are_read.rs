//! Messages that Dovecot's plugin `zlib` compressed are copied as clients see them, to where a Dovecot without the plugin
//! serves them. Those that `mail_crypt` encrypted are named and left out.

mod support;

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use support::{Dovecot, Driver, Fingerprint, Snapshot, Store, assert_equal, build, mail};

/// The algorithms with which Dovecot 2.3 saves, and how their data begins.
const ALGORITHMS: [(&str, &[u8]); 4] =
    [("gz", b"\x1f\x8b"), ("bz2", b"BZh"), ("lz4", b"Dovecot-LZ4"), ("zstd", b"\x28\xb5\x2f\xfd")];

/// The store as a Dovecot serves it that compresses what it saves.
fn compressing(dovecot: &Dovecot, algorithm: &str) -> Store {
    let plugin = Driver::Maildir.setting("mail_plugins = zlib");
    dovecot.store_of("source", plugin.setting(&format!("plugin {{\n  zlib_save = {algorithm}\n}}")))
}

/// The message files below a directory, and whether each begins with `magic`.
fn messages(directory: &Path, magic: &[u8]) -> Vec<bool> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            found.extend(messages(&path, magic));
        } else if directory.ends_with("cur") || directory.ends_with("new") {
            found.push(fs::read(path).expect("it can be read").starts_with(magic));
        }
    }
    found
}

#[test]
fn clients_see_no_difference() {
    for (algorithm, magic) in ALGORITHMS {
        let dovecot = Dovecot::new();
        let (source, destination) = (compressing(&dovecot, algorithm), dovecot.store("destination"));
        build::small(&source);
        let mut imap = source.imap();
        imap.append("INBOX", "", mail::plain(&"a long line\r\n".repeat(40_000)).as_slice());
        imap.logout();
        source.assert_no_complaints();
        let compressed = messages(source.path(), magic);
        assert!(compressed.len() > 20 && compressed.iter().all(|is| *is), "{algorithm} compresses nothing");
        // A saved date that is not kept must differ.
        sleep(Duration::from_millis(1100));
        let before = Fingerprint::of(source.path());
        dovecot.backup(&source, &destination).assert_done();
        before.assert_unchanged(source.path());
        // Some did not become smaller by it, so that their size tells nothing.
        assert!(messages(destination.path(), magic).iter().all(|is| !is), "{algorithm} was copied as it is");
        assert_equal(&Snapshot::of(&source), &Snapshot::of(&destination));
        // Again, with new mail on either side.
        for store in [&source, &destination] {
            let mut imap = store.imap();
            imap.append("Work", "(\\Flagged)", &mail::message(77).bytes);
            imap.logout();
        }
        dovecot.mirror(&source, &destination).assert_done();
        assert_equal(&Snapshot::of(&source), &Snapshot::of(&destination));
        source.assert_no_complaints();
        destination.assert_no_complaints();
    }
}

#[test]
fn what_is_damaged_is_named_and_left_out() {
    let dovecot = Dovecot::new();
    let (source, destination) = (compressing(&dovecot, "gz"), dovecot.store("destination"));
    build::small(&source);
    let directory = source.path().join("cur");
    let mut files: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let bytes = fs::read(&files[0]).unwrap();
    fs::write(&files[0], &bytes[..bytes.len() / 2]).unwrap();
    source.adopt();
    let name = files[0].file_name().unwrap().to_str().unwrap();
    dovecot.backup(&source, &destination).assert_done_but(&[name]);
    let count = fs::read_dir(destination.path().join("cur")).unwrap().count();
    assert_eq!(count, files.len() - 1);
}

/// Made for this test with `openssl ecparam -name prime256v1 -genkey`.
const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgCechZWAiw5xLzhoe
3RuqIfOyBI00ZBgiWGXZ4SSPmu6hRANCAAQTyd6Ps79H679yVs0MaDKNjMPagqaR
bCJjLMBTlPjN3GfTAOvZv6DZ36a135pLZ2vWeXXuABG6Usub4uWkumiI
-----END PRIVATE KEY-----
";
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEE8nej7O/R+u/clbNDGgyjYzD2oKm
kWwiYyzAU5T4zdxn0wDr2b+g2d+mtd+aS2dr1nl17gARulLLm+LlpLpoiA==
-----END PUBLIC KEY-----
";

#[test]
fn what_is_encrypted_is_named_and_left_out() {
    let dovecot = Dovecot::new();
    let mut settings =
        "mail_plugins = zlib mail_crypt\nplugin {\n  zlib_save = gz\n  mail_crypt_save_version = 2\n".to_owned();
    for (kind, key) in [("private", PRIVATE_KEY), ("public", PUBLIC_KEY)] {
        let path = dovecot.directory().join(format!("{kind}.pem"));
        fs::write(&path, key).unwrap();
        settings.push_str(&format!("  mail_crypt_global_{kind}_key = <{}\n", path.display()));
    }
    let source = dovecot.store("source");
    let mut imap = source.imap();
    imap.append("INBOX", "(\\Seen)", &mail::plain("everybody may read this"));
    imap.logout();
    let encrypting = source.configured(&(settings + "}\n"));
    let mut imap = encrypting.imap();
    let uid = imap.append("INBOX", "(\\Seen)", &mail::plain("a secret"));
    imap.logout();
    source.assert_no_complaints();
    let destination = dovecot.store("destination");
    dovecot.backup(&source, &destination).assert_done_but(&["encrypted", "mail_crypt_save_version = 0"]);
    assert_eq!(Snapshot::of(&destination).uids("INBOX"), [uid - 1]);
    destination.assert_no_complaints();
}
