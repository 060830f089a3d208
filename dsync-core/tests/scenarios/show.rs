//! What a store holds, in the words of the files.

use std::collections::BTreeSet;

use dsync_core::memory::MemoryStore;
use dsync_core::model::{Flags, Keyword, MailboxGuid, MailboxName, MessageKey, MessageRecord, NodeKind};
use dsync_core::store::{MailStore, Mailbox};

use crate::play::guid_of;

/// Everything in the store, one line each.
pub(crate) fn contents(store: &mut MemoryStore, ids: &[String]) -> BTreeSet<String> {
    let tree = store.tree().unwrap();
    let mut lines = BTreeSet::new();
    for (name, node) in &tree {
        if node.subscribed {
            lines.insert(format!("subscribed {name}"));
        }
        let is_mailbox = |name: &MailboxName| tree.get(name).is_some_and(|node| node.is_mailbox());
        match node.kind {
            NodeKind::Mailbox { .. } => {
                lines.insert(mailbox(store, name, ids));
                let levels = std::iter::successors(name.parent(), MailboxName::parent);
                lines.extend(levels.filter(|level| !is_mailbox(level)).map(|level| format!("directory {level}")));
            }
            NodeKind::Directory => drop(lines.insert(format!("directory {name}"))),
            _ => {}
        }
    }
    lines
}

fn mailbox(store: &mut MemoryStore, name: &MailboxName, ids: &[String]) -> String {
    let mut mailbox = store.open(name).unwrap();
    let status = mailbox.status().clone();
    let records = mailbox.messages().records().collect::<Vec<_>>();
    let messages: Vec<_> = records.iter().map(|record| message(&mut *mailbox, record, ids)).collect();
    let guid = abbreviated(status.identity.guid.unwrap());
    let uid_validity = status.identity.uid_validity.unwrap();
    format!("{name} {guid} {} {}: {}", uid_validity.get(), status.uid_next, messages.join(", ")).trim().to_owned()
}

/// UID, id, flags and keywords. The id is in the body; that of another GUID is not it.
fn message(mailbox: &mut dyn Mailbox, record: &MessageRecord, ids: &[String]) -> String {
    let uid = record.uid.unwrap();
    let body = mailbox.body(MessageKey::Uid(uid)).unwrap().read_all().unwrap();
    let body = String::from_utf8(body).unwrap();
    let id = body.lines().next().and_then(|line| line.strip_prefix("Subject: ")).unwrap();
    assert_eq!(record.guid, guid_of(id, ids), "message {id} keeps its GUID");
    let flags = Flags::EACH.into_iter().filter(|flag| record.flags.contains(*flag)).map(|flag| flag.to_string());
    let marks: BTreeSet<String> = flags.chain(record.keywords.iter().map(Keyword::to_string)).collect();
    let marks: String = marks.iter().map(|mark| format!(" {mark}")).collect();
    format!("{uid} {id}{marks}")
}

/// The shortest form that [`guid`](crate::parse::guid) reads, if it is much shorter.
fn abbreviated(guid: MailboxGuid) -> String {
    let digits = guid.to_string();
    let bytes = guid.as_bytes();
    if bytes.starts_with(&[0; 12]) {
        return digits.trim_start_matches('0').to_owned();
    }
    if bytes.ends_with(&[0; 12]) {
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
        return format!("{}~", &digits[..used * 2 + 2]);
    }
    digits
}
