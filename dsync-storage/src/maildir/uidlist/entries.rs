//! The messages of a uidlist.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use dsync_core::model::Uid;

/// The messages of a uidlist. There may be millions, so they are kept as the text that they are in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UidListEntries {
    /// What stands behind the UIDs, without the spaces and line ends between.
    pub(super) text: Vec<u8>,
    pub(super) uids: Vec<Uid>,
    /// Where the text of each ends.
    pub(super) ends: Vec<usize>,
}

/// One message of a uidlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedEntry<'a> {
    /// Its UID.
    pub uid: Uid,
    /// Fields and base name, as in the file.
    pub(super) text: &'a [u8],
}

impl<'a> ListedEntry<'a> {
    /// The base name of its file.
    #[must_use]
    pub fn base(&self) -> &'a [u8] {
        let mut parts = self.parts();
        parts.by_ref().for_each(drop);
        parts.0.strip_prefix(b":").unwrap_or_default()
    }

    fn parts(&self) -> Fields<'a> {
        Fields(self.text)
    }

    /// The value of a field; if it is there twice, the first.
    #[must_use]
    pub fn field(&self, key: u8) -> Option<&'a [u8]> {
        self.parts().find(|(letter, _)| *letter == key).map(|(_, value)| value)
    }

    /// The GUID of the message: its own field, or else the base name of its file.
    #[must_use]
    pub fn guid(&self) -> &'a [u8] {
        self.field(b'G').filter(|guid| !guid.is_empty()).unwrap_or_else(|| self.base())
    }

    /// The same as an entry that can be changed.
    #[must_use]
    pub fn to_entry(&self) -> UidListEntry {
        let fields = self.parts().map(|(key, value)| (key, value.to_vec())).collect();
        UidListEntry { uid: self.uid, base: self.base().to_vec(), fields }
    }
}

/// The fields at the front of a text, up to the colon before the base name.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.starts_with(b":") {
            return None;
        }
        let space = self.0.iter().position(|byte| *byte == b' ')?;
        let (field, rest) = self.0.split_at_checked(space)?;
        self.0 = rest.get(1..).unwrap_or_default();
        let (key, value) = field.split_first()?;
        Some((*key, value))
    }
}

impl UidListEntries {
    /// Adds a message, whose UID is greater than those before.
    pub fn push(&mut self, entry: &UidListEntry) {
        for (key, value) in &entry.fields {
            self.text.push(*key);
            self.text.extend_from_slice(value);
            self.text.push(b' ');
        }
        self.text.push(b':');
        self.text.extend_from_slice(&entry.base);
        self.uids.push(entry.uid);
        self.ends.push(self.text.len());
    }

    /// All of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = ListedEntry<'_>> {
        (0..self.uids.len()).filter_map(|index| self.get(index))
    }

    /// The one at a place.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<ListedEntry<'_>> {
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        let text = self.text.get(start..*self.ends.get(index)?)?;
        Some(ListedEntry { uid: *self.uids.get(index)?, text })
    }

    /// The one with this UID.
    #[must_use]
    pub fn with_uid(&self, uid: Uid) -> Option<ListedEntry<'_>> {
        self.get(self.uids.binary_search(&uid).ok()?)
    }

    /// The greatest UID.
    #[must_use]
    pub fn last_uid(&self) -> Option<Uid> {
        self.uids.last().copied()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.uids.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.uids.len()
    }

    /// Only those at the places for which `keep` says so.
    pub(super) fn retain(&mut self, keep: &[bool]) {
        let mut kept = Self::default();
        for (entry, _) in self.iter().zip(keep).filter(|(_, keep)| **keep) {
            kept.text.extend_from_slice(entry.text);
            kept.uids.push(entry.uid);
            kept.ends.push(kept.text.len());
        }
        *self = kept;
    }
}

/// One message that is to be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UidListEntry {
    /// Its UID.
    pub uid: Uid,
    /// The base name of its file.
    pub base: Vec<u8>,
    /// Fields in their order: a letter `A` to `Z` and a value without spaces.
    pub fields: Vec<(u8, Vec<u8>)>,
}

impl UidListEntry {
    /// An entry without fields.
    #[must_use]
    pub fn new(uid: Uid, base: &[u8]) -> Self {
        Self { uid, base: base.to_vec(), fields: Vec::new() }
    }

    /// The value of a field; if it is there twice, the first.
    #[must_use]
    pub fn field(&self, key: u8) -> Option<&[u8]> {
        self.fields.iter().find(|(letter, _)| *letter == key).map(|(_, value)| value.as_slice())
    }

    /// Sets a field, or removes it. The caller knows that the value has no space or line break.
    pub fn set_field(&mut self, key: u8, value: Option<&[u8]>) {
        if self.field(key) == value {
            return;
        }
        self.fields.retain(|(letter, _)| *letter != key);
        self.fields.extend(value.map(|value| (key, value.to_vec())));
    }
}

/// Whether a value can stand in a field of the file, which knows no escaping.
#[must_use]
pub fn can_be_field(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|byte| *byte > b' ' && *byte != 0x7f)
}
