//! Making mail stores, and changing them as clients would, by means of the library.

use dsync_core::model::{
    Flags, Keywords, MailboxIdentity, MailboxName, MessageGuid, MessageRecord, ModSeq, Timestamp, Uid,
};
use dsync_core::store::{MailStore, MailboxChanges, MessageBody, NewMessages, Origin};
use dsync_storage::location::Location;
use dsync_storage::settings::Settings;

use crate::Outcome;

/// INBOX, and others beside it.
fn name(number: u32) -> Outcome<MailboxName> {
    match number {
        0 => Ok(MailboxName::inbox()),
        number => Ok(MailboxName::new([format!("Box{number}")]).ok_or("no name")?),
    }
}

fn open(location: &str) -> Outcome<Box<dyn MailStore>> {
    Ok(dsync_storage::open(&Location::parse(location, None)?, &Settings::default())?)
}

/// A store with so many messages of some 350 bytes, in so many mailboxes.
pub(crate) fn make(location: &str, messages: u32, mailboxes: u32) -> Outcome<()> {
    let mut store = open(location)?;
    for mailbox in 0..mailboxes {
        let share = messages / mailboxes + u32::from(mailbox < messages % mailboxes);
        make_mailbox(&mut *store, mailbox, share)?;
    }
    Ok(())
}

fn make_mailbox(store: &mut dyn MailStore, mailbox_number: u32, messages: u32) -> Outcome<()> {
    let mut mailbox = store.create(&name(mailbox_number)?, MailboxIdentity::UNDECIDED)?;
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
        origin: Origin::Local,
        identity: MailboxIdentity::UNDECIDED,
        remove: Vec::new(),
        renumber: Vec::new(),
        update: Vec::new(),
        add,
        uid_next: Uid::new(messages + 1).ok_or("too many messages")?,
        highest_modseq: ModSeq(u64::from(messages) + 10),
        first_recent_uid: Uid::FIRST,
    })?;
    Ok(())
}

/// Flags so many messages, spread over so many mailboxes from `first_mailbox` on; other ones in every call.
pub(crate) fn flag(location: &str, messages: u32, mailboxes: u32, first_mailbox: u32) -> Outcome<()> {
    let mut store = open(location)?;
    for number in 0..mailboxes {
        let share = messages / mailboxes + u32::from(number < messages % mailboxes);
        let mut mailbox = store.open(&name(first_mailbox + number)?)?;
        let status = mailbox.status().clone();
        let highest_modseq = status.highest_modseq.ok_or("no HIGHESTMODSEQ")?.plus(1);
        let unflagged = mailbox.messages().records().filter(|record| !record.flags.contains(Flags::FLAGGED));
        let update = unflagged.take(usize::try_from(share)?).map(|record| MessageRecord {
            flags: record.flags | Flags::FLAGGED,
            modseq: Some(highest_modseq),
            ..record
        });
        let update: Vec<_> = update.collect();
        mailbox.commit(MailboxChanges {
            origin: Origin::Local,
            identity: MailboxIdentity::UNDECIDED,
            remove: Vec::new(),
            renumber: Vec::new(),
            update,
            add: NewMessages::default(),
            uid_next: status.uid_next,
            highest_modseq,
            first_recent_uid: status.first_recent_uid.unwrap_or(Uid::FIRST),
        })?;
    }
    Ok(())
}
