//! What a POP3 client sees.

use std::io::Write;
use std::process::Stdio;

use super::Store;

/// One message of a maildrop, in the order of the listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub uidl: String,
    pub size: String,
}

/// Lists the INBOX. This is not read-only: the server takes `\Recent` from the messages.
pub fn listing(store: &Store) -> Vec<Listed> {
    let mut child = store.command(&["exec", "pop3"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"UIDL\r\nLIST\r\nQUIT\r\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "POP3 failed:\n{text}\n{}", store.log());
    let mut answers = text.split(".\r\n").map(values);
    let (uidls, sizes) = (answers.next().unwrap_or_default(), answers.next().unwrap_or_default());
    assert_eq!(uidls.len(), sizes.len(), "UIDL and LIST disagree:\n{text}");
    uidls.into_iter().zip(sizes).map(|(uidl, size)| Listed { uidl, size }).collect()
}

/// The second column of an answer in several lines.
fn values(answer: &str) -> Vec<String> {
    let lines = answer.lines().filter(|line| !line.starts_with('+'));
    lines.filter_map(|line| line.split_once(' ')).map(|(_, value)| value.to_owned()).collect()
}
