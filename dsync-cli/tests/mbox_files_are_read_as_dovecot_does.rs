//! Where messages begin and end in an mbox, what they say about themselves and what clients see of them: a real Dovecot
//! says the same.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use dsync_core::model::{Flags, Timestamp};
use dsync_storage::mbox::encode::{self, BaseLine, Head, encode_message};
use dsync_storage::mbox::from_line;
use dsync_storage::mbox::header::HeaderDigest;
use dsync_storage::mbox::scan::{ScanError, Scanned, scan};
use dsync_storage::mbox::visible::VisibleMessage;
use support::{Dovecot, Driver, Store};

/// What somebody says about a message.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    uid: u32,
    /// System flags and keywords, sorted. `\Recent` is not said.
    flags: Vec<String>,
    received: i64,
    guid: String,
    physical_size: u64,
    /// As an IMAP client gets it.
    body: String,
}

/// A store of Dovecot with these mbox files; each becomes a mailbox of that name.
fn store_with(dovecot: &Dovecot, cases: &[(String, Vec<u8>)], setting: &str) -> Store {
    let setup = Driver::Maildir.setting("mail_location = mbox:{dir}").setting(setting);
    let store = dovecot.store_of("mboxes", setup);
    fs::create_dir_all(store.path()).unwrap();
    for (name, bytes) in cases {
        fs::write(store.path().join(name), bytes).unwrap();
    }
    store.adopt();
    store
}

/// What Dovecot says about each mailbox. None: it refuses to open it.
fn said_by_dovecot(store: &Store, cases: &[(String, Vec<u8>)]) -> BTreeMap<String, Option<Vec<Message>>> {
    let mut all = BTreeMap::new();
    let mut imap = store.imap();
    for (name, _) in cases {
        let (result, _) = imap.try_command(format!("SELECT {name}").as_bytes());
        if !result.starts_with("OK") {
            all.insert(name.clone(), None);
            continue;
        }
        let (result, responses) = imap.try_command(b"FETCH 1:* (UID FLAGS RFC822.SIZE BODY.PEEK[])");
        assert!(
            result.starts_with("OK") || result.contains("Invalid messageset"),
            "{name}: {result}\n{}",
            store.log()
        );
        let messages = responses.iter().filter(|response| response.line.contains("BODY[]")).map(|response| {
            let flags = response.line.split_once("FLAGS (").unwrap().1.split_once(')').unwrap().0;
            let mut flags: Vec<_> =
                flags.split(' ').filter(|flag| !flag.is_empty() && *flag != "\\Recent").map(str::to_owned).collect();
            flags.sort();
            let body = &response.literals[0];
            assert_eq!(response.value("RFC822.SIZE").unwrap(), body.len().to_string(), "{name}");
            Message {
                uid: response.value("UID").unwrap().parse().unwrap(),
                flags,
                received: 0,
                guid: String::new(),
                physical_size: 0,
                body: body.escape_ascii().to_string(),
            }
        });
        all.insert(name.clone(), Some(messages.collect::<Vec<_>>()));
    }
    imap.logout();
    let fields = "mailbox uid guid date.received.unixtime size.physical";
    // It fails as a whole because of what is no mbox.
    let table = store.command(&["-f", "tab", "fetch", fields, "mailbox", "*", "all"]).output().unwrap().stdout;
    for line in String::from_utf8(table).unwrap().lines().skip(1) {
        let columns: Vec<_> = line.split('\t').collect();
        let Some(Some(messages)) = all.get_mut(columns[0]) else { continue };
        let uid: u32 = columns[1].parse().unwrap();
        let Some(message) = messages.iter_mut().find(|message| message.uid == uid) else {
            // It does not agree with itself.
            all.remove(columns[0]);
            continue;
        };
        message.guid = columns[2].to_owned();
        message.received = columns[3].parse().unwrap();
        message.physical_size = columns[4].parse().unwrap();
    }
    all
}

/// What we say about an mbox.
fn said_by_us(bytes: &[u8], digest: HeaderDigest) -> Option<Vec<Message>> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mbox");
    fs::write(&path, bytes).unwrap();
    let file = Arc::new(File::open(&path).unwrap());
    let scanned = match scan(&file, Path::new("mbox"), digest) {
        Ok(scanned) => scanned,
        Err(ScanError::NoMbox { .. }) => return None,
        Err(error) => panic!("{error}"),
    };
    let uids = uids(&scanned);
    let messages = scanned.messages.iter().zip(uids).map(|(message, uid)| {
        let mut body = Vec::new();
        VisibleMessage::new(Arc::clone(&file), message).read_to_end(&mut body).unwrap();
        assert_eq!(body.len() as u64, message.visible_size);
        let mut flags: Vec<_> = message.flags.to_string().split(' ').map(str::to_owned).collect();
        // Dovecot takes a keyword that is not declared for a sign that somebody else wrote the header, and we do not.
        let declared = scanned.base.as_ref().map_or(&[][..], |base| &base.keywords);
        let is_declared = |name: &str| declared.iter().any(|it| it.eq_ignore_ascii_case(name.as_bytes()));
        if message.keywords.iter().all(|keyword| is_declared(keyword.as_str())) {
            flags.extend(message.keywords.iter().map(|keyword| keyword.as_str().to_owned()));
        }
        flags.retain(|flag| !flag.is_empty());
        flags.sort();
        Message {
            uid,
            flags,
            received: message.received.seconds(),
            guid: message.md5.iter().map(|byte| format!("{byte:02x}")).collect(),
            physical_size: message.visible_size,
            body: as_client_sees(&body).escape_ascii().to_string(),
        }
    });
    Some(messages.collect())
}

