//! The list of all messages of a mailbox.
//!
//! There may be millions in memory, on both sides of a run, so the list keeps no [`MessageRecord`]s but rows of 48 bytes,
//! and beside them what few messages have or many share. A record is put together when it is asked for.

use std::collections::HashMap;

use sha1::{Digest, Sha1};

use super::{Flags, KeptFields, Keywords, MessageGuid, MessageKey, MessageRecord, ModSeq, Pop3Uidl, Timestamp, Uid};

/// The messages of a mailbox: those with a UID in ascending order of it, each UID once, then those without in the
/// order in which they will get theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageList {
    rows: Vec<Row>,
    /// How many of the rows have a UID.
    assigned: usize,
    /// The texts of the GUIDs that are not 32 hexadecimal digits, one after the other.
    guids: Vec<u8>,
    keywords: KeywordColumn,
    /// POP3 data by ascending row, of the messages that have some.
    pop3: Vec<(usize, Option<Pop3Uidl>, Option<u32>)>,
}

/// What every message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    guid: Guid,
    flags: Flags,
    has_modseq: bool,
    has_saved: bool,
    uid: Option<Uid>,
    modseq: ModSeq,
    received: Timestamp,
    saved: Timestamp,
}

/// A GUID. Arrays of bytes, because numbers would need more room for their alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guid {
    Short([u8; 16]),
    /// Where its text begins in the texts, and how long it is.
    Long([u8; 8], [u8; 8]),
}

/// The keywords of the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct KeywordColumn {
    /// Each set once, but for the empty one.
    sets: Vec<Keywords>,
    places: HashMap<Keywords, u32>,
    /// The set of each row, counted from 1; 0 for the empty one. Ends with the last row that has keywords.
    numbers: Vec<u32>,
}

/// A message does not fit behind the last one of a list: its UID is not greater, or follows a message without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the messages are not in the order of their UIDs")]
pub struct OutOfOrder;

impl MessageList {
    /// A list of `records`; `None` if UIDs do not ascend or a message without one precedes one with.
    #[must_use]
    pub fn new(records: Vec<MessageRecord>) -> Option<Self> {
        let mut list = Self::with_capacity(records.len());
        for record in records {
            list.push(&record).ok()?;
        }
        Some(list)
    }

    /// An empty list with room for so many messages.
    #[must_use]
    pub fn with_capacity(messages: usize) -> Self {
        Self { rows: Vec::with_capacity(messages), ..Self::default() }
    }

    /// Adds a message at the end.
    ///
    /// # Errors
    /// If that is not its place.
    pub fn push(&mut self, record: &MessageRecord) -> Result<(), OutOfOrder> {
        let last = self.rows.last().map(|row| row.uid);
        let fits = match (last, record.uid) {
            (Some(last), Some(uid)) => last.is_some_and(|last| last < uid),
            (None, _) | (_, None) => true,
        };
        if !fits {
            return Err(OutOfOrder);
        }
        let guid = record.guid.short().map_or_else(|| self.add_guid(&record.guid.text()), Guid::Short);
        let index = self.rows.len();
        self.keywords.set(index, &record.keywords);
        if record.pop3_uidl.is_some() || record.pop3_order.is_some() {
            self.pop3.push((index, record.pop3_uidl.clone(), record.pop3_order));
        }
        self.rows.push(Row {
            guid,
            flags: record.flags,
            has_modseq: record.modseq.is_some(),
            has_saved: record.saved.is_some(),
            uid: record.uid,
            modseq: record.modseq.unwrap_or_default(),
            received: record.received,
            saved: record.saved.unwrap_or_default(),
        });
        if record.uid.is_some() {
            self.assigned = self.rows.len();
        }
        Ok(())
    }

    fn add_guid(&mut self, text: &[u8]) -> Guid {
        let start = self.guids.len() as u64;
        self.guids.extend_from_slice(text);
        Guid::Long(start.to_le_bytes(), (text.len() as u64).to_le_bytes())
    }

    /// Gives back memory that was reserved for more messages than have come.
    pub fn shrink_to_fit(&mut self) {
        self.rows.shrink_to_fit();
        self.guids.shrink_to_fit();
        self.keywords.numbers.shrink_to_fit();
        self.pop3.shrink_to_fit();
    }

