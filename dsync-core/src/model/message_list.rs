//! The list of all messages of a mailbox.
//!
//! There may be millions in memory, on both sides of a run, so the list keeps no [`MessageRecord`]s but rows of 34 bytes,
//! and beside them what few messages have or many share. A record is put together when it is asked for.

mod keywords;
mod row;
mod rows;

use std::sync::Arc;

use sha1::{Digest, Sha1};

use super::{KeptFields, MessageGuid, MessageKey, MessageRecord, ModSeq, Pop3Uidl, Timestamp, Uid};
use keywords::KeywordColumn;
use row::{Numbers, Row, RowGuid, WideRows};
use rows::Rows;

/// The messages of a mailbox: those with a UID in ascending order of it, each UID once, then those without in the
/// order in which they will get theirs.
///
/// Clones share their memory until one of them is changed.
#[derive(Clone, Debug, Default)]
pub struct MessageList {
    columns: Arc<Columns>,
}

impl PartialEq for MessageList {
    fn eq(&self, other: &Self) -> bool {
        // Mostly lists are equal in every byte if they are equal at all.
        Arc::ptr_eq(&self.columns, &other.columns)
            || self.columns == other.columns
            || self.len() == other.len() && self.records().eq(other.records())
    }
}

impl Eq for MessageList {}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Columns {
    rows: Rows,
    wide: WideRows,
    /// How many of the rows have a UID.
    assigned: usize,
    /// The texts of the GUIDs that are not 32 hexadecimal digits, one after the other.
    guids: Vec<u8>,
    keywords: KeywordColumn,
    /// POP3 data by ascending row, of the messages that have some.
    pop3: Vec<(usize, Option<Pop3Uidl>, Option<u32>)>,
}

/// A message does not fit behind the last one of a list: its UID is not greater, or follows a message without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the messages are not in the order of their UIDs")]
pub struct OutOfOrder;

impl MessageList {
    /// A list of `records`; `None` if UIDs do not ascend or a message without one precedes one with.
    #[must_use]
    pub fn new(records: Vec<MessageRecord>) -> Option<Self> {
        let mut list = Self::default();
        for record in records {
            list.push(&record).ok()?;
        }
        Some(list)
    }

    /// Adds a message at the end.
    ///
    /// # Errors
    /// If that is not its place.
    pub fn push(&mut self, record: &MessageRecord) -> Result<(), OutOfOrder> {
        let last = self.columns.rows.last().map(|row| row.uid);
        let fits = match (last, record.uid) {
            (Some(last), Some(uid)) => last.is_some_and(|last| last < uid),
            (None, _) | (_, None) => true,
        };
        if !fits {
            return Err(OutOfOrder);
        }
        Arc::make_mut(&mut self.columns).push(record);
        Ok(())
    }

    /// Puts what a message is now in its place. Its UID and GUID stay what they are.
    ///
    /// # Errors
    /// If there is none, or another one.
    pub fn replace(&mut self, index: usize, record: &MessageRecord) -> Result<(), OutOfOrder> {
        let row = self.columns.rows.get(index).ok_or(OutOfOrder)?;
        if { row.uid } != record.uid || self.guid(&row) != record.guid {
            return Err(OutOfOrder);
        }
        Arc::make_mut(&mut self.columns).replace(index, row.guid, record);
        Ok(())
    }

    /// The same messages, but for their UIDs, which are these; they have to ascend. Those without a modseq get this one. Nothing
    /// is copied if nobody shares the list.
    pub(crate) fn with_uids(mut self, uids: impl Iterator<Item = Uid>, modseq: ModSeq) -> Self {
        let columns = Arc::make_mut(&mut self.columns);
        let Columns { rows, wide, assigned, .. } = columns;
        let mut uids = uids;
        rows.for_each_mut(|place, row| {
            if let Some(uid) = uids.next() {
                row.decide(place, uid, modseq, wide);
                *assigned = place.saturating_add(1).max(*assigned);
            }
        });
        self
    }

    /// The same messages; those of which nobody knows when they were saved, were then. Nothing is copied if nobody shares the
    /// list.
    #[must_use]
    pub fn saved_by_default(mut self, saved: Timestamp) -> Self {
        if self.columns.rows.iter().all(|row| row.has_saved()) {
            return self;
        }
        let columns = Arc::make_mut(&mut self.columns);
        let wide = &mut columns.wide;
        columns.rows.for_each_mut(|place, row| row.save_by_default(place, saved, wide));
        self
    }