/// The UIDs that a server gives which has no index.
fn uids(scanned: &Scanned) -> Vec<u32> {
    let mut next = scanned.base.as_ref().map_or(1, |base| base.last_uid + 1);
    let mut previous = 0;
    let mut uids = Vec::new();
    for (index, message) in scanned.messages.iter().enumerate() {
        let further = scanned.further_uids.iter().filter(|(at, _)| *at == index).map(|(_, uid)| *uid);
        let accepted = message.uid.into_iter().chain(further).find(|uid| {
            next += u32::from(*uid == next);
            *uid < next && *uid > previous
        });
        let uid = accepted.unwrap_or_else(|| {
            next += 1;
            next - 1
        });
        previous = uid;
        uids.push(uid);
    }
    uids
}

/// Lines end with CRLF, and there are no NULs.
fn as_client_sees(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in bytes {
        match byte {
            b'\n' if out.last() != Some(&b'\r') => out.extend(b"\r\n"),
            0 => out.push(0x80),
            byte => out.push(*byte),
        }
    }
    out
}

fn assert_same(cases: &[(String, Vec<u8>)], setting: &str, digest: HeaderDigest) {
    let dovecot = Dovecot::new();
    let store = store_with(&dovecot, cases, setting);
    let mut theirs = said_by_dovecot(&store, cases);
    let mut differences = Vec::new();
    let mut unclear = 0;
    // Some, most with CRLF, it damages when it adds its own headers.
    let log = store.log();
    theirs.retain(|name, _| !log.contains(&format!("Mailbox {name}: Sync failed")));
    for (name, bytes) in cases {
        let mut ours = said_by_us(bytes, digest);
        // If the file does not end with a LF, or has CRs, Dovecot is off by one with physical sizes.
        if (!bytes.ends_with(b"\n") || bytes.contains(&b'\r'))
            && let (Some(Some(theirs)), Some(ours)) = (theirs.get(name), &mut ours)
        {
            ours.iter_mut().zip(theirs).for_each(|(our, their)| our.physical_size = their.physical_size);
        }
        let Some(theirs) = theirs.get_mut(name) else {
            unclear += 1;
            continue;
        };
        if setting.is_empty() {
            [&mut *theirs, &mut ours].into_iter().flatten().for_each(|messages| without_last_line_ends(messages));
        }
        if *theirs != ours {
            let shown = bytes.escape_ascii();
            differences.push(format!("{name}: {shown}\n  Dovecot: {:?}\n  here: {ours:?}", theirs));
        }
    }
    assert!(unclear * 20 <= cases.len(), "Dovecot does not agree with itself");
    assert!(differences.is_empty(), "{}\n{}", differences.join("\n"), store.log());
}

