//! What is in the files of a dbox. On purpose not the code under test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::dovecot::files_below;
use super::history::View;
use super::history::outcome::differences;
use super::{Driver, Store, mutf7};

/// A message in a file of a dbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub path: PathBuf,
    /// Of the file, which may have several names.
    pub inode: u64,
    pub offset: usize,
    /// With its header and its metadata.
    pub size: usize,
    pub guid: String,
}

/// A record of an mdbox's map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapRecord {
    pub file: u32,
    pub offset: usize,
    pub size: usize,
    pub references: u32,
}

/// The files with mails, `m.1` or `u.1`, wherever they are.
pub fn mail_files(store: &Store) -> Vec<PathBuf> {
    let mut files = files_below(store.path());
    files.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        let number = name.strip_prefix("m.").or_else(|| name.strip_prefix("u."));
        number.is_some_and(|number| number.bytes().all(|it| it.is_ascii_digit()))
    });
    files
}

/// All messages in all files.
pub fn stored(store: &Store) -> Vec<Stored> {
    mail_files(store).iter().flat_map(|path| stored_in(path)).collect()
}

/// The messages in a file.
///
/// # Panics
/// If it holds anything else.
pub fn stored_in(path: &Path) -> Vec<Stored> {
    let bytes = fs::read(path).unwrap();
    let inode = fs::metadata(path).unwrap().ino();
    let mut offset = bytes.iter().position(|it| *it == b'\n').expect("a file has a header") + 1;
    assert!(bytes.starts_with(b"2 M1e "), "{}: not a file of a dbox", path.display());
    let mut messages = Vec::new();
    while offset < bytes.len() {
        let (size, guid) = message(&bytes[offset..])
            .unwrap_or_else(|| panic!("{}: no message at {offset} of {}", path.display(), bytes.len()));
        messages.push(Stored { path: path.to_owned(), inode, offset, size, guid });
        offset += size;
    }
    messages
}

/// The size and the GUID of the message at the beginning.
fn message(bytes: &[u8]) -> Option<(usize, String)> {
    let header = bytes.get(..30).filter(|it| it.starts_with(b"\x01\x02N") && it.ends_with(b"\n"))?;
    let body = usize::from_str_radix(std::str::from_utf8(&header[13..29]).ok()?, 16).ok()?;
    let mut at = 30 + body;
    let mut guid = None;
    let metadata = bytes.get(at..)?.strip_prefix(b"\n\x01\x03\n")?;
    at += 4;
    for line in metadata.split_inclusive(|it| *it == b'\n') {
        at += line.len();
        match line {
            b"\n" => return Some((at, guid?)),
            [b'G', value @ .., b'\n'] => guid = Some(String::from_utf8(value.to_vec()).ok()?),
            _ => {}
        }
    }
    None
}

/// How many copies of each message there are in the files, by GUID; several names of a file are one.
pub fn copies(store: &Store) -> BTreeMap<String, usize> {
    let places: BTreeSet<_> = stored(store).into_iter().map(|it| (it.guid, it.inode, it.offset)).collect();
    let mut copies = BTreeMap::new();
    places.into_iter().for_each(|(guid, ..)| *copies.entry(guid).or_default() += 1);
    copies
}

/// Removes a file under all its names.
pub fn remove_everywhere(store: &Store, path: &Path) {
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let wanted = inode(path);
    for path in mail_files(store).into_iter().filter(|path| inode(path) == wanted) {
        fs::remove_file(path).unwrap();
    }
}

/// In how many places mailboxes show each message, by GUID; but for those that have none that can be read.
pub fn shown(store: &Store) -> BTreeMap<String, u32> {
    let mut shown = BTreeMap::new();
    let output = store.command(&["-f", "tab", "fetch", "guid", "mailbox", "*"]).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    table.lines().skip(1).for_each(|guid| *shown.entry(guid.to_owned()).or_default() += 1);
    shown
}

/// The map of an mdbox, by map UID.
pub fn map(store: &Store) -> BTreeMap<u32, MapRecord> {
    let index = store.root_by("INDEX").join("storage/dovecot.map.index");
    let dump = store.doveadm(&["dump", "-t", "index", index.to_str().unwrap()]);
    let records = dump.split("RECORD: ").skip(1);
    records
        .map(|text| {
            let number = |key: &str, end: &str| -> u32 {
                let (_, rest) = text.split_once(key).unwrap_or_else(|| panic!("{key} is missing: {text}"));
                let rest = rest.trim_start_matches([' ', '=', ':']);
                rest.split(end).next().unwrap().trim().parse().unwrap()
            };
            let record = MapRecord {
                file: number("file_id", "\n"),
                offset: number("offset", "\n") as usize,
                size: number("size", "\n") as usize,
                references: number("ref ", "("),
            };
            (number("uid", ","), record)
        })
        .collect()
}

