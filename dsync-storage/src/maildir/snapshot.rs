//! One look at a mailbox on disk, without locks and without leaving a trace.
//!
//! The uidlist is read, `new` and `cur` are listed, the index is replayed; and if any of them changed meanwhile, all of
//! it is done again, because a server may be at work. Under the mailbox's lock the first look is always good.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dsync_core::model::{SyncPoint, Timestamp, Uid};
use dsync_core::store::{ErrorKind, StoreError};
use sha1::{Digest, Sha1};

use super::file_name::FileName;
use super::files::{FoundFile, MessageFiles};
use super::foreign;
use super::join::{self, FileTimes, IndexedMailbox, Joined, Sources};
use super::keywords::KeywordSlots;
use super::scan;
use super::uidlist::UidList;
use super::{indexed, uidlist};
use crate::fs::marks::Marks;
use crate::fs::{FsError, read};
use crate::index::files::IndexFiles;
use crate::list::layout::MailboxPaths;
use crate::text::lossy;

/// Enough for some twenty million messages.
const LARGEST_UIDLIST: u64 = 1 << 30;
/// 26 lines.
const LARGEST_KEYWORDS: u64 = 1 << 20;
/// How often to look again while others are at work.
const TRIES: u32 = 10;

/// What was found.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) joined: Joined,
    /// A checksum over the uidlist.
    pub(super) uidlist_digest: [u8; 20],
    /// How many bytes messages have of which not their file names but the uidlist says so: place in the list, and size.
    stated_sizes: Vec<(usize, u64)>,
    pub(super) slots: KeywordSlots,
    /// Whether there is an index that can be changed; not if there is none, or it is of another UIDVALIDITY, or
    /// cannot be understood.
    pub(super) index: IndexHealth,
    /// Moments of agreement with other stores, from the index.
    pub(super) points: Vec<SyncPoint>,
    /// A checksum over the dates of files, if the mailbox shows any.
    pub(super) dates_of_files: Option<[u8; 16]>,
    /// What one could see from outside; `None` if others were at work all the time, or if that shows more than was taken in.
    pub(super) marks: Option<Marks>,
    /// A delivery is there that was left out.
    is_partial: bool,
}

impl Snapshot {
    /// How many bytes the message at this place of the list has, if its file name or the uidlist says so. A compressed
    /// file has another size.
    pub(super) fn stated_size(&self, index: usize) -> Option<u64> {
        let by_name = self.joined.files.get(index).and_then(|file| FileName::parse(file.name).physical_size());
        by_name.or_else(|| {
            let place = self.stated_sizes.binary_search_by_key(&index, |(index, _)| *index).ok()?;
            self.stated_sizes.get(place).map(|(_, size)| *size)
        })
    }
}

