//! What a mailbox of an mdbox or sdbox is after a commit, and where its messages come from. A pure function.

use std::collections::{HashMap, HashSet};

use dsync_core::model::{MailboxIdentity, MessageKey, MessageRecord, Uid};
use dsync_core::store::{ErrorKind, MailboxChanges, SavedBody, StoreError};

use super::header::DboxHeader;
use super::snapshot::{Lost, Snapshot, Stored};

/// A message of the mailbox as it will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) record: MessageRecord,
    pub(super) source: Source,
}

/// Where the bytes of a message come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The message that has this UID now, stored like this.
    Kept(Uid, Stored),
    /// The message that was saved under this number.
    Saved(usize),
}

/// What has to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CommitPlan {
    /// All messages that can be read, by ascending UID.
    pub(super) messages: Vec<Planned>,
    /// Places in `messages` whose dates or POP3 data are not those that are stored with them: they are stored again.
    pub(super) rewrite: Vec<usize>,
    /// Messages that cannot be read and stay, by ascending UID.
    pub(super) lost: Vec<Lost>,
    /// The header of the mailbox.
    pub(super) header: DboxHeader,
    /// Messages that go: UID now, and number in the map.
    pub(super) released: Vec<(u32, u32)>,
    /// The same by ascending UID, with the 128-bit forms of their GUIDs.
    pub(super) removed: Vec<(u32, [u8; 16])>,
    /// UIDs about which the cache is wrong afterwards, ascending.
    pub(super) stale: Vec<u32>,
    /// A UID names another message than before.
    pub(super) reuses_uids: bool,
}

/// Plans a commit on `before`. The GUID of the mailbox will be that of `identity`. The new messages are taken out of `changes`.
///
/// # Errors
/// If the changes do not fit the mailbox.
pub(super) fn plan(
    before: &Snapshot,
    changes: &mut MailboxChanges,
    identity: MailboxIdentity,
) -> Result<CommitPlan, StoreError> {
    let mut plan = CommitPlan { lost: before.lost.clone(), ..CommitPlan::default() };
    plan.released.extend(&before.doomed);
    plan.keep_and_release(before, changes)?;
    plan.messages.reserve_exact(changes.add.len());
    for (SavedBody(number), record) in std::mem::take(&mut changes.add) {
        plan.messages.push(Planned { record, source: Source::Saved(number) });
    }
    plan.messages.sort_by_key(|message| message.record.uid);
    plan.refuse_contradictions()?;
    plan.give_way(before)?;
    plan.header = header(before, &plan.messages, &plan.lost, identity);
    plan.find_rewrites(before);
    plan.removed.sort_unstable();
    plan.stale.sort_unstable();
    plan.reuses_uids = plan.messages.iter().any(|message| {
        let there = message.record.uid.and_then(|uid| before.messages.get(uid));
        there.is_some_and(|there| there.guid != message.record.guid)
    });
    Ok(plan)
}

impl CommitPlan {
    fn keep_and_release(&mut self, before: &Snapshot, changes: &MailboxChanges) -> Result<(), StoreError> {
        let mut remove: HashSet<MessageKey> = changes.remove.iter().copied().collect();
        let mut target: HashMap<MessageKey, &MessageRecord> =
            changes.renumber.iter().map(|(key, record)| (*key, record)).collect();
        target.extend(changes.update.iter().filter_map(|record| Some((MessageKey::Uid(record.uid?), record))));
        for ((key, old), stored) in before.messages.keyed().zip(&before.stored) {
            let Some(uid) = old.uid else { continue };
            if remove.remove(&key) {
                self.released.push((uid.get(), stored.map_uid));
                self.removed.push((uid.get(), old.guid.to_128()));
                continue;
            }
            let record = target.remove(&key).unwrap_or(old).clone();
            self.messages.push(Planned { record, source: Source::Kept(uid, *stored) });
        }
        match remove.into_iter().next().or(target.keys().next().copied()) {
            Some(key) => Err(StoreError::new(ErrorKind::NotFound, format!("there is no {key}"))),
            None => Ok(()),
        }
    }

