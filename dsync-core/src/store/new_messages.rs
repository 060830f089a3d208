//! The messages that a commit adds.

use super::SavedBody;
use crate::model::{MessageList, MessageRecord, OutOfOrder};

/// The bytes of many messages. Stores mostly count them, and there may be millions, so runs of numbers are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedBodies {
    /// The first number of each run, and how many there are.
    runs: Vec<(usize, usize)>,
    count: usize,
}

impl SavedBodies {
    /// Adds one at the end.
    pub fn push(&mut self, SavedBody(number): SavedBody) {
        self.count = self.count.saturating_add(1);
        match self.runs.last_mut() {
            Some((first, length)) if first.checked_add(*length) == Some(number) => *length = length.saturating_add(1),
            _ => self.runs.push((number, 1)),
        }
    }

    /// All of them, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = SavedBody> {
        let numbers =
            self.runs.iter().flat_map(|(first, length)| (0..*length).map(|next| first.saturating_add(next)));
        numbers.map(SavedBody)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// New messages by ascending UID, each with its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewMessages {
    bodies: SavedBodies,
    records: MessageList,
}

impl NewMessages {
    /// The messages of `records`, with their bytes in the same order.
    ///
    /// # Errors
    /// If there are not as many of both, or a message has no UID.
    pub fn new(bodies: SavedBodies, records: MessageList) -> Result<Self, OutOfOrder> {
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
        self.bodies.iter().zip(self.records.records())
    }

    /// What they are.
    #[must_use]
    pub fn records(&self) -> &MessageList {
        &self.records
    }

    /// The bytes of each, and what each is.
    #[must_use]
    pub fn into_parts(self) -> (SavedBodies, MessageList) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_out_in_the_order_in_which_they_went_in() {
        let numbers = [0, 1, 2, 7, 6, 5, 6, usize::MAX, 0];
        let mut bodies = SavedBodies::default();
        numbers.iter().for_each(|number| bodies.push(SavedBody(*number)));
        assert!(bodies.iter().eq(numbers.map(SavedBody)));
        assert_eq!((bodies.len(), bodies.runs.len()), (9, 6));
    }
}
