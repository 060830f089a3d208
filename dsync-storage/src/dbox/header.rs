//! What mdbox and sdbox keep in the index of a mailbox.
//!
//! | extension | header | record |
//! |---|---|---|
//! | `mdbox-hdr` | u32 UIDVALIDITY of the map, 16 bytes GUID of the mailbox, u8 marks, 3 zero bytes | - |
//! | `dbox-hdr` (sdbox) | u32 count of rebuilds, then the same | - |
//! | `mdbox` | - | u32 map UID, u32 saved date |
//! | `guid` (mdbox) | - | 16 bytes: 128-bit form of the message's GUID |
//! | `hdr-pop3-uidl` | u32 the highest UID that has a POP3 UIDL or order of its own | - |
//!
//! Marks: 1 = a message may have a POP3 UIDL of its own, 2 = a message may have a POP3 order. Without the mark servers do
//! not look for it. Source: observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::sync::Arc;

use dsync_core::model::MailboxGuid;

use crate::index::bytes::Reader;
use crate::index::target::TargetExtension;
use crate::index::view::IndexView;

/// Name of the extension with the header of an mdbox mailbox.
pub const MDBOX_HEADER: &str = "mdbox-hdr";
/// Name of the extension with the header of an sdbox mailbox.
pub const SDBOX_HEADER: &str = "dbox-hdr";
const MDBOX_RECORD: &str = "mdbox";
const GUID_RECORD: &str = "guid";
const PLACE_SIZE: u16 = 8;
const GUID_SIZE: u16 = 16;
const POP3_UIDL: &str = "hdr-pop3-uidl";
const HAS_POP3_UIDL: u8 = 1;
const HAS_POP3_ORDER: u8 = 2;

/// The header of a mailbox, in either format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DboxHeader {
    /// mdbox: UIDVALIDITY of the map. sdbox: how often the index was rebuilt.
    pub first: u32,
    /// Who the mailbox is; `None` if it does not say.
    pub guid: Option<MailboxGuid>,
    /// A message may have a POP3 UIDL of its own.
    pub has_pop3_uidl: bool,
    /// A message may have a POP3 order.
    pub has_pop3_order: bool,
    /// No message with a higher UID shows POP3 data of its own; `None` if any may.
    pub highest_pop3: Option<u32>,
}

impl DboxHeader {
    /// Reads it from an index; `None` if the index has none.
    #[must_use]
    pub fn of_view(view: &IndexView, name: &str) -> Option<Self> {
        let mut header = Reader(&view.extension(name)?.header);
        let first = header.u32()?;
        let guid = header.array().and_then(MailboxGuid::new);
        let marks = header.u8().unwrap_or(0);
        Some(Self {
            first,
            guid,
            has_pop3_uidl: marks & HAS_POP3_UIDL != 0,
            has_pop3_order: marks & HAS_POP3_ORDER != 0,
            highest_pop3: view.extension(POP3_UIDL).and_then(|extension| Reader(&extension.header).u32()),
        })
    }

    /// Whether a POP3 UIDL that is stored with a message is shown.
    #[must_use]
    pub fn shows_pop3_uidl(&self, uid: u32) -> bool {
        self.has_pop3_uidl && self.may_have_pop3(uid)
    }

    /// Whether a POP3 order that is stored with a message is shown.
    #[must_use]
    pub fn shows_pop3_order(&self, uid: u32) -> bool {
        self.has_pop3_order && self.may_have_pop3(uid)
    }

    fn may_have_pop3(&self, uid: u32) -> bool {
        self.highest_pop3.is_none_or(|highest| uid <= highest)
    }

    /// The extensions that hold it.
    #[must_use]
    pub fn extensions(&self, name: &'static str) -> Vec<TargetExtension> {
        let mut header = self.first.to_le_bytes().to_vec();
        header.extend(self.guid.map_or([0; 16], |guid| *guid.as_bytes()));
        let marks = [(self.has_pop3_uidl, HAS_POP3_UIDL), (self.has_pop3_order, HAS_POP3_ORDER)];
        header.push(marks.iter().filter(|(set, _)| *set).map(|(_, mark)| mark).sum());
        header.extend([0; 3]);
        let mut extensions = vec![TargetExtension::header_only(name, header)];
        if let Some(highest) = self.highest_pop3 {
            extensions.push(TargetExtension::header_only(POP3_UIDL, highest.to_le_bytes().to_vec()));
        }
        extensions
    }
}

/// What the index of an mdbox mailbox says about where a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MdboxRecord {
    /// The number of the message in the map.
    pub map_uid: u32,
    /// When it was saved, in seconds since 1970.
    pub saved: u32,
    /// The 128-bit form of its GUID; all zero if it is not known.
    pub guid: [u8; 16],
}

