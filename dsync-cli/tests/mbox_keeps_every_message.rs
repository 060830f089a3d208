//! A message goes into an mbox and comes back byte for byte, also one that an mbox cannot hold as it is.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Dovecot, Driver, Snapshot, Store, assert_equal, mbox};

/// What an mbox shows of a message.
enum Shown {
    AsItIs,
    /// It cannot hold it, so it shows another one.
    As(Vec<u8>),
}

struct Case {
    name: &'static str,
    /// With the line ends of files.
    message: Vec<u8>,
    shown: Shown,
}

const FROM_LINE: &str = "From somebody@example.org  Mon Mar 04 05:06:07 2024 +0000";

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name, message: Vec<u8>, shown| cases.push(Case { name, message, shown });
    let with = |body: &str| format!("Subject: x\n\n{body}").into_bytes();
    let as_with = |body: &str| Shown::As(with(body));

    add("no body", with(""), Shown::AsItIs);
    add("a body without a line end", with("body"), Shown::AsItIs);
    add("empty lines at the end", with("body\n\n\n\n"), Shown::AsItIs);
    add("nothing but empty lines", with("\n\n\n"), Shown::AsItIs);
    add("CRLF", b"Subject: x\r\n\r\nbody\r\n".to_vec(), Shown::AsItIs);
    add("line ends of both kinds", b"Subject: x\r\nTo: y\n\nfirst\r\nsecond\nthird\r\n".to_vec(), Shown::AsItIs);
    add("CR within lines", with("a\rb\n\rc\n"), Shown::AsItIs);
    add("CR CR LF in the body", with("a\r\r\nb\r\r\r\n"), Shown::AsItIs);
    add("CR CR LF in the header", b"Subject: x\r\r\nTo: y\n\nbody\n".to_vec(), Shown::AsItIs);
    add("NUL bytes", b"Subject: x\0y\n\na\0b\0\n\0\n".to_vec(), Shown::AsItIs);
    add("8-bit", b"Subject: gr\xfc\xdfe\n\ncaf\xe9 \xff\xfe\x80\n".to_vec(), Shown::AsItIs);
    add("long lines", format!("Subject: {}\n\n{}\n", "s".repeat(70_000), "b".repeat(300_000)).into(), Shown::AsItIs);
    add("lines that begin with From", with("first\nFrom nobody\nFrom \n>From x\n>>From y\nFromm\n"), Shown::AsItIs);
    add("From_ lines within", with(&format!("first\n{FROM_LINE}\nSubject: y\n\n{FROM_LINE}\nlast\n")), Shown::AsItIs);
    add("quoted From_ lines", with(&format!(">{FROM_LINE}\n>>{FROM_LINE}\n")), Shown::AsItIs);
    add("a From_ line as the last one", with(&format!("first\n{FROM_LINE}\n")), Shown::AsItIs);
    add("a From_ line without a line end", with(&format!("first\n{FROM_LINE}")), Shown::AsItIs);
    add("headers of other programs", b"X-Mozilla-Status: 0001\nLines: 3\nX-UIDL: abc\n\nx\n".to_vec(), Shown::AsItIs);
    add("a header that is no header", b"no colon here\nSubject: x\n\nx\n".to_vec(), Shown::AsItIs);
    add("nothing but an empty line", b"\n".to_vec(), Shown::AsItIs);
    add("no header", b"\nbody\n".to_vec(), Shown::AsItIs);
    add("nothing but a header", b"Subject: x\n".to_vec(), Shown::AsItIs);
    add("a header without a line end", b"Subject: x".to_vec(), Shown::As(b"Subject: x\n".to_vec()));

    add("a From_ line at first", with(&format!("{FROM_LINE}\nlast\n")), as_with(&format!(">{FROM_LINE}\nlast\n")));
    add("a body that is a From_ line", with(FROM_LINE), as_with(&format!(">{FROM_LINE}")));
    add("CR at the end", with("body\r"), as_with("body\r\n"));
    add("CR CR at the end", with("body\r\r"), as_with("body\r\r\n"));
    add("From at the end", with("body\nFrom "), as_with("body\nFrom \n"));
    add("a body that is From", with("From "), as_with("From \n"));
    let header = |lines: &str| format!("To: y\n{lines}Subject: x\n\nbody\n").into_bytes();
    let own = [
        "X-UID: 77\n",
        "Status: RO\n",
        "X-Status: AFTD\n",
        "X-Keywords: red green\n",
        "X-IMAP: 1 2\n",
        "X-IMAPbase: 1234567890 0000000099 red\n",
        "Content-Length: 3\n",
    ];
    for line in own {
        add("a header of an mbox", header(line), Shown::As(header(&format!("X-Original-{line}"))));
    }
    let all = own.concat();
    let original = |text: &str| own.iter().map(|line| format!("X-Original-{line}")).collect::<String>() + text;
    add("all headers of an mbox", header(&all), Shown::As(header(&original(""))));
    add("the same twice", header(&(all.clone() + &all)), Shown::As(header(&(original("") + &original("")))));
    add(
        "one with a continuation",
        header("content-length : 3\n\t4\n 5\n"),
        Shown::As(header("X-Original-content-length : 3\n\t4\n 5\n")),
    );
    add(
        "one beside one that was renamed before",
        header("X-Original-Status: a\nStatus: b\n"),
        Shown::As(header("X-Original-X-Original-Status: a\nX-Original-Status: b\n")),
    );
    // Nobody knows yet that no other follows.
    add(
        "one that was renamed before",
        header("X-Original-Status: a\n"),
        Shown::As(header("X-Original-X-Original-Status: a\n")),
    );
    add(
        "a From_ line in the header",
        header(&format!("{FROM_LINE}\n")),
        Shown::As(header(&format!(">{FROM_LINE}\n"))),
    );
    cases
}