fn named(cases: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Vec<(String, Vec<u8>)> {
    cases.into_iter().zip(1..).map(|(bytes, number): (_, u32)| (format!("case{number:03}"), bytes.into())).collect()
}

const FROM: &str = "From a@b Thu Nov  9 22:33:52 2001";

/// Messages of which an mbox can keep some only changed.
fn troublesome_messages() -> Vec<String> {
    let mut messages: Vec<String> = [
        "",
        "\n",
        "\r\n",
        "\r",
        "S: x",
        "S: x\n",
        "S: x\r",
        "S: x\r\r\n\r\r\n\r\nbody\r\r\n\r\r",
        "S: x\n\n",
        "S: x\n\n\r",
        "S: x\n\n\r\n",
        "S: x\n\n\n",
        "S: x\n\nFrom ",
        "S: x\n\nFrom \n",
        "S: x\n\nx\nFrom ",
        "S: x\n\nFrom \nFrom \nFrom ",
        "S: x\n\nF",
        "S: x\n\nF\nF\n",
        "S: x\n\n>F\n",
        "S: x\n\n\nF\n\nx\n",
        "S: x\n\nFrom \nF\n",
        "S: x\n\nFrom x Thu Nov 9 22:33 2001",
        "S: x\n\nFrom x ab\n Nov  9 22:33:52 2001",
        "From x ab\n Nov  9 22:33:52 2001\n\nbody",
        "F\nS: x\n\nbody",
        "S: x\nF",
        "S: x\n>F\n\n",
        "S: x\n>F\nF\n>F\n>>F\n\n",
        "Status: RO\nX-Status: D\n T\nContent-length: 5\nX-UID : 7\nx-imapbase: 1 2\nX-IMAP: 3 4\nX-KEYWORDS: a\n\nb",
        "X-Original-X-Original-Status: RO\nx-original-status: x\nStatus: RO\nStatus foo: x\n\nb",
        " Status: RO\n\tb\n\nbody",
        "no colon\nStatus\n\n\n\n",
        "S: \0\0\n\n\0\r\0",
        "a\0b: c\n\0d: e\nStatus\0: RO\nX-Original: f\nX-Original: a\0b: c\n\0\n\n",
        " \0: c\n \0: d\nX-Original:  \0\nX-Original-\0Status: R\n\n",
    ]
    .iter()
    .map(|text| text.replace("F\n", &format!("{FROM}\n")))
    .map(|text| if text.ends_with('F') { text[..text.len() - 1].to_owned() + FROM } else { text })
    .map(|text| text.replace("S: ", "Subject: "))
    .collect();
    // Long enough that nothing fits into a buffer.
    messages.push(format!("Subject: long\n\n{}From ", format!("{FROM}\n").repeat(10_000)));
    messages.push(format!("{FROM}\nStatus: x\nSubject: {}\n\n{}\r", "x ".repeat(20_000), "y\r\n".repeat(50_000)));
    messages
}

/// The mbox that we make of these messages. UIDs count from 1.
fn written_by_us(messages: &[String]) -> Vec<u8> {
    let last_uid = u32::try_from(messages.len()).unwrap();
    let mut file = Vec::new();
    for (message, uid) in messages.iter().zip(1..) {
        let mut stored = Vec::new();
        let encoded = encode_message(&mut message.as_bytes(), &mut stored, HeaderDigest::Apop3d).unwrap();
        let (header, body) = stored.split_at(usize::try_from(encoded.header_length).unwrap());
        let base = BaseLine { uid_validity: 777, last_uid, keywords: &["Foo", "$Bar"] };
        let keywords: &[&str] = if uid % 3 == 0 { &["Foo"] } else { &[] };
        file.extend(from_line::encode(Timestamp(1_600_000_000 + i64::from(uid))));
        file.extend(header);
        file.extend(encode::metadata(&Head {
            base: (uid == 1).then_some(base),
            uid,
            flags: if uid % 2 == 0 { Flags::SEEN | Flags::FLAGGED } else { Flags::NONE },
            recent: false,
            keywords,
            body_length: encoded.body_length,
            marks: encoded.marks,
            padding: 0,
        }));
        if encoded.body_length.is_some() {
            file.push(b'\n');
            file.extend(body);
        }
        file.push(b'\n');
    }
    file
}

/// The messages of an mbox by their UIDs, as clients of ours see them.
fn bodies(bytes: &[u8]) -> BTreeMap<u32, String> {
    let messages = said_by_us(bytes, HeaderDigest::Apop3d).unwrap();
    messages.into_iter().map(|message| (message.uid, message.body)).collect()
}

#[test]
fn what_we_write_is_accepted_and_survives() {
    let messages = troublesome_messages();
    let file = written_by_us(&messages);
    let wanted: BTreeMap<u32, String> = (1..)
        .zip(&messages)
        .map(|(uid, message)| (uid, as_client_sees(message.as_bytes()).escape_ascii().to_string()))
        .collect();
    assert_eq!(bodies(&file), wanted);
    let dovecot = Dovecot::new();
    let cases = [("inbox".to_owned(), file.clone())];
    let store = store_with(&dovecot, &cases, "mail_debug = no");
    let path = store.path().join("inbox");
    // It is accepted as it is.
    let mut imap = store.imap();
    imap.select("INBOX");
    let seen: Vec<_> = imap.command("FETCH 1:* (UID FLAGS BODY.PEEK[])");
    assert_eq!(seen.len(), messages.len());
    for (response, (uid, body)) in seen.iter().zip(&wanted) {
        assert_eq!(response.value("UID").unwrap(), uid.to_string());
        assert_eq!(response.line.contains("\\Seen"), uid % 2 == 0);
        assert_eq!(response.line.contains("Foo"), uid % 3 == 0);
        let got = response.literals.first().map_or(String::new(), |body| body.escape_ascii().to_string());
        // What could be kept as it is.
        if scan_of(&file).messages[usize::try_from(*uid).unwrap() - 1].marks.is_empty() {
            assert_eq!(got, *body, "UID {uid}");
        }
    }
    imap.logout();
    store.assert_no_complaints();
    assert!(fs::read(&path).unwrap() == file, "Dovecot changed the file");
    // Flags and keywords change, messages come and go.
    let changes: [&[&str]; 6] = [
        &["STORE 1:* +FLAGS (\\Answered)"],
        &["STORE 2:* FLAGS (\\Draft \\Seen $Bar Baz)"],
        &["STORE 1,5,9 +FLAGS (\\Deleted)", "EXPUNGE"],
        &["STORE 4:20 +FLAGS (Foo Baz Another Keyword more and_more and_even_more_of_them_than_before)"],
        &["STORE 3,7,20 +FLAGS (\\Deleted)", "STORE 1:* -FLAGS (\\Seen)", "EXPUNGE"],
        &["STORE 1:* FLAGS ()"],
    ];
    let mut wanted = wanted;
    for commands in changes {
        let mut imap = store.imap();
        imap.select("INBOX");
        commands.iter().for_each(|command| drop(imap.command(command)));
        imap.append("INBOX", "(\\Seen)", b"Subject: new\r\n\r\nbody\r\n");
        imap.select("INBOX");
        let uids = imap.uids();
        wanted.retain(|uid, _| uids.contains(uid));
        let new = *uids.last().unwrap();
        wanted.insert(new, "Subject: new\\r\\n\\r\\nbody\\r\\n".to_owned());
        imap.logout();
        store.assert_no_complaints();
        let now = bodies(&fs::read(&path).unwrap());
        assert_eq!(now.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>(), "{commands:?}");
        for (uid, body) in &now {
            assert_eq!(body, &wanted[uid], "UID {uid} after {commands:?}");
        }
    }
}

/// A header that is cut off has a last line end only since Dovecot wrote it anew, which need not be yet.
fn without_last_line_ends(messages: &mut [Message]) {
    for message in messages {
        let has_body = message.body.contains("\\r\\n\\r\\n") || message.body.starts_with("\\r\\n");
        if !has_body && let Some(cut) = message.body.strip_suffix("\\r\\n") {
            message.physical_size -= 1;
            message.body = cut.to_owned();
        }
    }
}

/// Numbers that are always the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    /// A message, or a part of an mbox, of pieces that may be taken for something else.
    fn text(&mut self, pieces: &[&str], most: usize) -> String {
        (0..self.below(most)).map(|_| pieces[self.below(pieces.len())].replace('§', FROM)).collect()
    }
}

