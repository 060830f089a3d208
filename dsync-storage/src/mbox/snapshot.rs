//! One look at a mailbox: the file, and what its index knows about the messages in it.
//!
//! | fact | first source | else |
//! |---|---|---|
//! | UIDVALIDITY | the first message of the file | the index |
//! | UID | the header of the message, unless the index contradicts | the index, by the checksum over the header |
//! | flags, keywords | the index, where it has changes that are not in the file yet | the file |
//! | modseq | the index, where it agrees with the file | undecided |
//! | received date | the From_ line | |
//! | saved date | the index cache | none |
//! | GUID | the checksum over the header | |
//! | GUID of the mailbox | the index | none |

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use dsync_core::model::{MailboxIdentity, MailboxStatus, MessageList, ModSeq, SyncPoint, Uid, UidValidity};
use dsync_core::store::{ErrorKind, StoreError};

use super::found::FoundMessages;
use super::indexed::{MboxHeader, header_md5};
use super::join::Joiner;
use super::journal;
use super::lock::{MboxLock, ReadLock};
use super::outside;
use super::scan::{Scan, ScanError, Scanned, ScannedMessage, scan_base};
use super::shared::Shared;
use super::uids::{KnownUids, UidWalk};
use crate::fs::FsError;
use crate::fs::marks::Marks;
use crate::index::files::IndexFiles;
use crate::index::mailbox::{cache_bytes, cache_of};
use crate::index::points;
use crate::index::reading::{IndexMark, IndexState, read_head, read_index};
use crate::index::view::IndexView;
use crate::list::layout::MailboxPaths;
use crate::text::lossy;

/// How often to look again while others are at work.
const TRIES: u32 = 10;

/// What was found.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) status: MailboxStatus,
    pub(super) messages: MessageList,
    /// Where each message is, in the order of `messages`, which is that of the file.
    found: FoundMessages,
    /// The file as a whole, without its messages.
    pub(super) file: Scanned,
    pub(super) index: IndexHealth,
    /// The index has messages that are gone, or about to go.
    pub(super) index_is_behind: bool,
    pub(super) points: Vec<SyncPoint>,
    pub(super) problems: Vec<String>,
    pub(super) mark: Option<Mark>,
    /// What one could see from outside, if nobody was at work meanwhile.
    pub(super) marks: Option<Marks>,
}

/// What became of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IndexHealth {
    /// There is none.
    Missing,
    /// It was read.
    Sound,
    /// It cannot be understood, or is about other messages.
    Unusable,
}

/// A moment: as long as it is the same, nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    file: FileMark,
    index: Option<IndexMark>,
}

/// A moment of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileMark {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl FileMark {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    /// Whether servers would take the file for unchanged.
    pub(super) fn looks_like(&self, metadata: &Metadata) -> bool {
        self.size == metadata.len() && self.modified.0 == metadata.mtime()
    }
}

impl Mark {
    pub(super) fn new(file: FileMark, index: Option<IndexMark>) -> Self {
        Self { file, index }
    }

    pub(super) fn file(&self) -> FileMark {
        self.file
    }

    pub(super) fn index(&self) -> Option<IndexMark> {
        self.index
    }

    /// The index went from one moment to another by something that changes no message.
    pub(super) fn advance(&mut self, from: IndexMark, to: IndexMark) {
        if self.index == Some(from) {
            self.index = Some(to);
        }
    }
}

impl Snapshot {
    /// A mailbox that does not exist yet.
    pub(super) fn of_new(identity: MailboxIdentity) -> Self {
        Self {
            status: MailboxStatus {
                identity,
                uid_next: Uid::FIRST,
                message_count: 0,
                highest_modseq: Some(ModSeq::FIRST),
                first_recent_uid: Some(Uid::FIRST),
            },
            messages: MessageList::default(),
            found: FoundMessages::default(),
            file: Scanned::default(),
            index: IndexHealth::Missing,
            index_is_behind: false,
            points: Vec::new(),
            problems: Vec::new(),
            mark: None,
            marks: None,
        }
    }

    /// The message at a place of the list, as it stands in the file.
    pub(super) fn found(&self, place: usize) -> Option<ScannedMessage> {
        self.found.get(place, &self.messages)
    }