/// A Maildir with all of them, each with flags of its own.
fn originals(dovecot: &Dovecot, cases: &[Case]) -> Store {
    let store = dovecot.store("originals");
    store.make_maildir("");
    for (number, case) in cases.iter().enumerate() {
        let letters = ["", "S", "F", "RS", "T"][number % 5];
        store.write(format!("cur/17{number:08}.M1P1.mx:2,{letters}"), &case.message);
    }
    // Dovecot gives them their UIDs.
    store.doveadm(&["mailbox", "status", "uidnext", "INBOX"]);
    store
}

/// As IMAP shows it.
fn crlf(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut last = 0;
    for byte in bytes {
        if *byte == b'\n' && last != b'\r' {
            text.push(b'\r');
        }
        // A server shows no NUL.
        text.push(if *byte == 0 { 0x80 } else { *byte });
        last = *byte;
    }
    text
}

/// What went through an mbox.
fn lasting(seen: Snapshot) -> Snapshot {
    // Which line ends a file has is nothing that clients see.
    mbox::without_excused(seen).without(&["size.physical"])
}

#[test]
fn every_message_comes_back_as_it_was() {
    let dovecot = Dovecot::new();
    let cases = cases();
    let originals = originals(&dovecot, &cases);
    for driver in [Driver::Maildir, Driver::Mdbox, Driver::Sdbox] {
        let name = |text: &str| format!("{}-{text}", driver.name());
        let (first, mbox) = (dovecot.store_of(&name("first"), driver), dovecot.store_of(&name("mbox"), Driver::Mbox));
        dovecot.backup(&originals, &first).assert_done();
        dovecot.backup(&first, &mbox).assert_done();
        assert_shown(&mbox, &cases);
        mbox.assert_no_complaints();
        let again = dovecot.store_of(&name("again"), driver);
        dovecot.backup(&mbox, &again).assert_done();
        assert_equal(&lasting(Snapshot::of(&first)), &lasting(Snapshot::of(&again)));
        mbox::assert_guids_differ(&Snapshot::of(&again));

        // Dovecot moves what is in the file, and writes headers anew.
        let mut imap = mbox.imap();
        imap.select("INBOX");
        imap.store("1:*", "+FLAGS", "(\\Answered a-keyword-that-needs-room another-one-that-needs-even-more-room)");
        imap.command("CHECK");
        imap.store("1:*", "-FLAGS", "(\\Seen a-keyword-that-needs-room)");
        imap.logout();
        assert_shown(&mbox, &cases);
        dovecot.backup(&mbox, &again).assert_done();
        let bodies = |store: &Store| Snapshot::of(store).bodies("INBOX");
        assert_eq!(bodies(&again), bodies(&first));
        let mut imap = mbox.imap();
        imap.select("INBOX");
        imap.expunge("1,5:7");
        imap.create("Copies");
        imap.copy("2:*", "Copies");
        imap.logout();
        mbox.force_resync();
        mbox.assert_no_complaints();
        dovecot.backup(&mbox, &again).assert_done();
        let mut expected = bodies(&first);
        expected.retain(|uid, _| ![1, 5, 6, 7].contains(uid));
        assert_eq!(bodies(&again), expected);

        // The other way it goes as well.
        let mirrored = dovecot.store_of(&name("mirrored"), Driver::Mbox);
        dovecot.mirror(&first, &mirrored).assert_done();
        dovecot.mirror(&first, &mirrored).assert_done();
        assert_eq!(mbox_bodies(&mirrored), cases.iter().map(shown).collect::<Vec<_>>());
        let other = dovecot.store_of(&name("other"), Driver::Mbox);
        dovecot.backup(&mirrored, &other).assert_done();
        assert_equal(&Snapshot::of(&mirrored), &Snapshot::of(&other));
        let last = dovecot.store_of(&name("last"), driver);
        dovecot.backup(&other, &last).assert_done();
        assert_equal(&lasting(Snapshot::of(&first)), &lasting(Snapshot::of(&last)));
        for store in [&mirrored, &other, &again, &last, &first] {
            store.assert_no_complaints();
        }
    }
}

fn shown(case: &Case) -> Vec<u8> {
    match &case.shown {
        Shown::AsItIs => crlf(&case.message),
        Shown::As(shown) => crlf(shown),
    }
}

fn mbox_bodies(store: &Store) -> Vec<Vec<u8>> {
    Snapshot::of(store).bodies("INBOX").into_values().collect()
}

/// # Panics
/// Unless clients of the mbox see what is documented.
fn assert_shown(store: &Store, cases: &[Case]) {
    let found = mbox_bodies(store);
    assert_eq!(found.len(), cases.len());
    for (case, found) in cases.iter().zip(found) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned();
        assert!(found == shown(case), "{}: {:?} / {:?}", case.name, text(&shown(case)), text(&found));
    }
}
