//! The messages that a commit adds.

use super::SavedBody;
use crate::model::{MessageList, MessageRecord, OutOfOrder};

/// New messages by ascending UID, each with its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewMessages {
    bodies: Vec<SavedBody>,
    records: MessageList,
}

impl NewMessages {
    /// The messages of `records`, with their bytes in the same order.
    ///
    /// # Errors
    /// If there are not as many of both, or a message has no UID.
    pub fn new(bodies: Vec<SavedBody>, records: MessageList) -> Result<Self, OutOfOrder> {
        let fits = bodies.len() == records.len() && records.assigned() == records.len();
        if fits { Ok(Self { bodies, records }) } else { Err(OutOfOrder) }
    }

    /// Adds a message at the end.
    ///
    /// # Errors
    /// If its UID is not greater than that of the last one.
    pub fn push(&mut self, body: SavedBody, record: &MessageRecord) -> Result<(), OutOfOrder> {
        if record.uid.is_none() {
            return Err(OutOfOrder);
        }
        self.records.push(record)?;
        self.bodies.push(body);
        Ok(())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (SavedBody, MessageRecord)> {
        self.bodies.iter().copied().zip(self.records.records())
    }

    /// The bytes of each, and what each is.
    #[must_use]
    pub fn into_parts(self) -> (Vec<SavedBody>, MessageList) {
        (self.bodies, self.records)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bodies.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }
}

impl TryFrom<Vec<(SavedBody, MessageRecord)>> for NewMessages {
    type Error = OutOfOrder;

    /// In any order; it fails if a UID is missing or is there twice.
    fn try_from(mut messages: Vec<(SavedBody, MessageRecord)>) -> Result<Self, OutOfOrder> {
        messages.sort_by_key(|(_, record)| record.uid);
        let mut sorted = Self::default();
        messages.iter().try_for_each(|(body, record)| sorted.push(*body, record))?;
        Ok(sorted)
    }
}