fn stated_sizes(joined: &Joined, uidlist: &UidList) -> Vec<(usize, u64)> {
    let unstated = joined.files.iter().enumerate();
    let unstated = unstated.filter(|(_, file)| FileName::parse(file.name).physical_size().is_none());
    let stated = unstated.filter_map(|(index, _)| {
        let entry = uidlist.entries.with_uid(joined.messages.uid_at(index)?)?;
        Some((index, std::str::from_utf8(entry.field(b'S')?).ok()?.parse().ok()?))
    });
    stated.collect()
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

/// Looks at the mailbox. What damage leaves open stays open, unless the mailbox is `writable`: then it is as a server
/// would repair it.
///
/// # Errors
/// If a directory or file cannot be read. What can be read but not understood is a problem of the snapshot instead.
pub(super) fn look(paths: &MailboxPaths, writable: bool) -> Result<Snapshot, StoreError> {
    look_with_uidlist(paths, writable, None).map(|(snapshot, _)| snapshot)
}

/// Looks at a mailbox again that is being changed, to which `earlier` belonged. What was delivered since, and has no UID yet, is
/// not there: nothing that was decided depends on it, and its turn is when somebody looks next.
///
/// # Errors
/// As [`look`].
pub(super) fn look_again(paths: &MailboxPaths, earlier: &MessageFiles) -> Result<(Snapshot, UidList), StoreError> {
    look_with_uidlist(paths, true, Some(earlier))
}

/// A look, and the uidlist, which takes as much memory as everything else together.
fn look_with_uidlist(
    paths: &MailboxPaths,
    writable: bool,
    earlier: Option<&MessageFiles>,
) -> Result<(Snapshot, UidList), StoreError> {
    let mut tries = 0;
    loop {
        let before = marks(paths);
        let (mut snapshot, uidlist) = look_once(paths, writable, earlier)?;
        tries += 1;
        if before == marks(paths) {
            // With what was left out in its marks, a mailbox would be passed over until something else happens in it.
            snapshot.marks = Some(before).filter(|_| !snapshot.is_partial);
            return Ok((snapshot, uidlist));
        }
        if tries == TRIES {
            // Files that were renamed meanwhile may have been missed, so this is not all there is.
            let text = format!("{} was changed by others all the time; run again", lossy(&paths.mails));
            snapshot.joined.problems.push(text);
            return Ok((snapshot, uidlist));
        }
    }
}

fn look_once(
    paths: &MailboxPaths,
    writable: bool,
    earlier: Option<&MessageFiles>,
) -> Result<(Snapshot, UidList), StoreError> {
    let mut problems = Vec::new();
    let UidListFile { uidlist, origin } = read_uidlist(paths, &mut problems)?;
    let slots = read_keywords(&paths.control)?;
    let mut scan = scan::scan(&paths.mails, &paths.root)?;
    let is_partial = earlier.is_some_and(|earlier| scan.forget_deliveries(earlier, &uidlist));
    let (index, mut state) = read_index(paths, &mut problems);
    let index_is_whole = state != IndexHealth::Unusable && !index.as_ref().is_some_and(|index| index.unfinished);
    if let Some(index) = &index
        && index.uid_validity.is_some()
        && index.uid_validity != uidlist.uid_validity
    {
        state = IndexHealth::Unusable;
    }
    let uidlist_is_whole = !matches!(origin, Origin::Damaged);
    let sources = Sources { uidlist: &uidlist, uidlist_is_whole, slots: &slots, index: index.as_ref() };
    let mut dates = FileDates::default();
    let mut joined = join::join(sources, scan, &mut |file| {
        file_times(&paths.mails, file).inspect(|times| dates.add(file, *times))
    });
    let dates_of_files = joined.has_dates_of_files.then(|| dates.digest());
    let stated_sizes = stated_sizes(&joined, &uidlist);
    if !uidlist.entries.is_empty() && !paths.mails.join("cur").is_dir() {
        problems.push(format!(
            "{} is missing, but {} lists messages; check whether its file system is mounted",
            lossy(&paths.mails.join("cur")),
            lossy(&paths.control.join(uidlist::FILE_NAME))
        ));
    }
    if let (true, Some(index)) = (writable && uidlist.uid_validity.is_none(), &index) {
        // A server goes on from there, so that no UID is given again.
        joined.status.uid_next = joined.status.uid_next.max(index.uid_next.unwrap_or(Uid::FIRST));
    }
    if !index_is_whole {
        joined.status.first_recent_uid = None;
    }
    match origin {
        Origin::Sound => {}
        // What the lost lines said is not known, so the destination may keep the UIDs that it has from them.
        Origin::Damaged if writable => {}
        Origin::Damaged => {
            joined.status.uid_next = uidlist.entries.last_uid().map_or(Uid::FIRST, Uid::next);
        }
        // No server has shown any of it to a client yet.
        Origin::Mbsync => joined.status.first_recent_uid = Some(Uid::FIRST),
    }
    foreign::add_keywords(&paths.mails, &mut joined);
    problems.append(&mut joined.problems);
    joined.problems = problems;
    // A uidlist that is older than the index was restored from an old copy, and the messages with it: what is missing then
    // was not expunged.
    let current = |index: &IndexedMailbox| index.uid_next <= Some(uidlist.effective_uid_next());
    let points = index.filter(current).map(|index| index.points).unwrap_or_default();
    let uidlist_digest = uidlist.digest();
    Ok((
        Snapshot {
            joined,
            uidlist_digest,
            stated_sizes,
            slots,
            index: state,
            points,
            dates_of_files,
            marks: None,
            is_partial,
        },
        uidlist,
    ))
}

/// A uidlist, and how far it can be believed.
struct UidListFile {
    uidlist: UidList,
    origin: Origin,
}

/// Where a uidlist comes from.
enum Origin {
    /// A file that is whole, or none at all.
    Sound,
    /// A file whose end is lost.
    Damaged,
    /// The file names that mbsync gives.
    Mbsync,
}

/// The uidlist, or what another program keeps in its place.
fn read_uidlist(paths: &MailboxPaths, problems: &mut Vec<String>) -> Result<UidListFile, StoreError> {
    let path = paths.control.join(uidlist::FILE_NAME);
    let Some(bytes) = read::contents(&path, LARGEST_UIDLIST)? else {
        if let Some(uidlist) = foreign::courier_uidlist(&paths.mails)? {
            return Ok(UidListFile { uidlist, origin: Origin::Sound });
        }
        return Ok(match foreign::mbsync_mailbox(paths)? {
            Some(uidlist) => UidListFile { uidlist, origin: Origin::Mbsync },
            None => UidListFile { uidlist: UidList::default(), origin: Origin::Sound },
        });
    };
    let (uidlist, damage) = UidList::decode(&bytes);
    let origin = if damage.is_some() { Origin::Damaged } else { Origin::Sound };
    if let Some(damage) = damage {
        problems.push(format!(
            "{} is broken in line {}: {}; messages from there on have no UID until a server repairs it",
            lossy(&path),
            damage.line,
            damage.reason
        ));
    }
    Ok(UidListFile { uidlist, origin })
}

fn read_keywords(control: &Path) -> Result<KeywordSlots, FsError> {
    let bytes = read::contents(&control.join(super::keywords::FILE_NAME), LARGEST_KEYWORDS)?;
    Ok(KeywordSlots::decode(&bytes.unwrap_or_default()))
}

fn read_index(paths: &MailboxPaths, problems: &mut Vec<String>) -> (Option<IndexedMailbox>, IndexHealth) {
    let Some(directory) = &paths.index else { return (None, IndexHealth::Missing) };
    match indexed::read(directory) {
        Ok(Some(index)) => {
            if index.unfinished {
                let log = IndexFiles::of_mailbox(directory).log();
                problems.push(format!(
                    "{} ends in the middle of a record; what a server wrote after that is not known until it repairs it",
                    lossy(&log)
                ));
            }
            (Some(index), IndexHealth::Sound)
        }
        Ok(None) => (None, IndexHealth::Missing),
        Err(error) => {
            problems.push(format!(
                "{error}; flags are taken from the file names, but modseqs and keywords that are only in the index \
                 cannot be read until a server repairs it"
            ));
            (None, IndexHealth::Unusable)
        }
    }
}

fn file_times(mailbox: &Path, file: FoundFile<'_>) -> Result<FileTimes, String> {
    let path = file.path(mailbox);
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() => {
            Ok(FileTimes { modified: Timestamp(metadata.mtime().max(0)), changed: Timestamp(metadata.ctime()) })
        }
        Ok(_) => Err(format!("{} is no plain file", lossy(&path))),
        Err(error) => Err(format!("{} cannot be read: {error}", lossy(&path))),
    }
}