    /// All messages.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records { list: self, places: 0..self.rows.len() }
    }

    /// All of them, each with the key by which its store finds it.
    pub fn keyed(&self) -> impl Iterator<Item = (MessageKey, MessageRecord)> {
        self.records().enumerate().map(|(index, record)| (self.key_at(index, record.uid), record))
    }

    /// The message at a place of the list.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<MessageRecord> {
        let row = self.rows.get(index)?;
        let pop3 = self.pop3.binary_search_by_key(&index, |(row, _, _)| *row).ok();
        let pop3 = pop3.and_then(|place| self.pop3.get(place));
        Some(MessageRecord {
            uid: row.uid,
            guid: self.guid(row),
            flags: row.flags,
            keywords: self.keywords.at(index),
            modseq: row.has_modseq.then_some(row.modseq),
            received: row.received,
            saved: row.has_saved.then_some(row.saved),
            pop3_uidl: pop3.and_then(|(_, uidl, _)| uidl.clone()),
            pop3_order: pop3.and_then(|(_, _, order)| *order),
        })
    }

    fn guid(&self, row: &Row) -> MessageGuid {
        match row.guid {
            Guid::Short(bytes) => MessageGuid::of_short(bytes),
            Guid::Long(start, length) => {
                let number = |bytes| usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX);
                let (start, length) = (number(start), number(length));
                MessageGuid::of_long(self.guids.get(start..start.saturating_add(length)).unwrap_or_default())
            }
        }
    }

    /// The GUID of the message at a place of the list.
    #[must_use]
    pub fn guid_at(&self, index: usize) -> Option<MessageGuid> {
        self.rows.get(index).map(|row| self.guid(row))
    }

    /// The UID of the message at a place of the list, if it has one.
    #[must_use]
    pub fn uid_at(&self, index: usize) -> Option<Uid> {
        self.rows.get(index)?.uid
    }

    /// The key of the message at a place of the list.
    #[must_use]
    pub fn key_of(&self, index: usize) -> Option<MessageKey> {
        self.rows.get(index).map(|row| self.key_at(index, row.uid))
    }

    fn key_at(&self, index: usize, uid: Option<Uid>) -> MessageKey {
        match uid {
            Some(uid) => MessageKey::Uid(uid),
            None => MessageKey::Unassigned(u32::try_from(index.saturating_sub(self.assigned)).unwrap_or(u32::MAX)),
        }
    }

    /// The place of a message in the list.
    #[must_use]
    pub fn index_of(&self, key: MessageKey) -> Option<usize> {
        match key {
            MessageKey::Uid(uid) => self.rows[..self.assigned].binary_search_by_key(&Some(uid), |row| row.uid).ok(),
            MessageKey::Unassigned(place) => {
                self.assigned.checked_add(usize::try_from(place).ok()?).filter(|index| *index < self.rows.len())
            }
        }
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many messages have a UID. They come first.
    #[must_use]
    pub fn assigned(&self) -> usize {
        self.assigned
    }

    /// The message with this UID.
    #[must_use]
    pub fn get(&self, uid: Uid) -> Option<MessageRecord> {
        self.at(self.index_of(MessageKey::Uid(uid))?)
    }

    /// Whether there is a message with this UID.
    #[must_use]
    pub fn contains(&self, uid: Uid) -> bool {
        self.index_of(MessageKey::Uid(uid)).is_some()
    }

    /// A checksum over every field of every record (keywords in lower case: a mailbox knows only one spelling of each),
    /// by which two sides can see that they hold the same without exchanging their lists. `None` if anything is not
    /// decided yet (a UID or a modseq), because that could become something else on either side.
    #[must_use]
    pub fn digest(&self) -> Option<[u8; 16]> {
        self.digest_of(KeptFields::ALL)
    }

    /// The same over what both of two stores keep, if that is not all.
    #[must_use]
    pub fn digest_of(&self, fields: KeptFields) -> Option<[u8; 16]> {
        let mut hash = Sha1::new();
        for record in self.records() {
            hash.update(record.uid?.get().to_le_bytes());
            hash.update(record.modseq?.get().to_le_bytes());
            hash.update([record.flags.bits()]);
            hash.update(record.received.seconds().to_le_bytes());
            let saved = record.saved.filter(|_| fields.save_dates);
            hash.update(saved.map_or(i64::MIN, Timestamp::seconds).to_le_bytes());
            let pop3_order = record.pop3_order.filter(|_| fields.pop3);
            hash.update(pop3_order.map_or(u64::MAX, u64::from).to_le_bytes());
            if fields.guids {
                hash_text(&mut hash, &record.guid.text());
            }
            let pop3_uidl = fields.pop3_uidl(&record);
            hash.update([u8::from(pop3_uidl.is_some())]);
            hash_text(&mut hash, pop3_uidl.map_or("", |uidl| uidl).as_bytes());
            hash.update((record.keywords.len() as u64).to_le_bytes());
            for keyword in &record.keywords {
                hash_text(&mut hash, keyword.as_str().to_ascii_lowercase().as_bytes());
            }
        }
        let mut short = [0; 16];
        short.copy_from_slice(&hash.finalize()[..16]);
        Some(short)
    }
}

impl KeywordColumn {
    /// Sets those of a row that comes after all others with keywords.
    fn set(&mut self, index: usize, keywords: &Keywords) {
        if keywords.is_empty() {
            return;
        }
        let number = match self.places.get(keywords) {
            Some(number) => *number,
            None => {
                self.sets.push(keywords.clone());
                // There are no more sets than messages, and a mailbox has less than 2^32 of those.
                let number = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
                self.places.insert(keywords.clone(), number);
                number
            }
        };
        self.numbers.resize(index, 0);
        self.numbers.push(number);
    }

