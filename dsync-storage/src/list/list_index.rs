//! The list index `dovecot.list.index`: a server's cache of names, told to look again.
//!
//! It is an index like that of a mailbox, whose messages are names. The first byte of the header of its extension `list`
//! says "look at the directories again". A record of that extension is 28 bytes: number of the name, UID of the parent,
//! GUID (16 bytes), UIDVALIDITY. Servers show the GUID without a check, so one that has become wrong must be zeroed;
//! zero means unknown. The bit 0x04 in the flags of a record says that nothing is at the name. Where the files are
//! missing they are not made: the server will. Source: observation of Dovecot 2.3.

use std::path::Path;

use dsync_core::model::MailboxGuid;
use dsync_core::store::StoreError;

use crate::fs::permissions::Permissions;
use crate::index::error::IndexError;
use crate::index::files::IndexFiles;
use crate::index::log::{Change, ExtensionIntro, FlagUpdate, LogRecord, UidRange};
use crate::index::writer::LockedIndex;

const LIST: &str = "list";
const RECORD_SIZE: u16 = 28;
const GUID: std::ops::Range<usize> = 8..24;
const NONEXISTENT: u8 = 0x04;

/// A mailbox about which the list index may be wrong now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The GUID that it may still show.
    pub guid: MailboxGuid,
    /// Nothing is at the name any more.
    pub deleted: bool,
}

/// Whether there is one.
#[must_use]
pub fn exists(index_root: &Path) -> bool {
    IndexFiles::of_list(index_root).log().exists()
}

/// Makes a server look at the directories again when it next lists them, and forget what is stale.
///
/// # Errors
/// If the index is there and cannot be locked or written. One that cannot be understood is left for the server, which
/// makes it anew.
pub fn request_refresh(index_root: &Path, stale: &[Stale]) -> Result<(), StoreError> {
    if !exists(index_root) {
        return Ok(());
    }
    let files = IndexFiles::of_list(index_root);
    match LockedIndex::lock(&files, &Permissions::like(index_root, index_root)) {
        Ok(mut locked) => {
            let records = refresh_records(&locked, stale);
            if records.is_empty() {
                return Ok(());
            }
            locked.cut_unfinished()?;
            Ok(locked.append_records(&records)?)
        }
        Err(IndexError::Fs(error)) => Err(error.into()),
        Err(_) => Ok(()),
    }
}

fn refresh_records(locked: &LockedIndex, stale: &[Stale]) -> Vec<LogRecord> {
    let view = locked.view();
    let Some(list) = view.extension(LIST).filter(|list| list.record_size == RECORD_SIZE) else { return Vec::new() };
    let mut entries = Vec::new();
    let mut gone = Vec::new();
    for (place, (uid, _)) in view.messages().iter().enumerate() {
        let record = list.record(place);
        let found = stale.iter().find(|stale| record.get(GUID) == Some(stale.guid.as_bytes()));
        if let Some(found) = found {
            entries.extend(uid.to_le_bytes());
            entries.extend(record.get(..8).unwrap_or_default());
            entries.extend([0; 20]);
            if found.deleted {
                let uids = UidRange { first: *uid, last: *uid };
                gone.push(FlagUpdate { uids, add: NONEXISTENT, remove: 0, force: false });
            }
        }
    }
    let intro = ExtensionIntro::named(LIST, list.reset_id, 1, RECORD_SIZE, 4);
    let mut changes = Vec::new();
    if !gone.is_empty() {
        changes.push(Change::FlagUpdate(gone));
    }
    changes.push(Change::ExtensionIntro(intro));
    if !entries.is_empty() {
        changes.push(Change::ExtensionRecords(entries));
    }
    changes.push(Change::ExtensionHeader(vec![(0, vec![1])]));
    changes.into_iter().map(LogRecord::external).collect()
}