#[test]
fn random_files_are_read_alike() {
    let pieces = [
        "\n",
        "\n\n",
        "\n§\n",
        "\r\n",
        "\r\n§\r\n",
        "\r\n\r\n",
        "\n§\n",
        "§",
        "From ",
        "From \n",
        "a",
        "Subject: x\n",
        "Date: x\n y\n",
        " ",
        "\nContent-Length: 3\n\n",
        "Content-Length: 60\n",
        "Content-Length: 0\n",
        "Status: RO\n",
        "X-UID: 1\n",
        "X-UID: 2\n",
        "X-Status: A\n",
        "\n\nFrom x",
    ];
    let mut numbers = Numbers(1);
    let cases: Vec<String> = (0..300).map(|_| format!("{FROM}\n{}\n", numbers.text(&pieces, 16))).collect();
    assert_same(&named(cases), "", HeaderDigest::Apop3d);
}

#[test]
fn random_messages_survive_random_changes() {
    let pieces = [
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "\n§\n",
        "§",
        "From ",
        "\nFrom ",
        "a",
        ">",
        "Subject: x\n",
        " ",
        "\0",
        "Content-Length: 3\n",
        "Status: RO\n",
        "X-UID: 1\n",
        "X-Original-Status: x\n",
        "X-IMAPbase: 3 4\n",
        "long line ".repeat(200).leak(),
    ];
    let mut numbers = Numbers(2);
    let dovecot = Dovecot::new();
    let store = store_with(&dovecot, &[], "mail_debug = no");
    let path = store.path().join("inbox");
    for round in 0..25 {
        let messages: Vec<_> = (0..=numbers.below(9)).map(|_| numbers.text(&pieces, 14)).collect();
        let _ = fs::remove_dir_all(store.path().join(".imap"));
        fs::write(&path, written_by_us(&messages)).unwrap();
        store.adopt();
        let mut wanted: BTreeMap<u32, String> = (1..)
            .zip(&messages)
            .map(|(uid, message)| (uid, as_client_sees(message.as_bytes()).escape_ascii().to_string()))
            .collect();
        for _ in 0..3 {
            let mut imap = store.imap();
            imap.select("INBOX");
            for _ in 0..numbers.below(4) {
                let uid = 1 + numbers.below(messages.len());
                let flags = [
                    "\\Seen",
                    "\\Flagged \\Draft",
                    "Foo",
                    "\\Answered New $Bar a_long_keyword_that_needs_room",
                    "\\Deleted",
                ];
                let (how, flags) = (["+", "-", ""][numbers.below(3)], flags[numbers.below(flags.len())]);
                imap.try_command(format!("UID STORE {uid} {how}FLAGS ({flags})").as_bytes());
            }
            imap.logout();
            let mut imap = store.imap();
            imap.select("INBOX");
            imap.command("EXPUNGE");
            let uids = imap.uids();
            imap.logout();
            let complaints = store.complaints();
            assert!(complaints.is_empty(), "{complaints:?} in round {round}: {messages:?}");
            wanted.retain(|uid, _| uids.contains(uid));
            assert_eq!(bodies(&fs::read(&path).unwrap()), wanted, "round {round}: {messages:?}");
        }
    }
}

