//! What our own reader finds in a store: faster than a server, and it says why it cannot read something.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use dsync_core::model::{MessageKey, NodeKind};
use dsync_core::store::{BodySource, MailStore};
use dsync_storage::location::Location;
use dsync_storage::settings::Settings;

/// Mailboxes by name, messages in them by UID: everything that every format can hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    pub mailboxes: BTreeMap<String, MailboxContents>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxContents {
    /// UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ and GUID.
    pub status: String,
    /// Flags and the like, and the bytes.
    pub messages: BTreeMap<u32, (String, Vec<u8>)>,
}

impl Contents {
    /// # Panics
    /// If the store cannot be read at all.
    pub fn of(location: &str) -> Self {
        let location = Location::parse(location, None).unwrap();
        let mut store = dsync_storage::open_read_only(&location, &Settings::default()).unwrap();
        let mut contents = Self::default();
        for (name, node) in store.tree().unwrap() {
            if let NodeKind::Unreadable(reason) = &node.kind {
                contents.unread.push(format!("{name}: {reason}"));
            }
            if node.is_mailbox() {
                match read(&mut *store, &name, &mut contents.unread) {
                    Ok(mailbox) => drop(contents.mailboxes.insert(name.to_string(), mailbox)),
                    Err(error) => contents.unread.push(format!("{name}: {error}")),
                }
            }
        }
        contents
    }

    /// All that messages consist of, wherever they are.
    pub fn bodies(&self) -> BTreeSet<&[u8]> {
        self.mailboxes.values().flat_map(|it| it.messages.values()).map(|(_, bytes)| &**bytes).collect()
    }
}

fn read(
    store: &mut dyn MailStore,
    name: &dsync_core::model::MailboxName,
    unread: &mut Vec<String>,
) -> Result<MailboxContents, dsync_core::store::StoreError> {
    let mut mailbox = store.open(name)?;
    unread.extend(mailbox.problems().iter().cloned());
    let status = mailbox.status();
    let status = format!(
        "{:?} {:?} {:?} {:?}",
        status.identity.uid_validity, status.identity.guid, status.uid_next, status.highest_modseq
    );
    let records: Vec<_> = mailbox.messages().records().collect();
    let mut messages = BTreeMap::new();
    for record in records {
        let Some(uid) = record.uid else { continue };
        let facts = format!("{:?} {:?} {:?}", record.flags, record.keywords, record.received);
        let mut bytes = Vec::new();
        let read = mailbox.body(MessageKey::Uid(uid)).map_err(|error| error.to_string()).and_then(|body| {
            let done = match body.source {
                BodySource::File(mut range) => range.read_to_end(&mut bytes),
                BodySource::Stream(mut stream) => stream.read_to_end(&mut bytes),
            };
            done.map_err(|error| error.to_string())
        });
        match read {
            Ok(_) => drop(messages.insert(uid.get(), (facts, bytes))),
            Err(error) => unread.push(format!("{name}, UID {uid}: {error}")),
        }
    }
    Ok(MailboxContents { status, messages })
}
