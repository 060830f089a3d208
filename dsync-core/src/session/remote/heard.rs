//! The messages of the other side, from the rows in which it lists them.

use std::collections::BTreeMap;

use super::own::{OwnMailbox, UNCOUNTED};
use super::rows::{Knowledge, history_of, record_of};
use super::since::Since;
use super::terms::Terms;
use crate::merge::Contents;
use crate::merge::two_way::{SideMessage, SideMessages};
use crate::model::{MailboxName, MessageGuid, MessageKey, MessageList, MessageRecord, MessageSelection, Uid};
use crate::session::SessionError;
use crate::wire::{Change, ChangeKind, HeaderHash, MailboxInfo};

/// So many messages of a mailbox are taken from a peer, and so many that are gone. No server can hold more.
const MOST_MESSAGES: usize = 1 << 24;
const MOST_EXPUNGED: usize = 1 << 20;

/// The messages that the other side lists.
pub(super) struct Heard {
    pub(super) messages: SideMessages<'static>,
    pub(super) expunged: BTreeMap<Uid, Option<[u8; 16]>>,
    last: Option<Uid>,
    since: Option<Unchanged>,
}

/// The messages that are not listed, because nothing happened to them: they are what they are here.
struct Unchanged {
    since: Since,
    /// The first own message that was not looked at yet.
    place: usize,
    /// Messages that were expunged here and are here again under other UIDs: they may have been moved, and the other side has them
    /// where they were.
    moved: BTreeMap<Uid, MessageRecord>,
    /// How many of those the other side is taken to have.
    moved_listed: u32,
    /// The other side has not had the same messages at that moment.
    contradicts: bool,
}

/// What this side has, as far as it matters for what is heard.
#[derive(Clone, Copy)]
pub(super) struct Here<'a> {
    pub(super) own: &'a OwnMailbox,
    pub(super) known: &'a Knowledge,
    pub(super) contents: &'a Contents,
    /// GUIDs say nothing.
    pub(super) by_hash: bool,
}

impl Here<'_> {
    fn message(&self, place: usize) -> Option<SideMessage> {
        let record = self.own.messages().at(place)?;
        Some(SideMessage { record, history: None, content: self.contents.get(&place).copied(), selected: true })
    }
}

impl Heard {
    pub(super) fn new(since: Option<Since>) -> Self {
        let since = since.map(|since| Unchanged {
            since,
            place: 0,
            moved: BTreeMap::new(),
            moved_listed: 0,
            contradicts: false,
        });
        Self { messages: SideMessages::default(), expunged: BTreeMap::new(), last: None, since }
    }

    /// Finds out which of the messages that are not here any more were moved.
    pub(super) fn follow_moves(&mut self, here: Here<'_>) {
        let Some(unchanged) = self.since.as_mut().filter(|_| !here.by_hash && !here.known.expunged.is_empty()) else {
            return;
        };
        let (last, point) = (unchanged.since.last, unchanged.since.point([0; 8]));
        let new = here.own.messages().records().filter(|record| record.uid > Some(last));
        let by_guid: BTreeMap<_, _> = new.map(|record| (record.guid.to_128(), record)).collect();
        let moved = here.known.expunged.iter().filter_map(|(uid, guid)| {
            let record = by_guid.get(guid.as_ref()?)?;
            let modseq = Some(point.highest_modseq);
            Some((*uid, MessageRecord { uid: Some(*uid), modseq, ..record.clone() }))
        });
        unchanged.moved = moved.collect();
    }

    /// Takes a row.
    ///
    /// # Errors
    /// If it contradicts what was said before.
    pub(super) fn take(
        &mut self,
        here: Here<'_>,
        change: Change,
        other: &MailboxInfo,
        terms: &Terms,
    ) -> Result<(), SessionError> {
        let name = &here.own.name;
        if self.last.is_some_and(|last| change.uid <= last) {
            return broken(name, "messages in a wrong order");
        }
        self.last = Some(change.uid);
        if change.uid.get() >= other.uid_next {
            return broken(name, "messages beyond UIDNEXT");
        }
        if matches!(change.kind, ChangeKind::Expunge(_)) && self.expunged.len() == MOST_EXPUNGED {
            return broken(name, "too many expunged messages");
        }
        if self.messages.len() >= MOST_MESSAGES {
            return broken(name, "more messages than a mailbox can have");
        }
        match self.since.as_ref().map(|unchanged| unchanged.since.last) {
            Some(last) if change.uid <= last => {
                self.pass_unchanged(here, change.uid)?;
                self.take_change(here, change, other, terms)
            }
            Some(last) => {
                self.pass_unchanged(here, last.next())?;
                self.take_new(here, change, other, terms)
            }
            None => self.take_new(here, change, other, terms),
        }
    }

