//! Messages as rows, and back.

use std::collections::BTreeMap;

use super::own::OwnMailbox;
use super::since::Since;
use crate::merge::two_way::{MessageNotes, SideMessage, SideMessages};
use crate::model::{FlagHistory, Flags, Keywords, MessageGuid, MessageRecord, ModSeq, Timestamp, Uid};
use crate::wire::{Change, ChangeKind, HeaderHash, KeywordChange, KeywordChangeKind, MailboxInfo};

/// What this side knows of its messages beside their list.
#[derive(Default)]
pub(super) struct Knowledge {
    pub(super) notes: MessageNotes,
    pub(super) expunged: BTreeMap<Uid, Option<[u8; 16]>>,
    /// The sizes of messages by their places, where messages are chosen by it.
    pub(super) sizes: BTreeMap<usize, u64>,
    /// The hashes of messages as they are told, by their places.
    pub(super) hashes: BTreeMap<usize, [u8; 16]>,
    /// Messages that are not chosen are among them.
    pub(super) leaves_out: bool,
}

/// How far the messages of a mailbox were listed.
#[derive(Default)]
pub(super) struct Listing {
    place: usize,
    after: Option<Uid>,
}

/// What the rows of a list have to say.
#[derive(Clone, Copy)]
pub(super) struct RowStyle {
    /// Messages are recognised by their headers.
    pub(super) by_hash: bool,
    /// The other side has something to compare with.
    pub(super) hash_needed: bool,
    /// Messages are chosen by when they were received.
    pub(super) dates_needed: bool,
    /// Only what happened since then is listed.
    pub(super) since: Option<Since>,
    /// The mailbox takes over what the other side did.
    pub(super) imports: bool,
    /// A message that is listed whether anything happened to it or not.
    pub(super) always: Option<Uid>,
}

impl Listing {
    /// The next row, in the order of UIDs.
    pub(super) fn next(&mut self, own: &OwnMailbox, known: &Knowledge, style: RowStyle) -> Option<Change> {
        let messages = SideMessages::of(own.messages(), &known.notes);
        loop {
            let message = messages.get(self.place);
            let uid = message.as_ref().and_then(|message| message.record.uid);
            let gone = match self.after {
                Some(after) => known.expunged.range(after.next()..).next().filter(|(uid, _)| **uid > after),
                None => known.expunged.iter().next(),
            };
            if let Some((gone, guid)) = gone.filter(|(gone, _)| uid.is_none_or(|uid| **gone < uid)) {
                self.after = Some(*gone);
                let mut change = Change::new(*gone, ChangeKind::Expunge(*guid));
                // Dovecot 2.3 stops if it chooses by dates and there is none.
                change.received = style.dates_needed.then_some(1);
                return Some(change);
            }
            let place = self.place;
            self.place = self.place.saturating_add(1);
            self.after = Some(uid?);
            if let Some(change) = row(own, known, place, message?, style) {
                return Some(change);
            }
        }
    }
}

/// The row of a message; `None` if nothing happened to it.
fn row(own: &OwnMailbox, known: &Knowledge, place: usize, message: SideMessage, style: RowStyle) -> Option<Change> {
    let SideMessage { record, history, .. } = message;
    let uid = record.uid.unwrap_or(Uid::FIRST);
    let guid = Some(own.guid_of(&record));
    let since = style.since.filter(|since| uid <= since.last);
    let has_changed = |since: Since| since.has_changed(&record, history.is_some(), style.imports);
    if since.is_some_and(|since| !has_changed(since)) && style.always != Some(uid) {
        return None;
    }
    let history = history.unwrap_or_default();
    let header_hash = style.by_hash.then(|| match known.hashes.get(&place).filter(|_| style.hash_needed) {
        Some(hash) => HeaderHash::Is(*hash),
        None => HeaderHash::Needless,
    });
    let received = u64::try_from(record.received.seconds()).unwrap_or(0).max(1);
    let (kind, virtual_size) = match since {
        Some(_) => (ChangeKind::Flags(guid), None),
        None => (ChangeKind::Save(guid), Some(known.sizes.get(&place).copied().unwrap_or(u64::MAX))),
    };
    Some(Change {
        header_hash,
        modseq: record.modseq.unwrap_or_default().get(),
        added: history.added.bits(),
        removed: history.removed.bits(),
        flags: record.flags.bits(),
        keywords: keyword_changes(&record.keywords, &history),
        received: (style.dates_needed && since.is_none()).then_some(received),
        virtual_size,
        ..Change::new(uid, kind)
    })
}

fn keyword_changes(keywords: &Keywords, history: &FlagHistory) -> Vec<KeywordChange> {
    let known =
        |name: &str| history.keywords.iter().find(|(keyword, _)| keyword.same_name(name)).map(|(_, set)| *set);
    let mut changes = Vec::new();
    for keyword in keywords {
        let kind = match known(keyword.as_str()) {
            Some(true) => KeywordChangeKind::AddedAndPresent,
            _ => KeywordChangeKind::Present,
        };
        changes.push(KeywordChange { kind, keyword: keyword.clone() });
    }
    for (keyword, set) in &history.keywords {
        if keywords.spelling_of(keyword.as_str()).is_none() {
            let kind = if *set { KeywordChangeKind::Added } else { KeywordChangeKind::Removed };
            changes.push(KeywordChange { kind, keyword: keyword.clone() });
        }
    }
    changes
}

/// Dates and POP3 data come only with the bytes of a message: those of one that is here stay what they are.
pub(super) fn take_what_is_not_said(record: &mut MessageRecord, here: &MessageRecord) {
    record.received = here.received;
    record.saved = here.saved;
    record.pop3_uidl.clone_from(&here.pop3_uidl);
    record.pop3_order = here.pop3_order;
}

pub(super) fn record_of(change: &Change, guid: MessageGuid, other: &MailboxInfo) -> MessageRecord {
    let present = |change: &&KeywordChange| {
        matches!(change.kind, KeywordChangeKind::Present | KeywordChangeKind::AddedAndPresent)
    };
    let modseq = if other.highest_modseq > 0 { change.modseq.min(other.highest_modseq) } else { change.modseq };
    MessageRecord {
        uid: Some(change.uid),
        guid,
        flags: Flags::from_bits(change.flags),
        keywords: change.keywords.iter().filter(present).map(|change| change.keyword.clone()).collect(),
        modseq: Some(ModSeq(modseq.max(1))),
        received: Timestamp(change.received.and_then(|time| i64::try_from(time).ok()).unwrap_or(0)),
        saved: None,
        pop3_uidl: None,
        pop3_order: None,
    }
}

pub(super) fn history_of(change: &Change) -> FlagHistory {
    let mut history = FlagHistory { cleared_keywords: change.keywords_reset, ..FlagHistory::default() };
    history.change_flags(Flags::from_bits(change.added), Flags::from_bits(change.removed));
    for KeywordChange { kind, keyword } in &change.keywords {
        match kind {
            KeywordChangeKind::Added | KeywordChangeKind::AddedAndPresent => {
                history.change_keyword(keyword.clone(), true);
            }
            KeywordChangeKind::Removed => history.change_keyword(keyword.clone(), false),
            KeywordChangeKind::Present => {}
        }
    }
    history
}
