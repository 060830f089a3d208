//! Which files have to be moved, and what uidlist and keywords say afterwards. A pure function: it decides every name.
//!
//! A message keeps its file for as long as it is in the mailbox; only the part of the name after the colon changes. A
//! new message is stored under its GUID as base name if that is possible, so that the GUID needs no field in the
//! uidlist, else under a name of our own.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use dsync_core::model::{Keywords, MailboxIdentity, MessageKey, MessageRecord, Timestamp, Uid};
use dsync_core::store::{ErrorKind, MailboxChanges, SavedBody, StoreError};

use super::file_name::{FileName, SlotSet, base_of, can_be_base};
use super::join::Joined;
use super::keywords::KeywordSlots;
use super::scan::{Subdirectory, path_of};
use super::uidlist::{UidList, UidListEntry, can_be_field};
use crate::incoming::Sizes;
use crate::text::lossy;

/// What was found in the mailbox, under its lock.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) joined: &'a Joined,
    pub(super) uidlist: &'a UidList,
    pub(super) slots: &'a KeywordSlots,
}

/// What has to be done to the files, and what is to be written beside them.
#[derive(Debug, Default)]
pub(super) struct CommitPlan {
    /// Staged messages: their number and where they go.
    pub(super) place: Vec<(usize, PathBuf)>,
    /// Files that get another name.
    pub(super) rename: Vec<(PathBuf, PathBuf)>,
    /// Files that get another received date.
    pub(super) date: Vec<(PathBuf, Timestamp)>,
    /// UIDs of the messages whose received date changes, ascending.
    pub(super) redated: Vec<u32>,
    /// Files that go.
    pub(super) remove: Vec<PathBuf>,
    /// The uidlist afterwards.
    pub(super) uidlist: UidList,
    /// The keywords that have letters afterwards.
    pub(super) slots: KeywordSlots,
    /// Whether a UID names another message than before.
    pub(super) reuses_uids: bool,
    /// All messages afterwards that have a UID, ascending.
    pub(super) records: Vec<MessageRecord>,
}

/// Plans a commit. `new_name` gives a file name that nobody has.
pub(super) fn plan(
    maildir: &Path,
    found: Found<'_>,
    changes: &MailboxChanges,
    staged: &[Sizes],
    identity: MailboxIdentity,
    new_name: &mut dyn FnMut() -> String,
) -> Result<CommitPlan, StoreError> {
    let mut planner = Planner::new(maildir, found, changes, identity);
    planner.existing(changes)?;
    for (SavedBody(number), record) in changes.add.iter() {
        let sizes = staged
            .get(number)
            .ok_or_else(|| StoreError::new(ErrorKind::Impossible, "a message is added whose bytes were not saved"))?;
        planner.add(number, &record, *sizes, new_name)?;
    }
    planner.finish()
}

struct Planner<'a> {
    maildir: &'a Path,
    found: Found<'a>,
    first_recent_uid: Uid,
    /// Base names that exist, also those that are about to go.
    taken: HashSet<Vec<u8>>,
    messages: Vec<(MessageRecord, UidListEntry)>,
    plan: CommitPlan,
}

impl<'a> Planner<'a> {
    fn new(maildir: &'a Path, found: Found<'a>, changes: &MailboxChanges, identity: MailboxIdentity) -> Self {
        let plan = CommitPlan {
            uidlist: UidList {
                uid_validity: identity.uid_validity,
                uid_next: Some(changes.uid_next),
                guid: identity.guid,
                other_items: found.uidlist.other_items.clone(),
                entries: Vec::new(),
            },
            slots: found.slots.clone(),
            ..CommitPlan::default()
        };
        let files = found.joined.files.iter().chain(&found.joined.doomed);
        let taken = files.map(|file| base_of(&file.name).to_vec()).collect();
        Self { maildir, found, first_recent_uid: changes.first_recent_uid, taken, messages: Vec::new(), plan }
    }

    fn existing(&mut self, changes: &MailboxChanges) -> Result<(), StoreError> {
        let entries: HashMap<Uid, &UidListEntry> =
            self.found.uidlist.entries.iter().map(|entry| (entry.uid, entry)).collect();
        let mut remove: HashSet<MessageKey> = changes.remove.iter().copied().collect();
        let mut target: HashMap<MessageKey, &MessageRecord> =
            changes.renumber.iter().map(|(key, record)| (*key, record)).collect();
        target.extend(changes.update.iter().filter_map(|record| Some((MessageKey::Uid(record.uid?), record))));
        let found = self.found.joined;
        for ((key, before), file) in found.messages.keyed().zip(&found.files) {
            if remove.remove(&key) {
                self.plan.remove.push(file.path(self.maildir));
                continue;
            }
            let record = target.remove(&key).unwrap_or(&before);
            // A message that still has no UID is left to the server.
            let Some(uid) = record.uid else { continue };
            let old_entry = before.uid.and_then(|uid| entries.get(&uid));
            let base = base_of(&file.name);
            let mut entry = old_entry.map_or_else(|| UidListEntry::new(uid, base), |entry| (*entry).clone());
            entry.uid = uid;
            self.rename(record, &before, &file.name, file.subdirectory);
            self.messages.push((record.clone(), entry));
        }
        if let Some(key) = remove.into_iter().next().or(target.keys().next().copied()) {
            let text = format!("{} has no {key}", lossy(self.maildir));
            return Err(StoreError::new(ErrorKind::NotFound, text));
        }
        self.plan.remove.extend(found.doomed.iter().map(|file| file.path(self.maildir)));
        Ok(())
    }

