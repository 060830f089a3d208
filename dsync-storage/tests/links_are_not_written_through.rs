//! A link in the middle of a path that leads out of the store: no mailbox is made, renamed or deleted behind it.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;

use dsync_core::model::{MailboxIdentity, MailboxName};
use dsync_core::store::{ErrorKind, MailStore, StoreError};
use dsync_storage::location::Location;
use dsync_storage::settings::Settings;

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '/').unwrap()
}

fn create(store: &mut dyn MailStore, mailbox: &str) -> Result<(), StoreError> {
    let mut mailbox = store.create(&name(mailbox), MailboxIdentity::UNDECIDED)?;
    let status = mailbox.status().clone();
    let changes = dsync_core::store::MailboxChanges {
        identity: status.identity,
        uid_next: status.uid_next,
        ..dsync_core::store::MailboxChanges::empty(dsync_core::store::Origin::Local)
    };
    mailbox.commit(changes)
}

#[test]
fn in_every_format_with_levels() {
    for (location, tree) in
        [("maildir:ROOT:LAYOUT=fs", ""), ("mdbox:ROOT", "mailboxes"), ("sdbox:ROOT", "mailboxes"), ("mbox:ROOT", "")]
    {
        let directory = tempfile::tempdir().unwrap();
        let (root, outside) = (directory.path().join("root"), directory.path().join("outside"));
        fs::create_dir_all(outside.join("empty")).unwrap();
        let location = location.replace("ROOT", &root.display().to_string());
        let location = Location::parse(&location, None).unwrap();
        let mut store = dsync_storage::open(&location, &Settings::default()).unwrap();
        create(&mut *store, "Mine").unwrap();
        symlink(&outside, root.join(tree).join("Lists")).unwrap();
        let refused = [
            create(&mut *store, "Lists/new"),
            create(&mut *store, "Lists/deep/new"),
            store.create_directory(&name("Lists/level")),
            store.delete_directory(&name("Lists/empty")),
            store.rename(&name("Mine"), &name("Lists/Mine")),
            store.rename(&name("Lists/empty"), &name("Stolen")),
        ];
        for (number, outcome) in refused.into_iter().enumerate() {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Impossible, "{location}, {number}: {error}");
            assert!(error.to_string().contains("leads out of the store"), "{location}, {number}: {error}");
        }
        let there: Vec<_> = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(there, ["empty"], "{location}");
        create(&mut *store, "Other").unwrap();
    }
}
