//! Recognising messages between stores of which one keeps no GUIDs. A pure function.
//!
//! Where it is known that both sides were the same once, a UID means the same message on both, because UIDs are never given
//! again. All other messages are compared by what is in them.

use std::collections::{HashMap, HashSet, VecDeque};

use super::MailboxView;
use super::own_guid::own_guid;
use crate::model::{KeptFields, MessageGuid, MessageKey, MessageList, Timestamp, Uid};

/// What is in the messages of a list, by their places; `None` for those that need not be compared, or cannot be read: they are
/// like no other.
pub type Contents = HashMap<usize, [u8; 16]>;

/// What is known of one side.
#[derive(Clone, Copy, Debug)]
pub struct RecogniseSide<'a> {
    /// Its mailbox.
    pub view: MailboxView<'a>,
    /// What is in its messages.
    pub contents: &'a Contents,
    /// What it keeps of a message.
    pub keeps: KeptFields,
}

/// Both lists, with GUIDs that are equal exactly where the messages are the same. What the destination does not keep of a
/// message is what it has anyway. Below `proven` a UID means the same message on both sides.
#[must_use]
pub fn recognise(
    source: RecogniseSide<'_>,
    destination: RecogniseSide<'_>,
    proven: Option<Uid>,
) -> (MessageList, MessageList) {
    let same = matches(source, destination, proven);
    let there = destination.view.messages;
    let mut here = MessageList::default();
    let mut taken: HashSet<MessageGuid> = HashSet::new();
    for (place, mut record) in there.records().enumerate() {
        if !destination.keeps.guids {
            // Several may show the same.
            record.guid = place_guid(place);
        }
        if !source.keeps.guids {
            taken.insert(record.guid.clone());
        }
        // What was in order stays so.
        let _ = here.push(&record);
    }
    let mut list = MessageList::default();
    for (place, mut record) in source.view.messages.records().enumerate() {
        match same.get(&place).and_then(|place| here.at(*place)) {
            Some(here) => {
                record.guid = here.guid.clone();
                record = destination.keeps.applied(record, &here);
            }
            // What is shown may be shown for other messages too, also in other mailboxes.
            None if !source.keeps.guids => {
                let content = source.contents.get(&place);
                let guids = (0..).map(|copy| own_guid(source.view.status.identity, record.uid, content, copy));
                // There are more of them than messages.
                if let Some(guid) = guids.into_iter().find(|guid| !taken.contains(guid)) {
                    record.guid = guid;
                }
                taken.insert(record.guid.clone());
            }
            None => {}
        }
        let _ = list.push(&record);
    }
    (list, here)
}

/// The places of the destination's messages by those of the source's that are the same.
fn matches(source: RecogniseSide<'_>, destination: RecogniseSide<'_>, proven: Option<Uid>) -> HashMap<usize, usize> {
    let (from, to) = (source.view.messages, destination.view.messages);
    let is_proven = |uid: Option<Uid>| uid.is_some_and(|uid| proven.is_some_and(|proven| uid < proven));
    let mut same = HashMap::new();
    let mut left: HashMap<[u8; 16], VecDeque<usize>> = HashMap::new();
    let mut by_uid: HashSet<usize> = HashSet::new();
    let mut rest = Vec::new();
    for place in 0..from.len() {
        let uid = from.uid_at(place);
        let there = uid.and_then(|uid| to.index_of(MessageKey::Uid(uid)));
        let content = source.contents.get(&place);
        let is_same = |there: usize| content.is_some() && content == destination.contents.get(&there);
        match there {
            // A store that was put back from an older copy gives its UIDs again.
            Some(there) if is_proven(uid) && received(from, place) == received(to, there) || is_same(there) => {
                same.insert(place, there);
                by_uid.insert(there);
            }
            _ => rest.push(place),
        }
    }
    for place in (0..to.len()).filter(|place| !by_uid.contains(place)) {
        if let Some(content) = destination.contents.get(&place) {
            left.entry(*content).or_default().push_back(place);
        }
    }
    for place in rest {
        let there = source.contents.get(&place).and_then(|content| left.get_mut(content)?.pop_front());
        same.extend(there.map(|there| (place, there)));
    }
    same
}

fn received(messages: &MessageList, place: usize) -> Option<Timestamp> {
    messages.at(place).map(|record| record.received)
}

/// A GUID that means nothing beyond the two lists.
fn place_guid(place: usize) -> MessageGuid {
    let mut bytes = [0xff; 16];
    bytes[..8].copy_from_slice(&(place as u64).to_le_bytes());
    MessageGuid::from_128(bytes)
}

#[cfg(test)]
mod tests;
