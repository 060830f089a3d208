//! Carrying out a commit in an mdbox or sdbox, in the order that survives a crash at any point.
//!
//! 1. Make the bytes of new messages durable.
//! 2. Lock: the list of mailboxes for a new one, the map of an mdbox, the index of the mailbox. If the index is not as it was
//!    when the changes were decided, stop.
//! 3. Give the new messages their names: in an mdbox through the [map](super::locked_map).
//! 4. Count references, write the index, and let a new mailbox appear.
//! 5. Remove files that are no longer used.

use std::sync::Arc;

use dsync_core::model::{MailboxName, MessageRecord, ModSeq, Uid, UidValidity};
use dsync_core::store::{ErrorKind, MailboxChanges, Origin, StoreError};

use super::commit_plan::CommitPlan;
use super::header::{DboxHeader, MdboxColumns, MdboxRecord};
use super::listing::is_mailbox;
use super::locked_map::{LockedMap, MapLock};
use super::references;
use super::shared::Shared;
use super::single_files::MailFiles;
use super::snapshot::{IN_ALT, Lost, Snapshot, Stored, index_files};
use super::sources::Source;
use super::staging::Staging;
use super::storage::Storage;
use crate::fs::clock::now;
use crate::fs::lock::FileLock;
use crate::fs::mutation;
use crate::fs::permissions::Permissions;
use crate::fs::replace::Durability;
use crate::index::mailbox::{save_dates, target_message};
use crate::index::reading::IndexMark;
use crate::index::target::{IndexTarget, TargetMessage, TargetMessages};
use crate::index::view::IndexView;
use crate::index::writer::{self, IndexLock, LockedIndex};
use crate::list::build::Build;
use crate::list::changes as list_changes;
use crate::list::layout::MailboxPaths;
use crate::list::lock::ListLock;
use crate::text::lossy;

/// The mailbox that is changed.
pub(super) struct Target<'a> {
    pub(super) shared: &'a Shared,
    pub(super) paths: &'a MailboxPaths,
    pub(super) permissions: &'a Permissions,
    pub(super) name: &'a MailboxName,
}

/// What is committed.
pub(super) struct Work<'a> {
    pub(super) before: &'a Snapshot,
    pub(super) changes: &'a MailboxChanges,
    pub(super) plan: &'a CommitPlan,
    pub(super) uid_validity: Option<UidValidity>,
}

/// A mailbox that nobody else can change; released when dropped.
pub(super) struct Held {
    index: IndexLock,
    /// That of the storage of an mdbox, which is always locked first.
    map: Option<MapLock>,
}

/// The mailbox afterwards.
pub(super) struct Committed {
    pub(super) paths: MailboxPaths,
    /// How each message of the plan is stored.
    pub(super) stored: Arc<Vec<Stored>>,
    /// The lock of its index, so that it can be seen before others change it.
    pub(super) lock: Option<FileLock>,
}

/// Locks the map of a storage; if somebody crashed while changing it, it is put right first.
pub(super) fn lock_map(
    shared: &Shared,
    storage: &Arc<Storage>,
    permissions: &Permissions,
) -> Result<LockedMap, StoreError> {
    let mut map = LockedMap::lock(storage, permissions)?;
    if !map.is_settled() {
        references::settle(shared, storage, map)?;
        map = LockedMap::lock(storage, permissions)?;
    }
    Ok(map)
}

/// Locks the map of a storage, which is read only if that is needed to put it right.
fn hold_map(shared: &Shared, storage: &Arc<Storage>, permissions: &Permissions) -> Result<MapLock, StoreError> {
    match MapLock::take_settled(storage, permissions)? {
        Some(lock) => Ok(lock),
        None => Ok(lock_map(shared, storage, permissions)?.forget()),
    }
}

