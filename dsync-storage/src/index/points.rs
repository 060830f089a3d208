//! Moments at which a mailbox was the same as one of another store, kept in the index beside what they are about.
//!
//! They are the header of an extension of our own. Servers keep extensions that they do not know. If an index is rebuilt
//! they are gone with it, as they must be.
//!
//! ```text
//! offset  size
//!      0     4  version 1
//!      4    40  each of 8 entries, the oldest first; all zero = none:
//!               16 fingerprint, u32 UIDVALIDITY, u32 UIDNEXT, u64 HIGHESTMODSEQ, 8 name of the other side
//! ```
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use dsync_core::model::{ModSeq, SyncPoint, Uid, UidValidity};

use super::bytes::Reader;
use super::log::{Change, ExtensionIntro, LogRecord};
use super::view::IndexView;

/// The name of the extension.
pub const NAME: &str = "dsync-points";
const VERSION: u32 = 1;
const ENTRY: usize = 40;
const SIZE: usize = 4 + SyncPoint::KEPT * ENTRY;

/// The points in an index. What cannot be understood counts as none.
#[must_use]
pub fn read(view: &IndexView) -> Vec<SyncPoint> {
    let Some(extension) = view.extension(NAME) else { return Vec::new() };
    decode(&extension.header)
}

/// The points in the header of the extension.
#[must_use]
pub fn decode(header: &[u8]) -> Vec<SyncPoint> {
    let mut reader = Reader(header);
    if reader.u32() != Some(VERSION) {
        return Vec::new();
    }
    let mut points = Vec::new();
    while let Some(entry) = reader.take(ENTRY) {
        let mut entry = Reader(entry);
        let fields = (entry.array(), entry.u32(), entry.u32(), entry.u64(), entry.array());
        if let (Some(fingerprint), Some(validity), Some(next), Some(modseq), Some(peer)) = fields
            && let (Some(uid_validity), Some(uid_next)) = (UidValidity::new(validity), Uid::new(next))
        {
            points.push(SyncPoint { fingerprint, uid_validity, uid_next, highest_modseq: ModSeq(modseq), peer });
        }
    }
    points
}

/// The header of the extension for these points, at most [`SyncPoint::KEPT`].
#[must_use]
pub fn encode(points: &[SyncPoint]) -> Vec<u8> {
    let mut header = VERSION.to_le_bytes().to_vec();
    for point in points.iter().take(SyncPoint::KEPT) {
        header.extend(point.fingerprint);
        header.extend(point.uid_validity.get().to_le_bytes());
        header.extend(point.uid_next.get().to_le_bytes());
        header.extend(point.highest_modseq.get().to_le_bytes());
        header.extend(point.peer);
    }
    header.resize(SIZE, 0);
    header
}

/// The records that put these points into an index. They count for no modseq.
#[must_use]
pub fn records(points: &[SyncPoint]) -> Vec<LogRecord> {
    // What another version may have made larger stays so.
    let intro = ExtensionIntro::named(NAME, 0, u32::try_from(SIZE).unwrap_or(0), 0, 0);
    let changes = [Change::ExtensionIntro(intro), Change::ExtensionHeader(vec![(0, encode(points))])];
    changes.into_iter().map(LogRecord::external).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(number: u8) -> SyncPoint {
        SyncPoint {
            fingerprint: [number; 16],
            uid_validity: UidValidity::new(7).unwrap(),
            uid_next: Uid::new(9).unwrap(),
            highest_modseq: ModSeq(1 << 40),
            peer: [number; 8],
        }
    }

    #[test]
    fn points_survive_their_bytes() {
        for count in 0..=8u8 {
            let points: Vec<_> = (1..=count).map(point).collect();
            assert_eq!(decode(&encode(&points)), points);
        }
    }

    #[test]
    fn other_versions_and_fragments_are_no_points() {
        assert_eq!(decode(&[2; SIZE]), []);
        assert_eq!(decode(&[]), []);
        assert_eq!(decode(encode(&[point(1)]).get(..30).unwrap()), []);
    }
}
