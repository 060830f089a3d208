//! The messages that an index is to hold.

use dsync_core::model::Keywords;

use crate::index::bytes::Reader;

/// A message of an [`IndexTarget`](super::IndexTarget).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetMessage {
    /// Its UID.
    pub uid: u32,
    /// Its five flags. Of a new message also 0x40, which is the storage's.
    pub flags: u8,
    /// Its keywords.
    pub keywords: Keywords,
    /// Its modseq.
    pub modseq: u64,
}

/// Messages by ascending UID. There may be millions, so they are in the form that an index has in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetMessages {
    /// UID and flags of each.
    flags: Vec<(u32, u8)>,
    /// The modseq of each.
    modseqs: Vec<u8>,
    /// The places of those that have keywords, ascending.
    keywords: Vec<(usize, Keywords)>,
}

impl TargetMessages {
    /// None yet, and room for so many.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        let modseqs = Vec::with_capacity(count.saturating_mul(size_of::<u64>()));
        Self { flags: Vec::with_capacity(count), modseqs, keywords: Vec::new() }
    }

    /// Adds a message, whose UID is greater than all others.
    pub fn push(&mut self, message: TargetMessage) {
        if !message.keywords.is_empty() {
            self.keywords.push((self.flags.len(), message.keywords));
        }
        self.flags.push((message.uid, message.flags));
        self.modseqs.extend(message.modseq.to_le_bytes());
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = TargetMessage> {
        let mut keywords = self.keywords.iter().peekable();
        let modseqs = self.modseqs.chunks_exact(size_of::<u64>());
        self.flags.iter().zip(modseqs).enumerate().map(move |(place, ((uid, flags), modseq))| {
            let keywords = keywords.next_if(|(with, _)| *with == place).map(|(_, keywords)| keywords.clone());
            TargetMessage {
                uid: *uid,
                flags: *flags,
                keywords: keywords.unwrap_or_default(),
                modseq: Reader(modseq).u64().unwrap_or(0),
            }
        })
    }

    /// The keywords of those that have some.
    pub(super) fn keywords(&self) -> impl Iterator<Item = &Keywords> {
        self.keywords.iter().map(|(_, keywords)| keywords)
    }

    /// UIDs and flags, and the modseqs, as an index has them.
    pub(super) fn into_columns(self) -> (Vec<(u32, u8)>, Vec<u8>) {
        (self.flags, self.modseqs)
    }

    /// Whether there is a message with this UID.
    #[must_use]
    pub fn contains(&self, uid: u32) -> bool {
        self.flags.binary_search_by_key(&uid, |(uid, _)| *uid).is_ok()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flags.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }
}

impl FromIterator<TargetMessage> for TargetMessages {
    fn from_iter<I: IntoIterator<Item = TargetMessage>>(messages: I) -> Self {
        let messages = messages.into_iter();
        let (least, most) = messages.size_hint();
        let mut all = Self::with_capacity(most.unwrap_or(least));
        messages.for_each(|message| all.push(message));
        all
    }
}

impl From<Vec<TargetMessage>> for TargetMessages {
    fn from(messages: Vec<TargetMessage>) -> Self {
        messages.into_iter().collect()
    }
}
