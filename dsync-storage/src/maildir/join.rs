//! Putting a Maildir together: which message has which UID, flags and dates, from sources that may disagree.
//!
//! | fact | first source | else |
//! |---|---|---|
//! | UID | the uidlist | none yet |
//! | flags, keywords with a letter | the file name, unless the index has changes that are not in the name yet | |
//! | keywords without a letter | the index | |
//! | modseq | the index, where it agrees with the file name | undecided |
//! | received date | the index cache | modification time of the file |
//! | saved date | the index cache | change time of the file |
//! | POP3 UIDL and order | the uidlist | none |
//! | GUID | the uidlist | the base name |
//!
//! A listed message without a file is gone; a file that is not listed is a message without a UID. These are the rules
//! by which a server merges the same sources when it next opens the mailbox.

use std::collections::{BTreeSet, HashMap};

use dsync_core::model::{
    Flags, Keyword, Keywords, MailboxIdentity, MailboxStatus, MessageGuid, MessageList, MessageRecord, ModSeq,
    Pop3Uidl, SyncPoint, Timestamp, Uid, UidValidity,
};

use sha1::{Digest, Sha1};

use super::file_name::{self, FileName};
use super::files::{FileAt, FoundFile, MessageFiles, Subdirectory};
use super::indexed_messages::IndexedMessages;
use super::keywords::KeywordSlots;
use super::scan::{Scan, Scanned};
use super::uidlist::{ListedEntry, UidList};
use crate::index::mailbox::IndexedMessage;
use crate::text::lossy_bytes;

/// What the index knows, as far as a Maildir keeps it there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct IndexedMailbox {
    pub(super) uid_validity: Option<UidValidity>,
    pub(super) uid_next: Option<Uid>,
    pub(super) first_recent_uid: Option<Uid>,
    pub(super) highest_modseq: ModSeq,
    /// Whether messages have modseqs of their own.
    pub(super) has_modseqs: bool,
    /// By ascending UID.
    pub(super) messages: IndexedMessages,
    /// Messages whose deletion was requested but not carried out.
    pub(super) pending_expunges: BTreeSet<Uid>,
    /// Messages whose flags were changed by request, without the file name having been changed.
    pub(super) pending_changes: BTreeSet<Uid>,
    /// Moments of agreement with other stores.
    pub(super) points: Vec<SyncPoint>,
    /// Its log ends in the middle of a record.
    pub(super) unfinished: bool,
}

impl IndexedMailbox {
    fn message(&self, uid: Uid) -> Option<IndexedMessage> {
        self.messages.get(uid)
    }
}

/// The dates that the file system keeps for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileTimes {
    pub(super) modified: Timestamp,
    pub(super) changed: Timestamp,
}

/// Everything that was read beside the files.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) uidlist: &'a UidList,
    /// No line of it is lost, so that what is not listed is gone.
    pub(super) uidlist_is_whole: bool,
    pub(super) slots: &'a KeywordSlots,
    pub(super) index: Option<&'a IndexedMailbox>,
}

/// The mailbox as a client would see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) status: MailboxStatus,
    pub(super) messages: MessageList,
    /// The file of each message, in the order of `messages`.
    pub(super) files: MessageFiles,
    /// A checksum over the names and inodes of those.
    pub(super) files_digest: [u8; 20],
    /// The index still has messages that are gone.
    pub(super) index_is_behind: bool,
    pub(super) problems: Vec<String>,
    /// The date of saving is nowhere but in a file, where another link to it changes it.
    pub(super) has_dates_of_files: bool,
    /// What is in the place of a listed message, so that it is not known whether that is gone.
    pub(super) obstacle: Option<String>,
}

