//! All messages of a merged mailbox.

use super::sequence::Places;
use crate::model::{MessageList, MessageRecord, Role};

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergedMessages {
    records: MessageList,
    /// See [`MergedMessage::from`].
    from: Vec<Places>,
    withheld: Vec<MergedMessage>,
}

impl MergedMessages {
    pub(super) fn with_capacity(messages: usize) -> Self {
        let (records, from) = (MessageList::default(), Vec::with_capacity(messages));
        Self { records, from, withheld: Vec::new() }
    }

    /// Adds a message. UIDs of those that are not withheld ascend.
    pub(super) fn push(&mut self, message: MergedMessage) {
        if message.withheld.is_none() && self.records.push(&message.record).is_ok() {
            self.from.push(Places::new(message.from));
        } else {
            self.withheld.push(message);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = MergedMessage> {
        let all = self.records.records().zip(&self.from).map(|(record, from)| MergedMessage {
            record,
            from: from.get(),
            withheld: None,
        });
        all.chain(self.withheld.iter().cloned())
    }
}
