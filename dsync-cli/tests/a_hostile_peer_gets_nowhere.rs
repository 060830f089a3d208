//! What a peer says never leads out of the store that is served to it.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use dsync_core::model::{MailboxGuid, MailboxName};
use dsync_core::session::SyncOptions;
use dsync_core::session::remote::{Part, master_handshake};
use dsync_core::wire::{Deletions, Encoder, Existence, Item, TreeNode};
use support::{Dovecot, Driver};

/// Names that would be somewhere else if they were paths.
const NAMES: [&[&str]; 9] = [
    &[".."],
    &["..", "..", "escaped"],
    &["../../escaped"],
    &["/tmp/dsync-escaped"],
    &["", "escaped"],
    &[".", "x"],
    &["a", "..", "..", "..", "escaped"],
    &["cur"],
    &["x\n../escaped"],
];

/// A master that wants these names to be, and nothing else.
fn wanted(names: &[&[&str]]) -> Vec<u8> {
    let (encoder, mut said) = (Encoder::default(), Vec::new());
    encoder.greeting(&mut said);
    let mut options = SyncOptions::default();
    options.tree_only = true;
    let handshake = master_handshake(Part::Source, &options, "evil.example").unwrap();
    encoder.item(&Item::Handshake(Box::new(handshake)), &mut said);
    for (number, parts) in (1..).zip(names) {
        let Some(name) = MailboxName::new(parts.iter().copied()) else { continue };
        let node = TreeNode {
            name,
            existence: Existence::Present,
            guid: MailboxGuid::new([number; 16]),
            uid_validity: 1,
            uid_next: 1,
            renamed: 0,
            subscribed: true,
            subscription_changed: 0,
        };
        encoder.item(&Item::TreeNode(node), &mut said);
    }
    encoder.end_of_list(&mut said);
    let deletions = Deletions {
        separator: '/',
        escape_character: None,
        mailboxes: Vec::new(),
        directories: Vec::new(),
        unsubscribed: Vec::new(),
    };
    encoder.item(&Item::Deletions(deletions), &mut said);
    encoder.end_of_list(&mut said);
    said
}

fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn no_name_leads_out_of_the_store() {
    for driver in Driver::ALL {
        let dovecot = Dovecot::new();
        let store = dovecot.store_of("store", driver);
        let mut peer = dovecot.serve(&store).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let before = entries(dovecot.directory());
        peer.stdin.take().unwrap().write_all(&wanted(&NAMES)).unwrap();
        let mut answer = Vec::new();
        peer.stdout.take().unwrap().read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(b"F\nX\n"), "{driver:?} {:?}", String::from_utf8_lossy(&answer));
        assert!(peer.wait().unwrap().code().is_some_and(|code| [0, 2].contains(&code)));
        let mut after = entries(dovecot.directory());
        after.retain(|name| name != "store");
        assert_eq!(after, before, "{driver:?}");
        assert!(!Path::new("/tmp/dsync-escaped").exists() && !Path::new("/tmp/escaped").exists());
        assert!(entries(store.path()).len() > 1, "{driver:?}: the mailboxes are there");
        store.imap().logout();
        store.assert_no_complaints();
    }
}