    /// Takes the end of the list, which may lack messages if it is partial. Whether it fits to what this side has.
    ///
    /// # Errors
    /// If this side's own list is out of order.
    pub(super) fn finish(
        &mut self,
        here: Here<'_>,
        other: &MailboxInfo,
        is_copying: bool,
        is_partial: bool,
    ) -> Result<bool, SessionError> {
        let Some(since) = self.since.as_ref().map(|unchanged| unchanged.since) else { return Ok(true) };
        self.pass_unchanged(here, since.last.next())?;
        let contradicts = self.since.as_ref().is_some_and(|unchanged| unchanged.contradicts);
        let moved = self.since.as_ref().map_or(0, |unchanged| unchanged.moved_listed);
        let listed = u32::try_from(self.messages.len()).unwrap_or(UNCOUNTED).saturating_sub(moved);
        // What was expunged here may be there still.
        let at_most = match is_copying {
            true => listed,
            false => listed.saturating_add(u32::try_from(here.known.expunged.len()).unwrap_or(UNCOUNTED)),
        };
        Ok(!contradicts && (is_partial || (listed..=at_most).contains(&other.message_count)))
    }

    /// Adds messages of this side that the other one may have without listing them.
    pub(super) fn add_unlisted(&mut self, unlisted: Vec<MessageRecord>) {
        let mut unlisted = unlisted.into_iter().peekable();
        if unlisted.peek().is_none() {
            return;
        }
        let mut all = SideMessages::default();
        // They are in the order of both lists.
        let mut push = |message: SideMessage| {
            let _ = all.push(message);
        };
        let unselected = |record| SideMessage { record, history: None, content: None, selected: false };
        for message in self.messages.iter() {
            while let Some(record) = unlisted.next_if(|record| record.uid < message.record.uid) {
                push(unselected(record));
            }
            push(message);
        }
        unlisted.for_each(|record| push(unselected(record)));
        self.messages = all;
    }

    /// Messages below `uid` of which nothing was said.
    fn pass_unchanged(&mut self, here: Here<'_>, uid: Uid) -> Result<(), SessionError> {
        let Some(unchanged) = &mut self.since else { return Ok(()) };
        loop {
            let own = here.own.messages().uid_at(unchanged.place).filter(|own| *own < uid);
            let moved = unchanged.moved.first_key_value().map(|(moved, _)| *moved).filter(|moved| *moved < uid);
            let message = match (own, moved) {
                (None, None) => return Ok(()),
                (own, Some(moved)) if own.is_none_or(|own| moved < own) => {
                    unchanged.moved_listed = unchanged.moved_listed.saturating_add(1);
                    unchanged.moved.remove(&moved).map(unchanged_record)
                }
                _ => {
                    let message = here.message(unchanged.place);
                    unchanged.place = unchanged.place.saturating_add(1);
                    message
                }
            };
            if message.is_some_and(|message| self.messages.push(message).is_err()) {
                return broken(&here.own.name, "messages in a wrong order");
            }
        }
    }

