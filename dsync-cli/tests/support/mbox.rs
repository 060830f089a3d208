//! In what an mbox differs from what it is a copy of, and why. Nothing else may be different.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::thread::sleep;
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{F_WRLCK, flock};

use super::snapshot::{Facts, SAVED, Snapshot, Subject, assert_equal};
use super::{Driver, Store};

/// A field of messages that is not the same in an mbox and in a store of any other format.
pub struct Excuse {
    pub field: &'static str,
    pub reason: &'static str,
}

/// All of them. Between two mboxes there are none.
pub const EXCUSES: [Excuse; 1] = [Excuse {
    field: "guid",
    reason: "an mbox has no place for the GUID of a message; servers show a checksum over some of its headers, which is the \
             same for many messages, so others get one of their own where GUIDs count",
}];

/// The names of mailboxes that an mbox cannot hold, because one above them is a mailbox, and what they are called there.
const NAMES: [(&str, &str); 6] = [
    ("Archive/2023/Winter", "Archive/2023_Winter"),
    ("INBOX/Child/Grandchild", "INBOX/Child_Grandchild"),
    ("Work/Projects", "Work_Projects"),
    ("Work/Projects/Deep/Deeper/Deepest", "Work_Projects_Deep_Deeper_Deepest"),
    ("Play/Projects", "Play_Projects"),
    // There is already something below it.
    ("Gone", "Gone_"),
];

/// What a mailbox is called in an mbox.
pub fn shown_name(name: &str) -> String {
    NAMES.iter().find(|(original, _)| *original == name).map_or(name, |(_, shown)| shown).to_owned()
}

/// # Panics
/// If clients see another difference between two stores than there has to be.
pub fn assert_same(left: &Store, right: &Store) {
    assert_same_but_for(&[], left, right);
}

/// The same without some fields of messages.
///
/// # Panics
/// As [`assert_same`].
pub fn assert_same_but_for(fields: &[&str], left: &Store, right: &Store) {
    let stores = [left, right];
    let [left, right] = stores.map(|store| {
        let seen = Snapshot::of(store).without_fields_of_messages(fields);
        let is_mbox = store.driver() == Driver::Mbox;
        if stores.iter().all(|other| (other.driver() == Driver::Mbox) == is_mbox) {
            return seen;
        }
        without_excused(if is_mbox { seen } else { as_shown_by_an_mbox(seen, &shown_name) })
    });
    assert_equal(&left, &right);
}

/// Lets Dovecot decide when the messages of an mbox were saved: it does when somebody first asks, and remembers that in its cache.
pub fn decide_saved_dates(store: &Store) {
    if store.driver() == Driver::Mbox {
        store.doveadm(&["-f", "tab", "fetch", SAVED, "mailbox", "*", "all"]);
    }
}

/// Appends a message as delivery agents do: without a UID, with a `From ` line, and with `>` before all lines that look like one.
pub fn deliver(store: &Store, mailbox: &str, message: &[u8]) {
    let path = match mailbox {
        "INBOX" => store.root().join("inbox"),
        name => store.root().join(name),
    };
    let lock = path.with_file_name(format!("{}.lock", path.file_name().unwrap().to_str().unwrap()));
    while let Err(error) = File::create_new(&lock) {
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{}: {error}", lock.display());
        sleep(Duration::from_millis(5));
    }
    store.adopt();
    // Only the INBOX may be missing: a server makes it when it is opened first.
    let file = File::options().append(true).create(mailbox == "INBOX").open(&path).unwrap();
    let all = flock { l_type: i16::try_from(F_WRLCK).unwrap(), l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
    fcntl(&file, FcntlArg::F_SETLKW(&all)).unwrap();
    let mut bytes = b"From sender@example.org  Mon Mar 04 05:06:07 2024\n".to_vec();
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        let is_quoted = line.iter().position(|byte| *byte != b'>').is_some_and(|at| line[at..].starts_with(b"From "));
        bytes.extend(if is_quoted { &b">"[..] } else { b"" });
        bytes.extend(line.strip_suffix(b"\r\n").unwrap_or(line.strip_suffix(b"\n").unwrap_or(line)));
        bytes.push(b'\n');
    }
    bytes.push(b'\n');
    (&file).write_all(&bytes).unwrap();
    drop(file);
    fs::remove_file(lock).unwrap();
}

/// # Panics
/// If two messages have the same GUID: nothing proves that they are the same.
pub fn assert_guids_differ(seen: &Snapshot) {
    let mut taken = BTreeSet::new();
    for (subject, facts) in seen.subjects() {
        if let Subject::Message(..) = subject {
            assert!(taken.insert(&facts["guid"]), "{subject} has the GUID of another message");
        }
    }
}

/// What has to be the same in an mbox and in any other store.
pub fn without_excused(seen: Snapshot) -> Snapshot {
    let fields: Vec<_> = EXCUSES.iter().map(|excuse| excuse.field).collect();
    seen.without_fields_of_messages(&fields)
}