    fn refuse_contradictions(&self) -> Result<(), StoreError> {
        if self.messages.iter().any(|message| message.record.uid.is_none()) {
            return Err(StoreError::new(ErrorKind::Impossible, "a message needs a UID"));
        }
        if self.messages.windows(2).any(|pair| pair[0].record.uid == pair[1].record.uid) {
            return Err(StoreError::new(ErrorKind::Changed, "a UID was taken by another message meanwhile"));
        }
        Ok(())
    }

    /// A message that could not be read gives way to itself, when it comes again. To another one it does not.
    fn give_way(&mut self, before: &Snapshot) -> Result<(), StoreError> {
        for lost in &before.lost {
            let uid = lost.message.uid;
            let at = |message: &Planned| message.record.uid.map_or(0, Uid::get);
            let Ok(place) = self.messages.binary_search_by_key(&uid, at) else { continue };
            let Some(message) = self.messages.get(place) else { continue };
            let same = lost.record.guid == [0; 16] || lost.record.guid == message.record.guid.to_128();
            if !(same && matches!(message.source, Source::Saved(_))) {
                let text = format!(
                    "the message with UID {uid} cannot be read, and another one is to get its UID; doveadm \
                     force-resync makes a server repair the mailbox"
                );
                return Err(StoreError::new(ErrorKind::Corrupt, text));
            }
            self.lost.retain(|other| other != lost);
            self.released.push((uid, lost.record.map_uid));
            self.stale.push(uid);
        }
        Ok(())
    }

    fn find_rewrites(&mut self, before: &Snapshot) {
        let moves_house = before.header.guid != self.header.guid;
        let header = self.header;
        for (place, message) in self.messages.iter().enumerate() {
            let Source::Kept(old_uid, stored) = message.source else { continue };
            let Some(old) = before.messages.get(old_uid) else { continue };
            let new = &message.record;
            let uid = new.uid.map_or(0, Uid::get);
            let pop3_differs = old.pop3_uidl != new.pop3_uidl || old.pop3_order != new.pop3_order;
            let is_stored_otherwise = old.received != new.received || pop3_differs;
            // What is stored but hidden must not come to light with the data of others.
            let comes_to_light =
                stored.hides_pop3 && (self.header.shows_pop3_uidl(uid) || self.header.shows_pop3_order(uid));
            // The names of their files depend on both.
            let loses_attachments = stored.has_attachments && (new.uid != old.uid || moves_house);
            if is_stored_otherwise || comes_to_light || loses_attachments {
                self.rewrite.push(place);
                self.released.push((old_uid.get(), stored.map_uid));
            }
            // When a server copies a message, it copies what the cache has about it, also where it does not show that.
            let appears = |shows: fn(&DboxHeader, u32) -> bool| shows(&header, uid) && !shows(&before.header, uid);
            let is_first_shown = appears(DboxHeader::shows_pop3_uidl) || appears(DboxHeader::shows_pop3_order);
            if new.uid == old.uid && (is_stored_otherwise || is_first_shown || old.saved != new.saved) {
                self.stale.push(uid);
            }
        }
    }
}

/// The header of the mailbox: servers look for POP3 data only where it says that there are some.
fn header(before: &Snapshot, messages: &[Planned], lost: &[Lost], identity: MailboxIdentity) -> DboxHeader {
    let old = before.header;
    let has_uidl = messages.iter().any(|message| message.record.pop3_uidl.is_some());
    let has_order = messages.iter().any(|message| message.record.pop3_order.is_some());
    let has_any = |record: &&MessageRecord| record.pop3_uidl.is_some() || record.pop3_order.is_some();
    let highest = messages.iter().map(|message| &message.record).filter(has_any).filter_map(|record| record.uid);
    let highest = highest.max().map(Uid::get);
    // What the lost ones have is not known.
    let keep = !lost.is_empty();
    let unlimited = keep && (old.has_pop3_uidl || old.has_pop3_order) && old.highest_pop3.is_none();
    DboxHeader {
        first: old.first,
        guid: identity.guid,
        has_pop3_uidl: has_uidl || keep && old.has_pop3_uidl,
        has_pop3_order: has_order || keep && old.has_pop3_order,
        highest_pop3: match highest {
            _ if unlimited => None,
            Some(highest) if keep => Some(old.highest_pop3.unwrap_or(0).max(highest)),
            Some(highest) => Some(highest),
            None => old.highest_pop3,
        },
    }
}

#[cfg(test)]
mod tests;
