//! One message as a mailbox lists it, and the list of all of them.

use std::fmt;
use std::ops::Deref;

use sha1::{Digest, Sha1};

use super::{Flags, Keywords, MessageGuid, ModSeq, Timestamp, Uid};

/// Everything about a message but its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRecord {
    /// `None` if the store has not given it one yet: a file that was delivered into a Maildir and that no server
    /// has seen so far. It will get one when the store is next opened for writing.
    pub uid: Option<Uid>,
    /// Identity of the message, the same in every mailbox and store.
    pub guid: MessageGuid,
    /// System flags.
    pub flags: Flags,
    /// Keywords.
    pub keywords: Keywords,
    /// When it last changed, in the mailbox's own counting; `None` if the store has not counted that yet.
    pub modseq: Option<ModSeq>,
    /// INTERNALDATE.
    pub received: Timestamp,
    /// SAVEDATE: when it was put into this mailbox; `None` if the store cannot tell.
    pub saved: Option<Timestamp>,
    /// The POP3 UIDL that is stored with the message; `None` lets the server derive it from UID and UIDVALIDITY.
    pub pop3_uidl: Option<Pop3Uidl>,
    /// Its place in the POP3 listing before all messages without one; `None` for UID order.
    pub pop3_order: Option<u32>,
}

/// A POP3 UIDL: no space or control character.
// Few messages have one, and there may be millions in memory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pop3Uidl(Box<Box<str>>);

impl From<&str> for Pop3Uidl {
    fn from(text: &str) -> Self {
        Self(Box::new(text.into()))
    }
}

impl Deref for Pop3Uidl {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Pop3Uidl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pop3Uidl({:?})", &**self)
    }
}

/// How to name one message of an open mailbox to its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageKey {
    /// The message with this UID.
    Uid(Uid),
    /// The message at this place of [`MessageList::unassigned`], counted from 0. Means something only for the view
    /// that the list is of.
    Unassigned(usize),
}

impl fmt::Display for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => write!(f, "message with UID {uid}"),
            Self::Unassigned(place) => write!(f, "message {} of those without UID", place.saturating_add(1)),
        }
    }
}

/// The messages of a mailbox: those with a UID in ascending order of it, each UID once, then those without in the
/// order in which they will get theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageList {
    records: Vec<MessageRecord>,
    assigned: usize,
}

impl MessageList {
    /// A list of `records`; `None` if UIDs do not ascend or a message without one precedes one with.
    #[must_use]
    pub fn new(records: Vec<MessageRecord>) -> Option<Self> {
        let assigned = records.iter().take_while(|record| record.uid.is_some()).count();
        let (listed, rest) = records.split_at(assigned);
        let ascending = listed.windows(2).all(|pair| pair[0].uid < pair[1].uid);
        let ordered = rest.iter().all(|record| record.uid.is_none());
        (ascending && ordered).then_some(Self { records, assigned })
    }

    /// Messages with a UID, ascending.
    #[must_use]
    pub fn assigned(&self) -> &[MessageRecord] {
        &self.records[..self.assigned]
    }

    /// Messages without a UID, in the order in which they will get one.
    #[must_use]
    pub fn unassigned(&self) -> &[MessageRecord] {
        &self.records[self.assigned..]
    }

    /// All of them.
    #[must_use]
    pub fn records(&self) -> &[MessageRecord] {
        &self.records
    }

    /// All of them, each with the key by which its store finds it.
    pub fn keyed(&self) -> impl Iterator<Item = (MessageKey, &MessageRecord)> {
        let assigned = self.assigned;
        self.records.iter().enumerate().map(move |(index, record)| match record.uid {
            Some(uid) => (MessageKey::Uid(uid), record),
            None => (MessageKey::Unassigned(index.saturating_sub(assigned)), record),
        })
    }

    /// The place of a message in [`records`](Self::records).
    #[must_use]
    pub fn index_of(&self, key: MessageKey) -> Option<usize> {
        match key {
            MessageKey::Uid(uid) => self.assigned().binary_search_by_key(&Some(uid), |record| record.uid).ok(),
            MessageKey::Unassigned(place) => {
                self.assigned.checked_add(place).filter(|index| *index < self.records.len())
            }
        }
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The message with this UID.
    #[must_use]
    pub fn get(&self, uid: Uid) -> Option<&MessageRecord> {
        let index = self.assigned().binary_search_by_key(&Some(uid), |record| record.uid).ok()?;
        self.records.get(index)
    }

    /// A checksum over every field of every record (keywords in lower case: a mailbox knows only one spelling of each), by which two sides can see that they hold the same without
    /// exchanging their lists. `None` if anything is not decided yet (a UID or a modseq), because that could
    /// become something else on either side.
    #[must_use]
    pub fn digest(&self) -> Option<[u8; 16]> {
        self.digest_of(true)
    }

    /// The same over everything but the GUIDs, for stores that do not keep them.
    #[must_use]
    pub fn digest_without_guids(&self) -> Option<[u8; 16]> {
        self.digest_of(false)
    }

    fn digest_of(&self, with_guids: bool) -> Option<[u8; 16]> {
        let mut hash = Sha1::new();
        for record in &self.records {
            hash.update(record.uid?.get().to_le_bytes());
            hash.update(record.modseq?.get().to_le_bytes());
            hash.update([record.flags.bits()]);
            hash.update(record.received.seconds().to_le_bytes());
            hash.update(record.saved.map_or(i64::MIN, Timestamp::seconds).to_le_bytes());
            hash.update(record.pop3_order.map_or(u64::MAX, u64::from).to_le_bytes());
            if with_guids {
                hash_text(&mut hash, &record.guid.text());
            }
            hash.update([u8::from(record.pop3_uidl.is_some())]);
            hash_text(&mut hash, record.pop3_uidl.as_deref().unwrap_or_default().as_bytes());
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

/// Length first, so that no two different sequences of texts give the same bytes.
fn hash_text(hash: &mut Sha1, text: &[u8]) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text);
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_record_takes_little_memory() {
        assert!(size_of::<MessageRecord>() <= 96, "{}", size_of::<MessageRecord>());
    }

    #[test]
    fn uids_must_ascend_and_come_first() {
        assert!(MessageList::new(vec![record(Some(2), "a"), record(Some(2), "b")]).is_none());
        assert!(MessageList::new(vec![record(None, "a"), record(Some(2), "b")]).is_none());
        let list = MessageList::new(vec![record(Some(2), "a"), record(Some(9), "b"), record(None, "c")]).unwrap();
        assert_eq!((list.assigned().len(), list.unassigned().len()), (2, 1));
        assert_eq!(list.get(Uid::new(9).unwrap()).unwrap().guid.text()[..], b"b"[..]);
        assert_eq!(list.get(Uid::new(3).unwrap()), None);
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