/// Those below the directory that `DSYNC_CORPUS` names, with dates in their From_ lines.
#[test]
fn third_party_files_are_read_alike() {
    let Some(corpus) = std::env::var_os("DSYNC_CORPUS") else { return };
    let mut cases = Vec::new();
    for path in support::dovecot::files_below(Path::new(&corpus)) {
        if path.extension().is_none_or(|extension| extension != "mbox") {
            continue;
        }
        let mut bytes = Vec::new();
        for line in fs::read(&path).unwrap().split_inclusive(|byte| *byte == b'\n') {
            let text = String::from_utf8_lossy(line);
            let text = text.trim_end();
            if text == "From -" || text.starts_with("From ") && text.ends_with("@xxx") {
                bytes.extend(FROM.as_bytes());
                bytes.extend(&line[text.len()..]);
            } else {
                bytes.extend(line);
            }
        }
        cases.push(bytes);
    }
    assert!(!cases.is_empty());
    assert_same(&named(cases), "mbox_md5 = apop3d", HeaderDigest::Apop3d);
}

fn scan_of(bytes: &[u8]) -> Scanned {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mbox");
    fs::write(&path, bytes).unwrap();
    scan(&File::open(&path).unwrap(), &path, HeaderDigest::Apop3d).unwrap()
}

#[test]
fn from_lines() {
    let lines = [
        "From a@b Thu Nov  9 22:33:52 2001",
        "From a@b Thu Nov 9 22:33:52 2001",
        "From a@b Thu Nov 09 22:33:52 2001",
        "From a@b  Thu Nov  9 22:33:52 2001",
        "From a@b Thu Nov   9 22:33:52 2001",
        "From a@b Thu Nov  0 22:33:52 2001",
        "From a@b Thu Nov 99 22:33:52 2001",
        "From a@b Thu Nov 99 22:33:52 2001 +0000",
        "From a@b Thu Nov  9 99:99:99 2001",
        "From a@b Thu Nov  9 99:99:99 2001 +0000",
        "From a@b Thu Nov  9 22:33:60 2001 +0000",
        "From a@b Thu Nov  9 22:33:60 2001",
        "From a@b Thu Feb 30 22:33:52 2001 +0000",
        "From a@b Thu Nov  9 22:33 2001",
        "From a@b Thu Nov 9 22:33 2001",
        "From a@b Thu Nov  9 22:33:52 2001 +0300",
        "From a@b Thu Nov  9 22:33:52 2001 -0300",
        "From a@b Thu Nov  9 22:33:52 2001 +0330",
        "From a@b Thu Nov  9 22:33:52 2001 -0930",
        "From a@b Thu Nov  9 22:33:52 2001 +9999",
        "From a@b Thu Nov  9 22:33:52 2001  +0300",
        "From a@b Thu Nov  9 22:33:52 2001 +03:00",
        "From a@b Thu Nov  9 22:33:52 2001 +030",
        "From a@b Thu Nov  9 22:33:52 +0300 2001",
        "From a@b Thu Nov  9 22:33:52 EST 2001",
        "From a@b Thu Nov  9 22:33:52 EST 2001 +0300",
        "From a@b Thu Nov  9 22:33:52 2001 EST",
        "From a@b Thu Nov  9 22:33:52 2001 remote from x",
        "From a@b Thu Nov  9 22:33:52 2001 +0300 (MSK)",
        "From a@b Thu Nov  9 22:33:52  2001",
        "From a@b Thu Nov  9 22:33:52 20011",
        "From a@b Thu Nov  9 22:33:52 01",
        "From a@b Thu Nov  9 2:33:52 2001",
        "From a@b Thu Nov  9 22:33:52.123 2001",
        "From a@b Thu Nov  9 22.33.52 2001",
        "From a@b Thu ??? 9 22:33:52 2001",
        "From a@b Thu nov  9 22:33:52 2001",
        "From a@b xyz NOV  9 22:33:52 2001",
        "From a@b Thu Xyz  9 22:33:52 2001",
        "From a@b Thu, 9 Nov 2001 22:33:52",
        "From a@b Thu, 9 Nov 2001 22:33:52 +0300",
        "From a@b Thu, 09 Nov 2001 22:33:52 +0300",
        "From a@b Thu, 9 Nov 2001 22:33",
        "From a@b Thu, 9 Nov 2001 22:33 -0500",
        "From a@b Thu,  9 Nov 2001 22:33:52",
        "From a@b 2001-11-09 22:33:52",
        "From  Thu Nov  9 22:33:52 2001",
        "From   Thu Nov  9 22:33:52 2001",
        "From Thu Nov  9 22:33:52 2001",
        "From a b Thu Nov  9 22:33:52 2001",
        "From \"a b\"@c Thu Nov  9 22:33:52 2001",
        "From \"a \\\" b\"@c Thu Nov  9 22:33:52 2001",
        "From \"a b Thu Nov  9 22:33:52 2001",
        "From a@b\tThu Nov  9 22:33:52 2001",
        "From - ",
        "From - Thu Nov  9 22:33:52 2001",
        "From a@b",
        "from a@b Thu Nov  9 22:33:52 2001",
        "FROM a@b Thu Nov  9 22:33:52 2001",
        "From: a@b Thu Nov  9 22:33:52 2001",
        ">From a@b Thu Nov  9 22:33:52 2001",
        "From x ab\n Nov  9 22:33:52 2001",
        "From x \nabNov  9 22:33:52 2001",
        "From x abc\nNov  9 22:33:52 2001",
        "From x abcd\n9 Nov 2001 22:33:52",
        "From a@b Thu Jan  1 00:00:00 1970 +0000",
        "From a@b Mon Jan 18 00:00:00 2038 +0000",
        "From a@b Fri Nov  9 22:33:52 2096 +0000",
    ];
    // At the beginning of a file, between two messages, and at its end; with LF and CRLF.
    let first = lines.map(|line| format!("{line}\nSubject: x\n\nbody\n"));
    let second = lines.map(|line| format!("{FROM}\nSubject: x\n\nbody\n\n{line}\nSubject: y\n\nbody\n"));
    let third =
        lines.map(|line| format!("{FROM}\r\nSubject: x\r\n\r\nbody\r\n\r\n{line}\r\nSubject: y\r\n\r\nbody\r\n"));
    let last = lines.map(|line| format!("{FROM}\nSubject: x\n\nbody\n\n{line}"));
    let cases = named([first, second, third, last].into_iter().flatten());
    assert_same(&cases, "mbox_md5 = apop3d", HeaderDigest::Apop3d);
}

