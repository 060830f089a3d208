//! Renaming a mailbox to where another store is: everything in it is copied, and then it is deleted.
//!
//! Before the copy can be seen, the mailbox itself is marked with what is being copied. So if a move is cut off when the mailbox is in
//! both stores, the next who lists them knows which one was the copy, and which of them nobody has changed since: that one goes.

use dsync_core::merge::{self, MailboxView};
use dsync_core::model::{KeptFields, MailboxName, MailboxStatus, MessageKey, ModSeq, SyncPoint, Uid};
use dsync_core::store::{ErrorKind, MailStore, Mailbox, MailboxChanges, NewMessages, Origin, StoreError};

/// Marks a mailbox that is being moved, among the moments that it remembers: no other store has this name.
const MOVING: [u8; 8] = *b"\0moving\0";
/// How often a mailbox that others keep changing is tried.
const TRIES: u32 = 20;

/// Moves one mailbox. If that is cut off, it is still in the first store, or in both, as [`left_over`] can tell.
///
/// # Errors
/// As those of either store, if the UIDs are used up, or if anything in the mailbox cannot be read: that would not be copied, and
/// be deleted all the same. [`ErrorKind::Changed`] if others keep changing it. In all of these cases the mailbox is where it was.
pub(super) fn move_mailbox(
    (source, from): (&mut dyn MailStore, &MailboxName),
    (target, to): (&mut dyn MailStore, &MailboxName),
) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let (moved, copied) = match copy((&mut *source, from), (&mut *target, to)) {
            Err(error) if error.kind() == ErrorKind::Changed && tries < TRIES => continue,
            result => result?,
        };
        match source.delete_unchanged(from, &moved) {
            // The copy lacks what was done meanwhile.
            Err(error) if error.kind() == ErrorKind::Changed => {
                target.delete_unchanged(to, &copied)?;
                if tries == TRIES {
                    return Err(error);
                }
            }
            result => return result,
        }
    }
}

/// Copies a mailbox, and says how it was and how its copy is.
fn copy(
    (source, from): (&mut dyn MailStore, &MailboxName),
    (target, to): (&mut dyn MailStore, &MailboxName),
) -> Result<(MailboxStatus, MailboxStatus), StoreError> {
    let keeps = source.capabilities().keeps.common(target.capabilities().keeps);
    let mut mailbox = open_settled(source, from)?;
    let status = mailbox.status().clone();
    let mut copy = target.create(to, status.identity)?;
    let (mut next, mut highest) = (status.uid_next, status.highest_modseq.unwrap_or(ModSeq::FIRST));
    let full = || StoreError::new(ErrorKind::Impossible, format!("all UIDs of mailbox {from} are used up"));
    let mut add = NewMessages::default();
    for (place, mut record) in mailbox.messages().clone().records().enumerate() {
        let key = mailbox.messages().key_of(place).unwrap_or(MessageKey::Uid(Uid::FIRST));
        // Not every store can settle all of it.
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
    if let Some(mark) = mark_of(&*mailbox, keeps) {
        mailbox.remember(mark)?;
    }
    copy.commit(MailboxChanges {
        identity: status.identity,
        add,
        uid_next: next,
        highest_modseq: highest,
        first_recent_uid: status.first_recent_uid.unwrap_or(Uid::FIRST),
        ..MailboxChanges::empty(Origin::Mirrored)
    })?;
    carry_moments(&*mailbox, &mut *copy)?;
    Ok((status, copy.status().clone()))
}

/// Lets the copy of a mailbox remember with whom that was the same, and when: from there on others know what was done in it.
pub(super) fn carry_moments(moved: &dyn Mailbox, copy: &mut dyn Mailbox) -> Result<(), StoreError> {
    let known = copy.sync_points().to_vec();
    let is_new = |point: &&SyncPoint| point.peer != MOVING && known.iter().all(|other| other.peer != point.peer);
    moved.sync_points().iter().filter(is_new).try_for_each(|point| copy.remember(*point))
}

/// Opens a mailbox that is to be moved, and counts what no server has counted yet: that others change something while it is copied
/// can be told only of what is counted.
fn open_settled(source: &mut dyn MailStore, from: &MailboxName) -> Result<Box<dyn Mailbox>, StoreError> {
    let mut mailbox = source.open(from)?;
    if let [problem, ..] = mailbox.problems() {
        let text = format!(
            "mailbox {from} stays in {}, because not all of it can be read; put that right and run dsync again: {problem}",
            source.location()
        );
        return Err(StoreError::new(ErrorKind::Corrupt, text));
    }
    let view = MailboxView { status: mailbox.status(), messages: mailbox.messages() };
    let Some(changes) = merge::settle(view, true) else { return Ok(mailbox) };
    mailbox.commit(changes)?;
    source.open(from)
}

/// The mark of a mailbox as it is now.
fn mark_of(mailbox: &dyn Mailbox, keeps: KeptFields) -> Option<SyncPoint> {
    let status = mailbox.status();
    Some(SyncPoint {
        fingerprint: fingerprint(mailbox, keeps)?,
        uid_validity: status.identity.uid_validity?,
        uid_next: status.uid_next,
        highest_modseq: status.highest_modseq?,
        peer: MOVING,
    })
}

fn fingerprint(mailbox: &dyn Mailbox, keeps: KeptFields) -> Option<[u8; 16]> {
    mailbox.status().fingerprint(mailbox.messages().digest_of(keeps)?)
}

/// Which of two mailboxes with one GUID is left over from a move that was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeftOver {
    First,
    Second,
}

/// Decides that. `None` if they are not the two ends of one move, or if others have changed both since; then both stay. `keeps` is what
/// both of their stores keep.
pub(super) fn left_over(first: &dyn Mailbox, second: &dyn Mailbox, keeps: KeptFields) -> Option<LeftOver> {
    let mark = |mailbox: &dyn Mailbox| mailbox.sync_points().iter().copied().find(|point| point.peer == MOVING);
    let (mark, moved, copied, itself, copy) = match (mark(first), mark(second)) {
        (Some(mark), None) => (mark, first, second, LeftOver::First, LeftOver::Second),
        (None, Some(mark)) => (mark, second, first, LeftOver::Second, LeftOver::First),
        // Two that were marked were copied as files by somebody.
        _ => return None,
    };
    let is_as_marked = |mailbox: &dyn Mailbox| fingerprint(mailbox, keeps) == Some(mark.fingerprint);
    match mark.can_precede(copied.status()) {
        true if is_as_marked(moved) => Some(itself),
        true if is_as_marked(copied) => Some(copy),
        _ => None,
    }
}
