//! With a mailbox that holds most messages, only those that are not in it come from the other side.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dsync_core::memory::MemoryStore;
use dsync_core::model::{MailboxGuid, MailboxIdentity, MailboxName, MailboxSelection, MessageGuid, UidValidity};
use dsync_core::report::Unobserved;
use dsync_core::session::SyncOptions;
use dsync_core::store::MailStore;
use dsync_core::sync;

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '/').unwrap()
}

/// A store with messages of these GUIDs in a mailbox. Their bytes say which store they come from.
fn store(origin: &str, mailbox: &str, guids: &[&str]) -> MemoryStore {
    let mut store = MemoryStore::with_seed(u32::from(origin.as_bytes()[0]));
    let identity =
        MailboxIdentity::new(MailboxGuid::new([origin.as_bytes()[0]; 16]).unwrap(), UidValidity::new(7).unwrap());
    store.create_mailbox(&name(mailbox), identity);
    for guid in guids {
        let bytes = format!("Subject: {guid}\n\n{origin}\n");
        store.append(&name(mailbox), MessageGuid::new(guid.as_bytes()).unwrap(), bytes.as_bytes());
    }
    store
}

#[test]
fn bodies_come_from_the_store_itself_where_it_has_them() {
    for mirror in [false, true] {
        let mut source = store("source", "Sent", &["a", "b", "c", "d"]);
        let mut destination = store("destination", "All", &["d", "b"]);
        let mut options = SyncOptions::default();
        options.mailboxes = MailboxSelection::matching("Sent");
        options.all_mailbox = Some(name("All"));
        let run = if mirror { sync::mirror } else { sync::backup };
        let report = run(&mut source, &mut destination, &options, &mut Unobserved).unwrap();
        assert_eq!((report.exit_status(), report.counts.messages_saved), (0, 4));
        let mut mailbox = destination.open(&name("Sent")).unwrap();
        let keys: Vec<_> = mailbox.messages().keyed().map(|(key, record)| (key, record.guid)).collect();
        let origins: Vec<_> = keys
            .into_iter()
            .map(|(key, guid)| {
                let bytes = mailbox.body(key).unwrap().read_all().unwrap();
                format!("{guid} {}", String::from_utf8(bytes).unwrap().lines().last().unwrap())
            })
            .collect();
        assert_eq!(origins, ["a source", "b destination", "c source", "d destination"]);
    }
}