/// Joins what was read. `times` says the dates of a file, or why the file cannot be copied.
pub(super) fn join(
    sources: Sources<'_>,
    scan: Scan,
    times: &mut dyn FnMut(FoundFile<'_>) -> Result<FileTimes, String>,
) -> Joined {
    // An index of another UIDVALIDITY is about other messages.
    let index = sources
        .index
        .filter(|index| index.uid_validity.is_none() || index.uid_validity == sources.uidlist.uid_validity);
    let mut joiner =
        Joiner { sources: Sources { index, ..sources }, sets: HashMap::new(), times, has_dates_of_files: false };
    let mut files = Files::new(scan);
    let mut doomed = Vec::new();
    let mut obstacle = None;
    let mut last_seen_before = None;
    for entry in sources.uidlist.entries.iter() {
        if joiner.is_doomed(entry.uid) {
            doomed.extend(files.take(entry.base()).map(|scanned| scanned.at));
            continue;
        }
        if joiner.has_reappeared(entry.uid) {
            continue;
        }
        let Some(scanned) = files.take(entry.base()) else {
            obstacle = obstacle.or_else(|| files.scan.no_messages.get(entry.base()).cloned());
            continue;
        };
        match files.join(&mut joiner, Some(entry), scanned) {
            Some(Subdirectory::Cur) => last_seen_before = Some(entry.uid),
            Some(Subdirectory::New) => {}
            None => obstacle = obstacle.or_else(|| files.scan.problems.last().cloned()),
        }
    }
    for scanned in files.unlisted() {
        files.join(&mut joiner, None, scanned);
    }
    let Files { scan, mut messages, listed, digest, .. } = files;
    let index_is_behind = sources.uidlist_is_whole && index.is_some_and(|index| is_behind(index, &messages));
    let status = status(sources, index, &messages, last_seen_before);
    if let Some(index) = index.filter(|index| !index.has_modseqs) {
        // A server that keeps no modseqs of messages shows the highest for all, as it will be once it has noticed what is
        // gone.
        let shown = messages.records().map(|record| match record.modseq {
            Some(modseq) if modseq == index.highest_modseq => {
                MessageRecord { modseq: status.highest_modseq, ..record }
            }
            _ => record,
        });
        messages = MessageList::new(shown.collect()).unwrap_or_default();
    }
    let Scan { mut names, problems, .. } = scan;
    names.shrink_to_fit();
    Joined {
        status,
        messages,
        files: MessageFiles { names, listed, doomed },
        files_digest: digest.finalize().into(),
        index_is_behind,
        problems,
        has_dates_of_files: joiner.has_dates_of_files,
        obstacle,
    }
}

/// The files on their way to their messages.
struct Files {
    scan: Scan,
    /// Which of the files of the scan have been looked at.
    taken: Vec<bool>,
    messages: MessageList,
    listed: Vec<FileAt>,
    digest: Sha1,
}

impl Files {
    fn new(scan: Scan) -> Self {
        let count = scan.len();
        Self {
            scan,
            taken: vec![false; count],
            messages: MessageList::default(),
            listed: Vec::with_capacity(count),
            digest: Sha1::new(),
        }
    }

    /// The file with this base name, once.
    fn take(&mut self, base: &[u8]) -> Option<Scanned> {
        let place = self.scan.position(base)?;
        let taken = self.taken.get_mut(place).filter(|taken| !**taken)?;
        *taken = true;
        self.scan.files.get(place).copied()
    }

    /// The files that are left, in the order in which they will get their UIDs.
    fn unlisted(&self) -> Vec<Scanned> {
        let left = self.scan.bases().zip(&self.taken).filter(|(_, taken)| !**taken);
        let mut bases: Vec<&[u8]> = left.map(|(base, _)| base).collect();
        file_name::sort_for_uid_assignment(&mut bases);
        let files = bases.into_iter().filter_map(|base| self.scan.files.get(self.scan.position(base)?));
        files.copied().collect()
    }

    /// Adds the message of a file, if it is one. Where it lies.
    fn join(
        &mut self,
        joiner: &mut Joiner<'_>,
        entry: Option<ListedEntry<'_>>,
        scanned: Scanned,
    ) -> Option<Subdirectory> {
        let file = self.scan.names.get(scanned.at);
        let base = entry.as_ref().map_or(file.base(), ListedEntry::base);
        match joiner.record(entry, base, file) {
            Ok(record) => {
                self.digest.update([u8::from(file.subdirectory == Subdirectory::New)]);
                self.digest.update(scanned.inode.to_le_bytes());
                self.digest.update(file.name);
                self.digest.update([0]);
                // Entries of a uidlist ascend, and messages without a UID come last.
                self.messages.push(&record).ok()?;
                self.listed.push(scanned.at);
                Some(file.subdirectory)
            }
            Err(problem) => {
                self.scan.problems.push(problem);
                None
            }
        }
    }
}

/// Whether the index knows messages that are no longer there.
fn is_behind(index: &IndexedMailbox, messages: &MessageList) -> bool {
    let known = |index_of: &usize| messages.uid_at(*index_of).is_some_and(|uid| index.messages.contains(uid));
    (0..messages.assigned()).filter(known).count() < index.messages.len()
}

fn status(
    sources: Sources<'_>,
    index: Option<&IndexedMailbox>,
    messages: &MessageList,
    last_seen_before: Option<Uid>,
) -> MailboxStatus {
    let uidlist = sources.uidlist;
    let uid_next = uidlist.effective_uid_next().max(index.and_then(|i| i.uid_next).unwrap_or(Uid::FIRST));
    // Without an index, whatever lies up to the last message that was moved to `cur` is not recent.
    let guessed = || last_seen_before.map_or(Uid::FIRST, Uid::next);
    // A uidlist that is missing or broken does not make messages recent again.
    let same = index.or(sources.index.filter(|_| uidlist.uid_validity.is_none()));
    let first_recent_uid = same.and_then(|index| index.first_recent_uid).unwrap_or_else(guessed);
    MailboxStatus {
        identity: MailboxIdentity {
            guid: uidlist.guid,
            uid_validity: uidlist.uid_validity.or(sources.index.and_then(|index| index.uid_validity)),
        },
        uid_next,
        message_count: u32::try_from(messages.len()).unwrap_or(u32::MAX),
        // Counting goes on from there also when the rest of the index is out of date. Messages of the index that are
        // gone, or about to go, are one more change that the server counts when it notices.
        highest_modseq: sources.index.map(|index_of_any| {
            let gone = index.is_some_and(|index| is_behind(index, messages));
            index_of_any.highest_modseq.plus(u64::from(gone && sources.uidlist_is_whole))
        }),
        first_recent_uid: Some(first_recent_uid),
    }
}

struct Joiner<'a> {
    sources: Sources<'a>,
    /// Messages with the same keywords share one set.
    sets: HashMap<Vec<Keyword>, Keywords>,
    times: &'a mut dyn FnMut(FoundFile<'_>) -> Result<FileTimes, String>,
    has_dates_of_files: bool,
}