    fn rename(&mut self, record: &MessageRecord, before: &MessageRecord, name: &[u8], at: Subdirectory) {
        let old = FileName::parse(name);
        let slots = self.slots_of(&record.keywords);
        let to = if at == Subdirectory::New && self.may_lie_in_new(record) { at } else { Subdirectory::Cur };
        // In `new` a name without flags has no colon, in `cur` it always has one.
        let unflagged = to == Subdirectory::New && record.flags.is_empty() && slots == SlotSet::default();
        let same = old.flags() == record.flags && old.slots() == slots && (at == to);
        let new = match (unflagged, same) {
            (true, _) => base_of(name).to_vec(),
            (false, true) => name.to_vec(),
            (false, false) => old.with_flags(record.flags, slots),
        };
        let (from, to) = (path_of(self.maildir, at, name), path_of(self.maildir, to, &new));
        if record.received != before.received {
            self.plan.date.push((to.clone(), record.received));
            self.plan.redated.extend(record.uid.map(Uid::get));
        }
        if from != to {
            self.plan.rename.push((from, to));
        }
    }

    fn may_lie_in_new(&self, record: &MessageRecord) -> bool {
        let recent = record.uid.is_some_and(|uid| uid >= self.first_recent_uid);
        recent && record.flags.is_empty() && record.keywords.is_empty()
    }

    fn slots_of(&mut self, keywords: &Keywords) -> SlotSet {
        let mut slots = SlotSet::default();
        for keyword in keywords {
            if let Some(slot) = self.plan.slots.slot_for(keyword) {
                slots.insert(slot);
            }
        }
        slots
    }

    fn add(
        &mut self,
        number: usize,
        record: &MessageRecord,
        sizes: Sizes,
        new_name: &mut dyn FnMut() -> String,
    ) -> Result<(), StoreError> {
        let uid = record.uid.ok_or_else(|| StoreError::new(ErrorKind::Impossible, "a new message needs a UID"))?;
        let guid = &*record.guid.text();
        let own_name = can_be_base(guid) && sizes_agree(guid, sizes) && !self.taken.contains(guid);
        let base = if own_name {
            guid.to_vec()
        } else {
            format!("{},S={},W={}", new_name(), sizes.physical, sizes.virtual_size).into_bytes()
        };
        let mut entry = UidListEntry::new(uid, &base);
        if !own_name {
            if !can_be_field(guid) {
                let text = format!("a Maildir cannot keep the message GUID {:?}", record.guid.to_string());
                return Err(StoreError::new(ErrorKind::Impossible, text));
            }
            entry.set_field(b'G', Some(guid));
        }
        let name = FileName::parse(&base);
        if name.physical_size().is_none() {
            entry.set_field(b'S', Some(sizes.physical.to_string().as_bytes()));
        }
        if name.virtual_size().is_none() {
            entry.set_field(b'W', Some(sizes.virtual_size.to_string().as_bytes()));
        }
        let path = if self.may_lie_in_new(record) {
            path_of(self.maildir, Subdirectory::New, &base)
        } else {
            let slots = self.slots_of(&record.keywords);
            path_of(self.maildir, Subdirectory::Cur, &name.with_flags(record.flags, slots))
        };
        self.taken.insert(base);
        self.plan.place.push((number, path));
        self.messages.push((record.clone(), entry));
        Ok(())
    }

    fn finish(mut self) -> Result<CommitPlan, StoreError> {
        self.messages.sort_by_key(|(record, _)| record.uid);
        self.plan.redated.sort_unstable();
        if self.messages.windows(2).any(|pair| pair[0].0.uid == pair[1].0.uid) {
            let text = format!("a UID of {} was taken by another message meanwhile", lossy(self.maildir));
            return Err(StoreError::new(ErrorKind::Changed, text));
        }
        let before = &self.found.joined.messages;
        self.plan.reuses_uids = self.messages.iter().any(|(record, _)| {
            let there = record.uid.and_then(|uid| before.get(uid));
            there.is_some_and(|there| there.guid != record.guid)
        });
        for (record, mut entry) in self.messages {
            set_pop3(&mut entry, &record);
            self.plan.uidlist.entries.push(entry);
            self.plan.records.push(record);
        }
        Ok(self.plan)
    }
}

/// Sizes in a name are believed by servers without a look at the file, so they have to be right.
fn sizes_agree(guid: &[u8], sizes: Sizes) -> bool {
    let name = FileName::parse(guid);
    name.physical_size().is_none_or(|size| size == sizes.physical)
        && name.virtual_size().is_none_or(|size| size == sizes.virtual_size)
}

fn set_pop3(entry: &mut UidListEntry, record: &MessageRecord) {
    let uidl = record.pop3_uidl.as_deref().filter(|uidl| can_be_field(uidl.as_bytes()));
    let effective = entry.field(b'P').map(|value| if value.is_empty() { entry.base.clone() } else { value.to_vec() });
    if effective.as_deref() != uidl.map(str::as_bytes) {
        entry.set_field(b'P', uidl.map(str::as_bytes));
    }
    let order = record.pop3_order.map(|order| order.to_string());
    entry.set_field(b'O', order.as_deref().map(str::as_bytes));
}

#[cfg(test)]
mod tests;
