//! Making mail stores, and changing them as clients would, by means of the library.

use dsync_benches::filled::fill;
use dsync_core::model::{Flags, MailboxName, MessageRecord, Uid};
use dsync_core::store::{MailStore, MailboxChanges, Origin};
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
        fill(&mut *store, &name(mailbox)?, mailbox, share)?;
    }
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
            update,
            uid_next: status.uid_next,
            highest_modseq,
            first_recent_uid: status.first_recent_uid.unwrap_or(Uid::FIRST),
            ..MailboxChanges::empty(Origin::Local)
        })?;
    }
    Ok(())
}
