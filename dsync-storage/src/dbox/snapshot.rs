//! One look at a mailbox of an mdbox or sdbox, without locks and without leaving a trace.
//!
//! The index is what the mailbox is: UIDs, flags, keywords and counters are nowhere else. Dates, POP3 data and GUIDs come from
//! the messages themselves. The index is read before the map, so that everything in it is in the map too.
//!
//! A message that is in the index but cannot be read is *lost*: it is shown to nobody, it is a problem of the mailbox, and
//! whoever changes the mailbox leaves it in its place.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use dsync_core::model::{
    MailboxIdentity, MailboxStatus, MessageGuid, MessageList, MessageRecord, ModSeq, SyncPoint, Timestamp, Uid,
    UidValidity,
};
use dsync_core::store::{ErrorKind, StoreError};

use super::header::{DboxHeader, MdboxRecord};
use super::marks;
use super::message_file::Metadata;
use super::shared::{Shared, corrupt};
use super::single;
use super::storage::{Located, ReadMap, Storage};
use crate::fs::marks::Marks;
use crate::index::error::IndexError;
use crate::index::files::IndexFiles;
use crate::index::mailbox::{IndexedMessage, cache_bytes, cache_of, messages};
use crate::index::points;
use crate::index::reading::{IndexMark, IndexState, read_head, read_index};
use crate::index::target::TargetMessage;
use crate::index::view::IndexView;
use crate::list::being_made::wait_until_made;
use crate::list::layout::MailboxPaths;
use crate::text::lossy;

/// What the storage notes about a message in its flags: it is in the second place.
pub(super) const IN_ALT: u8 = 0x40;

/// Of so many messages at least, and of such a part of all, the index is forgotten at once.
const AT_ONCE: usize = 1 << 16;
const PARTS: usize = 16;

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) status: MailboxStatus,
    pub(super) messages: MessageList,
    /// What else is known of each message, in the order of `messages`.
    pub(super) stored: Arc<Vec<Stored>>,
    /// Messages that cannot be read, by ascending UID.
    pub(super) lost: Vec<Lost>,
    /// Messages whose removal was requested and not carried out yet: UID and number in the map.
    pub(super) doomed: Vec<(u32, u32)>,
    pub(super) header: DboxHeader,
    pub(super) points: Vec<SyncPoint>,
    pub(super) problems: Vec<String>,
    pub(super) mark: Option<IndexMark>,
    /// What one could see from outside, if nobody was at work meanwhile.
    pub(super) marks: Option<Marks>,
}

/// How a message is stored. Packed, because there may be millions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(Rust, packed)]
pub(super) struct Stored {
    /// mdbox: its number in the map.
    pub(super) map_uid: u32,
    /// The POP3 data that is stored with it is not all shown.
    pub(super) hides_pop3: bool,
    /// It has attachments in files of their own.
    pub(super) has_attachments: bool,
    /// sdbox: servers have moved it to the second place.
    pub(super) in_alt: bool,
}

/// A message that is in the index but cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) message: TargetMessage,
    pub(super) record: MdboxRecord,
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
            stored: Arc::default(),
            lost: Vec::new(),
            doomed: Vec::new(),
            header: DboxHeader::default(),
            points: Vec::new(),
            problems: Vec::new(),
            mark: None,
            marks: None,
        }
    }

    /// The mailbox after it was changed to hold `records`; everything else is as the index says now.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub(super) fn after(
        shared: &Shared,
        paths: &MailboxPaths,
        messages: MessageList,
        stored: Arc<Vec<Stored>>,
        lost: Vec<Lost>,
        problems: Vec<String>,
    ) -> Result<Self, StoreError> {
        let files = index_files(paths)?;
        let marks = marks::of(shared, paths);
        let (state, header) = read(shared, &files)?;
        let marks = Some(marks).filter(|_| lost.is_empty() && marks::shows(shared, &state.view, &messages));
        Ok(Self {
            status: status(&state.view, &header, messages.len()),
            messages,
            stored,
            lost,
            doomed: Vec::new(),
            header,
            points: points::read(&state.view),
            problems,
            mark: Some(IndexMark::of(&state)),
            marks,
        })
    }

    /// Whether the index has a message with this UID, whatever is wrong with it.
    pub(super) fn knows(&self, uid: Uid) -> bool {
        self.messages.contains(uid)
            || self.lost.binary_search_by_key(&uid.get(), |lost| lost.message.uid).is_ok()
            || self.doomed.binary_search_by_key(&uid.get(), |(doomed, _)| *doomed).is_ok()
    }

    /// The message at a place of the list can be found by its number in the map.
    pub(super) fn map_uids(&self) -> impl Iterator<Item = u32> {
        self.stored.iter().map(|stored| stored.map_uid)
    }
}

