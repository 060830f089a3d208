//! Where a server compresses what it saves (`zlib_save`), so do we, and it reads the result.

mod support;

use std::fs;
use std::thread;

use support::dovecot::files_below;
use support::{Dovecot, Driver, Fingerprint, Snapshot, Store, assert_equal, build, mail};

/// Each way to compress, how its data begins, and the format that is tried with it.
const WAYS: [(&str, &[u8], Driver); 5] = [
    ("gz", b"\x1f\x8b", Driver::Mdbox),
    ("bz2", b"BZh", Driver::Sdbox),
    ("zstd", b"\x28\xb5\x2f\xfd", Driver::Maildir),
    ("lz4", b"Dovecot-LZ4", Driver::Mdbox),
    ("xz", b"\xfd7zXZ\0", Driver::Maildir),
];

/// The store as a Dovecot serves it that compresses what it saves.
fn compressing(dovecot: &Dovecot, name: &str, driver: Driver, method: &str) -> Store {
    // It reads xz, but does not write it any more.
    let save = if method == "xz" { String::new() } else { format!("plugin {{\n  zlib_save = {method}\n}}") };
    dovecot.store_of(name, driver.setting("mail_plugins = zlib").setting(&save))
}

fn occurrences(store: &Store, bytes: &[u8]) -> usize {
    let files = files_below(store.path()).into_iter().map(|path| fs::read(path).expect("it can be read"));
    files.map(|content| content.windows(bytes.len()).filter(|it| *it == bytes).count()).sum()
}

#[test]
fn a_server_reads_what_was_compressed() {
    thread::scope(|scope| {
        for (method, magic, driver) in WAYS {
            scope.spawn(move || comes_out_again(method, magic, driver));
        }
    });
}

fn comes_out_again(method: &str, magic: &[u8], driver: Driver) {
    let dovecot = Dovecot::new();
    let source = dovecot.store_of("source", Driver::Maildir.setting("mail_plugins = zlib"));
    let destination = compressing(&dovecot, "destination", driver, method);
    build::small(&source);
    let mut imap = source.imap();
    imap.append("INBOX", "", mail::plain(&"a long line\r\n".repeat(40_000)).as_slice());
    imap.logout();
    let save = format!("plugin/zlib_save={method}");
    let run = |command: &str| {
        let options = ["-o", "mail_plugins=zlib", "-o", &save, "-o", "plugin/zlib_save_level=3", command];
        dovecot.run_on(&options, &source, &destination).assert_done();
    };
    run("backup");
    let compressed = occurrences(&destination, magic);
    assert!(compressed > 20, "{method}: only {compressed} messages are compressed");
    assert_eq!(occurrences(&destination, b"a long line\na long line"), 0, "{method}");
    assert_equal(&Snapshot::of(&source), &Snapshot::of(&destination));
    // Nothing is left to do.
    let before = Fingerprint::of_mail(destination.path());
    run("backup");
    before.assert_mail_unchanged(destination.path());
    // In both directions, among what the server itself compressed.
    for store in [&source, &destination] {
        let mut imap = store.imap();
        imap.append("Work", "(\\Flagged)", &mail::message(77).bytes);
        imap.logout();
    }
    run("mirror");
    assert_equal(&Snapshot::of(&source), &Snapshot::of(&destination));
    source.assert_no_complaints();
    destination.assert_no_complaints();
}

#[test]
fn what_no_server_would_understand_is_refused() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    build::small(&source);
    let options = ["-o", "mail_plugins=zlib", "-o", "plugin/zlib_save=deflate", "backup"];
    let run = dovecot.run_on(&options, &source, &destination);
    run.assert_refused("write gz, bz2");
    assert_eq!(run.code, Some(78));
    assert!(!destination.path().exists());
}