/// A checksum over the dates of files in any order.
#[derive(Default)]
struct FileDates(u128);

impl FileDates {
    fn add(&mut self, file: FoundFile<'_>, times: FileTimes) {
        let mut hash = Sha1::new();
        for time in [times.modified, times.changed] {
            hash.update(time.seconds().to_le_bytes());
        }
        hash.update(file.base());
        let number = hash.finalize().first_chunk().copied().map_or(0, u128::from_le_bytes);
        self.0 = self.0.wrapping_add(number);
    }

    fn digest(&self) -> [u8; 16] {
        self.0.to_le_bytes()
    }
}

/// A checksum over the dates of all files of a mailbox: it is that of a [`Snapshot`] in which all dates are those of files.
pub(super) fn dates_of_files(paths: &MailboxPaths) -> Option<[u8; 16]> {
    let scan = scan::scan(&paths.mails, &paths.root).ok()?;
    let mut dates = FileDates::default();
    for scanned in &scan.files {
        let file = scan.names.get(scanned.at);
        if let Ok(times) = file_times(&paths.mails, file) {
            dates.add(file, times);
        }
    }
    Some(dates.digest())
}

/// Files of the index: they are changed only by who holds its lock.
const INDEX_FILES: [&str; 3] = ["dovecot.index", "dovecot.index.log", "dovecot.index.cache"];

