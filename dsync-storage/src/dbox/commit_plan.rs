//! What a mailbox of an mdbox or sdbox is after a commit, and where its messages come from. A pure function.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dsync_core::model::{MailboxIdentity, MessageKey, MessageList, MessageRecord, Timestamp, Uid};
use dsync_core::store::{ErrorKind, MailboxChanges, NewMessages, StoreError};

use super::header::DboxHeader;
use super::snapshot::{Lost, Snapshot};
use super::sources::{Source, Sources};

/// What has to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CommitPlan {
    /// All messages that can be read.
    pub(super) messages: MessageList,
    /// Where each of them comes from.
    pub(super) sources: Sources,
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

/// Plans a commit on `before`. The GUID of the mailbox will be that of `identity`. A message of which nothing says when it was
/// saved is saved `now`. The new messages are taken out of `changes`.
///
/// # Errors
/// If the changes do not fit the mailbox.
pub(super) fn plan(
    before: &Snapshot,
    changes: &mut MailboxChanges,
    identity: MailboxIdentity,
    now: Timestamp,
) -> Result<CommitPlan, StoreError> {
    let mut plan = CommitPlan { lost: before.lost.clone(), ..CommitPlan::default() };
    plan.released.extend(&before.doomed);
    if before.messages.is_empty() {
        plan.release(before, changes)?;
        plan.place_first(std::mem::take(&mut changes.add), now);
    } else if changes.remove.is_empty() && changes.renumber.is_empty() && changes.add.is_empty() {
        plan.release(before, changes)?;
        plan.update(before, changes, now)?;
    } else {
        plan.place_messages(before, changes, now)?;
        changes.add = NewMessages::default();
    }
    plan.give_way(before)?;
    plan.header = header(before, &plan.messages, &plan.lost, identity);
    plan.find_rewrites(before);
    plan.removed.sort_unstable();
    plan.stale.sort_unstable();
    plan.reuses_uids = (0..plan.messages.len()).any(|place| {
        let there = plan.messages.uid_at(place).and_then(|uid| before.messages.index_of(MessageKey::Uid(uid)));
        there.is_some_and(|there| before.messages.guid_at(there) != plan.messages.guid_at(place))
    });
    Ok(plan)
}

impl CommitPlan {
    /// All messages with the places that they come from.
    pub(super) fn placed(&self) -> impl Iterator<Item = (MessageRecord, Source)> {
        self.messages.records().zip(self.sources.iter())
    }

    /// Takes what comes into a mailbox that has nothing, without copying the list.
    fn place_first(&mut self, add: NewMessages, now: Timestamp) {
        let (bodies, messages) = add.into_parts();
        self.sources = Sources::Saved(bodies);
        self.messages = messages.saved_by_default(now);
    }

    /// Updates messages that all stay. The list is not copied, but for what changes.
    fn update(&mut self, before: &Snapshot, changes: &MailboxChanges, now: Timestamp) -> Result<(), StoreError> {
        self.messages = before.messages.clone().saved_by_default(now);
        for record in &changes.update {
            let saved = record.saved.or(Some(now));
            let place = record.uid.and_then(|uid| self.messages.index_of(MessageKey::Uid(uid)));
            let replaced =
                place.map(|place| self.messages.replace(place, &MessageRecord { saved, ..record.clone() }));
            replaced
                .transpose()
                .ok()
                .flatten()
                .ok_or_else(|| StoreError::new(ErrorKind::Impossible, "a message is updated that is another one"))?;
        }
        self.sources = Sources::Kept(before.messages.clone(), Arc::clone(&before.stored));
        Ok(())
    }

