//! Messages as rows, and back.

use std::collections::BTreeMap;

use crate::merge::two_way::{MessageNotes, SideMessage, SideMessages};
use crate::model::{FlagHistory, Flags, Keywords, MailboxName, MessageGuid, MessageRecord, ModSeq, Timestamp, Uid};
use crate::session::SessionError;
use crate::wire::{Change, ChangeKind, HeaderHash, KeywordChange, KeywordChangeKind, MailboxInfo};

use super::own::{OwnMailbox, UNCOUNTED};

/// So many messages of a mailbox are taken from a peer, and so many that are gone. No server can hold more.
const MOST_MESSAGES: usize = 1 << 24;
const MOST_EXPUNGED: usize = 1 << 20;

/// What this side knows of its messages beside their list.
#[derive(Default)]
pub(super) struct Knowledge {
    pub(super) notes: MessageNotes,
    pub(super) expunged: BTreeMap<Uid, Option<[u8; 16]>>,
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
}

impl Listing {
    /// The next row, in the order of UIDs.
    pub(super) fn next(&mut self, own: &OwnMailbox, known: &Knowledge, style: RowStyle) -> Option<Change> {
        let messages = SideMessages::of(own.messages(), &known.notes);
        let message = messages.get(self.place);
        let uid = message.as_ref().and_then(|message| message.record.uid);
        let gone = match self.after {
            Some(after) => known.expunged.range(after.next()..).next().filter(|(uid, _)| **uid > after),
            None => known.expunged.iter().next(),
        };
        if let Some((gone, guid)) = gone.filter(|(gone, _)| uid.is_none_or(|uid| **gone < uid)) {
            self.after = Some(*gone);
            return Some(Change::new(*gone, ChangeKind::Expunge(*guid)));
        }
        self.place = self.place.saturating_add(1);
        self.after = Some(uid?);
        Some(saved(own, message?, style))
    }
}

fn saved(own: &OwnMailbox, message: SideMessage, style: RowStyle) -> Change {
    let SideMessage { record, history, content, .. } = message;
    let uid = record.uid.unwrap_or(Uid::FIRST);
    let history = history.unwrap_or_default();
    let header_hash = style.by_hash.then(|| match content.filter(|_| style.hash_needed) {
        Some(hash) => HeaderHash::Is(hash),
        None => HeaderHash::Needless,
    });
    Change {
        header_hash,
        modseq: record.modseq.unwrap_or_default().get(),
        added: history.added.bits(),
        removed: history.removed.bits(),
        flags: record.flags.bits(),
        keywords: keyword_changes(&record.keywords, &history),
        virtual_size: Some(u64::MAX),
        ..Change::new(uid, ChangeKind::Save(Some(own.guid_of(&record))))
    }
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

/// The messages that the other side lists.
pub(super) struct Heard {
    pub(super) messages: SideMessages<'static>,
    pub(super) expunged: BTreeMap<Uid, Option<[u8; 16]>>,
    last: Option<Uid>,
}

impl Heard {
    pub(super) fn new() -> Self {
        Self { messages: SideMessages::default(), expunged: BTreeMap::new(), last: None }
    }

    /// Takes a row.
    ///
    /// # Errors
    /// If it contradicts what was said before.
    pub(super) fn take(
        &mut self,
        name: &MailboxName,
        change: Change,
        other: &MailboxInfo,
    ) -> Result<(), SessionError> {
        let broken = |what: &str| Err(SessionError::InvalidData(format!("{what} of mailbox {name}")));
        if self.last.is_some_and(|last| change.uid <= last) {
            return broken("messages in a wrong order");
        }
        self.last = Some(change.uid);
        if change.uid.get() >= other.uid_next {
            return broken("messages beyond UIDNEXT");
        }
        let guid = match &change.kind {
            ChangeKind::Expunge(_) if self.expunged.len() == MOST_EXPUNGED => {
                return broken("too many expunged messages");
            }
            ChangeKind::Expunge(guid) => {
                self.expunged.insert(change.uid, *guid);
                return Ok(());
            }
            ChangeKind::Flags(_) => return broken("changes since a moment that was not agreed on"),
            ChangeKind::Save(guid) => guid.clone(),
        };
        let count = u32::try_from(self.messages.len()).unwrap_or(UNCOUNTED);
        let is_counted = other.message_count != UNCOUNTED;
        if is_counted && count >= other.message_count || self.messages.len() == MOST_MESSAGES {
            return broken("more messages than it has");
        }
        let content = match change.header_hash {
            Some(HeaderHash::Is(hash)) => Some(hash),
            _ => None,
        };
        // Without a GUID it is what its headers are, at its place.
        let guid = guid.unwrap_or_else(|| fallback_guid(other, change.uid, content));
        let record = record_of(&change, guid, other);
        let history = Some(history_of(&change)).filter(|history| !history.is_empty());
        match self.messages.push(SideMessage { record, history, content, selected: true }) {
            Ok(()) => Ok(()),
            Err(_) => broken("messages in a wrong order"),
        }
    }
}

/// Dates and POP3 data come only with the bytes of a message: those of one that is here stay what they are.
pub(super) fn take_what_is_not_said(record: &mut MessageRecord, here: &MessageRecord) {
    record.received = here.received;
    record.saved = here.saved;
    record.pop3_uidl.clone_from(&here.pop3_uidl);
    record.pop3_order = here.pop3_order;
}

fn record_of(change: &Change, guid: MessageGuid, other: &MailboxInfo) -> MessageRecord {
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

fn history_of(change: &Change) -> FlagHistory {
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

fn fallback_guid(other: &MailboxInfo, uid: Uid, content: Option<[u8; 16]>) -> MessageGuid {
    let identity = super::own::status_of(other).identity;
    crate::merge::own_guid::own_guid(identity, Some(uid), content.as_ref(), 0)
}