#[test]
fn where_messages_end() {
    let cases = [
        "F\nS: x\n\nbody1\nF\nS: y\n\nbody2\n",
        "F\nS: x\n\nbody1\n\nF\nS: y\n\nbody2\n\n",
        "F\nS: x\n\nbody1\n\n\nF\nS: y\n\nbody2\n\n\n",
        "F\nS: x\n\nbody1\n\nF\nS: y\n\nbody2",
        "F\nS: x\n\n\nF\nS: y\n\n\n",
        "F\nS: x\n\nF\nS: y\n\n",
        "F\nS: x\nF\nS: y\n",
        "F\nS: x\n\n\n\nF\nS: y",
        "F\n\nF\n\n",
        "F\n\n\nF\n\n\n",
        "F\n\n\n\nF\n\n\n\n",
        "F\nF\nS: x\n\nbody\n",
        "F\nF\nF\nS: x\n\nbody\n",
        "F\nS: x\nF\nF\nS: y\n\nbody\n",
        "F\nS: x\n\nFrom \nF\nS: y\n\nbody\n",
        "F\nS: x\n\nFrom\nF\nS: y\n\nbody\n",
        "F\nS: x\n\nb\nFrom \nFrom \nF\nS: y\n\nbody\n",
        "F\nS: x\n\nb\nFrom \nFrom \nFrom \nF\nS: y\n\nbody\n",
        "F\nS: x\nFrom \nF\nS: y\n\nbody\n",
        "F\nS: x\n\nFrom x\nF\nS: y\n\nbody\n",
        "F\nS: x\n\n>F\nS: y\n\nbody\n",
        "F\nS: x\n\n F\nS: y\n\nbody\n",
        "F\nS: x\n\nFrom nobody\nS: y\n\nbody\n",
        "F\nS: x\n\nbody\rF\nS: y\n\nbody\n",
        "F\nS: x\n\nbody\r\nF\nS: y\n\nbody\r\n",
        "F\nS: x\n\nbody\r\r\nF\nS: y\n\nbody\r\r\n",
        "F\nS: x\n\n\r\nF\nS: y\n\n\r\n",
        "F\r\nS: x\r\n\r\nbody\r\n\r\nF\r\nS: y\r\n\r\nbody\r\n\r\n",
        "F\r\nS: x\r\n\r\nbody\r\nF\r\nS: y\r\n\r\nbody",
        "F\r\nS: x\r\n\r\n\r\nF\r\nS: y\r\n\r\n\r\n",
        "F\r\nS: x\r\n\r\nF\r\nS: y\r\n\r\n",
        "F\r\nS: x\r\nF\r\nS: y\r\n",
        "F\r\n\r\nF\r\nS: y\r\n",
        "F\nS: x\r\nT: y\n\r\nbody\n",
        "F\nS: x\r\r\nT: y\n\r\r\n\r\nbody\n",
        "F\n\r\nS: x\n\nbody\n",
        "F\n\r\nS: x\n\nbody\n\nF\n\r\nbody\n",
        "F\nno colon\n\nbody\n",
        "F\n folded\n\tagain\nS: x\n y\n\nbody\n",
        "F\nS: x\n\0\n\nbo\0dy\n",
        "F\nS: x\n\nbody\n\0\0\0\0",
        "F\nS: x\n\nbody\n\0\0\0\nF\nS: y\n\nbody\n\n",
        "F\nS: x\n\nbody\n\nF\n",
        "F\n",
        "",
    ];
    let cases = named(cases.map(|case| {
        let mut text = case.replace("F\n", &format!("{FROM}\n")).replace("F\r", &format!("{FROM}\r"));
        text = text.replace("S: ", "Subject: ");
        text
    }));
    assert_same(&cases, "mbox_md5 = apop3d", HeaderDigest::Apop3d);
}

