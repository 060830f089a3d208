//! All messages of a merged mailbox.

use super::sequence::Places;
use crate::model::{MessageList, MessageRecord, Role, Uid};

/// A message of the merged mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedMessage {
    /// What it is. It has a UID and a modseq.
    pub record: MessageRecord,
    /// Its place in the list of each side that has it, master first.
    pub(super) from: [Option<usize>; 2],
    /// A side that cannot be given the message now, because it has no UIDs left or could not be read.
    pub(super) withheld: Option<Role>,
}

/// The messages by ascending UID, and behind them those that are withheld from a side: they may share a UID.
///
/// There may be millions, and most become what they are on a side already, so only the others are kept.
#[derive(Clone, Debug, Default)]
pub struct MergedMessages {
    /// Those of each side, master first.
    sides: [MessageList; 2],
    /// See [`MergedMessage::from`].
    from: Vec<Places>,
    /// Those that do not become what they are on the first side that has them.
    changed: MessageList,
    /// Their places in `from`, ascending.
    changed_places: Vec<u32>,
    /// The UID of the last one.
    last: Option<Uid>,
    withheld: Vec<MergedMessage>,
}

impl PartialEq for MergedMessages {
    fn eq(&self, other: &Self) -> bool {
        self.from.len() == other.from.len() && self.iter().eq(other.iter())
    }
}

impl Eq for MergedMessages {}

impl MergedMessages {
    /// None yet, and room for so many messages of these lists, master's first.
    pub(super) fn of_sides(sides: [&MessageList; 2], messages: usize) -> Self {
        Self { sides: sides.map(MessageList::clone), from: Vec::with_capacity(messages), ..Self::default() }
    }

    /// Adds a message. UIDs of those that are not withheld ascend.
    pub(super) fn push(&mut self, message: MergedMessage) {
        let uid = message.record.uid;
        let fits = message.withheld.is_none() && uid > self.last;
        let Some(place) = u32::try_from(self.from.len()).ok().filter(|_| fits) else {
            return self.withheld.push(message);
        };
        if unchanged(&self.sides, message.from).as_ref() != Some(&message.record) {
            if self.changed.push(&message.record).is_err() {
                return self.withheld.push(message);
            }
            self.changed_places.push(place);
        }
        self.last = uid;
        self.from.push(Places::new(message.from));
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = MergedMessage> {
        let mut changed = self.changed_places.iter().zip(self.changed.records()).peekable();
        let all = self.from.iter().enumerate().filter_map(move |(place, from)| {
            let from = from.get();
            let changed = changed.next_if(|(changed, _)| usize::try_from(**changed) == Ok(place));
            let record = changed.map(|(_, record)| record).or_else(|| unchanged(&self.sides, from))?;
            Some(MergedMessage { record, from, withheld: None })
        });
        all.chain(self.withheld.iter().cloned())
    }
}

/// What a message is on the first side that has it.
fn unchanged(sides: &[MessageList; 2], from: [Option<usize>; 2]) -> Option<MessageRecord> {
    from.into_iter().zip(sides).find_map(|(place, side)| side.at(place?))
}
