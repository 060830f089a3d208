//! Which files have to be moved, and what uidlist and keywords say afterwards. A pure function: it decides every name.
//!
//! A message keeps its file for as long as it is in the mailbox; only the part of the name after the colon changes. A
//! new message is stored under its GUID as base name if that is possible, so that the GUID needs no field in the
//! uidlist, else under a name of our own.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use dsync_core::model::{Keywords, MailboxIdentity, MessageKey, MessageList, MessageRecord, Timestamp, Uid};
use dsync_core::store::{ErrorKind, MailboxChanges, SavedBody, StoreError};

use super::file_name::{FileName, SlotSet, base_of, can_be_base};
use super::files::{FileAt, FoundFile, MessageFiles, Subdirectory, path_of};
use super::join::Joined;
use super::keywords::KeywordSlots;
use super::uidlist::{UidList, UidListEntries, UidListEntry, can_be_field};
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
    /// Staged messages: their number, and their place among all messages. There are less than 2^32 in a mailbox.
    place: Vec<(u32, u32)>,
    /// Files that get another name.
    pub(super) rename: Vec<(PathBuf, PathBuf)>,
    /// Files that get another received date.
    pub(super) date: Vec<(PathBuf, Timestamp)>,
    /// UIDs of the messages whose received date changes, ascending.
    pub(super) redated: Vec<u32>,
    /// Files that go.
    pub(super) remove: Vec<PathBuf>,
    /// The uidlist afterwards, with an entry for each of `messages`.
    pub(super) uidlist: UidList,
    /// The keywords that have letters afterwards.
    pub(super) slots: KeywordSlots,
    /// Whether a UID names another message than before.
    pub(super) reuses_uids: bool,
    /// All messages afterwards that have a UID.
    pub(super) messages: MessageList,
    /// See [`may_lie_in_new`](Self::may_lie_in_new).
    first_recent_uid: Option<Uid>,
}

/// Plans a commit. `sizes` says what is known of a staged message, `new_name` gives a file name that nobody has.
pub(super) fn plan(
    maildir: &Path,
    found: Found<'_>,
    changes: &MailboxChanges,
    sizes: &dyn Fn(usize) -> Option<Sizes>,
    identity: MailboxIdentity,
    new_name: &mut dyn FnMut() -> String,
) -> Result<CommitPlan, StoreError> {
    let mut planner = Planner::new(maildir, found, changes, identity);
    planner.existing()?;
    planner.all(sizes, new_name)?;
    Ok(planner.plan)
}

impl CommitPlan {
    /// Staged messages and where they go.
    pub(super) fn placed(&self, maildir: &Path) -> impl Iterator<Item = (usize, PathBuf)> {
        self.place.iter().filter_map(move |(number, place)| {
            let (number, place) = (*number as usize, *place as usize);
            let (record, entry) = (self.messages.at(place)?, self.uidlist.entries.get(place)?);
            if self.may_lie_in_new(&record) {
                return Some((number, path_of(maildir, Subdirectory::New, entry.base())));
            }
            let mut slots = SlotSet::default();
            let letters = record.keywords.iter().filter_map(|keyword| self.slots.slot_of(keyword.as_str()));
            letters.for_each(|slot| slots.insert(slot));
            let name = FileName::parse(entry.base()).with_flags(record.flags, slots);
            Some((number, path_of(maildir, Subdirectory::Cur, &name)))
        })
    }

    fn may_lie_in_new(&self, record: &MessageRecord) -> bool {
        let recent = record.uid.is_some_and(|uid| Some(uid) >= self.first_recent_uid);
        recent && record.flags.is_empty() && record.keywords.is_empty()
    }

    fn slots_of(&mut self, keywords: &Keywords) -> SlotSet {
        let mut slots = SlotSet::default();
        for keyword in keywords {
            if let Some(slot) = self.slots.slot_for(keyword) {
                slots.insert(slot);
            }
        }
        slots
    }
}

struct Planner<'a> {
    maildir: &'a Path,
    found: Found<'a>,
    changes: &'a MailboxChanges,
    /// What messages that are there become, if they change.
    targets: HashMap<MessageKey, &'a MessageRecord>,
    /// The messages afterwards.
    order: Vec<(Uid, Origin)>,
    plan: CommitPlan,
}

