//! The map of an mdbox: which message of all mailboxes is where in which file, and how many mailboxes refer to it.
//!
//! An index like any other, whose UIDs are the numbers of the messages in the storage (*map UIDs*).
//!
//! ```text
//! extension  header                                       record
//! map        u32 highest file id, u32 count of rebuilds   u32 file id, u32 offset, u32 size from the message's header to
//!                                                         the end of its metadata; 0 = more than 4 GiB
//! ref        -                                            u16 how many mailboxes refer to it; 0 = to be purged
//! ```
//!
//! The UIDVALIDITY of the index is noted in every mailbox, so that a mailbox of another map is recognised. Source:
//! observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use thiserror::Error;

use crate::index::bytes::{Reader, pad};
use crate::index::log::{Change, ExtensionIntro, LogRecord};
use crate::index::main_index::{Extension, offset};
use crate::index::view::IndexView;

const MAP: &str = "map";
const REFERENCES: &str = "ref";
const MAP_HEADER_SIZE: u32 = 8;
const HIGHEST_FILE_ID_SIZE: usize = 4;
const MAP_RECORD_SIZE: u16 = 12;
const REFERENCES_SIZE: u16 = 2;

/// No message may have more references; servers refuse that.
pub const MOST_REFERENCES: u16 = 32767;

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MapPlace {
    /// The number in the name of the file.
    pub file_id: u32,
    /// Where its header starts in the file.
    pub offset: u32,
    /// How many bytes it has from there to the end of its metadata; 0 if that is not known.
    pub size: u32,
}

/// One message of the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapEntry {
    /// Its number.
    pub map_uid: u32,
    /// Where it is.
    pub place: MapPlace,
    /// How many messages of mailboxes it is.
    pub references: u16,
}

impl MapEntry {
    /// Whether the message may have so many references more.
    #[must_use]
    pub fn takes(&self, more: u32) -> bool {
        u32::from(self.references).saturating_add(more) <= MOST_REFERENCES.into()
    }
}

/// An index that is read as a map. It borrows it, because there may be millions of messages.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    index: &'a IndexView,
    places: Option<&'a Extension>,
    references: Option<&'a Extension>,
}

/// Why an index is no map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MapError {
    /// An extension has another form.
    #[error("its extension {0} has an impossible size")]
    Extension(&'static str),
    /// There are messages but nothing that says where they are.
    #[error("it has messages, but its extension {0} is missing")]
    Missing(&'static str),
}

impl<'a> Map<'a> {
    /// The map that an index is.
    ///
    /// # Errors
    /// If the index has not the form of a map.
    pub fn of_view(view: &'a IndexView) -> Result<Self, MapError> {
        let map = Self::new(view);
        if map.places.is_some_and(|places| places.header.len() < HIGHEST_FILE_ID_SIZE) {
            return Err(MapError::Extension(MAP));
        }
        if view.messages().is_empty() {
            return Ok(map);
        }
        let places = map.places.ok_or(MapError::Missing(MAP))?;
        let references = map.references.ok_or(MapError::Missing(REFERENCES))?;
        if places.record_size < MAP_RECORD_SIZE {
            return Err(MapError::Extension(MAP));
        }
        if references.record_size < REFERENCES_SIZE {
            return Err(MapError::Extension(REFERENCES));
        }
        Ok(map)
    }

    /// The same of an index that is known to have the form of a map.
    pub(super) fn new(view: &'a IndexView) -> Self {
        Self { index: view, places: view.extension(MAP), references: view.extension(REFERENCES) }
    }

    /// The UIDVALIDITY of the map; 0 if it is being made.
    #[must_use]
    pub fn uid_validity(&self) -> u32 {
        self.index.uid_validity()
    }

    /// The number that the next message gets.
    #[must_use]
    pub fn next_uid(&self) -> u32 {
        self.index.next_uid()
    }

    /// The highest file id that was ever used.
    #[must_use]
    pub fn highest_file_id(&self) -> u32 {
        self.places.and_then(|places| Reader(&places.header).u32()).unwrap_or(0)
    }

    /// All messages, by ascending number.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = MapEntry> + use<'a> {
        let map = *self;
        (0..map.index.messages().len()).filter_map(move |place| map.at(place))
    }

    /// The message with this number.
    #[must_use]
    pub fn get(&self, map_uid: u32) -> Option<MapEntry> {
        self.at(self.index.index_of(map_uid)?)
    }

    fn at(&self, place: usize) -> Option<MapEntry> {
        let (map_uid, _) = *self.index.messages().get(place)?;
        let mut fields = Reader(self.places?.record(place));
        let (file_id, offset, size) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let references = Reader(self.references?.record(place)).u16()?;
        Some(MapEntry { map_uid, place: MapPlace { file_id, offset, size }, references })
    }
}

/// The records that make a new map of an index.
#[must_use]
pub fn records_of_new_map(uid_validity: u32) -> Vec<LogRecord> {
    let patch = vec![(offset::UID_VALIDITY, uid_validity.to_le_bytes().to_vec())];
    vec![LogRecord::external(Change::HeaderUpdate(patch))]
}

/// The changes of one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapChanges {
    /// The highest file id that was ever used, if it rises.
    pub highest_file_id: Option<u32>,
    /// New messages, by ascending number, all of them beyond those there are.
    pub add: Vec<MapEntry>,
    /// References that come or go: number and difference, each number once.
    pub count: Vec<(u32, i32)>,
    /// Messages that are elsewhere now, by ascending number.
    pub moved: Vec<(u32, MapPlace)>,
    /// Messages that are gone, by ascending number.
    pub remove: Vec<u32>,
}