/// The files of the index of a mailbox.
pub(super) fn index_files(paths: &MailboxPaths) -> Result<IndexFiles, StoreError> {
    let directory = paths.index.as_ref().ok_or_else(|| {
        StoreError::new(ErrorKind::Impossible, "a mailbox of this format cannot be used with INDEX=MEMORY")
    })?;
    Ok(IndexFiles::of_mailbox(directory))
}

/// Reads an index and the header that the format keeps in it.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if it is missing or cannot be understood, [`ErrorKind::NotFound`] if it says that the mailbox is
/// deleted.
pub(super) fn read(shared: &Shared, files: &IndexFiles) -> Result<(IndexState, DboxHeader), StoreError> {
    refuse_deleted(files, read_by(read_index, shared, files)?)
}

fn refuse_deleted(
    files: &IndexFiles,
    (state, header): (IndexState, DboxHeader),
) -> Result<(IndexState, DboxHeader), StoreError> {
    if state.view.is_deleted() {
        let text = format!("the mailbox in {} is being deleted", lossy(files.directory()));
        return Err(StoreError::new(ErrorKind::NotFound, text));
    }
    Ok((state, header))
}

/// The same, also of a mailbox that somebody is deleting: as long as it is there that may fail, and it comes back.
///
/// # Errors
/// As [`read`], but for the last.
pub(super) fn read_though_deleted(
    shared: &Shared,
    files: &IndexFiles,
) -> Result<(IndexState, DboxHeader), StoreError> {
    read_by(read_index, shared, files)
}

/// How an index is read: all of it, or without the messages.
type ReadIndex = fn(&IndexFiles) -> Result<Option<IndexState>, IndexError>;

fn read_by(read: ReadIndex, shared: &Shared, files: &IndexFiles) -> Result<(IndexState, DboxHeader), StoreError> {
    let missing = || {
        // A server would make an empty mailbox of it. That it is empty must not be believed.
        let text = format!(
            "{} is missing, so the mailbox has lost what was known about its messages; restore it, or remove the \
             directory if it is no mailbox",
            lossy(&files.log())
        );
        StoreError::new(ErrorKind::Corrupt, text)
    };
    let state = read(files)?.ok_or_else(missing)?;
    let header = DboxHeader::of_view(&state.view, shared.header_name());
    let being_made = state.view.uid_validity() == 0 && state.view.next_uid() == 1;
    let header = header.or(being_made.then(DboxHeader::default)).ok_or_else(|| {
        let text = format!("the index in {} has no header {}", lossy(files.directory()), shared.header_name());
        corrupt(&text)
    })?;
    Ok((state, header))
}

/// Who the mailbox is.
///
/// # Errors
/// As [`read`].
pub(super) fn identity(shared: &Shared, paths: &MailboxPaths) -> Result<MailboxIdentity, StoreError> {
    let files = index_files(paths)?;
    let look = || {
        let (state, header) = refuse_deleted(&files, read_by(read_head, shared, &files)?)?;
        Ok(identity_of(&state.view, &header))
    };
    let is_decided =
        |identity: &Result<MailboxIdentity, StoreError>| identity.as_ref().is_ok_and(|it| it.is_decided());
    let mut identity = look();
    if !is_decided(&identity) {
        wait_until_made(files.directory(), || {
            identity = look();
            is_decided(&identity)
        });
    }
    identity
}

/// The same, also of a mailbox that somebody is deleting.
///
/// # Errors
/// As [`read_though_deleted`].
pub(super) fn identity_though_deleted(shared: &Shared, paths: &MailboxPaths) -> Result<MailboxIdentity, StoreError> {
    let (state, header) = read_by(read_head, shared, &index_files(paths)?)?;
    Ok(identity_of(&state.view, &header))
}

fn identity_of(view: &IndexView, header: &DboxHeader) -> MailboxIdentity {
    MailboxIdentity { guid: header.guid, uid_validity: UidValidity::new(view.uid_validity()) }
}