/// Where a message comes from.
#[derive(Clone, Copy)]
enum Origin {
    /// The place of a message that was there.
    Found(u32),
    /// It is the next new one.
    New,
}

impl<'a> Planner<'a> {
    fn new(maildir: &'a Path, found: Found<'a>, changes: &'a MailboxChanges, identity: MailboxIdentity) -> Self {
        let plan = CommitPlan {
            uidlist: UidList {
                uid_validity: identity.uid_validity,
                uid_next: Some(changes.uid_next),
                guid: identity.guid,
                other_items: found.uidlist.other_items.clone(),
                entries: UidListEntries::default(),
            },
            slots: found.slots.clone(),
            first_recent_uid: Some(changes.first_recent_uid),
            ..CommitPlan::default()
        };
        let mut targets: HashMap<MessageKey, &MessageRecord> =
            changes.renumber.iter().map(|(key, record)| (*key, record)).collect();
        targets.extend(changes.update.iter().filter_map(|record| Some((MessageKey::Uid(record.uid?), record))));
        Self { maildir, found, changes, targets, order: Vec::new(), plan }
    }

    /// Decides about the files that are there.
    fn existing(&mut self) -> Result<(), StoreError> {
        let found = self.found.joined;
        self.order.reserve_exact(found.messages.len().saturating_add(self.changes.add.len()));
        let mut remove: HashSet<MessageKey> = self.changes.remove.iter().copied().collect();
        let mut changed = 0usize;
        for (index, ((key, before), file)) in found.messages.keyed().zip(found.files.iter()).enumerate() {
            if remove.remove(&key) {
                self.plan.remove.push(file.path(self.maildir));
                continue;
            }
            let target = self.targets.get(&key).copied();
            changed = changed.saturating_add(usize::from(target.is_some()));
            let record = target.unwrap_or(&before);
            // A message that still has no UID is left to the server.
            let Some(uid) = record.uid else { continue };
            self.rename(record, &before, file);
            self.order.push((uid, Origin::Found(u32::try_from(index).unwrap_or(u32::MAX))));
        }
        let missing = || self.targets.keys().find(|key| found.messages.index_of(**key).is_none()).copied();
        let twice = (changed < self.targets.len()).then(|| missing().or(self.changes.remove.first().copied()));
        if let Some(key) = remove.into_iter().next().or(twice.flatten()) {
            let text = format!("{} has no {key}", lossy(self.maildir));
            return Err(StoreError::new(ErrorKind::NotFound, text));
        }
        self.plan.remove.extend(found.files.doomed().map(|file| file.path(self.maildir)));
        Ok(())
    }

