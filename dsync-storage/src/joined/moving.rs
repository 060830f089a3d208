//! Renaming a mailbox to where another store is: everything in it is copied, and then it is deleted.

use dsync_core::model::{MailboxName, MessageKey, ModSeq, Uid};
use dsync_core::store::{ErrorKind, MailStore, MailboxChanges, NewMessages, Origin, StoreError};

/// Moves one mailbox. If that is cut off, it is in both stores, or still in the first.
///
/// # Errors
/// As those of either store, if the UIDs are used up, or if anything in the mailbox cannot be read: that would not be copied, and
/// be deleted all the same.
pub(super) fn move_mailbox(
    (source, from): (&mut dyn MailStore, &MailboxName),
    (target, to): (&mut dyn MailStore, &MailboxName),
) -> Result<(), StoreError> {
    let mut mailbox = source.open(from)?;
    if let [problem, ..] = mailbox.problems() {
        let text = format!(
            "mailbox {from} stays in {}, because not all of it can be read; put that right and run dsync again: {problem}",
            source.location()
        );
        return Err(StoreError::new(ErrorKind::Corrupt, text));
    }
    let status = mailbox.status().clone();
    let mut copy = target.create(to, status.identity)?;
    let (mut next, mut highest) = (status.uid_next, status.highest_modseq.unwrap_or(ModSeq::FIRST));
    let full = || StoreError::new(ErrorKind::Impossible, format!("all UIDs of mailbox {from} are used up"));
    let mut add = NewMessages::default();
    for (place, mut record) in mailbox.messages().clone().records().enumerate() {
        let key = mailbox.messages().key_of(place).unwrap_or(MessageKey::Uid(Uid::FIRST));
        // What no server has counted yet is counted now.
        let uid = record.uid.unwrap_or(next);
        next = next.max(uid.get().checked_add(1).and_then(Uid::new).ok_or_else(full)?);
        record.uid = Some(uid);
        let modseq = record.modseq.unwrap_or(highest);
        highest = highest.max(modseq);
        record.modseq = Some(modseq);
        let body = copy.save(&record, mailbox.body(key)?)?;
        add.push(body, &record)
            .map_err(|_| StoreError::new(ErrorKind::Corrupt, format!("mailbox {from} is out of order")))?;
    }
    copy.commit(MailboxChanges {
        identity: status.identity,
        add,
        uid_next: next,
        highest_modseq: highest,
        first_recent_uid: status.first_recent_uid.unwrap_or(Uid::FIRST),
        ..MailboxChanges::empty(Origin::Mirrored)
    })?;
    drop(copy);
    source.delete_unchanged(from, &status)
}
