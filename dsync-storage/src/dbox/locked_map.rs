//! Changing the map of an mdbox, in the order that survives a crash at any point.
//!
//! 1. [`begin`](LockedMap::begin): new messages are entered, with no references yet, and their files get their names.
//! 2. [`count`](LockedMap::count): references that come are counted, and those that go.
//! 3. The mailbox is changed.
//! 4. [`done`](LockedMap::done): the log says that all of this has been carried out. Until then everybody knows that somebody
//!    is at work, or crashed. (Servers look only for what asks to be carried out, so nothing before this is marked as done
//!    already. They do not stop a purge for it, so a message is counted before a mailbox refers to it.)
//!
//! After a crash in between, whoever locks the map next counts the references of all mailboxes, whatever they are. Nothing is
//! ever referred to and thought to be garbage; messages that no mailbox refers to any more, or does not yet, are.

use std::sync::Arc;

use dsync_core::store::{ErrorKind, StoreError};

use super::growth::{self, Growing};
use super::map::{Map, MapChanges, MapEntry, MapPlace, records_of_new_map};
use super::shared::corrupt;
use super::staging::{StagedFile, StagedMessage, Staging};
use super::storage::Storage;
use crate::fs::clock::now;
use crate::fs::permissions::Permissions;
use crate::fs::{mutation, read};
use crate::index::log::LogRecord;
use crate::index::reading::is_carried_out;
use crate::index::writer::{IndexLock, LockedIndex};
use crate::text::lossy;

/// The map of a storage, whose lock is held; released when dropped.
#[derive(Debug)]
pub(super) struct LockedMap {
    storage: Arc<Storage>,
    index: LockedIndex,
}

/// The lock of a map that is not in memory, because that takes time and memory for each message; released when dropped.
#[derive(Debug)]
pub(super) struct MapLock {
    storage: Arc<Storage>,
    index: IndexLock,
}

impl MapLock {
    /// Locks a map of which the end of its log says that nobody crashed while changing it, without reading it. `None` if
    /// that is not so.
    ///
    /// # Errors
    /// If it stays locked.
    pub(super) fn take_settled(
        storage: &Arc<Storage>,
        permissions: &Permissions,
    ) -> Result<Option<Self>, StoreError> {
        let files = storage.map_files();
        let Some(index) = IndexLock::take(files, permissions)? else { return Ok(None) };
        let is_settled = is_carried_out(files)?;
        Ok(is_settled.then(|| Self { storage: Arc::clone(storage), index }))
    }

    /// The map as it was when it was locked.
    ///
    /// # Errors
    /// As the system; [`ErrorKind::Changed`] if somebody crashed while replacing its log: whoever locks it next puts that right.
    pub(super) fn read_again(self) -> Result<LockedMap, StoreError> {
        let index = self.index.read_again()?;
        if index.state().is_log_outdated() || index.state().unfinished || index.view().uid_validity() == 0 {
            let text = format!("{} has to be put right first; run again", lossy(&self.storage.map_files().log()));
            return Err(StoreError::new(ErrorKind::Changed, text));
        }
        check(&index, &self.storage)?;
        Ok(LockedMap { storage: self.storage, index })
    }
}

/// A map has to make sense.
fn check(index: &LockedIndex, storage: &Storage) -> Result<(), StoreError> {
    let failed = |error| corrupt(&format!("{}: {error}", lossy(&storage.map_files().main())));
    Map::of_view(index.view()).map(drop).map_err(failed)
}

impl LockedMap {
    /// Keeps the lock and nothing else.
    pub(super) fn forget(self) -> MapLock {
        MapLock { storage: self.storage, index: self.index.forget_state() }
    }

    /// Takes the lock, waiting for others that hold it. A storage that has no map yet gets one.
    ///
    /// # Errors
    /// If it stays locked, or cannot be understood; [`ErrorKind::Corrupt`] if it is missing although there are messages.
    pub(super) fn lock(storage: &Arc<Storage>, permissions: &Permissions) -> Result<Self, StoreError> {
        let files = storage.map_files();
        let exists = files.log().exists() || files.main().exists();
        if !exists {
            if !storage.file_ids()?.is_empty() {
                return Err(corrupt(&format!("{} is missing, but there are messages", lossy(&files.log()))));
            }
            mutation::create_directories(storage.primary(), permissions)?;
            mutation::create_directories(files.directory(), permissions)?;
        }
        let mut index = LockedIndex::lock(files, permissions)?;
        index.cut_unfinished()?;
        if index.view().uid_validity() == 0 {
            index.append_last_records(&records_of_new_map(now().as_u32().max(1)))?;
            mutation::sync_directory(files.directory())?;
        }
        check(&index, storage)?;
        Ok(Self { storage: Arc::clone(storage), index })
    }

