//! All messages that one side lists for a merge.

use std::collections::BTreeMap;

use super::SideMessage;
use crate::model::{FlagHistory, MessageKey, MessageList, MessageRecord, OutOfOrder, Uid};

/// Those with a UID by ascending UID, then those without. There may be millions, and little is known of most but the
/// record; a message is put together when it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideMessages {
    records: MessageList,
    /// By place in `records`.
    histories: BTreeMap<usize, FlagHistory>,
    /// That of each record; ends with the last one that has any.
    contents: Vec<Option<[u8; 16]>>,
}

impl SideMessages {
    /// None yet, and room for so many.
    #[must_use]
    pub fn with_capacity(messages: usize) -> Self {
        Self { records: MessageList::with_capacity(messages), ..Self::default() }
    }

    /// Adds a message at the end.
    ///
    /// # Errors
    /// If that is not its place.
    pub fn push(&mut self, message: SideMessage) -> Result<(), OutOfOrder> {
        let index = self.records.len();
        self.records.push(&message.record)?;
        if let Some(history) = message.history {
            self.histories.insert(index, history);
        }
        if message.content.is_some() {
            self.contents.resize(index, None);
            self.contents.push(message.content);
        }
        Ok(())
    }

    /// The message at a place.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<SideMessage> {
        Some(SideMessage {
            record: self.records.at(index)?,
            history: self.histories.get(&index).cloned(),
            content: self.contents.get(index).copied().flatten(),
        })
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

impl TryFrom<Vec<SideMessage>> for SideMessages {
    type Error = OutOfOrder;

    fn try_from(messages: Vec<SideMessage>) -> Result<Self, OutOfOrder> {
        let mut list = Self::with_capacity(messages.len());
        messages.into_iter().try_for_each(|message| list.push(message))?;
        Ok(list)
    }
}