    /// A message that both sides had.
    fn take_change(
        &mut self,
        here: Here<'_>,
        change: Change,
        other: &MailboxInfo,
        terms: &Terms,
    ) -> Result<(), SessionError> {
        let Some(unchanged) = &mut self.since else { return Ok(()) };
        let is_here = here.own.messages().uid_at(unchanged.place) == Some(change.uid);
        let moved = unchanged.moved.remove(&change.uid).map(unchanged_record);
        let message = if is_here { here.message(unchanged.place) } else { moved };
        if is_here {
            unchanged.place = unchanged.place.saturating_add(1);
        }
        let own_guid = message.as_ref().map(|message| &message.record.guid);
        match change.kind {
            ChangeKind::Save(_) => return broken(&here.own.name, "old messages as new ones"),
            ChangeKind::Expunge(guid) => {
                let is_other = own_guid.zip(guid).is_some_and(|(own, guid)| !here.by_hash && own.to_128() != guid);
                unchanged.contradicts |= is_other;
                self.expunged.insert(change.uid, guid);
            }
            ChangeKind::Flags(ref guid) => {
                let is_other = own_guid.zip(guid.as_ref()).is_some_and(|(own, guid)| !here.by_hash && own != guid);
                let is_unknown = !is_here && !here.known.expunged.contains_key(&change.uid);
                let contents = message.as_ref().and_then(|message| message.content).zip(content_of(&change, terms));
                let is_different = contents.is_some_and(|(own, others)| own != others);
                unchanged.contradicts |= is_other || is_unknown || is_different;
                if let Some(message) = message {
                    unchanged.moved_listed = unchanged.moved_listed.saturating_add(u32::from(!is_here));
                    let record = MessageRecord {
                        received: message.record.received,
                        saved: message.record.saved,
                        pop3_uidl: message.record.pop3_uidl.clone(),
                        pop3_order: message.record.pop3_order,
                        ..record_of(&change, message.record.guid.clone(), other)
                    };
                    let history = Some(history_of(&change)).filter(|history| !history.is_empty());
                    if self.messages.push(SideMessage { record, history, ..message }).is_err() {
                        return broken(&here.own.name, "messages in a wrong order");
                    }
                }
            }
        }
        Ok(())
    }

    /// A message that is listed because the other side may not have it.
    fn take_new(
        &mut self,
        here: Here<'_>,
        change: Change,
        other: &MailboxInfo,
        terms: &Terms,
    ) -> Result<(), SessionError> {
        let name = &here.own.name;
        let guid = match &change.kind {
            ChangeKind::Expunge(guid) => {
                self.expunged.insert(change.uid, *guid);
                return Ok(());
            }
            ChangeKind::Flags(_) => return broken(name, "changes since a moment that was not agreed on"),
            ChangeKind::Save(guid) => guid.clone(),
        };
        let count = u32::try_from(self.messages.len()).unwrap_or(UNCOUNTED);
        let is_counted = other.message_count != UNCOUNTED && self.since.is_none();
        if is_counted && count >= other.message_count {
            return broken(name, "more messages than it has");
        }
        let content = content_of(&change, terms);
        // Without a GUID it is what its headers are, at its place.
        let guid = guid.unwrap_or_else(|| fallback_guid(other, change.uid, content));
        let record = record_of(&change, guid, other);
        let history = Some(history_of(&change)).filter(|history| !history.is_empty());
        let selected = is_chosen(&terms.selection, &change, &record);
        match self.messages.push(SideMessage { record, history, content, selected }) {
            Ok(()) => Ok(()),
            Err(_) => broken(name, "messages in a wrong order"),
        }
    }

    /// The keys of messages that are not chosen.
    pub(super) fn unselected(&self) -> impl Iterator<Item = MessageKey> {
        let places = (0..self.messages.len()).filter(|place| !self.messages.is_selected(*place));
        places.filter_map(|place| self.messages.list().key_of(place))
    }

    pub(super) fn list(&self) -> &MessageList {
        self.messages.list()
    }
}

fn unchanged_record(record: MessageRecord) -> SideMessage {
    SideMessage { record, history: None, content: None, selected: true }
}

fn broken<T>(name: &MailboxName, what: &str) -> Result<T, SessionError> {
    Err(SessionError::InvalidData(format!("{what} of mailbox {name}")))
}

/// Whether a message is chosen, as far as the other side says what it takes to know that.
fn is_chosen(selection: &MessageSelection, change: &Change, record: &MessageRecord) -> bool {
    let dates_are_known = change.received.is_some();
    let selection = MessageSelection {
        since: selection.since.filter(|_| dates_are_known),
        until: selection.until.filter(|_| dates_are_known),
        ..selection.clone()
    };
    let size = change.virtual_size.filter(|size| *size != u64::MAX);
    let fits = selection.max_size.zip(size).is_none_or(|(max, size)| size <= max);
    fits && selection.contains_apart_from_size(record)
}

/// What a message with this row is compared by, if that is said.
fn content_of(change: &Change, terms: &Terms) -> Option<[u8; 16]> {
    match change.header_hash {
        Some(HeaderHash::Is(hash)) => Some(terms.hashing.content(hash, change.uid, terms.part)),
        _ => None,
    }
}

fn fallback_guid(other: &MailboxInfo, uid: Uid, content: Option<[u8; 16]>) -> MessageGuid {
    let identity = super::own::status_of(other).identity;
    crate::merge::own_guid::own_guid(identity, Some(uid), content.as_ref(), 0)
}
