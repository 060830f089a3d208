//! What could not be listed is not taken for missing, even below a mailbox that can be read.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::Command;

use dsync_core::model::{MailboxIdentity, MailboxName, ModSeq, NodeKind};
use dsync_core::store::{MailStore, MailboxChanges, Origin};
use dsync_storage::location::Location;
use dsync_storage::maildir::MaildirStore;
use dsync_storage::settings::Settings;

#[test]
fn a_mailbox_hides_what_is_nested_too_deep_below_it() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("mail");
    let mut level = root.clone();
    for _ in 0..103 {
        level.push("a");
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(level.join(part)).unwrap();
        }
    }
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(root.join(part)).unwrap();
    }
    let location = Location::parse(&format!("maildir:{}:LAYOUT=fs", root.display()), None).unwrap();
    let tree = MaildirStore::open(&location).unwrap().tree().unwrap();
    let kind = |levels: usize| tree.get(&MailboxName::new(vec!["a"; levels]).unwrap()).map(|node| node.kind.clone());
    assert!(matches!(kind(100), Some(NodeKind::Mailbox { .. })), "{:?}", kind(100));
    assert!(matches!(kind(101), Some(NodeKind::Unreadable(_))), "{:?}", kind(101));
    assert_eq!(kind(102), None);
}

#[test]
fn what_is_refused_keeps_its_name() {
    for (driver, place, separator) in
        [("maildir", "", "."), ("maildir", "", ""), ("mdbox", "mailboxes/", ""), ("mbox", "", "")]
    {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("mail");
        let layout = if driver == "maildir" && separator.is_empty() { ":LAYOUT=fs" } else { "" };
        let location = Location::parse(&format!("{driver}:{}{layout}", root.display()), None).unwrap();
        let mut store = dsync_storage::open(&location, &Settings::default()).unwrap();
        store.create(&MailboxName::inbox(), MailboxIdentity::UNDECIDED).unwrap().commit(nothing()).unwrap();
        let pipe = root.join(format!("{place}{separator}&AMk-t&AOk-"));
        fs::create_dir_all(pipe.parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let tree = store.tree().unwrap();
        let node = tree.get(&MailboxName::new(["Été"]).unwrap());
        assert!(node.is_some_and(|node| matches!(node.kind, NodeKind::Unreadable(_))), "{driver}{layout}: {tree:?}");
    }
}

fn nothing() -> MailboxChanges {
    MailboxChanges { highest_modseq: ModSeq::FIRST, ..MailboxChanges::empty(Origin::Local) }
}