    fn rename(&mut self, record: &MessageRecord, before: &MessageRecord, file: FoundFile<'_>) {
        let FoundFile { name, subdirectory: at } = file;
        let old = FileName::parse(name);
        let slots = self.plan.slots_of(&record.keywords);
        let to = if at == Subdirectory::New && self.plan.may_lie_in_new(record) { at } else { Subdirectory::Cur };
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

    /// Puts all messages in order, and names the new ones.
    fn all(
        &mut self,
        sizes: &dyn Fn(usize) -> Option<Sizes>,
        new_name: &mut dyn FnMut() -> String,
    ) -> Result<(), StoreError> {
        for (_, record) in self.changes.add.iter() {
            let uid =
                record.uid.ok_or_else(|| StoreError::new(ErrorKind::Impossible, "a new message needs a UID"))?;
            self.order.push((uid, Origin::New));
        }
        let mut order = std::mem::take(&mut self.order);
        order.sort_by_key(|(uid, _)| *uid);
        let mut names = Names::of(self.found.joined);
        let mut new = self.changes.add.iter();
        let is_shared = self.share_new();
        for (place, (uid, origin)) in order.into_iter().enumerate() {
            let (record, entry) = match origin {
                Origin::Found(index) => self.kept(uid, index).ok_or_else(|| self.contradiction())?,
                Origin::New => {
                    let (SavedBody(number), record) = new.next().ok_or_else(|| self.contradiction())?;
                    let sizes = sizes(number).ok_or_else(|| {
                        StoreError::new(ErrorKind::Impossible, "a message is added whose bytes were not saved")
                    })?;
                    self.plan.place.push(small(number, place)?);
                    self.plan.slots_of(&record.keywords);
                    let entry = names.entry(uid, &record, sizes, new_name)?;
                    (record, entry)
                }
            };
            self.put(record, entry, is_shared)?;
        }
        self.plan.redated.sort_unstable();
        Ok(())
    }

    /// If all messages are new, their list is that of the mailbox, and need not be copied. Whether that is so.
    fn share_new(&mut self) -> bool {
        let is_shared = self.found.joined.messages.is_empty();
        if is_shared {
            self.plan.messages = self.changes.add.records().clone();
        }
        is_shared
    }

    /// What a message that was there becomes.
    fn kept(&self, uid: Uid, index: u32) -> Option<(MessageRecord, UidListEntry)> {
        let index = usize::try_from(index).ok()?;
        let found = self.found.joined;
        let before = found.messages.at(index)?;
        let listed = before.uid.and_then(|uid| self.found.uidlist.entries.with_uid(uid));
        let mut entry = match listed {
            Some(listed) => listed.to_entry(),
            None => UidListEntry::new(uid, found.files.get(index)?.base()),
        };
        entry.uid = uid;
        let target = found.messages.key_of(index).and_then(|key| self.targets.get(&key));
        Some((target.map_or(before, |target| (*target).clone()), entry))
    }

    fn put(&mut self, record: MessageRecord, mut entry: UidListEntry, is_shared: bool) -> Result<(), StoreError> {
        if !is_shared {
            self.plan.messages.push(&record).map_err(|_| self.contradiction())?;
        }
        set_pop3(&mut entry, &record);
        self.plan.uidlist.entries.push(&entry);
        let before = &self.found.joined.messages;
        let there = before.index_of(MessageKey::Uid(entry.uid)).and_then(|index| before.guid_at(index));
        self.plan.reuses_uids |= there.is_some_and(|there| there != record.guid);
        Ok(())
    }

    fn contradiction(&self) -> StoreError {
        let text = format!("a UID of {} was taken by another message meanwhile", lossy(self.maildir));
        StoreError::new(ErrorKind::Changed, text)
    }
}

/// Base names that exist, also those that are about to go.
struct Names<'a> {
    files: &'a MessageFiles,
    /// Those that were there, by ascending base name.
    found: Vec<FileAt>,
    /// Checksums of the GUIDs that are names now. Of two that have the same the second gets a name of our own, which does no
    /// harm.
    new: HashSet<u64>,
}

impl<'a> Names<'a> {
    fn of(joined: &'a Joined) -> Self {
        let files = &joined.files;
        let mut found: Vec<FileAt> = files.listed.iter().chain(&files.doomed).copied().collect();
        found.sort_unstable_by(|first, second| files.names.get(*first).base().cmp(files.names.get(*second).base()));
        Self { files, found, new: HashSet::new() }
    }

    /// The entry of a new message, under a name of its own.
    fn entry(
        &mut self,
        uid: Uid,
        record: &MessageRecord,
        sizes: Sizes,
        new_name: &mut dyn FnMut() -> String,
    ) -> Result<UidListEntry, StoreError> {
        let guid = &*record.guid.text();
        let is_there = || self.found.binary_search_by(|at| self.files.names.get(*at).base().cmp(guid)).is_ok();
        let possible = can_be_base(guid) && sizes_agree(guid, sizes) && !is_there();
        let own_name = possible && self.new.insert(folded(record.guid.to_128()));
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
        Ok(entry)
    }
}

/// Numbers of a message, which are small ones.
fn small(number: usize, place: usize) -> Result<(u32, u32), StoreError> {
    let numbers = u32::try_from(number).ok().zip(u32::try_from(place).ok());
    numbers.ok_or_else(|| StoreError::new(ErrorKind::Impossible, "there are too many messages"))
}

fn folded(guid: [u8; 16]) -> u64 {
    let [high, low] = [guid.first_chunk(), guid.last_chunk()].map(|half| half.copied().map_or(0, u64::from_le_bytes));
    high ^ low.rotate_left(32)
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
