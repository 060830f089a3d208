//! Which messages of an mdbox storage its mailboxes refer to, and putting the map right after a crash.

use std::collections::{BTreeMap, BTreeSet};

use dsync_core::model::NodeKind;
use dsync_core::store::{ErrorKind, StoreError};

use super::growth;
use super::header::MdboxRecord;
use super::listing;
use super::locked_map::LockedMap;
use super::map::{MOST_REFERENCES, MapChanges, MapEntry};
use super::shared::{Shared, corrupt};
use super::snapshot;
use super::storage::Storage;
use crate::index::log::Change;
use crate::text::lossy;

/// How often each message of the storage is referred to, by its number in the map.
pub(super) type References = BTreeMap<u32, u32>;

/// Calls `each` with what every mailbox says about each of its messages. What cannot be read is left out, and returned.
/// A mailbox that somebody is deleting counts as long as it is there: if that fails a server takes the mark back.
///
/// # Errors
/// If the mailboxes cannot be listed.
pub(super) fn for_each_record(
    shared: &Shared,
    each: &mut dyn FnMut(MdboxRecord),
) -> Result<Option<StoreError>, StoreError> {
    let mut unreadable = None;
    for (name, node) in &listing::tree_with_deleted(shared)? {
        match &node.kind {
            NodeKind::Unreadable(reason) => {
                let text = format!("mailbox {name} cannot be read: {reason}");
                unreadable = Some(StoreError::new(ErrorKind::Corrupt, text));
                continue;
            }
            NodeKind::Mailbox { .. } => {}
            _ => continue,
        }
        let paths = shared.context.roots.of_mailbox(shared.context.naming, name);
        let paths = paths.map_err(|error| crate::list::context::invalid_name(&error))?;
        let state = snapshot::index_files(&paths).and_then(|files| snapshot::read_though_deleted(shared, &files));
        match state {
            Ok((state, _)) => {
                for place in 0..state.view.messages().len() {
                    each(MdboxRecord::of_view(&state.view, place));
                }
            }
            // It was deleted just now.
            Err(_) if !paths.mails.exists() => {}
            Err(error) => unreadable = Some(error),
        }
    }
    Ok(unreadable)
}

/// Counts the references of all mailboxes.
///
/// # Errors
/// If a mailbox cannot be read: what it refers to is not known then.
pub(super) fn count(shared: &Shared) -> Result<References, StoreError> {
    let mut references = References::new();
    let unreadable = for_each_record(shared, &mut |record| {
        let count = references.entry(record.map_uid).or_default();
        *count = count.saturating_add(1);
    })?;
    match unreadable {
        Some(error) => Err(error),
        None => Ok(references),
    }
}

/// How many references the map is to count for a message.
pub(super) fn wanted(actual: &References, map_uid: u32) -> u16 {
    let count = actual.get(&map_uid).copied().unwrap_or(0);
    u16::try_from(count).unwrap_or(MOST_REFERENCES).min(MOST_REFERENCES)
}

/// Puts the map right after somebody crashed while changing it: a message has as many references as mailboxes refer to it.
///
/// Too few are always corrected. Too many only where they are what the one who crashed was about to change: elsewhere
/// they may be the messages of a mailbox that was lost, and a server can bring them back.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if a mailbox cannot be read, or a server was just saving a message and only it can tell what is to
/// become of it.
pub(super) fn settle(shared: &Shared, storage: &Storage, map: LockedMap) -> Result<(), StoreError> {
    let actual = count(shared)?;
    let work = Work::of(&map)?;
    let mut changes = MapChanges::default();
    // Places in files from which on nothing is whole.
    let mut cut: BTreeMap<u32, u64> = BTreeMap::new();
    storage.forget_files();
    for entry in map.map().entries() {
        let wanted = wanted(&actual, entry.map_uid);
        let was_added = work.added.contains(&entry.map_uid);
        let was_counted = work.counted.contains(&entry.map_uid);
        if wanted == 0 && entry.references > 0 && was_added && !was_counted {
            let text = "a server crashed while it was saving a message, and only it can finish that";
            return Err(corrupt(text));
        }
        if wanted == 0 && was_added && !is_whole(storage, &entry) {
            // The crash came before its file got its name, or all of it.
            changes.remove.push(entry.map_uid);
            let place = cut.entry(entry.place.file_id).or_insert(u64::MAX);
            *place = (*place).min(entry.place.offset.into());
        } else if wanted > entry.references || wanted < entry.references && was_counted {
            changes.count.push((entry.map_uid, i32::from(wanted).saturating_sub(entry.references.into())));
        }
    }
    for (file_id, end) in cut {
        // If any message of the map lies behind, it is not the one that we think it is.
        let is_last = map.map().entries().all(|entry| {
            entry.place.file_id != file_id
                || u64::from(entry.place.offset) < end
                || changes.remove.binary_search(&entry.map_uid).is_ok()
        });
        if !(is_last && growth::take_back(storage, file_id, end)?) {
            let text = format!("m.{file_id} in {} is not whole", lossy(storage.primary()));
            return Err(corrupt(&text));
        }
    }
    map.finish(&changes)
}

/// Whether all of a message is where the map says.
fn is_whole(storage: &Storage, entry: &MapEntry) -> bool {
    storage.locate(entry.place).is_ok_and(|located| located.message.size == u64::from(entry.place.size))
}

/// What was being done at a crash.
#[derive(Debug, Default)]
struct Work {
    added: BTreeSet<u32>,
    counted: BTreeSet<u32>,
}

impl Work {
    fn of(map: &LockedMap) -> Result<Self, StoreError> {
        let mut work = Self::default();
        for record in map.records_of_crash()? {
            match record.change {
                Change::Append(messages) => work.added.extend(messages.iter().map(|(map_uid, ..)| *map_uid)),
                Change::ExtensionIncrement(counts) => work.counted.extend(counts.iter().map(|(map_uid, _)| *map_uid)),
                _ => {}
            }
        }
        Ok(work)
    }
}