    /// Whether nobody has decided yet when a message was saved that came since both sides were last the same. A server does when it
    /// is first asked, so it would say something else than the other side by then.
    pub(super) fn lacks_dates(&self) -> bool {
        let known = self.points.iter().map(|point| point.uid_next).max();
        self.messages.records().any(|record| record.saved.is_none() && record.uid >= known)
    }
}

impl From<ScanError> for StoreError {
    fn from(error: ScanError) -> Self {
        let kind = match error {
            ScanError::Read { .. } => ErrorKind::Io,
            ScanError::NoMbox { .. } => ErrorKind::Corrupt,
        };
        Self::new(kind, error.to_string())
    }
}

/// The files of the index of a mailbox; `None` if it is kept in memory only.
pub(super) fn index_files(paths: &MailboxPaths) -> Option<IndexFiles> {
    paths.index.as_deref().map(IndexFiles::of_mailbox)
}

/// Who the mailbox is.
///
/// # Errors
/// If the file is no mbox or cannot be read.
pub(super) fn identity(shared: &Shared, paths: &MailboxPaths) -> Result<MailboxIdentity, StoreError> {
    let lock = ReadLock::take(&paths.mails, shared.settings.mbox_locks)?;
    identity_at(lock.file(), paths)
}

/// The same under the lock for changing it.
///
/// # Errors
/// As [`identity`].
pub(super) fn identity_locked(paths: &MailboxPaths, lock: &MboxLock) -> Result<MailboxIdentity, StoreError> {
    identity_at(lock.file(), paths)
}

fn identity_at(file: &File, paths: &MailboxPaths) -> Result<MailboxIdentity, StoreError> {
    let base = scan_base(file, &paths.mails)?;
    let index = match index_files(paths) {
        Some(files) => read_head(&files).ok().flatten(),
        None => None,
    };
    let by_index = |index: &IndexState| UidValidity::new(index.view.uid_validity());
    Ok(MailboxIdentity {
        guid: index.as_ref().and_then(|index| MboxHeader::of_view(&index.view).guid),
        uid_validity: base
            .and_then(|base| UidValidity::new(base.uid_validity))
            .or_else(|| index.as_ref().and_then(by_index)),
    })
}

/// Looks at a mailbox while others cannot change it.
///
/// # Errors
/// If the file is no mbox or cannot be read.
pub(super) fn look(shared: &Shared, paths: &MailboxPaths) -> Result<Snapshot, StoreError> {
    let mut tries = 0;
    loop {
        let lock = ReadLock::take(&paths.mails, shared.settings.mbox_locks)?;
        let before = outside::marks(paths);
        let mut snapshot = look_under(shared, paths, &lock)?;
        tries += 1;
        let is_settled = before == outside::marks(paths);
        snapshot.marks = Some(before).filter(|_| is_settled);
        // Not everybody takes the locks that keep others away from who reads.
        let mark = file_mark(lock.file(), &paths.mails)?;
        if tries == TRIES || snapshot.mark.is_some_and(|then| then.file() == mark) {
            return Ok(snapshot);
        }
    }
}

/// Looks at a mailbox once, with this handle of its file.
///
/// # Errors
/// As [`look`].
pub(super) fn look_under(shared: &Shared, paths: &MailboxPaths, lock: &ReadLock) -> Result<Snapshot, StoreError> {
    if let Some(index) = &paths.index
        && journal::is_unfinished(lock.file(), &paths.mails, index)?
    {
        let text = format!(
            "{} was being changed when the program or the system crashed; run dsync with it as the destination to \
             finish that",
            lossy(&paths.mails)
        );
        return Err(StoreError::new(ErrorKind::Corrupt, text));
    }
    look_at(shared, lock.file(), paths)
}

/// The same under the lock for changing it.
///
/// # Errors
/// As [`look`].
pub(super) fn look_locked(shared: &Shared, paths: &MailboxPaths, lock: &MboxLock) -> Result<Snapshot, StoreError> {
    look_at(shared, lock.file(), paths)
}

/// The moment of a file that is locked.
///
/// # Errors
/// As the system.
pub(super) fn file_mark(file: &File, path: &Path) -> Result<FileMark, FsError> {
    let metadata = file.metadata().map_err(|error| FsError::new("look at", path, error))?;
    Ok(FileMark::of(&metadata))
}