    fn at(&self, index: usize) -> Keywords {
        let number = self.numbers.get(index).and_then(|number| number.checked_sub(1));
        let set = number.and_then(|number| self.sets.get(usize::try_from(number).ok()?));
        set.cloned().unwrap_or_default()
    }
}

/// The messages of a [`MessageList`], each put together when it is its turn.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    list: &'a MessageList,
    places: std::ops::Range<usize>,
}

impl Iterator for Records<'_> {
    type Item = MessageRecord;

    fn next(&mut self) -> Option<MessageRecord> {
        self.list.at(self.places.next()?)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }

    fn nth(&mut self, count: usize) -> Option<MessageRecord> {
        self.list.at(self.places.nth(count)?)
    }
}

impl DoubleEndedIterator for Records<'_> {
    fn next_back(&mut self) -> Option<MessageRecord> {
        self.list.at(self.places.next_back()?)
    }
}

impl ExactSizeIterator for Records<'_> {}

impl<'a> IntoIterator for &'a MessageList {
    type Item = MessageRecord;
    type IntoIter = Records<'a>;
    fn into_iter(self) -> Records<'a> {
        self.records()
    }
}

/// Length first, so that no two different sequences of texts give the same bytes.
fn hash_text(hash: &mut Sha1, text: &[u8]) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Keyword;

    fn record(uid: Option<u32>, guid: &str) -> MessageRecord {
        MessageRecord {
            uid: uid.and_then(Uid::new),
            guid: MessageGuid::new(guid.as_bytes()).unwrap(),
            flags: Flags::NONE,
            keywords: Keywords::none(),
            modseq: Some(ModSeq(1)),
            received: Timestamp(0),
            saved: None,
            pop3_uidl: None,
            pop3_order: None,
        }
    }

    #[test]
    fn a_message_takes_little_memory() {
        assert_eq!(size_of::<Row>(), 48);
    }

    #[test]
    fn uids_must_ascend_and_come_first() {
        assert!(MessageList::new(vec![record(Some(2), "a"), record(Some(2), "b")]).is_none());
        assert!(MessageList::new(vec![record(None, "a"), record(Some(2), "b")]).is_none());
        let list = MessageList::new(vec![record(Some(2), "a"), record(Some(9), "b"), record(None, "c")]).unwrap();
        assert_eq!((list.len(), list.assigned()), (3, 2));
        assert_eq!(list.get(Uid::new(9).unwrap()).unwrap().guid.text()[..], b"b"[..]);
        assert_eq!(list.get(Uid::new(3).unwrap()), None);
    }

    #[test]
    fn records_come_out_as_they_went_in() {
        let keywords = |names: &[&str]| names.iter().filter_map(|name| Keyword::new(name)).collect::<Keywords>();
        let hexadecimal = "00112233445566778899aabbccddeeff";
        let mut records = vec![record(Some(2), "a.long,name"), record(Some(3), hexadecimal), record(Some(7), "b")];
        records.extend([record(Some(9), "c"), record(None, &hexadecimal.to_uppercase()), record(None, "d")]);
        records[1].keywords = keywords(&["x", "y"]);
        records[3].keywords = keywords(&["x", "y"]);
        records[4].keywords = keywords(&["z"]);
        records[0].modseq = None;
        records[0].saved = Some(Timestamp(-5));
        records[2].pop3_uidl = Some("uidl".into());
        records[4].pop3_order = Some(3);
        records[5].flags = Flags::ALL;
        let list = MessageList::new(records.clone()).unwrap();
        assert!(list.records().eq(records.clone()));
        assert!(list.records().rev().eq(records.iter().rev().cloned()));
        assert_eq!(list.keywords.sets.len(), 2);
        for (index, (key, record)) in list.keyed().enumerate() {
            assert_eq!((list.index_of(key), list.key_of(index)), (Some(index), Some(key)));
            assert_eq!(list.guid_at(index), Some(record.guid));
        }
        assert_eq!(list.index_of(MessageKey::Unassigned(2)), None);
    }

    #[test]
    fn the_digest_sees_every_field_and_refuses_the_undecided() {
        let base = MessageList::new(vec![record(Some(2), "a")]).unwrap();
        let mut seen = record(Some(2), "a");
        seen.flags = Flags::SEEN;
        let mut uidl = record(Some(2), "a");
        uidl.pop3_uidl = Some("x".into());
        for other in [record(Some(3), "a"), record(Some(2), "b"), seen, uidl] {
            assert_ne!(base.digest(), MessageList::new(vec![other]).unwrap().digest());
        }
        assert_eq!(MessageList::new(vec![record(None, "a")]).unwrap().digest(), None);
    }
}
