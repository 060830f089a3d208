//! All messages that one side lists for a merge.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::SideMessage;
use crate::model::{FlagHistory, MessageKey, MessageList, MessageRecord, OutOfOrder, Uid};

/// Those with a UID by ascending UID, then those without. There may be millions, and little is known of most but the
/// record; a message is put together when it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideMessages<'a> {
    records: Cow<'a, MessageList>,
    notes: Cow<'a, MessageNotes>,
}

/// What is known of the messages of a list beside the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageNotes {
    /// By place in the list.
    histories: BTreeMap<usize, FlagHistory>,
    /// That of each message; ends with the last one that has any.
    contents: Vec<Option<[u8; 16]>>,
    /// Whether each message is left out; ends with the last one that is.
    unselected: Vec<bool>,
}

impl MessageNotes {
    /// Notes what is known of the message at a place, which comes after all others of which anything was noted.
    pub fn push(&mut self, place: usize, history: Option<FlagHistory>, content: Option<[u8; 16]>, selected: bool) {
        if !selected {
            self.unselected.resize(place, false);
            self.unselected.push(true);
        }
        if let Some(history) = history {
            self.histories.insert(place, history);
        }
        if content.is_some() {
            self.contents.resize(place, None);
            self.contents.push(content);
        }
    }
}

impl Default for SideMessages<'_> {
    fn default() -> Self {
        Self { records: Cow::Owned(MessageList::default()), notes: Cow::Owned(MessageNotes::default()) }
    }
}

impl<'a> SideMessages<'a> {
    /// The messages of a list.
    #[must_use]
    pub fn of(records: &'a MessageList, notes: &'a MessageNotes) -> Self {
        Self { records: Cow::Borrowed(records), notes: Cow::Borrowed(notes) }
    }

    /// The same messages, borrowed.
    pub(crate) fn borrowed(&self) -> SideMessages<'_> {
        SideMessages { records: Cow::Borrowed(&self.records), notes: Cow::Borrowed(&self.notes) }
    }

    /// The same messages for somebody else; the list shares its memory.
    pub(crate) fn to_shared(&self) -> SideMessages<'static> {
        let (records, notes) = (MessageList::clone(&self.records), MessageNotes::clone(&self.notes));
        SideMessages { records: Cow::Owned(records), notes: Cow::Owned(notes) }
    }

    /// The messages without what is known beside them.
    pub(crate) fn list(&self) -> &MessageList {
        &self.records
    }

    /// Adds a message at the end.
    ///
    /// # Errors
    /// If that is not its place.
    pub fn push(&mut self, message: SideMessage) -> Result<(), OutOfOrder> {
        let index = self.records.len();
        self.records.to_mut().push(&message.record)?;
        if message.history.is_some() || message.content.is_some() || !message.selected {
            self.notes.to_mut().push(index, message.history, message.content, message.selected);
        }
        Ok(())
    }

    /// The message at a place.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<SideMessage> {
        Some(SideMessage {
            record: self.records.at(index)?,
            history: self.notes.histories.get(&index).cloned(),
            content: self.notes.contents.get(index).copied().flatten(),
            selected: self.is_selected(index),
        })
    }

    /// Whether the message at a place is to be given to a side that does not have it.
    #[must_use]
    pub fn is_selected(&self, index: usize) -> bool {
        !self.notes.unselected.get(index).copied().unwrap_or(false)
    }

    /// All of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = SideMessage> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// What they are.
    pub(super) fn records(&self) -> impl Iterator<Item = MessageRecord> {
        self.records.records()
    }

    /// The message at a place without what is known beside it.
    pub(super) fn record(&self, index: usize) -> Option<MessageRecord> {
        self.records.at(index)
    }

    /// The UID of the message at a place, if it has one.
    pub(super) fn uid_at(&self, index: usize) -> Option<Uid> {
        self.records.uid_at(index)
    }

    /// How the side's store finds the message at a place.
    pub(super) fn key_of(&self, index: usize) -> Option<MessageKey> {
        self.records.key_of(index)
    }

    /// Whether there is a message with this UID.
    pub(super) fn contains(&self, uid: Uid) -> bool {
        self.records.contains(uid)
    }

    /// How many messages have a UID.
    pub(super) fn assigned(&self) -> usize {
        self.records.assigned()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

impl TryFrom<Vec<SideMessage>> for SideMessages<'_> {
    type Error = OutOfOrder;

    fn try_from(messages: Vec<SideMessage>) -> Result<Self, OutOfOrder> {
        let mut list = Self::default();
        messages.into_iter().try_for_each(|message| list.push(message))?;
        Ok(list)
    }
}
