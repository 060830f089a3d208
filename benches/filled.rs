//! Mailboxes full of small messages, made by means of the library.

use std::error::Error;

use dsync_core::model::{
    Flags, Keywords, MailboxIdentity, MailboxName, MessageGuid, MessageRecord, ModSeq, Timestamp, Uid,
};
use dsync_core::store::{MailStore, MailboxChanges, MessageBody, NewMessages, Origin};

/// Makes a mailbox with so many messages of some 350 bytes. No two mailboxes of different numbers share a GUID.
///
/// # Errors
/// As the store.
pub fn fill(
    store: &mut dyn MailStore,
    name: &MailboxName,
    mailbox_number: u32,
    messages: u32,
) -> Result<(), Box<dyn Error>> {
    let mut mailbox = store.create(name, MailboxIdentity::UNDECIDED)?;
    let mut add = NewMessages::default();
    for number in 1..=messages {
        let guid = format!("{mailbox_number:016x}{number:016x}");
        let record = MessageRecord {
            uid: Uid::new(number),
            guid: MessageGuid::new(guid.as_bytes()).ok_or("no GUID")?,
            flags: if number % 3 == 0 { Flags::SEEN } else { Flags::NONE },
            keywords: Keywords::none(),
            modseq: Some(ModSeq(u64::from(number))),
            received: Timestamp(1_700_000_000 + i64::from(number)),
            saved: Some(Timestamp(1_700_000_000)),
            pop3_uidl: None,
            pop3_order: None,
        };
        let body = format!("Subject: message {number}\n\n{}\n", "text ".repeat(60));
        let saved = mailbox.save(&record, MessageBody::from_bytes(body.into_bytes()))?;
        add.push(saved, &record)?;
    }
    mailbox.commit(MailboxChanges {
        add,
        uid_next: Uid::new(messages + 1).ok_or("too many messages")?,
        highest_modseq: ModSeq(u64::from(messages) + 10),
        ..MailboxChanges::empty(Origin::Local)
    })?;
    Ok(())
}