    /// The map under the lock, with what was changed under it.
    pub(super) fn map(&self) -> Map<'_> {
        Map::new(self.index.view())
    }

    /// Whether nobody crashed while the map was changed.
    pub(super) fn is_settled(&self) -> bool {
        self.index.state().log_tail == self.index.state().log_end
    }

    /// What was being done when somebody crashed.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub(super) fn records_of_crash(&self) -> Result<Vec<LogRecord>, StoreError> {
        Ok(self.index.records_after_tail()?)
    }

    /// Enters the messages that wait, with no references yet, gives their files their names, and makes both durable.
    /// Also says which number each has got.
    ///
    /// # Errors
    /// As the system; nothing was entered then.
    pub(super) fn begin(&mut self, staging: &mut Staging, rotate_size: u64) -> Result<Vec<u32>, StoreError> {
        let plan = self.plan(staging, rotate_size)?;
        if plan.highest_file_id.is_none() && plan.entries(staging).next().is_none() {
            return Ok(plan.numbers);
        }
        let mut entered = 0;
        let placed = self.enter(&plan, staging, &mut entered).and_then(|()| self.place_files(&plan, staging));
        if let Err(error) = placed {
            if entered == 0 {
                return Err(error);
            }
            let remove = plan.entries(staging).take(entered).map(|entry| entry.map_uid).collect();
            let changes = MapChanges { remove, ..MapChanges::default() };
            self.index.append_last_records(&changes.records())?;
            return Err(error);
        }
        Ok(plan.numbers)
    }

    /// Enters new messages, as many at a time as need little memory. `entered` says how many there are afterwards.
    fn enter(&mut self, plan: &Plan, staging: &Staging, entered: &mut usize) -> Result<(), StoreError> {
        let mut highest_file_id = plan.highest_file_id;
        let mut entries = plan.entries(staging);
        loop {
            let add: Vec<_> = entries.by_ref().take(AT_ONCE).collect();
            let count = add.len();
            let piece = MapChanges { highest_file_id: highest_file_id.take(), add, ..MapChanges::default() };
            if piece.is_empty() {
                return Ok(());
            }
            self.index.append_records(&piece.requests())?;
            *entered = entered.saturating_add(count);
        }
    }

    /// Begins with messages at these places, in files with numbers up to `highest`, to which nothing will refer. Gives their
    /// numbers.
    ///
    /// # Errors
    /// As the system.
    pub(super) fn begin_with_copies(
        &mut self,
        places: impl Iterator<Item = MapPlace>,
        highest: Option<u32>,
    ) -> Result<Vec<u32>, StoreError> {
        let mut next_uid = self.map().next_uid();
        let mut changes = MapChanges {
            // Something has to be said, so that everybody knows.
            highest_file_id: highest.or(Some(self.map().highest_file_id())),
            ..MapChanges::default()
        };
        for place in places {
            changes.add.push(MapEntry { map_uid: next_uid, place, references: 0 });
            next_uid = next_uid.checked_add(1).ok_or_else(|| full("numbers"))?;
        }
        self.index.append_records(&changes.requests())?;
        Ok(changes.add.iter().map(|entry| entry.map_uid).collect())
    }

    /// Counts a reference that comes for each number in `add`, and one that goes for each in `release`. What the map does not
    /// know, or knows to be unused already, is left as it is.
    ///
    /// # Errors
    /// As the system; the map is not settled then.
    pub(super) fn count(
        &mut self,
        add: impl Iterator<Item = u32>,
        release: impl Iterator<Item = u32>,
    ) -> Result<(), StoreError> {
        let differences = add.map(|map_uid| (map_uid, 1)).chain(release.map(|map_uid| (map_uid, -1)));
        let differences = sums(differences.collect());
        for differences in differences.chunks(AT_ONCE) {
            let changes = self.counted(differences);
            if !changes.is_empty() {
                self.index.append_records(&changes.requests())?;
            }
        }
        Ok(())
    }

    /// Says that all is done. If that gets lost with a power cut, everything is counted once more.
    ///
    /// # Errors
    /// As the system.
    pub(super) fn done(mut self) -> Result<(), StoreError> {
        if self.is_settled() {
            return Ok(());
        }
        Ok(self.index.mark_all_done()?)
    }

    fn place_files(&self, plan: &Plan, staging: &mut Staging) -> Result<(), StoreError> {
        let mut is_new = false;
        for (home, file) in plan.homes.iter().zip(staging.files_mut()) {
            match home {
                Home::None => {}
                Home::New(file_id) => {
                    file.place(&self.storage.primary().join(format!("m.{file_id}")))?;
                    is_new = true;
                }
                Home::In(growing) => growing.add(&read::open(&file.path())?.0, file.first_message())?,
            }
        }
        if is_new {
            mutation::sync_directory(self.storage.primary())?;
        }
        Ok(())
    }

    fn plan(&self, staging: &Staging, rotate_size: u64) -> Result<Plan, StoreError> {
        let mut next_uid = self.map().next_uid();
        let mut plan = Plan::default();
        self.find_homes(staging, rotate_size, &mut plan)?;
        plan.numbers.reserve_exact(staging.messages().len());
        for message in staging.messages() {
            match *message {
                StagedMessage::Known { map_uid } => plan.numbers.push(map_uid),
                StagedMessage::New { file, offset, size } => {
                    plan.place(staging, file as usize, offset, size)?;
                    plan.numbers.push(next_uid);
                    next_uid = next_uid.checked_add(1).ok_or_else(|| full("numbers"))?;
                }
            }
        }
        Ok(plan)
    }

    /// Decides where each staged file goes.
    fn find_homes(&self, staging: &Staging, rotate_size: u64, plan: &mut Plan) -> Result<(), StoreError> {
        let mut next_file = self.map().highest_file_id();
        let filled = staging.files().iter().filter(|file| !file.is_empty()).count();
        for file in staging.files() {
            if file.is_empty() {
                plan.homes.push(Home::None);
                continue;
            }
            let size = file.length().saturating_sub(file.first_message());
            if filled == 1
                && size <= growth::MOST
                && let Some(growing) = growth::find(&self.storage, self.map(), size, rotate_size)?
            {
                plan.homes.push(Home::In(growing));
                continue;
            }
            next_file = self.free_file_id(next_file)?;
            plan.homes.push(Home::New(next_file));
            plan.highest_file_id = Some(next_file);
        }
        Ok(())
    }

    /// The number of a file that nobody has, above `last`.
    pub(super) fn free_file_id(&self, last: u32) -> Result<u32, StoreError> {
        let mut file_id = last;
        loop {
            file_id = file_id.checked_add(1).ok_or_else(|| full("file ids"))?;
            if self.storage.paths(file_id).all(|path| !path.exists()) {
                return Ok(file_id);
            }
        }
    }

    /// Carries out `changes`, and says that all is done.
    ///
    /// # Errors
    /// As the system.
    pub(super) fn finish(mut self, changes: &MapChanges) -> Result<(), StoreError> {
        self.carry_out(changes)
    }

    /// The same; the lock is kept.
    ///
    /// # Errors
    /// As the system.
    pub(super) fn carry_out(&mut self, changes: &MapChanges) -> Result<(), StoreError> {
        Ok(self.index.append_last_records(&changes.records())?)
    }

    fn counted(&self, differences: &[(u32, i32)]) -> MapChanges {
        let count = differences.iter().filter_map(|(map_uid, difference)| {
            let known = i32::from(self.map().get(*map_uid)?.references);
            Some((*map_uid, (*difference).max(known.checked_neg()?))).filter(|(_, difference)| *difference != 0)
        });
        MapChanges { count: count.collect(), ..MapChanges::default() }
    }
}