    /// Merges what stays, what gets another UID and what is new, each of which is in order.
    fn place_messages(
        &mut self,
        before: &Snapshot,
        changes: &MailboxChanges,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let count = before.messages.len().saturating_add(changes.add.len()).saturating_sub(changes.remove.len());
        self.sources.reserve(count);
        let mut renumbered = self.release(before, changes)?;
        renumbered.sort_by_key(|(record, _)| record.uid);
        let moves: HashSet<MessageKey> = changes.renumber.iter().map(|(key, _)| *key).collect();
        let goes: HashSet<MessageKey> = changes.remove.iter().copied().collect();
        let update: HashMap<Option<Uid>, &MessageRecord> =
            changes.update.iter().map(|record| (record.uid, record)).collect();
        let stays = before.messages.keyed().zip(before.stored.iter()).filter_map(|((key, old), stored)| {
            let uid = old.uid.filter(|_| !goes.contains(&key) && !moves.contains(&key))?;
            let record = update.get(&old.uid).map_or(old, |record| (*record).clone());
            Some((record, Source::Kept(uid, *stored)))
        });
        let new = changes.add.iter().map(|(body, record)| (record, Source::from(body)));
        let (mut stays, mut renumbered, mut new) =
            (stays.peekable(), renumbered.into_iter().peekable(), new.peekable());
        loop {
            let heads = [stays.peek(), renumbered.peek(), new.peek()];
            let uids = heads.map(|head| head.map(|(record, _)| record.uid));
            let Some(first) = uids.into_iter().flatten().min() else { return Ok(()) };
            let head = match uids.iter().position(|uid| *uid == Some(first)) {
                Some(0) => stays.next(),
                Some(1) => renumbered.next(),
                _ => new.next(),
            };
            if let Some((record, source)) = head {
                self.place(record, source, now)?;
            }
        }
    }

    fn place(&mut self, mut record: MessageRecord, source: Source, now: Timestamp) -> Result<(), StoreError> {
        if record.uid.is_none() {
            return Err(StoreError::new(ErrorKind::Impossible, "a message needs a UID"));
        }
        record.saved.get_or_insert(now);
        self.messages
            .push(&record)
            .map_err(|_| StoreError::new(ErrorKind::Changed, "a UID was taken by another message meanwhile"))?;
        self.sources.push(source);
        Ok(())
    }

    /// Notes what goes, and gives what gets another UID. Everything that is to change has to be there.
    fn release(
        &mut self,
        before: &Snapshot,
        changes: &MailboxChanges,
    ) -> Result<Vec<(MessageRecord, Source)>, StoreError> {
        let find = |key: MessageKey| {
            let index = before.messages.index_of(key);
            let found = index.and_then(|index| {
                Some((before.messages.at(index)?, *before.stored.get(index)?, before.messages.uid_at(index)?))
            });
            found.ok_or_else(|| StoreError::new(ErrorKind::NotFound, format!("there is no {key}")))
        };
        let mut gone = changes.remove.clone();
        gone.sort_unstable();
        gone.dedup();
        for key in gone {
            let (old, stored, uid) = find(key)?;
            self.released.push((uid.get(), stored.map_uid));
            self.removed.push((uid.get(), old.guid.to_128()));
        }
        for uid in changes.update.iter().filter_map(|record| record.uid) {
            find(MessageKey::Uid(uid))?;
        }
        let renumbered = changes.renumber.iter().map(|(key, record)| {
            let (_, stored, uid) = find(*key)?;
            Ok((record.clone(), Source::Kept(uid, stored)))
        });
        renumbered.collect()
    }

    /// A message that could not be read gives way to itself, when it comes again. To another one it does not.
    fn give_way(&mut self, before: &Snapshot) -> Result<(), StoreError> {
        for lost in &before.lost {
            let uid = lost.message.uid;
            let place = Uid::new(uid).and_then(|uid| self.messages.index_of(MessageKey::Uid(uid)));
            let Some((place, guid)) = place.and_then(|place| Some((place, self.messages.guid_at(place)?))) else {
                continue;
            };
            let same = lost.record.guid == [0; 16] || lost.record.guid == guid.to_128();
            if !(same && self.sources.is_saved(place)) {
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
        for (place, source) in self.sources.iter().enumerate() {
            let Source::Kept(old_uid, stored) = source else { continue };
            let (Some(old), Some(new)) = (before.messages.get(old_uid), self.messages.at(place)) else { continue };
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
fn header(before: &Snapshot, messages: &MessageList, lost: &[Lost], identity: MailboxIdentity) -> DboxHeader {
    let old = before.header;
    let has_uidl = messages.records().any(|record| record.pop3_uidl.is_some());
    let has_order = messages.records().any(|record| record.pop3_order.is_some());
    let has_any = |record: &MessageRecord| record.pop3_uidl.is_some() || record.pop3_order.is_some();
    let highest = messages.records().filter(has_any).filter_map(|record| record.uid);
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
pub(super) mod tests;