impl MapChanges {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The records of the transaction, which has been carried out.
    #[must_use]
    pub fn records(&self) -> Vec<LogRecord> {
        self.changes().into_iter().map(LogRecord::external).collect()
    }

    /// The records of the transaction, of which more has to be carried out than they say. As long as the log does not say
    /// that this is done, servers know that somebody is at work, or crashed: they look for records of this kind only.
    #[must_use]
    pub fn requests(&self) -> Vec<LogRecord> {
        self.changes().into_iter().map(LogRecord::request).collect()
    }

    fn changes(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Some(highest) = self.highest_file_id {
            changes.push(intro_of_places());
            changes.push(Change::ExtensionHeader(vec![(0, highest.to_le_bytes().to_vec())]));
        }
        if !self.add.is_empty() {
            changes.push(Change::Append(self.add.iter().map(|entry| (entry.map_uid, 0, [0; 3])).collect()));
        }
        let added = self.add.iter().map(|entry| (entry.map_uid, entry.place));
        let places = added.chain(self.moved.iter().copied());
        let count = self.add.len().saturating_add(self.moved.len());
        if count > 0 {
            changes.push(intro_of_places());
            changes.push(Change::ExtensionRecords(encode_places(places, count)));
        }
        if !self.add.is_empty() {
            changes.push(intro_of_references());
            changes.push(Change::ExtensionRecords(encode_references(&self.add)));
        }
        let count: Vec<_> = self.count.iter().copied().filter(|(_, difference)| *difference != 0).collect();
        if !count.is_empty() {
            changes.push(intro_of_references());
            changes.push(Change::ExtensionIncrement(count));
        }
        if !self.remove.is_empty() {
            changes.push(Change::ExpungeGuid(self.remove.iter().map(|map_uid| (*map_uid, [0; 16])).collect()));
        }
        changes
    }
}

fn encode_places(places: impl Iterator<Item = (u32, MapPlace)>, count: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count.saturating_mul(16));
    for (map_uid, place) in places {
        for value in [map_uid, place.file_id, place.offset, place.size] {
            bytes.extend(value.to_le_bytes());
        }
    }
    bytes
}

fn encode_references(entries: &[MapEntry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len().saturating_mul(8));
    for entry in entries {
        bytes.extend(entry.map_uid.to_le_bytes());
        bytes.extend(entry.references.to_le_bytes());
        pad(&mut bytes, 4);
    }
    bytes
}

fn intro_of_places() -> Change {
    intro(MAP, MAP_HEADER_SIZE, MAP_RECORD_SIZE, 4)
}

fn intro_of_references() -> Change {
    intro(REFERENCES, 0, REFERENCES_SIZE, REFERENCES_SIZE)
}

fn intro(name: &str, header_size: u32, record_size: u16, record_align: u16) -> Change {
    Change::ExtensionIntro(ExtensionIntro::named(name, 0, header_size, record_size, record_align))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(map_uid: u32, file_id: u32, offset: u32, references: u16) -> MapEntry {
        MapEntry { map_uid, place: MapPlace { file_id, offset, size: 100 }, references }
    }

    fn apply(view: &mut IndexView, records: &[LogRecord]) {
        records.iter().for_each(|record| view.apply(record, 3).unwrap());
    }

    #[test]
    fn changes_are_found_again() {
        let mut view = IndexView::empty(7, 1);
        let map = Map::of_view(&view).unwrap();
        assert_eq!((map.uid_validity(), map.next_uid(), map.highest_file_id()), (0, 1, 0));
        apply(&mut view, &records_of_new_map(99));
        let add = vec![entry(1, 1, 16, 1), entry(2, 1, 116, 2), entry(5, 2, 16, 1)];
        apply(
            &mut view,
            &MapChanges { highest_file_id: Some(2), add: add.clone(), ..MapChanges::default() }.records(),
        );
        let map = Map::of_view(&view).unwrap();
        assert_eq!((map.uid_validity(), map.next_uid(), map.highest_file_id()), (99, 6, 2));
        assert!(map.entries().eq(add));
        let place = MapPlace { file_id: 3, offset: 16, size: 100 };
        let changes = MapChanges {
            highest_file_id: Some(3),
            count: vec![(1, -1), (2, 1), (5, 0)],
            moved: vec![(5, place)],
            remove: vec![1],
            ..MapChanges::default()
        };
        apply(&mut view, &changes.records());
        let map = Map::of_view(&view).unwrap();
        assert_eq!(map.get(1), None);
        assert_eq!(map.get(2).unwrap().references, 3);
        assert_eq!(map.get(5).unwrap().place, place);
        assert_eq!(map.highest_file_id(), 3);
    }

    #[test]
    fn other_indexes_are_no_maps() {
        let mut view = IndexView::empty(7, 1);
        let append = Change::Append(vec![(1, 0, [0; 3])]);
        view.apply(&LogRecord::external(append), 3).unwrap();
        assert_eq!(Map::of_view(&view).unwrap_err(), MapError::Missing(MAP));
        view.apply(&LogRecord::external(intro(MAP, 2, 4, 4)), 3).unwrap();
        assert_eq!(Map::of_view(&view).unwrap_err(), MapError::Extension(MAP));
    }
}