/// Locks the index of a mailbox that exists. It must still be as it was at `mark`.
pub(super) fn lock_index(
    paths: &MailboxPaths,
    mark: Option<IndexMark>,
    permissions: &Permissions,
) -> Result<LockedIndex, StoreError> {
    let files = index_files(paths)?;
    // Locking an index that is not there would make one.
    if !is_mailbox(&paths.mails) || !(files.log().exists() || files.main().exists()) {
        return Err(gone(paths));
    }
    let index = LockedIndex::lock(&files, permissions)?;
    if index.view().is_deleted() {
        return Err(gone(paths));
    }
    if mark.is_some_and(|mark| mark != IndexMark::of(index.state())) {
        let text = format!("{} was changed by somebody else meanwhile; run again", lossy(&paths.mails));
        return Err(StoreError::new(ErrorKind::Changed, text));
    }
    Ok(index)
}

/// Reads an index again that is held. Servers rename a mailbox without asking for the lock of its index.
fn read_again(index: IndexLock, paths: &MailboxPaths) -> Result<LockedIndex, StoreError> {
    if !is_mailbox(&paths.mails) || !index.is_in_place() {
        return Err(gone(paths));
    }
    Ok(index.read_again()?)
}

fn gone(paths: &MailboxPaths) -> StoreError {
    let text = format!("{} was deleted or renamed by somebody else meanwhile", lossy(&paths.mails));
    StoreError::new(ErrorKind::NotFound, text)
}