fn look_at(shared: &Shared, file: &File, paths: &MailboxPaths) -> Result<Snapshot, StoreError> {
    let file_mark = file_mark(file, &paths.mails)?;
    let mut scan = Scan::new(file, &paths.mails, shared.settings.mbox_digest)?;
    let mut problems = Vec::new();
    let (index, mut health) = read_index_of(paths, &mut problems);
    let mark = Mark { file: file_mark, index: index.as_ref().map(IndexMark::of) };
    let view = index.as_ref().map(|index| &index.view);
    let first = scan.next()?;
    let validity_of_file = scan.base().and_then(|base| UidValidity::new(base.uid_validity));
    let validity_of_index = view.and_then(|view| UidValidity::new(view.uid_validity()));
    let same = validity_of_file.is_none() || validity_of_index.is_none() || validity_of_file == validity_of_index;
    if !same {
        health = IndexHealth::Unusable;
    }
    let index_is_whole = health != IndexHealth::Unusable && !index.as_ref().is_some_and(|index| index.unfinished);
    let usable = view.filter(|_| same);
    let uid_validity = validity_of_file.or(validity_of_index);
    let cached = match (index_files(paths), usable) {
        (Some(files), Some(view)) => cache_bytes(&files, view),
        _ => Vec::new(),
    };
    let cache = usable.and_then(|view| cache_of(view, &cached));
    let uid_of = |place| usable.and_then(|view| view.messages().get(place)).map(|(uid, _)| *uid);
    let md5_of = |place| usable.and_then(|view| header_md5(view, place));
    let known = usable.map(|view| KnownUids {
        uids: &uid_of,
        md5: &md5_of,
        count: view.messages().len(),
        next_uid: view.next_uid(),
    });
    // Without UIDVALIDITY a UID means nothing.
    let uids = uid_validity.map(|_| UidWalk::new(scan.base().map(|base| base.last_uid), known.as_ref()));
    let mut joiner = Joiner::new(usable, cache.as_ref(), uids);
    let mut next = first;
    while let Some(message) = next {
        joiner.take(message, scan.further_uids())?;
        next = scan.next()?;
    }
    let joined = joiner.finish();
    let mut scanned = scan.finish();
    problems.splice(0..0, std::mem::take(&mut scanned.problems));
    let index_is_behind = usable.is_some_and(|view| joined.known < view.messages().len());
    let last_uid = scanned.base.as_ref().map_or(0, |base| base.last_uid);
    let last = joined.messages.assigned().checked_sub(1).and_then(|last| joined.messages.uid_at(last));
    let uid_next = Uid::new(usable.map_or(1, IndexView::next_uid))
        .max(Uid::new(last_uid).map(Uid::next))
        .max(last.map(Uid::next))
        .unwrap_or(Uid::FIRST);
    let by_index = usable.and_then(|view| Uid::new(view.first_recent_uid()));
    let first_recent_uid = by_index.unwrap_or(joined.first_recent);
    let status = MailboxStatus {
        identity: MailboxIdentity { guid: view.and_then(|view| MboxHeader::of_view(view).guid), uid_validity },
        uid_next,
        message_count: u32::try_from(joined.messages.len()).unwrap_or(u32::MAX),
        // Messages of the index that are gone, or about to go, are one more change that the server counts when it notices.
        highest_modseq: view
            .map(|view| ModSeq(view.highest_modseq()).max(ModSeq::FIRST).plus(u64::from(index_is_behind))),
        first_recent_uid: Some(first_recent_uid).filter(|_| index_is_whole),
    };
    Ok(Snapshot {
        status,
        messages: joined.messages,
        found: joined.found,
        file: scanned,
        index: health,
        index_is_behind,
        points: usable.map(points::read).unwrap_or_default(),
        problems,
        mark: Some(mark),
        marks: None,
    })
}

fn read_index_of(paths: &MailboxPaths, problems: &mut Vec<String>) -> (Option<IndexState>, IndexHealth) {
    let Some(files) = index_files(paths) else { return (None, IndexHealth::Missing) };
    match read_index(&files) {
        Ok(Some(state)) => {
            if state.unfinished {
                problems.push(format!(
                    "{} ends in the middle of a record; what a server wrote after that is not known until it repairs it",
                    lossy(&files.log())
                ));
            }
            (Some(state), IndexHealth::Sound)
        }
        Ok(None) => (None, IndexHealth::Missing),
        Err(error) => {
            problems.push(format!(
                "{error}; flags are taken from the mbox, but modseqs and flags that are only in the index cannot be read \
                 until a server repairs it"
            ));
            (None, IndexHealth::Unusable)
        }
    }
}