    /// All messages.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records { list: self, places: 0..self.columns.rows.len() }
    }

    /// All of them, each with the key by which its store finds it.
    pub fn keyed(&self) -> impl Iterator<Item = (MessageKey, MessageRecord)> {
        self.records().enumerate().map(|(index, record)| (self.key_at(index, record.uid), record))
    }

    /// The message at a place of the list.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<MessageRecord> {
        let row = self.columns.rows.get(index)?;
        let Numbers { modseq, received, saved } = row.numbers(index, &self.columns.wide);
        let pop3 = self.columns.pop3.binary_search_by_key(&index, |(row, _, _)| *row).ok();
        let pop3 = pop3.and_then(|place| self.columns.pop3.get(place));
        Some(MessageRecord {
            uid: row.uid,
            guid: self.guid(&row),
            flags: row.flags(),
            keywords: self.columns.keywords.at(index),
            modseq,
            received,
            saved,
            pop3_uidl: pop3.and_then(|(_, uidl, _)| uidl.clone()),
            pop3_order: pop3.and_then(|(_, _, order)| *order),
        })
    }

    fn guid(&self, row: &Row) -> MessageGuid {
        match row.guid {
            RowGuid::Short(bytes) => MessageGuid::of_short(bytes),
            RowGuid::Long(start, length) => {
                let number = |bytes| usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX);
                let (start, length) = (number(start), number(length));
                MessageGuid::of_long(self.columns.guids.get(start..start.saturating_add(length)).unwrap_or_default())
            }
        }
    }

    /// The GUID of the message at a place of the list.
    #[must_use]
    pub fn guid_at(&self, index: usize) -> Option<MessageGuid> {
        self.columns.rows.get(index).map(|row| self.guid(&row))
    }

    /// The UID of the message at a place of the list, if it has one.
    #[must_use]
    pub fn uid_at(&self, index: usize) -> Option<Uid> {
        self.columns.rows.get(index)?.uid
    }

    /// The key of the message at a place of the list.
    #[must_use]
    pub fn key_of(&self, index: usize) -> Option<MessageKey> {
        self.columns.rows.get(index).map(|row| self.key_at(index, row.uid))
    }

    fn key_at(&self, index: usize, uid: Option<Uid>) -> MessageKey {
        match uid {
            Some(uid) => MessageKey::Uid(uid),
            None => {
                MessageKey::Unassigned(u32::try_from(index.saturating_sub(self.columns.assigned)).unwrap_or(u32::MAX))
            }
        }
    }

    /// The place of a message in the list.
    #[must_use]
    pub fn index_of(&self, key: MessageKey) -> Option<usize> {
        match key {
            MessageKey::Uid(uid) => self.columns.rows.position(uid, self.columns.assigned),
            MessageKey::Unassigned(place) => self
                .columns
                .assigned
                .checked_add(usize::try_from(place).ok()?)
                .filter(|index| *index < self.columns.rows.len()),
        }
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.columns.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages have a UID. They come first.
    #[must_use]
    pub fn assigned(&self) -> usize {
        self.columns.assigned
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

    /// Whether every message has a UID and a modseq. If not, somebody has done something that is not counted yet.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.assigned() == self.len() && self.records().all(|record| record.modseq.is_some())
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

impl Columns {
    fn push(&mut self, record: &MessageRecord) {
        let guid = record.guid.short().map_or_else(|| self.add_guid(&record.guid.text()), RowGuid::Short);
        let index = self.rows.len();
        self.keywords.set(index, &record.keywords);
        if record.pop3_uidl.is_some() || record.pop3_order.is_some() {
            self.pop3.push((index, record.pop3_uidl.clone(), record.pop3_order));
        }
        let row = Row::new(index, guid, record, &mut self.wide);
        self.rows.push(row);
        if record.uid.is_some() {
            self.assigned = self.rows.len();
        }
    }

    fn replace(&mut self, index: usize, guid: RowGuid, record: &MessageRecord) {
        self.wide.remove(&index);
        let row = Row::new(index, guid, record, &mut self.wide);
        self.rows.set(index, row);
        self.keywords.replace(index, &record.keywords);
        let pop3 = (index, record.pop3_uidl.clone(), record.pop3_order);
        let has_pop3 = record.pop3_uidl.is_some() || record.pop3_order.is_some();
        match (self.pop3.binary_search_by_key(&index, |(row, _, _)| *row), has_pop3) {
            (Ok(place), true) => self.pop3[place] = pop3,
            (Ok(place), false) => drop(self.pop3.remove(place)),
            (Err(place), true) => self.pop3.insert(place, pop3),
            (Err(_), false) => {}
        }
    }

    fn add_guid(&mut self, text: &[u8]) -> RowGuid {
        let start = self.guids.len() as u64;
        self.guids.extend_from_slice(text);
        RowGuid::Long(start.to_le_bytes(), (text.len() as u64).to_le_bytes())
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
mod tests;