/// By what one can see that somebody changed something. Those of the index come last.
pub(super) fn marks(paths: &MailboxPaths) -> Marks {
    let mut files = vec![paths.control.join(uidlist::FILE_NAME), paths.mails.join("new"), paths.mails.join("cur")];
    files.push(paths.control.join(super::keywords::FILE_NAME));
    files.push(paths.mails.join(foreign::KEYWORDS_FILE));
    files.extend(paths.index.iter().flat_map(|index| INDEX_FILES.map(|name| index.join(name))));
    Marks::of(&files)
}

/// The same after a change of the index, whose lock is held.
pub(super) fn with_new_index(before: Marks, paths: &MailboxPaths) -> Marks {
    before.renewed(&marks(paths), |place| place >= FILES_BESIDE_INDEX)
}

/// How many of the [`marks`] are not those of the index.
const FILES_BESIDE_INDEX: usize = 5;

/// The GUID and UIDVALIDITY of a mailbox, read from the head of its uidlist.
///
/// # Errors
/// As the system.
pub(super) fn identity(control: &Path) -> Result<dsync_core::model::MailboxIdentity, FsError> {
    const HEAD: u64 = 4096;
    let path = control.join(uidlist::FILE_NAME);
    let bytes = match read::open(&path) {
        Ok((file, _)) => {
            let mut head = Vec::new();
            let mut limited = io::Read::take(file, HEAD);
            io::Read::read_to_end(&mut limited, &mut head).map_err(|error| FsError::new("read", &path, error))?;
            head
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let header = bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    let (uidlist, _) = UidList::decode(header);
    Ok(dsync_core::model::MailboxIdentity { guid: uidlist.guid, uid_validity: uidlist.uid_validity })
}

/// The file of a message, open.
pub(super) struct OpenedMessage {
    pub(super) file: fs::File,
    /// How many bytes the file has, which is more or less than the message if it is compressed.
    pub(super) size: u64,
    pub(super) path: PathBuf,
}

/// Opens the file of a message; it is looked for again if its flags were changed meanwhile.
///
/// # Errors
/// [`ErrorKind::NotFound`] if it is gone.
pub(super) fn open_message(paths: &MailboxPaths, file: FoundFile<'_>) -> Result<OpenedMessage, StoreError> {
    let mut path = file.path(&paths.mails);
    let mut result = read::open_below(&path, &paths.root);
    if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        && let Some(moved) = scan::scan(&paths.mails, &paths.root)?.get(file.base())
    {
        path = moved.path(&paths.mails);
        result = read::open_below(&path, &paths.root);
    }
    match result {
        Ok((file, metadata)) => Ok(OpenedMessage { file, size: metadata.len(), path }),
        Err(error) => {
            let kind = match error.kind() {
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                _ => ErrorKind::Source,
            };
            Err(StoreError::new(kind, error.to_string()))
        }
    }
}
