//! The messages of an index, as far as a Maildir needs them.

use std::collections::HashMap;

use dsync_core::model::{Flags, Keywords, ModSeq, Uid};

use crate::index::mailbox::IndexedMessage;

/// Messages by ascending UID. There may be millions, so they are kept small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct IndexedMessages {
    rows: Vec<Row>,
    /// Each set of keywords once, but for the empty one.
    sets: Vec<Keywords>,
    numbers: HashMap<Keywords, u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed)]
struct Row {
    uid: Uid,
    modseq: u64,
    received: u32,
    saved: u32,
    /// Counted from 1; 0 is the empty set.
    keywords: u32,
    /// The five flags, and what follows.
    marks: u8,
}

const DIRTY: u8 = 0x20;
const HAS_RECEIVED: u8 = 0x40;
const HAS_SAVED: u8 = 0x80;

impl IndexedMessages {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self { rows: Vec::with_capacity(count), ..Self::default() }
    }

    /// Adds a message, whose UID is greater than all others.
    pub(super) fn push(&mut self, uid: Uid, message: &IndexedMessage) {
        let mark = |mark, is_set| if is_set { mark } else { 0 };
        let marks = message.flags.bits()
            | mark(DIRTY, message.dirty)
            | mark(HAS_RECEIVED, message.received.is_some())
            | mark(HAS_SAVED, message.saved.is_some());
        let row = Row {
            uid,
            modseq: message.modseq.get(),
            received: message.received.unwrap_or(0),
            saved: message.saved.unwrap_or(0),
            keywords: self.number_of(&message.keywords),
            marks,
        };
        self.rows.push(row);
    }

    fn number_of(&mut self, keywords: &Keywords) -> u32 {
        if keywords.is_empty() {
            return 0;
        }
        if let Some(number) = self.numbers.get(keywords) {
            return *number;
        }
        self.sets.push(keywords.clone());
        // There are no more sets than messages, and a mailbox has less than 2^32 of those.
        let number = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        self.numbers.insert(keywords.clone(), number);
        number
    }

    /// The message with this UID.
    pub(super) fn get(&self, uid: Uid) -> Option<IndexedMessage> {
        let place = self.rows.binary_search_by_key(&uid, |row| row.uid).ok()?;
        let row = self.rows.get(place)?;
        let has = |mark| row.marks & mark != 0;
        let set = usize::try_from(row.keywords).ok().and_then(|number| self.sets.get(number.checked_sub(1)?));
        Some(IndexedMessage {
            flags: Flags::from_bits(row.marks),
            keywords: set.cloned().unwrap_or_default(),
            dirty: has(DIRTY),
            modseq: ModSeq(row.modseq),
            received: has(HAS_RECEIVED).then_some(row.received),
            saved: has(HAS_SAVED).then_some(row.saved),
        })
    }

    /// Whether there is a message with this UID.
    pub(super) fn contains(&self, uid: Uid) -> bool {
        self.rows.binary_search_by_key(&uid, |row| row.uid).is_ok()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

impl FromIterator<(Uid, IndexedMessage)> for IndexedMessages {
    fn from_iter<I: IntoIterator<Item = (Uid, IndexedMessage)>>(messages: I) -> Self {
        let mut all = Self::default();
        messages.into_iter().for_each(|(uid, message)| all.push(uid, &message));
        all
    }
}

#[cfg(test)]
mod tests {
    use dsync_core::model::Keyword;

    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in() {
        assert_eq!(size_of::<Row>(), 25);
        let keywords = |name: &str| Keyword::new(name).into_iter().collect::<Keywords>();
        let message = |number: u32| IndexedMessage {
            flags: Flags::from_bits(u8::try_from(number % 32).unwrap()),
            keywords: if number.is_multiple_of(3) { Keywords::none() } else { keywords(&format!("k{}", number % 4)) },
            dirty: !number.is_multiple_of(2),
            modseq: ModSeq(u64::MAX - u64::from(number)),
            received: Some(number).filter(|number| !number.is_multiple_of(5)),
            saved: Some(u32::MAX).filter(|_| !number.is_multiple_of(7)),
        };
        let uid = |number: u32| Uid::new(2 * number + 1).unwrap();
        let all: IndexedMessages = (0..100).map(|number| (uid(number), message(number))).collect();
        assert_eq!((all.len(), all.sets.len()), (100, 4));
        for number in 0..100 {
            assert_eq!(all.get(uid(number)), Some(message(number)));
            assert!(all.contains(uid(number)) && !all.contains(uid(number).next()));
        }
        assert_eq!(all.get(uid(100)), None);
    }
}
