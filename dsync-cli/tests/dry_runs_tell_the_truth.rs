//! A dry run says what the run does, and touches nothing.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use support::{Dovecot, Driver, Fingerprint, Run, Setup, Store, build};

/// The numbers of the last line that a run with `-v` says, or those of a dry run in the same order.
fn numbers(line: &str) -> Vec<String> {
    let words = line.split(|character: char| !(character.is_alphanumeric() || character == '.'));
    words.filter(|word| word.starts_with(|first: char| first.is_ascii_digit())).map(str::to_owned).collect()
}

fn dry(dovecot: &Dovecot, command: &[&str], first: &Store, second: &Store) -> Run {
    let roots = [first.path(), second.path()];
    let before = roots.map(|root| root.exists().then(|| Fingerprint::of(root)));
    let run = dovecot.run_on(&[command, &["--dry-run"]].concat(), first, second);
    for (root, before) in roots.into_iter().zip(before) {
        match before {
            Some(before) => assert_eq!(before.changes(&Fingerprint::of(root)), [] as [String; 0], "{command:?}"),
            None => assert!(!root.exists(), "{command:?} made {}", root.display()),
        }
    }
    assert!(!dovecot.directory().join("home/.dovecot-sync.lock").exists());
    run
}

/// A dry run, and then the run itself.
fn both(dovecot: &Dovecot, command: &[&str], first: &Store, second: &Store) -> Value {
    let text = dry(dovecot, command, first, second);
    let object = dry(dovecot, &[command, &["--json"]].concat(), first, second);
    let real = dovecot.run_on(&[command, &["-v"]].concat(), first, second);
    assert_eq!((text.code, object.code), (real.code, real.code), "{command:?}\n{text:?}\n{real:?}");
    let said = text.stdout.lines().last().unwrap();
    let done = real.stderr.lines().last().unwrap();
    let done = done.split_once("dsync(tester): ").unwrap().1.rsplit_once(';').unwrap().0;
    assert_eq!(numbers(said), numbers(done), "{command:?}\n{}\n{}", text.stdout, real.stderr);
    let value: Value = serde_json::from_str(&object.stdout).unwrap();
    let counted: u64 =
        ["mailboxes_changed", "messages_copied"].iter().map(|key| value["counts"][key].as_u64().unwrap()).sum();
    let said: Vec<u64> = numbers(said).iter().map(|number| number.parse().unwrap_or(0)).collect();
    assert_eq!(counted, said[1] + said[2]);
    value
}

fn work_on_both(first: &Store, second: &Store) {
    let mut imap = first.imap();
    imap.append("INBOX", "()", b"Subject: new-first\r\n\r\nfirst\r\n");
    imap.select("INBOX");
    imap.store("1", "+FLAGS", "(\\Flagged)");
    imap.expunge("2");
    imap.rename("Work", "Renamed");
    imap.create("Created");
    imap.subscribe("Created");
    imap.logout();
    let mut imap = second.imap();
    imap.append("INBOX", "()", b"Subject: new-second\r\n\r\nsecond\r\n");
    imap.delete("Work/Projects");
    imap.logout();
}

fn check(dovecot: &Dovecot, setups: [impl Into<Setup>; 2], name: &str) {
    let [first, second] = setups;
    let (first, second) =
        (dovecot.store_of(&format!("{name}-1"), first), dovecot.store_of(&format!("{name}-2"), second));
    build::small(&first);
    let value = both(dovecot, &["backup"], &first, &second);
    assert!(value["stores"][1]["changes"].as_array().unwrap().len() > 2, "{value}");
    both(dovecot, &["mirror"], &first, &second);
    work_on_both(&first, &second);
    let one_way = both(dovecot, &["mirror", "-1", "-m", "INBOX"], &first, &second);
    assert_eq!(one_way["stores"][0]["changes"], Value::Array(Vec::new()));
    both(dovecot, &["mirror", "-O", "\\Answered"], &first, &second);
    let all = both(dovecot, &["mirror"], &first, &second);
    assert_ne!(all["stores"][0]["changes"], Value::Array(Vec::new()), "{all}");
    let nothing = both(dovecot, &["mirror"], &first, &second);
    assert_eq!(nothing["stores"][1]["changes"], Value::Array(Vec::new()));
    for store in [&first, &second] {
        store.assert_no_complaints();
    }
}

#[test]
fn what_it_says_is_what_the_run_reports() {
    let dovecot = Dovecot::new();
    check(&dovecot, [Driver::Maildir, Driver::Mdbox], "a");
    check(&dovecot, [Driver::Sdbox, Driver::Maildir], "b");
    // An mbox decides the saved dates of what a client put there with the clock when it is mirrored, so no dry run can tell
    // whether they change.
    let (mbox, maildir) = (dovecot.store_of("c-1", Driver::Mbox), dovecot.store_of("c-2", Driver::Maildir));
    build::small(&mbox);
    for command in [&["backup"][..], &["backup", "-R"], &["backup"]] {
        both(&dovecot, command, &mbox, &maildir);
        let mut imap = maildir.imap();
        imap.append("INBOX", "()", b"Subject: new\r\n\r\nnew\r\n");
        imap.logout();
    }
}

#[test]
fn a_destination_that_is_not_there_stays_so() {
    let dovecot = Dovecot::new();
    let source = dovecot.store("source");
    build::small(&source);
    for driver in [Driver::Maildir, Driver::Mbox, Driver::Mdbox, Driver::Sdbox] {
        let copy = dovecot.store_of(&format!("copy-{}", driver.name()), driver);
        for command in [&["backup"][..], &["mirror"]] {
            let run = dry(&dovecot, command, &source, &copy);
            assert!(
                run.code == Some(0) && run.stderr.is_empty() && run.stdout.contains("make the mailbox"),
                "{run:?}"
            );
        }
    }
    let copy = dovecot.store("copy");
    dovecot.run_on(&["backup", "--json"], &source, &copy).assert_refused("--dry-run");
}
