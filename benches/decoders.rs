//! What the decoders of each format cost, on files that the library itself has written.
//!
//!     cargo bench -p dsync-benches --bench decoders
#![allow(clippy::expect_used, reason = "a measurement that cannot be set up has no result")]

use std::fs::{self, File};
use std::hint::black_box;
use std::path::{Path, PathBuf};

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use dsync_benches::filled::fill;
use dsync_core::model::MailboxName;
use dsync_core::wire::Decoder;
use dsync_storage::dbox::message_file::{read_file_header, walk};
use dsync_storage::index::files::IndexFiles;
use dsync_storage::index::main_index::MainIndex;
use dsync_storage::index::reading::read_index;
use dsync_storage::list::mutf7;
use dsync_storage::location::Location;
use dsync_storage::maildir::file_name::FileName;
use dsync_storage::maildir::uidlist::UidList;
use dsync_storage::mbox::header::HeaderDigest;
use dsync_storage::mbox::scan::scan;
use dsync_storage::settings::Settings;
use tempfile::TempDir;

/// Messages of the mailbox whose files are read.
const MESSAGES: u32 = 10_000;

fn main() {
    divan::main();
}

/// A store of one mailbox, and where it is.
fn filled(driver: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().join("mail");
    let location = Location::parse(&format!("{driver}:{}", root.display()), None).expect("a location");
    let mut store = dsync_storage::open(&location, &Settings::default()).expect("a store");
    fill(&mut *store, &MailboxName::inbox(), 0, MESSAGES).expect("a mailbox");
    (directory, root)
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[divan::bench]
fn main_index(bencher: Bencher<'_, '_>) {
    let (_directory, root) = filled("sdbox");
    let bytes = bytes(&root.join("mailboxes/INBOX/dbox-Mails/dovecot.index"));
    bencher.counter(ItemsCount::new(MESSAGES)).bench(|| MainIndex::decode(black_box(&bytes)).expect("an index"));
}

#[divan::bench]
fn map_of_an_mdbox(bencher: Bencher<'_, '_>) {
    let (_directory, root) = filled("mdbox");
    let files = IndexFiles::of_map(&root.join("storage"));
    bencher.counter(ItemsCount::new(MESSAGES)).bench(|| read_index(black_box(&files)).expect("a map"));
}

#[divan::bench]
fn messages_of_an_mdbox_file(bencher: Bencher<'_, '_>) {
    let (_directory, root) = filled("mdbox");
    let bytes = bytes(&root.join("storage/m.1"));
    let (header, start) = read_file_header(&*bytes).expect("a header");
    let count = walk(&*bytes, header, start).count();
    bencher.counter(ItemsCount::new(count)).bench(|| walk(black_box(&*bytes), header, start).flatten().count());
}

#[divan::bench]
fn uidlist(bencher: Bencher<'_, '_>) {
    let (_directory, root) = filled("maildir");
    let bytes = bytes(&root.join("dovecot-uidlist"));
    bencher.counter(ItemsCount::new(MESSAGES)).bench(|| UidList::decode(black_box(&bytes)));
}

#[divan::bench]
fn maildir_file_name(bencher: Bencher<'_, '_>) {
    let name: &[u8] = b"1600005592.M5592P1.load.example,S=1905,W=1933:2,FRSab";
    bencher.bench(|| {
        let name = FileName::parse(black_box(name));
        (name.flags(), name.slots(), name.virtual_size())
    });
}

#[divan::bench]
fn mbox(bencher: Bencher<'_, '_>) {
    let (_directory, root) = filled("mbox");
    let path = root.join("inbox");
    let file = File::open(&path).expect("an mbox");
    bencher.counter(ItemsCount::new(MESSAGES)).bench(|| scan(black_box(&file), &path, HeaderDigest::All));
}

#[divan::bench]
fn modified_utf_7(bencher: Bencher<'_, '_>) {
    bencher.bench(|| mutf7::decode(black_box(b"Entw&APw-rfe/&U,BTFw-/R&AOk-sum&AOk-s")));
}

/// What a real peer has said.
#[divan::bench]
fn protocol(bencher: Bencher<'_, '_>) {
    let recorded = "../dsync-core/tests/data/wire/01-backup-initial.master-to-slave.raw";
    let bytes = bytes(&Path::new(env!("CARGO_MANIFEST_DIR")).join(recorded));
    bencher.counter(BytesCount::of_slice(&bytes)).bench(|| {
        let (mut decoder, mut input, mut count) = (Decoder::new(), black_box(&*bytes), 0usize);
        while decoder.next(&mut input).expect("it means something").is_some() {
            count += 1;
        }
        count
    });
}
