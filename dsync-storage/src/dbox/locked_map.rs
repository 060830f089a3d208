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

use std::collections::BTreeMap;

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
use crate::index::writer::LockedIndex;
use crate::text::lossy;

/// The map of a storage, whose lock is held; released when dropped.
#[derive(Debug)]
pub(super) struct LockedMap<'a> {
    storage: &'a Storage,
    index: LockedIndex,
    map: Map,
}

impl<'a> LockedMap<'a> {
    /// Takes the lock, waiting for others that hold it. A storage that has no map yet gets one.
    ///
    /// # Errors
    /// If it stays locked, or cannot be understood; [`ErrorKind::Corrupt`] if it is missing although there are messages.
    pub(super) fn lock(storage: &'a Storage, permissions: &Permissions) -> Result<Self, StoreError> {
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
        let map =
            Map::of_view(index.view()).map_err(|error| corrupt(&format!("{}: {error}", lossy(&files.main()))))?;
        Ok(Self { storage, index, map })
    }

    /// The map under the lock.
    pub(super) fn map(&self) -> &Map {
        &self.map
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
        if plan.changes.is_empty() {
            return Ok(plan.numbers);
        }
        let mut entered = 0;
        let placed = self.enter(&plan.changes, &mut entered).and_then(|()| self.place_files(&plan, staging));
        if let Err(error) = placed {
            if entered == 0 {
                return Err(error);
            }
            let remove = plan.changes.add.iter().take(entered).map(|entry| entry.map_uid).collect();
            let changes = MapChanges { remove, ..MapChanges::default() };
            self.index.append_last_records(&changes.records())?;
            return Err(error);
        }
        self.map.highest_file_id = plan.changes.highest_file_id.unwrap_or(self.map.highest_file_id);
        self.map.entries.extend(plan.changes.add);
        Ok(plan.numbers)
    }

    /// Enters new messages, as many at a time as need little memory. `entered` says how many there are afterwards.
    fn enter(&mut self, changes: &MapChanges, entered: &mut usize) -> Result<(), StoreError> {
        let mut highest_file_id = changes.highest_file_id;
        loop {
            let add: Vec<_> = changes.add.iter().skip(*entered).take(ENTERED_AT_ONCE).copied().collect();
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
        let mut next_uid = self.map.next_uid;
        let mut changes = MapChanges {
            // Something has to be said, so that everybody knows.
            highest_file_id: highest.or(Some(self.map.highest_file_id)),
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
    /// As the system; nothing was counted then.
    pub(super) fn count(&mut self, add: &[u32], release: &[u32]) -> Result<(), StoreError> {
        let changes = self.counted(add, release);
        if changes.is_empty() {
            return Ok(());
        }
        Ok(self.index.append_records(&changes.requests())?)
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

    fn plan(&self, staging: &mut Staging, rotate_size: u64) -> Result<Plan, StoreError> {
        let mut next_uid = self.map.next_uid;
        let mut plan = Plan::default();
        self.find_homes(staging, rotate_size, &mut plan)?;
        for message in staging.messages() {
            match *message {
                StagedMessage::Known { map_uid } => plan.numbers.push(map_uid),
                StagedMessage::New { file, offset, size } => {
                    let first = staging.files().get(file as usize).map_or(0, StagedFile::first_message);
                    let (file_id, offset) = match plan.homes.get(file as usize) {
                        Some(Home::New(file_id)) => (*file_id, offset),
                        Some(Home::In(growing)) => {
                            (growing.file_id, growing.end.saturating_add(offset.saturating_sub(first)))
                        }
                        _ => return Err(full("files")),
                    };
                    let (Ok(offset), Ok(size)) = (u32::try_from(offset), u32::try_from(size)) else {
                        let text = "an mdbox cannot keep a message of 4 GiB or more";
                        return Err(StoreError::new(ErrorKind::Impossible, text));
                    };
                    let place = MapPlace { file_id, offset, size };
                    plan.changes.add.push(MapEntry { map_uid: next_uid, place, references: 0 });
                    plan.numbers.push(next_uid);
                    next_uid = next_uid.checked_add(1).ok_or_else(|| full("numbers"))?;
                }
            }
        }
        Ok(plan)
    }

    /// Decides where each staged file goes.
    fn find_homes(&self, staging: &Staging, rotate_size: u64, plan: &mut Plan) -> Result<(), StoreError> {
        let mut next_file = self.map.highest_file_id;
        let filled = staging.files().iter().filter(|file| !file.is_empty()).count();
        for file in staging.files() {
            if file.is_empty() {
                plan.homes.push(Home::None);
                continue;
            }
            let size = file.length().saturating_sub(file.first_message());
            if filled == 1
                && size <= growth::MOST
                && let Some(growing) = growth::find(self.storage, &self.map, size, rotate_size)?
            {
                plan.homes.push(Home::In(growing));
                continue;
            }
            next_file = self.free_file_id(next_file)?;
            plan.homes.push(Home::New(next_file));
            plan.changes.highest_file_id = Some(next_file);
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

    /// The same; the lock is kept, but the map under it is the one of before.
    ///
    /// # Errors
    /// As the system.
    pub(super) fn carry_out(&mut self, changes: &MapChanges) -> Result<(), StoreError> {
        Ok(self.index.append_last_records(&changes.records())?)
    }

    fn counted(&self, add: &[u32], release: &[u32]) -> MapChanges {
        let mut differences: BTreeMap<u32, i32> = BTreeMap::new();
        for (map_uids, one) in [(add, 1), (release, -1)] {
            for map_uid in map_uids {
                let difference = differences.entry(*map_uid).or_default();
                *difference = difference.saturating_add(one);
            }
        }
        let count = differences.into_iter().filter_map(|(map_uid, difference)| {
            let known = i32::from(self.map.get(map_uid)?.references);
            Some((map_uid, difference.max(known.checked_neg()?))).filter(|(_, difference)| *difference != 0)
        });
        MapChanges { count: count.collect(), ..MapChanges::default() }
    }
}

/// Each time the log is made durable.
const ENTERED_AT_ONCE: usize = 1 << 16;

/// The new messages of a transaction.
#[derive(Debug, Default)]
struct Plan {
    changes: MapChanges,
    /// Where each staged file goes.
    homes: Vec<Home>,
    /// The number in the map of each message.
    numbers: Vec<u32>,
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
