//! Changing the map of an mdbox, in the order that survives a crash at any point.
//!
//! 1. [`begin`](LockedMap::begin): new messages are entered, with no references yet, and the log does not say that this has
//!    been carried out. From here on everybody knows that somebody is at work, or crashed.
//! 2. Files of messages get their names, then the mailbox is changed.
//! 3. [`finish`](LockedMap::finish): references are counted, and in the same write the log says that all is done.
//!
//! After a crash in between, whoever locks the map next counts the references of all mailboxes, whatever they are. Nothing is
//! ever referred to and thought to be garbage; new messages that no mailbox refers to are.

use std::path::Path;

use dsync_core::store::{ErrorKind, StoreError};

use super::map::{Map, MapChanges, MapEntry, MapPlace, record_of_work, records_of_new_map};
use super::shared::corrupt;
use super::staging::{StagedFile, StagedMessage, Staging};
use super::storage::Storage;
use crate::fs::clock::now;
use crate::fs::mutation;
use crate::fs::permissions::Permissions;
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
    /// As the system.
    pub(super) fn begin(&mut self, staging: &mut Staging) -> Result<Vec<u32>, StoreError> {
        let plan = self.plan(staging)?;
        let mut records = plan.changes.records();
        if records.is_empty() {
            records.push(record_of_work());
        }
        self.index.append_records(&records)?;
        for (file_id, file) in plan.file_ids.iter().zip(staging.files_mut()) {
            if let Some(file_id) = file_id {
                place(file, self.storage.primary(), *file_id)?;
            }
        }
        if plan.file_ids.iter().any(Option::is_some) {
            mutation::sync_directory(self.storage.primary())?;
        }
        self.map.highest_file_id = plan.changes.highest_file_id.unwrap_or(self.map.highest_file_id);
        self.map.entries.extend(plan.changes.add);
        Ok(plan.numbers)
    }

    /// The same for changes that enter no messages.
    ///
    /// # Errors
    /// As the system.
    pub(super) fn begin_without_messages(&mut self) -> Result<(), StoreError> {
        Ok(self.index.append_records(&[record_of_work()])?)
    }

    fn plan(&self, staging: &mut Staging) -> Result<Plan, StoreError> {
        let mut next_file = self.map.highest_file_id;
        let mut next_uid = self.map.next_uid;
        let mut plan = Plan::default();
        for file in staging.files_mut() {
            if file.is_empty() {
                plan.file_ids.push(None);
                continue;
            }
            loop {
                next_file = next_file.checked_add(1).ok_or_else(|| full("file ids"))?;
                if self.storage.paths(next_file).all(|path| !path.exists()) {
                    break;
                }
            }
            plan.file_ids.push(Some(next_file));
            plan.changes.highest_file_id = Some(next_file);
        }
        for message in staging.messages() {
            match *message {
                StagedMessage::Known { map_uid } => plan.numbers.push(map_uid),
                StagedMessage::New { file, offset, size } => {
                    let file_id = plan.file_ids.get(file).copied().flatten().ok_or_else(|| full("files"))?;
                    let (Ok(offset), Ok(size)) = (u32::try_from(offset), u32::try_from(size)) else {
                        let text = "an mdbox cannot keep a message of 4 GiB or more";
                        return Err(StoreError::new(ErrorKind::Impossible, text));
                    };
                    let entry =
                        MapEntry { map_uid: next_uid, place: MapPlace { file_id, offset, size }, references: 0 };
                    plan.changes.add.push(entry);
                    plan.numbers.push(next_uid);
                    next_uid = next_uid.checked_add(1).ok_or_else(|| full("numbers"))?;
                }
            }
        }
        Ok(plan)
    }

    /// Carries out `changes`, and says that all is done.
    ///
    /// # Errors
    /// As the system.
    pub(super) fn finish(mut self, changes: &MapChanges) -> Result<(), StoreError> {
        Ok(self.index.append_last_records(&changes.records())?)
    }

    /// The changes that add and take away one reference for each of these numbers. What the map does not know, or knows to be
    /// unused already, is left as it is.
    pub(super) fn counted(&self, add: &[u32], release: &[u32]) -> MapChanges {
        let mut differences: std::collections::BTreeMap<u32, i32> = std::collections::BTreeMap::new();
        for map_uid in add {
            let difference = differences.entry(*map_uid).or_default();
            *difference = difference.saturating_add(1);
        }
        for map_uid in release {
            let difference = differences.entry(*map_uid).or_default();
            *difference = difference.saturating_sub(1);
        }
        let count = differences.into_iter().filter_map(|(map_uid, difference)| {
            let known = i32::from(self.map.get(map_uid)?.references);
            Some((map_uid, difference.max(known.checked_neg()?)))
        });
        MapChanges { count: count.collect(), ..MapChanges::default() }
    }
}

/// The new messages of a transaction.
#[derive(Debug, Default)]
struct Plan {
    changes: MapChanges,
    /// The number in the name that each file gets; `None` if it holds nothing.
    file_ids: Vec<Option<u32>>,
    /// The number in the map of each message.
    numbers: Vec<u32>,
}

fn place(file: &mut StagedFile, directory: &Path, file_id: u32) -> Result<(), StoreError> {
    Ok(file.place(&directory.join(format!("m.{file_id}")))?)
}

fn full(what: &str) -> StoreError {
    StoreError::new(ErrorKind::Impossible, format!("the mdbox has no {what} left"))
}