#[test]
fn content_length() {
    let cases = [
        "F\nContent-Length: 4\n\nbody\n\nF\nS: y\n\nbody\n",
        "F\nContent-Length: 5\n\nbody\n\nF\nS: y\n\nbody\n",
        "F\nContent-Length: 6\n\nbody\n\nF\nS: y\n\nbody\n",
        "F\nContent-Length: 0\n\nbody\n\nF\nS: y\n\nbody\n",
        "F\nContent-Length:\n\nbody\n\nF\nS: y\n\nbody\n",
        "F\nContent-Length: 0\n\n\nF\nS: y\n\nbody\n",
        "F\nContent-Length: 999999\n\nbody\n\nF\nS: y\n\nbody\n",
        "F\nContent-Length: 5\n\nbody\n",
        "F\nContent-Length: 4\n\nbody\n",
        "F\nContent-Length: 4\n\nbody",
        "F\nContent-Length: 4\n\nbody\r\n",
        "F\nContent-Length: 1\n\nbody",
        // Over a From_ line, and over whole messages.
        "F\nContent-Length: 60\n\nbody56789012345678901\nF\nxy\n\nF\nS: y\n\nbody\n",
        "F\nContent-Length: 49\n\nbody\nF\nbody\n12345\n\nF\nS: y\n\nbody\n",
        "F\nContent-Length: 44\n\nbody\nF\nbody1\n\nF\nS: y\n\nbody\n",
        "F\nContent-Length: 52\n\nbody1\n\nF\nS: y\n\nbody2\n\nF\nS: z\n\nbody3\n",
        "F\nContent-Length: 53\n\nbody1\n\nF\nS: y\n\nbody2\n\nF\nS: z\n\nbody3\n",
        "F\nContent-Length:  4\n\nbody\n",
        "F\nContent-Length:  52\n\nbody1\n\nF\nS: y\n\nbody2\n\nF\nS: z\n\nbody3\n",
        "F\nContent-Length: 52x\n\nbody1\n\nF\nS: y\n\nbody2\n\nF\nS: z\n\nbody3\n",
        "F\nContent-Length: 52 \t \n\nbody1\n\nF\nS: y\n\nbody2\n\nF\nS: z\n\nbody3\n",
        "F\nContent-Length: 52\n \n\nbody1\n\nF\nS: y\n\nbody2\n\nF\nS: z\n\nbody3\n",
        "F\ncontent-length : 52\n\nbody1\n\nF\nS: y\n\nbody2\n\nF\nS: z\n\nbody3\n",
        "F\nContent-Length: 4\nContent-Length: 52\n\nbody1\n\nF\nS: y\n\nbody2\n\nF\nS: z\n\nbody3\n",
        "F\nContent-Length: x\nContent-Length: 52\n\nbody1\n\nF\nS: y\n\nbody2\n\nF\nS: z\n\nbody3\n",
        "F\r\nContent-Length: 4\r\n\r\nbody\r\n\r\nF\r\nS: y\r\n\r\nbody\r\n",
        "F\r\nContent-Length: 6\r\n\r\nbody\r\n\r\nF\r\nS: y\r\n\r\nbody\r\n",
    ];
    let cases = named(cases.map(|case| {
        case.replace("F\n", &format!("{FROM}\n")).replace("F\r", &format!("{FROM}\r")).replace("S: ", "Subject: ")
    }));
    assert_same(&cases, "mbox_md5 = apop3d", HeaderDigest::Apop3d);
}