impl Target<'_> {
    /// Keeps others from changing a mailbox that exists, and must still be as it was.
    pub(super) fn hold(&self, before: &Snapshot) -> Result<Held, StoreError> {
        let map = match &self.shared.storage {
            Some(storage) => Some(hold_map(self.shared, storage, self.permissions)?),
            None => None,
        };
        Ok(Held { index: lock_index(self.paths, before.mark, self.permissions)?.forget_state(), map })
    }

    /// Carries a plan out. A mailbox that is still being built appears in its place; another one may be `held`.
    pub(super) fn commit(
        &self,
        work: &Work<'_>,
        staging: &mut Staging,
        build: Option<Build>,
        held: Option<Held>,
    ) -> Result<Committed, StoreError> {
        staging.sync()?;
        let list_lock = match &build {
            Some(build) => {
                let lock = list_changes::lock(&self.shared.context)?;
                build.refuse_if_taken(&lock, self.name, &is_taken)?;
                Some(lock)
            }
            None => None,
        };
        let is_new = build.is_some();
        let build = build.zip(list_lock);
        let committed = match &self.shared.storage {
            Some(storage) => self.commit_multi(storage, work, staging, build, held)?,
            None => self.commit_single(work, staging, build, held)?,
        };
        if is_new {
            // A server may hold the lock of its list index while it waits for one of those that are released by now.
            list_changes::note(&self.shared.context, &[], &[])?;
        }
        Ok(committed)
    }

    fn commit_multi(
        &self,
        storage: &Arc<Storage>,
        work: &Work<'_>,
        staging: &mut Staging,
        build: Option<(Build, ListLock)>,
        held: Option<Held>,
    ) -> Result<Committed, StoreError> {
        let moves = !staging.messages().is_empty() || !work.plan.released.is_empty();
        let needs_map = moves || build.is_some();
        let (mut map, index) = match held {
            Some(Held { index, map }) => {
                let map = map.filter(|_| needs_map).map(MapLock::read_again).transpose()?;
                (map, Some(read_again(index, self.paths)?))
            }
            None => {
                let map = match needs_map {
                    true => Some(lock_map(self.shared, storage, self.permissions)?),
                    false => None,
                };
                (map, self.lock_index(work, build.is_some())?)
            }
        };
        let numbers = match &mut map {
            Some(map) => {
                refuse_if_another(map, work.before)?;
                refuse_if_purged(map, staging)?;
                let numbers = map.begin(staging, self.shared.settings.rotate_size)?;
                staging.forget_messages();
                numbers
            }
            None => Vec::new(),
        };
        let number = |saved: u32| numbers.get(saved as usize).copied().ok_or_else(not_saved);
        let stored = work.plan.sources.stored(|saved| Ok(Stored { map_uid: number(saved)?, ..Stored::default() }))?;
        drop(numbers);
        let first = map.as_ref().map_or(work.plan.header.first, |map| map.map().uid_validity());
        let header = DboxHeader { first, ..work.plan.header };
        let mut count = || {
            let added =
                work.plan.sources.iter().zip(stored.iter()).filter(|(source, _)| matches!(source, Source::Saved(_)));
            let released = work.plan.released.iter().map(|(_, map_uid)| *map_uid);
            match &mut map {
                Some(map) => map.count(added.map(|(_, stored)| stored.map_uid), released),
                None => Ok(()),
            }
        };
        // What is hidden does not count yet.
        if build.is_none() {
            count()?;
        }
        let lock = self.write_index(index, work, &header, &stored)?;
        if build.is_some() {
            count()?;
        }
        let paths = self.publish(build)?;
        if let Some(map) = map {
            map.done()?;
        }
        Ok(Committed { paths, stored, lock })
    }

    fn commit_single(
        &self,
        work: &Work<'_>,
        staging: &mut Staging,
        build: Option<(Build, ListLock)>,
        held: Option<Held>,
    ) -> Result<Committed, StoreError> {
        let mut index = match held {
            Some(held) => Some(read_again(held.index, self.paths)?),
            None => self.lock_index(work, build.is_some())?,
        };
        let is_hidden = build.is_some();
        let files = MailFiles { paths: self.paths, before: work.before, plan: work.plan };
        let placed = files.place(staging, is_hidden)?;
        let stored = work.plan.sources.stored(|_| Ok(Stored::default()))?;
        if let Some(index) = &mut index
            && index.expunge_before(&self.index_target(work, &work.plan.header, &stored, None))?
        {
            let removed = work.plan.removed.iter().filter_map(|(uid, _)| Uid::new(*uid));
            files.remove(&placed, removed)?;
        }
        let lock = self.write_index(index, work, &work.plan.header, &stored)?;
        let paths = self.publish(build)?;
        let moved = work.plan.sources.iter().enumerate().filter_map(|(place, source)| match source {
            Source::Kept(old, _) if work.plan.messages.uid_at(place) != Some(old) => Some(old),
            _ => None,
        });
        let released = work.plan.released.iter().filter_map(|(uid, _)| Uid::new(*uid));
        files.remove(&placed, released.chain(moved))?;
        Ok(Committed { paths, stored, lock })
    }

    fn lock_index(&self, work: &Work<'_>, is_hidden: bool) -> Result<Option<LockedIndex>, StoreError> {
        if is_hidden {
            return Ok(None);
        }
        lock_index(self.paths, work.before.mark, self.permissions).map(Some)
    }

    fn write_index(
        &self,
        index: Option<LockedIndex>,
        work: &Work<'_>,
        header: &DboxHeader,
        stored: &[Stored],
    ) -> Result<Option<FileLock>, StoreError> {
        let target = self.index_target(work, header, stored, index.as_ref().map(LockedIndex::view));
        // An mdbox keeps them in the index itself.
        let dates = match &self.shared.storage {
            Some(_) => Vec::new(),
            None => save_dates(work.plan.messages.records()),
        };
        match index {
            Some(index) => Ok(Some(index.change_to(target, &dates)?)),
            None => {
                let files = index_files(self.paths)?;
                mutation::create_directories(files.directory(), self.permissions)?;
                writer::create(&files, target, &dates, self.permissions, Durability::Later)?;
                Ok(None)
            }
        }
    }

    /// What the index is to hold. What stays as it is in `present` shares its memory.
    fn index_target(
        &self,
        work: &Work<'_>,
        header: &DboxHeader,
        stored: &[Stored],
        present: Option<&IndexView>,
    ) -> IndexTarget {
        let lost = &work.plan.lost;
        let changes = work.changes;
        let highest_lost = lost.iter().map(|lost| lost.message.modseq).max().unwrap_or(0);
        let highest_modseq = changes.highest_modseq.max(ModSeq(highest_lost)).max(ModSeq::FIRST);
        let beyond_lost = lost.last().map_or(0, |lost| lost.message.uid.saturating_add(1));
        let count = work.plan.messages.len().saturating_add(lost.len());
        let mut messages = TargetMessages::with_capacity(count);
        let is_multi = self.shared.storage.is_some();
        let all = || all_messages(work.plan, stored, highest_modseq);
        let kept = present
            .filter(|_| is_multi)
            .and_then(|present| MdboxColumns::kept(present, all().map(|(message, record)| (message.uid, record))));
        let mut records = MdboxColumns::with_capacity(if is_multi && kept.is_none() { count } else { 0 });
        for (message, record) in all() {
            messages.push(message);
            if is_multi && kept.is_none() {
                records.push(record);
            }
        }
        let mut extensions = header.extensions(self.shared.header_name());
        if is_multi {
            extensions.extend(kept.unwrap_or_else(|| records.into_extensions()));
        }
        IndexTarget {
            uid_validity: work.uid_validity.map_or(0, UidValidity::get),
            next_uid: changes.uid_next.get().max(beyond_lost),
            first_recent_uid: changes.first_recent_uid.get(),
            highest_modseq: highest_modseq.get(),
            mirrored: changes.origin == Origin::Mirrored,
            removed: work.plan.removed.clone(),
            reuses_uids: work.plan.reuses_uids,
            stale_in_cache: work.plan.stale.clone(),
            extensions,
            messages,
        }
    }

    fn publish(&self, build: Option<(Build, ListLock)>) -> Result<MailboxPaths, StoreError> {
        let Some((build, lock)) = build else { return Ok(self.paths.clone()) };
        build.sync()?;
        build.publish(&lock, self.name, self.permissions, &is_taken)
    }
}