fn status(view: &IndexView, header: &DboxHeader, count: usize) -> MailboxStatus {
    MailboxStatus {
        identity: identity_of(view, header),
        uid_next: Uid::new(view.next_uid()).unwrap_or(Uid::FIRST),
        message_count: u32::try_from(count).unwrap_or(u32::MAX),
        highest_modseq: Some(ModSeq(view.highest_modseq()).max(ModSeq::FIRST)),
        first_recent_uid: Some(Uid::new(view.first_recent_uid()).unwrap_or(Uid::FIRST)),
    }
}

/// Looks at the mailbox.
///
/// # Errors
/// If the index cannot be read. Messages that cannot be read are problems of the snapshot instead.
pub(super) fn look(shared: &Shared, paths: &MailboxPaths) -> Result<Snapshot, StoreError> {
    let before = marks::of(shared, paths);
    let files = index_files(paths)?;
    if let Some(storage) = &shared.storage {
        // It is looked at again behind the index. If it is the same then, it need not be read while the index is in memory.
        let _ = storage.map();
    }
    let (mut state, header) = read(shared, &files)?;
    let mut problems = Vec::new();
    if state.unfinished {
        problems.push(format!(
            "{} ends in the middle of a record; what a server wrote after that is not known until it repairs it",
            lossy(&files.log())
        ));
    }
    let bodies = match &shared.storage {
        Some(storage) => Bodies::Multi(storage, usable_map(storage, &header, paths, &mut problems)),
        None => Bodies::Single(paths),
    };
    if let (Bodies::Multi(_, None), false) = (&bodies, shared.context.read_only) {
        // What is not known to be used by nobody must not be touched.
        return Err(corrupt(&problems.join("; ")));
    }
    let bytes = cache_bytes(&files, &state.view);
    let cache = cache_of(&state.view, &bytes);
    let count = state.view.messages().len();
    let mut looker = Looker {
        header,
        bodies,
        messages: MessageList::default(),
        stored: Vec::with_capacity(count),
        lost: Vec::new(),
        problems,
        has_dates_of_files: false,
    };
    let mut doomed = Vec::new();
    // What has become a message of the list is forgotten, because there may be millions.
    let at_once = AT_ONCE.max(count / PARTS);
    while !state.view.messages().is_empty() {
        let view = &state.view;
        for (place, (uid, indexed)) in messages(view, cache.as_ref()).enumerate().take(at_once) {
            if view.pending_expunges().contains(&uid.get()) {
                doomed.push((uid.get(), MdboxRecord::of_view(view, place).map_uid));
                continue;
            }
            looker.add(view, place, uid, indexed)?;
        }
        state.view.forget_first(at_once);
    }
    let view = &state.view;
    let Looker { messages, stored, lost, problems, has_dates_of_files, .. } = looker;
    Ok(Snapshot {
        status: status(view, &header, messages.len()),
        messages,
        stored: Arc::new(stored),
        lost,
        doomed,
        header,
        points: points::read(view),
        problems,
        mark: Some(IndexMark::of(&state)),
        marks: Some(before).filter(|before| !has_dates_of_files && *before == marks::of(shared, paths)),
    })
}

/// The map, if it is that of the mailbox.
fn usable_map(
    storage: &Storage,
    header: &DboxHeader,
    paths: &MailboxPaths,
    problems: &mut Vec<String>,
) -> Option<Arc<ReadMap>> {
    match storage.map() {
        Ok(map) if header.first == 0 || map.map().uid_validity() == header.first => return Some(map),
        Ok(_) => problems.push(format!(
            "{} belongs to another map than that in {}; messages are looked for by their GUIDs",
            lossy(&paths.mails),
            lossy(storage.map_files().directory())
        )),
        Err(error) => problems.push(format!("{error}; messages are looked for by their GUIDs")),
    }
    None
}

/// Where the messages are.
enum Bodies<'a> {
    Single(&'a MailboxPaths),
    /// The storage, and its map if that can be used.
    Multi(&'a Storage, Option<Arc<ReadMap>>),
}

impl Bodies<'_> {
    fn locate(&self, uid: Uid, record: &MdboxRecord) -> Result<Located, StoreError> {
        match self {
            Self::Single(paths) => single::locate(paths, uid),
            Self::Multi(storage, map) => locate(storage, map.as_deref(), record),
        }
    }
}