impl Joiner<'_> {
    fn is_doomed(&self, uid: Uid) -> bool {
        self.sources.index.is_some_and(|index| index.pending_expunges.contains(&uid))
    }

    /// The index knew the UID once and has it no more: a server takes the file for a new message.
    fn has_reappeared(&self, uid: Uid) -> bool {
        self.sources
            .index
            .is_some_and(|index| index.uid_next.is_some_and(|next| uid < next) && !index.messages.contains(uid))
    }

    fn record(
        &mut self,
        entry: Option<ListedEntry<'_>>,
        base: &[u8],
        file: FoundFile<'_>,
    ) -> Result<MessageRecord, String> {
        let guid = entry.as_ref().map_or(base, ListedEntry::guid);
        let guid = MessageGuid::new(guid)
            .ok_or_else(|| format!("{} has a name that is no valid GUID; rename it", lossy_bytes(base)))?;
        let indexed = entry.and_then(|entry| self.sources.index?.message(entry.uid));
        let (flags, keywords) = self.flags(entry, file, indexed.as_ref());
        let agreed = indexed.as_ref().filter(|indexed| indexed.flags == flags && indexed.keywords == keywords);
        let cached = indexed.as_ref().map(|indexed| (indexed.received, indexed.saved));
        let (received, saved) = match cached {
            Some((Some(received), Some(saved))) => {
                // The dates of the file do not matter, but it has to be one.
                (Timestamp(received.into()), Timestamp(saved.into()))
            }
            cached => {
                let times = (self.times)(file)?;
                let (received, saved) = cached.unwrap_or_default();
                self.has_dates_of_files |= saved.is_none();
                let date = |date: Option<u32>| date.map(|seconds| Timestamp(seconds.into()));
                (date(received).unwrap_or(times.modified), date(saved).unwrap_or(times.changed))
            }
        };
        Ok(MessageRecord {
            uid: entry.map(|entry| entry.uid),
            guid,
            flags,
            keywords,
            modseq: agreed.map(|indexed| indexed.modseq),
            received,
            saved: Some(saved),
            pop3_uidl: entry.and_then(|entry| uidl(entry, base)),
            pop3_order: entry.and_then(order),
        })
    }

    fn flags(
        &mut self,
        entry: Option<ListedEntry<'_>>,
        file: FoundFile<'_>,
        indexed: Option<&IndexedMessage>,
    ) -> (Flags, Keywords) {
        let pending = |uid| self.sources.index.is_some_and(|index| index.pending_changes.contains(&uid));
        if let (Some(entry), Some(indexed)) = (entry, indexed)
            && (indexed.dirty || pending(entry.uid))
        {
            return (indexed.flags, indexed.keywords.clone());
        }
        let name = FileName::parse(file.name);
        let slots = self.sources.slots;
        let mut keywords: Vec<Keyword> = name.slots().iter().filter_map(|slot| slots.name(slot)).collect();
        if let Some(indexed) = indexed {
            keywords
                .extend(indexed.keywords.iter().filter(|keyword| slots.slot_of(keyword.as_str()).is_none()).cloned());
        }
        if keywords.is_empty() {
            return (name.flags(), Keywords::none());
        }
        keywords.sort();
        let shared = self.sets.entry(keywords).or_insert_with_key(|keywords| keywords.iter().cloned().collect());
        (name.flags(), shared.clone())
    }
}

/// An empty field means that the base name is the UIDL.
fn uidl(entry: ListedEntry<'_>, base: &[u8]) -> Option<Pop3Uidl> {
    let value = entry.field(b'P')?;
    let value = if value.is_empty() { base } else { value };
    std::str::from_utf8(value).ok().map(Into::into)
}

fn order(entry: ListedEntry<'_>) -> Option<u32> {
    std::str::from_utf8(entry.field(b'O')?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
