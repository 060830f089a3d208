//! The messages that a plan needs from the other side.

use crate::model::{MessageKey, MessageList, MessageRecord, OutOfOrder};

/// Messages to get from the other side: their key there, and what they become here, by ascending UID here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    keys: Vec<MessageKey>,
    records: MessageList,
}

impl Fetch {
    /// None yet, and room for so many.
    pub(crate) fn with_capacity(messages: usize) -> Self {
        Self { keys: Vec::with_capacity(messages), records: MessageList::with_capacity(messages) }
    }

    /// Adds a message at the end.
    ///
    /// # Errors
    /// If its UID is not greater than that of the last one.
    pub(crate) fn push(&mut self, key: MessageKey, record: &MessageRecord) -> Result<(), OutOfOrder> {
        if record.uid.is_none() {
            return Err(OutOfOrder);
        }
        self.records.push(record)?;
        self.keys.push(key);
        Ok(())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (MessageKey, MessageRecord)> {
        self.keys.iter().copied().zip(self.records.records())
    }

    /// The message at a place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<(MessageKey, MessageRecord)> {
        Some((*self.keys.get(place)?, self.records.at(place)?))
    }

    /// Their keys at the other side.
    #[must_use]
    pub fn keys(&self) -> &[MessageKey] {
        &self.keys
    }

    /// What they become here.
    #[must_use]
    pub fn into_records(self) -> MessageList {
        self.records
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