/// Where a message of an mdbox is: as the map says, or, without one, wherever its GUID is found. If there is another message
/// than the GUID says, everything is looked at anew before that is believed.
pub(super) fn locate(storage: &Storage, map: Option<&ReadMap>, record: &MdboxRecord) -> Result<Located, StoreError> {
    let Some(map) = map else { return storage.locate_by_guid(record.guid) };
    if let Some(entry) = map.map().get(record.map_uid)
        && let Ok(located) = storage.locate(entry.place)
        && (record.guid == [0; 16] || to_128(&located, record) == Some(record.guid))
    {
        return Ok(located);
    }
    // A purge may just have moved it, or a server has repaired the file.
    storage.forget_files();
    let map = storage.map()?;
    let entry = map.map().get(record.map_uid).ok_or_else(|| {
        let number = record.map_uid;
        corrupt(&format!("{} knows no message number {number}", lossy(storage.map_files().directory())))
    })?;
    storage.locate(entry.place)
}

struct Looker<'a> {
    header: DboxHeader,
    bodies: Bodies<'a>,
    messages: MessageList,
    stored: Vec<Stored>,
    lost: Vec<Lost>,
    problems: Vec<String>,
    /// The date of saving is nowhere but in a file, where another link to it changes it.
    has_dates_of_files: bool,
}

impl Looker<'_> {
    fn add(&mut self, view: &IndexView, place: usize, uid: Uid, indexed: IndexedMessage) -> Result<(), StoreError> {
        let record = MdboxRecord::of_view(view, place);
        let (_, bits) = view.messages().get(place).copied().unwrap_or_default();
        match self.bodies.locate(uid, &record).and_then(|located| self.record(uid, &record, &indexed, &located)) {
            Ok((message, stored)) => {
                // The index was decoded, so its UIDs ascend.
                self.messages.push(&message).map_err(|error| corrupt(&error.to_string()))?;
                self.stored.push(Stored { in_alt: bits & IN_ALT != 0, ..stored });
            }
            Err(error) => {
                self.problems.push(format!("the message with UID {uid} cannot be read: {error}"));
                let (keywords, modseq) = (indexed.keywords, indexed.modseq.get());
                let message = TargetMessage { uid: uid.get(), flags: bits, keywords, modseq };
                self.lost.push(Lost { message, record });
            }
        }
        Ok(())
    }

    fn record(
        &mut self,
        uid: Uid,
        record: &MdboxRecord,
        indexed: &IndexedMessage,
        located: &Located,
    ) -> Result<(MessageRecord, Stored), StoreError> {
        let metadata = &located.message.metadata;
        let guid = guid(metadata, record)
            .ok_or_else(|| corrupt(&format!("{} has a message without a GUID", lossy(&located.file.path))))?;
        let uidl = metadata.pop3_uidl().filter(|_| self.header.shows_pop3_uidl(uid.get()));
        let order = metadata.pop3_order().filter(|_| self.header.shows_pop3_order(uid.get()));
        let saved = match &self.bodies {
            Bodies::Multi(..) => Some(Timestamp(record.saved.into())),
            Bodies::Single(_) => {
                let known = indexed.saved.map(|seconds| Timestamp(seconds.into()));
                self.has_dates_of_files |= known.is_none();
                known.or_else(|| changed(located))
            }
        };
        let message = MessageRecord {
            uid: Some(uid),
            guid,
            flags: indexed.flags,
            keywords: indexed.keywords.clone(),
            modseq: Some(indexed.modseq),
            received: metadata.received(),
            saved,
            pop3_uidl: uidl.map(Into::into),
            pop3_order: order,
        };
        let stored = Stored {
            map_uid: record.map_uid,
            hides_pop3: metadata.pop3_uidl() != uidl || metadata.pop3_order() != order,
            has_attachments: metadata.value(b'X').is_some(),
            in_alt: false,
        };
        Ok((message, stored))
    }
}

fn to_128(located: &Located, record: &MdboxRecord) -> Option<[u8; 16]> {
    guid(&located.message.metadata, record).as_ref().map(MessageGuid::to_128)
}

/// The GUID of a message: the text beside it, else what the index has.
pub(super) fn guid(metadata: &Metadata, record: &MdboxRecord) -> Option<MessageGuid> {
    metadata.guid().or_else(|| {
        let hex: String = record.guid.iter().map(|byte| format!("{byte:02x}")).collect();
        MessageGuid::new(hex.as_bytes()).filter(|_| record.guid != [0; 16])
    })
}

/// When the file of a message last changed: what an sdbox shows as the saved date if it knows none.
fn changed(located: &Located) -> Option<Timestamp> {
    let metadata: fs::Metadata = located.file.file.metadata().ok()?;
    Some(Timestamp(metadata.ctime()))
}