/// The messages that the index is to hold, by ascending UID: those that can be read, and those that cannot.
fn all_messages(
    plan: &CommitPlan,
    stored: &[Stored],
    highest_modseq: ModSeq,
) -> impl Iterator<Item = (TargetMessage, MdboxRecord)> {
    let readable = plan.messages.records().zip(stored).filter_map(move |(record, stored)| {
        let mut message = target_message(&record, highest_modseq)?;
        message.flags |= if stored.in_alt { IN_ALT } else { 0 };
        Some((message, mdbox_record(&record, *stored)))
    });
    let lost = plan.lost.iter().map(|Lost { message, record }| (message.clone(), *record));
    let (mut readable, mut lost) = (readable.peekable(), lost.peekable());
    std::iter::from_fn(move || match (readable.peek(), lost.peek()) {
        (Some((message, _)), Some((gone, _))) if gone.uid < message.uid => lost.next(),
        (Some(_), _) => readable.next(),
        (None, _) => lost.next(),
    })
}

fn mdbox_record(record: &MessageRecord, stored: Stored) -> MdboxRecord {
    MdboxRecord {
        map_uid: stored.map_uid,
        saved: record.saved.unwrap_or_else(now).as_u32(),
        guid: record.guid.to_128(),
    }
}

/// The numbers of a mailbox mean something only in the map that they are of.
fn refuse_if_another(map: &LockedMap, before: &Snapshot) -> Result<(), StoreError> {
    if ![0, map.map().uid_validity()].contains(&before.header.first) {
        let text = "the map of the storage was made anew meanwhile; run again";
        return Err(StoreError::new(ErrorKind::Changed, text));
    }
    Ok(())
}

/// Messages that were found in the storage when the changes were decided must still be there, and may have so many
/// references.
fn refuse_if_purged(map: &LockedMap, staging: &Staging) -> Result<(), StoreError> {
    for (map_uid, more) in staging.known() {
        if !map.map().get(*map_uid).is_some_and(|entry| entry.takes(*more)) {
            let text = "a message that the storage had was purged meanwhile, or was copied too often; run again";
            return Err(StoreError::new(ErrorKind::Changed, text));
        }
    }
    Ok(())
}

fn is_taken(target: &MailboxPaths) -> bool {
    is_mailbox(&target.mails)
}

/// A message of the plan has no bytes.
pub(super) fn not_saved() -> StoreError {
    StoreError::new(ErrorKind::Impossible, "a message is added whose bytes were not saved")
}