impl MdboxRecord {
    /// That of the message at a place of the view. What is missing is 0.
    #[must_use]
    pub fn of_view(view: &IndexView, place: usize) -> Self {
        let bytes = |name| view.extension(name).map(|extension| extension.record(place)).unwrap_or_default();
        let mut record = Reader(bytes(MDBOX_RECORD));
        Self {
            map_uid: record.u32().unwrap_or(0),
            saved: record.u32().unwrap_or(0),
            guid: Reader(bytes(GUID_RECORD)).array().unwrap_or_default(),
        }
    }
}

/// The records of all messages of a mailbox, as its index keeps them.
#[derive(Clone, Debug, Default)]
pub struct MdboxColumns {
    places: Vec<u8>,
    guids: Vec<u8>,
}

impl MdboxColumns {
    /// None yet, and room for so many.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        let bytes = |size: u16| Vec::with_capacity(count.saturating_mul(size.into()));
        Self { places: bytes(PLACE_SIZE), guids: bytes(GUID_SIZE) }
    }

    /// Adds the record of the next message.
    pub fn push(&mut self, record: MdboxRecord) {
        self.places.extend(record.map_uid.to_le_bytes());
        self.places.extend(record.saved.to_le_bytes());
        self.guids.extend(record.guid);
    }

    /// The extensions that hold them.
    #[must_use]
    pub fn into_extensions(self) -> [TargetExtension; 2] {
        extensions(Arc::new(self.places), Arc::new(self.guids))
    }

    /// The extensions that hold `records` of messages with these UIDs, if they are in this index already and nothing else is. They
    /// share the memory of those in the index.
    #[must_use]
    pub fn kept(
        index: &IndexView,
        records: impl Iterator<Item = (u32, MdboxRecord)>,
    ) -> Option<[TargetExtension; 2]> {
        let count = index.messages().len();
        let column = |name, size: u16| {
            let extension = index.extension(name).filter(|extension| extension.record_size == size)?;
            let is_whole = extension.records.len() == count.saturating_mul(size.into());
            is_whole.then(|| Arc::clone(&extension.records))
        };
        let (places, guids) = (column(MDBOX_RECORD, PLACE_SIZE)?, column(GUID_RECORD, GUID_SIZE)?);
        let there = index.messages().iter().enumerate();
        let there = there.map(|(place, (uid, _))| (*uid, MdboxRecord::of_view(index, place)));
        records.eq(there).then(|| extensions(places, guids))
    }
}

fn extensions(places: Arc<Vec<u8>>, guids: Arc<Vec<u8>>) -> [TargetExtension; 2] {
    let extension = |name, record_size, record_align, records| TargetExtension {
        name,
        header: Vec::new(),
        record_size,
        record_align,
        records,
    };
    [extension(MDBOX_RECORD, PLACE_SIZE, 4, places), extension(GUID_RECORD, GUID_SIZE, 1, guids)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::main_index::{Extension, MainIndex};

    fn view(extensions: impl IntoIterator<Item = TargetExtension>) -> IndexView {
        let mut index = MainIndex::new(7);
        index.messages = vec![(3, 0)];
        index.extensions = extensions
            .into_iter()
            .map(|extension| Extension {
                name: extension.name.into(),
                header: extension.header,
                record_size: extension.record_size,
                records: extension.records,
                ..Extension::default()
            })
            .collect();
        IndexView::of_snapshot(index, 1)
    }

    #[test]
    fn headers_are_found_again() {
        let header = DboxHeader {
            first: 9,
            guid: MailboxGuid::new([5; 16]),
            has_pop3_uidl: true,
            has_pop3_order: false,
            highest_pop3: Some(3),
        };
        let view = view(header.extensions(MDBOX_HEADER));
        assert_eq!(DboxHeader::of_view(&view, MDBOX_HEADER), Some(header));
        assert_eq!(DboxHeader::of_view(&view, SDBOX_HEADER), None);
        assert!(header.shows_pop3_uidl(3) && !header.shows_pop3_uidl(4) && !header.shows_pop3_order(3));
        assert!(DboxHeader { highest_pop3: None, ..header }.shows_pop3_uidl(4));
    }

    #[test]
    fn records_are_found_again() {
        let record = MdboxRecord { map_uid: 3, saved: 4, guid: [6; 16] };
        let mut columns = MdboxColumns::default();
        columns.push(record);
        assert_eq!(MdboxRecord::of_view(&view(columns.into_extensions()), 0), record);
        assert_eq!(MdboxRecord::of_view(&view([]), 0), MdboxRecord::default());
    }
}