/// # Panics
/// Unless the map of an mdbox names all that is in its files, no more, and counts what its mailboxes show. Some bodies may
/// be without a reference, until the next purge.
pub fn assert_map_is_right(store: &Store) {
    let mut unnamed = stored(store);
    let mut counted: BTreeMap<String, u32> = BTreeMap::new();
    for (map_uid, record) in map(store) {
        let name = format!("m.{}", record.file);
        let found = unnamed
            .iter()
            .position(|it| it.path.ends_with(&name) && (it.offset, it.size) == (record.offset, record.size));
        let found = found.unwrap_or_else(|| panic!("map UID {map_uid} leads nowhere: {record:?}"));
        *counted.entry(unnamed.remove(found).guid).or_default() += record.references;
    }
    assert_eq!(unnamed, [], "the map does not name them");
    let shown = shown(store);
    let guids: BTreeSet<_> = counted.keys().chain(shown.keys()).collect();
    let count = |counts: &BTreeMap<String, u32>, guid: &String| counts.get(guid).copied().unwrap_or(0);
    let wrong: Vec<_> = guids
        .into_iter()
        .map(|guid| (guid, count(&counted, guid), count(&shown, guid)))
        .filter(|(_, counted, shown)| counted != shown)
        .collect();
    assert!(wrong.is_empty(), "messages counted and shown, in {}: {wrong:#?}\n{}", store.location(), store.log());
}

/// # Panics
/// Unless indexes and mails agree: nothing is lost when the one is made from the other, nothing that was expunged comes
/// back, nothing is in the way of freeing its space, and nothing remains of it then.
pub fn assert_sound(store: &Store) {
    if [Driver::Maildir, Driver::Mbox].contains(&store.driver()) {
        return;
    }
    let copy = store.copy_apart();
    let before = View::of(&copy);
    if store.driver() == Driver::Mdbox {
        assert_map_is_right(&copy);
    }
    copy.doveadm(&["purge"]);
    let (kept, shown) = (copies(&copy), shown(&copy));
    let unshown: Vec<_> = kept.keys().filter(|guid| !shown.contains_key(*guid)).collect();
    assert!(unshown.is_empty(), "in files of {}, but not in mailboxes: {unshown:#?}", store.location());
    assert_eq!(kept.len(), shown.len(), "in mailboxes, but not in files");
    copy.force_resync();
    let after = View::of(&copy);
    let found = differences(&before, &after);
    assert!(found.is_empty() && before == after, "before and after a rebuild of {}: {found:#?}", store.location());
    copy.assert_no_complaints();
    copy.remove();
}

/// Appends records of an extension to the log of a map, as a program that goes wrong would. Without the tail it seems to
/// have crashed.
pub fn append_to_map(store: &Store, extension: &str, records: &[(u32, Vec<u8>)], with_tail: bool) {
    let path = store.root_by("INDEX").join("storage/dovecot.map.index.log");
    let mut log = fs::read(&path).unwrap();
    let (header_size, alignment) = if extension == "map" { (8_u32, 4) } else { (0, 2) };
    let mut intro = [u32::MAX.to_le_bytes(), [0; 4], header_size.to_le_bytes()].concat();
    for number in [records[0].1.len(), alignment, 1, extension.len()] {
        intro.extend(u16::try_from(number).unwrap().to_le_bytes());
    }
    intro.extend(extension.as_bytes());
    push_record(&mut log, 0x40, &intro);
    let mut values = Vec::new();
    for (map_uid, value) in records {
        values.extend(map_uid.to_le_bytes());
        values.extend(value);
        values.resize(values.len().next_multiple_of(4), 0);
    }
    push_record(&mut log, 0x200, &values);
    if with_tail {
        let end = u32::try_from(log.len() + 16).unwrap();
        push_record(&mut log, 0x1000_0020, &[&[64, 0, 4, 0][..], &end.to_le_bytes()].concat());
    }
    fs::write(&path, log).unwrap();
    store.adopt();
}

/// Marks a mailbox as one that is being deleted, as a program does before it takes it apart.
pub fn mark_as_deleted(store: &Store, mailbox: &str) {
    let path = store.root_by("INDEX").join(format!("mailboxes/{mailbox}/dbox-Mails/dovecot.index.log"));
    let mut log = fs::read(&path).unwrap();
    push_record(&mut log, 0x1002_0000, &[0; 4]);
    fs::write(&path, log).unwrap();
    store.adopt();
}

/// A record of a log: its size in words with seven bits a byte, its type, its content.
fn push_record(log: &mut Vec<u8>, kind: u32, content: &[u8]) {
    let words = u32::try_from(content.len().div_ceil(4) + 2).unwrap();
    log.extend([21, 14, 7, 0].map(|shift| u8::try_from(words >> shift & 0x7f).unwrap() | 0x80));
    log.extend(kind.to_le_bytes());
    log.extend(content);
    log.resize(log.len().next_multiple_of(4), 0);
}

/// Takes back the last transaction of a map: a program crashed before it wrote that.
pub fn cut_last_of_map(store: &Store) {
    const BOUNDARY: u32 = 0x8_0000;
    const EXTERNAL: u32 = 0x1000_0000;
    let path = store.root_by("INDEX").join("storage/dovecot.map.index.log");
    let log = fs::read(&path).unwrap();
    let number = |at: usize| u32::from_le_bytes(log[at..at + 4].try_into().unwrap());
    let (mut at, mut last, mut end_of_group, mut is_done) = (40, 40, 0, false);
    while at < log.len() {
        let words = log[at..at + 4].iter().fold(0, |words, byte| words << 7 | usize::from(byte & 0x7f));
        let kind = number(at + 4);
        let says_only_that_all_is_done = kind & 0xff == 0x20;
        // It may be the end of the transaction before it, which was one write with it.
        if at >= end_of_group && !(says_only_that_all_is_done && is_done) {
            last = at;
        }
        // What asks to be carried out was written alone.
        is_done = kind & EXTERNAL != 0;
        if kind & BOUNDARY != 0 {
            end_of_group = at + number(at + 8) as usize;
        }
        at += 4 * words;
    }
    fs::write(&path, &log[..last]).unwrap();
    store.adopt();
}