/// One difference for each number, by ascending number.
fn sums(mut differences: Vec<(u32, i32)>) -> Vec<(u32, i32)> {
    differences.sort_unstable();
    differences.dedup_by(|next, sum| {
        let is_same = next.0 == sum.0;
        if is_same {
            sum.1 = sum.1.saturating_add(next.1);
        }
        is_same
    });
    differences
}

/// So many messages are entered or counted at a time. Each time the log is made durable.
const AT_ONCE: usize = 1 << 16;

/// The new messages of a transaction.
#[derive(Debug, Default)]
struct Plan {
    /// The highest file id afterwards, if it rises.
    highest_file_id: Option<u32>,
    /// Where each staged file goes.
    homes: Vec<Home>,
    /// The number in the map of each message.
    numbers: Vec<u32>,
}

impl Plan {
    /// What is entered in the map, by ascending number. There may be millions, so none of it is kept.
    fn entries(&self, staging: &Staging) -> impl Iterator<Item = MapEntry> {
        let numbered = staging.messages().iter().zip(&self.numbers);
        numbered.filter_map(|(message, map_uid)| match message {
            StagedMessage::Known { .. } => None,
            StagedMessage::New { file, offset, size } => {
                let place = self.place(staging, *file as usize, *offset, *size).ok()?;
                Some(MapEntry { map_uid: *map_uid, place, references: 0 })
            }
        })
    }

    /// Where a message will be that waits in this file.
    fn place(&self, staging: &Staging, file: usize, offset: u64, size: u64) -> Result<MapPlace, StoreError> {
        let first = staging.files().get(file).map_or(0, StagedFile::first_message);
        let (file_id, offset) = match self.homes.get(file) {
            Some(Home::New(file_id)) => (*file_id, offset),
            Some(Home::In(growing)) => (growing.file_id, growing.end.saturating_add(offset.saturating_sub(first))),
            _ => return Err(full("files")),
        };
        let (Ok(offset), Ok(size)) = (u32::try_from(offset), u32::try_from(size)) else {
            let text = "an mdbox cannot keep a message of 4 GiB or more";
            return Err(StoreError::new(ErrorKind::Impossible, text));
        };
        Ok(MapPlace { file_id, offset, size })
    }
}

/// Where the messages of a staged file go.
#[derive(Debug)]
enum Home {
    /// Nowhere: it has none.
    None,
    /// It becomes the file with this number.
    New(u32),
    /// They are added to a file that is there.
    In(Growing),
}

fn full(what: &str) -> StoreError {
    StoreError::new(ErrorKind::Impossible, format!("the mdbox has no {what} left"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_that_come_and_go_are_added_up() {
        let differences = vec![(7, 1), (3, -1), (7, -1), (9, 1), (3, -1), (9, 1), (1, 1)];
        assert_eq!(sums(differences), [(1, 1), (3, -2), (7, 0), (9, 2)]);
    }
}