#[test]
fn metadata() {
    let base = "X-IMAPbase: 777 0000000020 Foo $Bar\n";
    let rest = format!("\n\nbody\n\n{FROM}\nSubject: y\nX-UID: 9\nX-Keywords: foo\n\nbody\n");
    let first = [
        "X-IMAPbase: 777 0000000020 Foo $Bar\nX-UID: 5\nStatus: RO\nX-Status: AFTD\nX-Keywords: Foo $BAR   ",
        "X-IMAPbase: 777 20 Foo\nX-UID: 5\nStatus: R\nStatus: O\nX-Status: A\nX-Status: F\nX-Keywords: foo\nX-Keywords: $Bar",
        "X-IMAPbase: 777 0000000020\n\tFoo\n $Bar\nX-UID: 5\nStatus: O\nX-Keywords: Foo\n\t$Bar",
        "X-IMAPbase: 777 0000000020 Foo Foo foo\nX-UID: 5   ",
        "X-IMAPbase: 777",
        "X-IMAPbase: 777 ",
        "X-IMAPbase: 777 20x Foo\nX-UID: 5",
        "X-IMAPbase: 0 20 Foo\nX-UID: 5",
        "X-IMAPbase: x 20 Foo\nX-UID: 5",
        "X-IMAPbase:\t777 20 Foo\nX-UID: 5",
        "X-IMAPbase: 777\t20 Foo\nX-UID: 5",
        "X-IMAPbase:  777 20 Foo\nX-UID: 5",
        "X-IMAPbase:777 20 Foo\nX-UID:5",
        "X-IMAPbase: 0 20 Foo\nX-IMAPbase: 778 21 Foo\nX-IMAPbase: 779 22 Foo\nX-UID: 5",
        "X-UID: 5\nX-IMAPbase: 777 20 Foo\nX-UID: 6",
        "X-UID: 5",
        "X-IMAPbase: 777 20 Foo\nX-UID:  5",
        "X-IMAPbase: 777 20 Foo\nX-UID: 5x",
        "X-IMAPbase: 777 20 Foo\nX-UID: 5\nX-UID: 6",
        "X-IMAPbase: 777 20 Foo\nX-UID: 55\nX-UID: 6",
        "X-IMAPbase: 777 20 Foo\nX-UID: 4294967299",
        "X-IMAPbase: 777 20 Foo\nX-UID: 21",
        "X-IMAPbase: 777 20 Foo\nX-UID: 9",
        "X-IMAPbase: 777 20 Foo\nX-UID: 0",
        "X-IMAPbase: 777 20 Foo\nX-UID:",
        "X-IMAPbase: 777 20 Foo\nx-uid \t: 5\nSTATUS: R",
        "X-IMAPbase: 777 20 Foo\nX-UID\0x: 5\nStatus\0: R",
        "X-IMAP: 777 0000000020 Foo",
        "X-IMAP: 777 0000000020 Foo\nX-UID: 5",
        "X-IMAP: 0 0000000020 Foo\nX-UID: 5",
        "X-IMAPbase: 777 20 Foo\nX-IMAP: 777 20 Foo\nX-UID: 5",
        "X-IMAP: 777 20 Foo\nX-IMAPbase: 778 21 Foo\nX-UID: 5",
        "X-IMAPbase: 777 20 Foo\nX-UID: 5\nStatus: ROZrox1\nX-Status: afZ",
        "X-IMAPbase: 777 0000000020 Foo\nX-UID: 5\nStatus:  R O\nX-Status: A F",
        "X-IMAPbase: 777 20 Foo\nX-UID: 5\nX-Keywords:\nX-Keywords: Foo",
        "X-IMAPbase: 777 20 Foo B\u{e4}r (x) %y Baz]\nX-UID: 5\nX-Keywords: Foo",
        "X-IMAPbase: 777 20 Foo\nX-UID: 5\nX-UIDL: abc\nX-Delivery-ID: x\nX-Mozilla-Status: 0001\nX-Original-Status: R",
        "X-IMAPbase: 777 20 Foo\nX-UID: 5\nDate: d\nMessage-ID: m\nReceived: r1\n r2\nReceived: r3\nDate: e\nDelivered-To: t  ",
        "X-IMAPbase: 777 20 Foo\nX-UID: 5\nReceived: r1\n r2\nDate:  d\nMessage-Id:m\nDelivered-To: x\nDELIVERED-TO : y\n z",
        "X-IMAPbase: 777 20 Foo\nX-UID: 5\nno colon\nAny: x\r\nFolded: a\r\n b\r\n\tc\r\n: empty\nDate: x\r",
    ];
    let mut cases: Vec<String> = first.iter().map(|lines| format!("{FROM}\nSubject: x\n{lines}{rest}")).collect();
    let others = [
        "X-IMAPbase: 1 99\nX-UID: 7",
        "X-IMAP: 1 99\nX-UID: 7",
        "X-UID: 7\nX-Keywords: Foo\nStatus: RO\n X\nX-Status: TD",
        "X-UID: 7\nStatus: O\nX-UID: 8\nContent-Length: 4",
        "X-UID: 99\nX-UID: 8",
    ];
    cases.extend(
        others.iter().map(|lines| format!("{FROM}\n{base}X-UID: 5\n\nbody\n\n{FROM}\nSubject: x\n{lines}{rest}")),
    );
    let cases = named(cases);
    assert_same(&cases, "mbox_md5 = apop3d", HeaderDigest::Apop3d);
    assert_same(&cases, "mbox_md5 = all", HeaderDigest::All);
}
