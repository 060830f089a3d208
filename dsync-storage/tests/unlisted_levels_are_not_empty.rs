//! What could not be listed is not taken for missing, even below a mailbox that can be read.
#![allow(clippy::unwrap_used)]

use std::fs;

use dsync_core::model::{MailboxName, NodeKind};
use dsync_core::store::MailStore;
use dsync_storage::location::Location;
use dsync_storage::maildir::MaildirStore;

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
