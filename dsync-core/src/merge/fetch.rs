//! The messages that a plan needs from the other side.

use crate::model::{MessageKey, MessageList, MessageRecord, ModSeq, OutOfOrder, Uid};

/// Messages to get from the other side: their key there, and what they become here, by ascending UID here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    messages: Messages,
}

/// There may be millions, so what is in a list already is not copied.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Messages {
    /// Each by itself.
    Each { keys: Vec<MessageKey>, records: MessageList },
    /// Messages of the other side's list, which become what they are there but for their UIDs. Those without a modseq get
    /// this one.
    Picked { list: MessageList, picked: Vec<Picked>, modseq: ModSeq },
}

/// A message of a list: where it is there, and its UID here. There are less than 2^32 in a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Picked {
    index: u32,
    uid: Uid,
}

impl Default for Messages {
    fn default() -> Self {
        Self::Each { keys: Vec::new(), records: MessageList::default() }
    }
}

impl Fetch {
    /// None yet, and room for so many messages of this list. Those without a modseq get this one.
    pub(crate) fn from_list(list: &MessageList, messages: usize, modseq: ModSeq) -> Self {
        let picked = Vec::with_capacity(messages);
        Self { messages: Messages::Picked { list: list.clone(), picked, modseq } }
    }

    /// Adds the message at a place of the list.
    ///
    /// # Errors
    /// If its UID is not greater than that of the last one, or there is no list that has it.
    pub(crate) fn pick(&mut self, index: usize, uid: Uid) -> Result<(), OutOfOrder> {
        let Messages::Picked { list, picked, .. } = &mut self.messages else { return Err(OutOfOrder) };
        let index = u32::try_from(index).map_err(|_| OutOfOrder)?;
        if list.guid_at(index as usize).is_none() || picked.last().is_some_and(|last| last.uid >= uid) {
            return Err(OutOfOrder);
        }
        picked.push(Picked { index, uid });
        Ok(())
    }

    /// Adds a message at the end.
    ///
    /// # Errors
    /// If its UID is not greater than that of the last one.
    pub(crate) fn push(&mut self, key: MessageKey, record: &MessageRecord) -> Result<(), OutOfOrder> {
        let Messages::Each { keys, records } = &mut self.messages else { return Err(OutOfOrder) };
        if record.uid.is_none() {
            return Err(OutOfOrder);
        }
        records.push(record)?;
        keys.push(key);
        Ok(())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (MessageKey, MessageRecord)> {
        (0..self.len()).filter_map(|place| self.get(place))
    }

    /// The message at a place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<(MessageKey, MessageRecord)> {
        match &self.messages {
            Messages::Each { keys, records } => Some((*keys.get(place)?, records.at(place)?)),
            Messages::Picked { list, picked, modseq } => {
                let Picked { index, uid } = *picked.get(place)?;
                let record = list.at(index as usize)?;
                let modseq = record.modseq.or(Some(*modseq));
                Some((list.key_of(index as usize)?, MessageRecord { uid: Some(uid), modseq, ..record }))
            }
        }
    }

    /// The key at the other side of the message at a place.
    #[must_use]
    pub fn key(&self, place: usize) -> Option<MessageKey> {
        match &self.messages {
            Messages::Each { keys, .. } => keys.get(place).copied(),
            Messages::Picked { list, picked, .. } => list.key_of(picked.get(place)?.index as usize),
        }
    }

    /// Their keys at the other side.
    pub fn keys(&self) -> impl Iterator<Item = MessageKey> {
        (0..self.len()).filter_map(|place| self.key(place))
    }

    /// What they become here.
    #[must_use]
    pub fn into_records(self) -> MessageList {
        match self.messages {
            Messages::Each { records, .. } => records,
            Messages::Picked { list, picked, modseq } => {
                let is_whole = picked.len() == list.len()
                    && picked.iter().enumerate().all(|(place, picked)| picked.index as usize == place);
                let uids = picked.iter().map(|picked| picked.uid);
                if is_whole {
                    return list.with_uids(uids, modseq);
                }
                let mut records = MessageList::default();
                let picked = Self { messages: Messages::Picked { list, picked, modseq } };
                for (_, record) in picked.iter() {
                    // They are in the order of their UIDs.
                    let _ = records.push(&record);
                }
                records
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.messages {
            Messages::Each { keys, .. } => keys.len(),
            Messages::Picked { picked, .. } => picked.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Flags, Keywords, MessageGuid, Timestamp};

    fn list(messages: &[(Option<u32>, Option<u64>)]) -> MessageList {
        let record = |(number, (uid, modseq)): (usize, &(Option<u32>, Option<u64>))| MessageRecord {
            uid: uid.and_then(Uid::new),
            guid: MessageGuid::new(format!("guid{number}").as_bytes()).unwrap(),
            flags: Flags::SEEN,
            keywords: Keywords::none(),
            modseq: modseq.map(ModSeq),
            received: Timestamp(-1),
            saved: None,
            pop3_uidl: Some("uidl".into()),
            pop3_order: None,
        };
        MessageList::new(messages.iter().enumerate().map(record).collect()).unwrap()
    }

    #[test]
    fn picked_messages_become_what_they_are_said_to_become() {
        let list = list(&[(Some(3), Some(7)), (Some(4), None), (None, Some(5)), (None, None)]);
        for picks in [vec![(0, 3), (1, 4), (2, 8), (3, 9)], vec![(0, 1), (3, 2)], vec![(3, 1), (0, 2)], vec![]] {
            let mut fetch = Fetch::from_list(&list, 4, ModSeq(99));
            for (index, uid) in &picks {
                fetch.pick(*index, Uid::new(*uid).unwrap()).unwrap();
            }
            assert_eq!(fetch.pick(4, Uid::MAX), Err(OutOfOrder));
            assert_eq!(fetch.len(), picks.len());
            let expected: Vec<_> = picks
                .iter()
                .map(|(index, uid)| {
                    let record = list.at(*index).unwrap();
                    let modseq = record.modseq.or(Some(ModSeq(99)));
                    (list.key_of(*index).unwrap(), MessageRecord { uid: Uid::new(*uid), modseq, ..record })
                })
                .collect();
            assert_eq!(fetch.iter().collect::<Vec<_>>(), expected);
            assert!(fetch.keys().eq(expected.iter().map(|(key, _)| *key)));
            let records = fetch.into_records();
            assert_eq!(records.assigned(), picks.len());
            assert!(records.records().eq(expected.into_iter().map(|(_, record)| record)));
        }
        assert_eq!(list.assigned(), 2);
    }

    #[test]
    fn uids_have_to_ascend() {
        let mut fetch = Fetch::from_list(&list(&[(Some(3), Some(7)), (Some(4), None)]), 2, ModSeq(99));
        fetch.pick(1, Uid::new(4).unwrap()).unwrap();
        assert_eq!(fetch.pick(0, Uid::new(4).unwrap()), Err(OutOfOrder));
    }
}