/// What clients see of an mbox that is a copy of what was seen elsewhere. `shown_name` says what mailboxes are called there.
pub fn as_shown_by_an_mbox(seen: Snapshot, shown_name: &dyn Fn(&str) -> String) -> Snapshot {
    let mailboxes: BTreeSet<String> = seen.tree_names("LIST", |attributes| !attributes.contains("\\Noselect"));
    let mut shown = Snapshot::default();
    for (subject, facts) in seen.subjects() {
        match subject {
            Subject::Tree => shown.put(Subject::Tree, tree(facts, &mailboxes, shown_name)),
            Subject::Mailbox(name) => shown.put(Subject::Mailbox(shown_name(name)), facts.clone()),
            Subject::Message(mailbox, uid) => {
                shown.put(Subject::Message(shown_name(mailbox), *uid), message(facts));
            }
            Subject::Pop3(_) => {}
        }
    }
    for name in shown.mailboxes() {
        shown.count_sizes(&name);
    }
    // In the order of UIDs, and with UIDLs that are made of them.
    let validity: u32 = shown.mailbox("INBOX", "uidvalidity").unwrap().parse().unwrap();
    for (place, uid) in shown.uids("INBOX").into_iter().enumerate() {
        let size = shown.message("INBOX", uid, "size.virtual").unwrap();
        let facts =
            [("UIDL".to_owned(), format!("{uid:08x}{validity:08x}").into()), ("LIST".to_owned(), size.into())];
        shown.put(Subject::Pop3(place + 1), facts.into());
    }
    shown
}

/// A mailbox of an mbox has none below it, which servers say of each but INBOX. Levels below a mailbox are none any more.
fn tree(facts: &Facts, mailboxes: &BTreeSet<String>, shown_name: &dyn Fn(&str) -> String) -> Facts {
    let is_below_mailbox = |name: &str| {
        let mut above = name.match_indices('/').map(|(at, _)| &name[..at]).filter(|above| *above != "INBOX");
        above.any(|above| mailboxes.contains(above))
    };
    let mut tree = Facts::new();
    for (field, attributes) in facts {
        let (kind, name) = field.split_once(' ').unwrap();
        if kind == "LSUB" || mailboxes.contains(name) {
            let attributes =
                if kind == "LIST" && name != "INBOX" { b"\\NoInferiors".to_vec() } else { attributes.clone() };
            tree.insert(format!("{kind} {}", shown_name(name)), attributes);
        } else if !is_below_mailbox(name) {
            tree.insert(field.clone(), attributes.clone());
        }
    }
    tree
}

fn message(facts: &Facts) -> Facts {
    let mut facts = facts.clone();
    let body = body(&facts["BODY[]"]);
    // In the file they are LF, unless there is another CR, or the LF is the one that was added.
    let is_added = facts["BODY[]"].ends_with(b"\r");
    let is_line_end = |at: usize| body[at..].starts_with(b"\r\n") && (at == 0 || body[at - 1] != b'\r');
    let line_ends = (0..body.len()).filter(|at| is_line_end(*at)).count() - usize::from(is_added);
    for (field, value) in [
        // An mbox has no place for POP3 data.
        ("pop3.uidl", String::new()),
        ("pop3.order", String::new()),
        ("RFC822.SIZE", body.len().to_string()),
        ("size.virtual", body.len().to_string()),
        ("size.physical", (body.len() - line_ends).to_string()),
    ] {
        facts.insert(field.to_owned(), value.into_bytes());
    }
    facts.insert("BODY[]".to_owned(), body);
    facts
}

/// Headers by which an mbox keeps its own data.
const METADATA: [&str; 7] = ["Content-Length", "Status", "X-IMAP", "X-IMAPbase", "X-Keywords", "X-Status", "X-UID"];

/// What an mbox shows of a message. It is the message itself but for the few that it cannot hold.
fn body(bytes: &[u8]) -> Vec<u8> {
    let end = match bytes.starts_with(b"\r\n") {
        true => Some(0),
        false => bytes.windows(4).position(|it| it == b"\r\n\r\n").map(|at| at + 2),
    };
    let (header, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    let mut shown = Vec::new();
    for line in header.split_inclusive(|byte| *byte == b'\n') {
        let changed = if looks_like_from_line(line) { ">" } else { "" };
        shown.extend(if is_named_like_metadata(line) { "X-Original-" } else { changed }.bytes());
        shown.extend(line);
    }
    if end.is_none() && !bytes.ends_with(b"\r\n") {
        shown.extend(b"\r\n");
    }
    let Some(text) = rest.strip_prefix(b"\r\n") else { return shown };
    shown.extend(b"\r\n");
    shown.extend(if looks_like_from_line(text) { &b">"[..] } else { b"" });
    shown.extend(text);
    if text.ends_with(b"\r") {
        shown.extend(b"\n");
    } else if text.ends_with(b"\nFrom ") || text == b"From " {
        shown.extend(b"\r\n");
    }
    shown
}

fn is_named_like_metadata(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    let name = line.split_once(':').map_or("", |(name, _)| name.trim_end_matches([' ', '\t']));
    METADATA.iter().any(|own| own.eq_ignore_ascii_case(name.trim_start_matches("X-Original-")))
}

fn looks_like_from_line(text: &[u8]) -> bool {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let has_time = line.windows(5).any(|it| it[2] == b':' && [0, 1, 3, 4].iter().all(|at| it[*at].is_ascii_digit()));
    line.starts_with(b"From ") && has_time
}
