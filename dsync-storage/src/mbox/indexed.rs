//! What servers keep about an mbox in its index: the extension `mbox`.
//!
//! | offset | header field |
//! |---|---|
//! | 0 | size of the file when it was last looked at, 8 bytes |
//! | 8 | its modification time, 4 bytes |
//! | 12 | 1 if places of messages may be wrong |
//! | 16 | GUID of the mailbox |
//!
//! Each message has the place of its From_ line, or rather of the line end before it. Source: observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::sync::Arc;

use dsync_core::model::MailboxGuid;

use crate::index::bytes::Reader;
use crate::index::target::TargetExtension;
use crate::index::view::IndexView;

const NAME: &str = "mbox";
/// The checksums over headers by which servers recognise messages without a UID.
const HEADER_MD5: &str = "header-md5";
const RECORD_SIZE: u16 = 8;

/// The header of the extension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MboxHeader {
    /// Bytes of the file at the last look.
    pub(super) size: u64,
    /// Seconds of its modification time at the last look; 0 makes servers look again.
    pub(super) modified: u32,
    /// Who the mailbox is.
    pub(super) guid: Option<MailboxGuid>,
}

impl MboxHeader {
    /// Reads it from an index; bytes that are missing count as 0.
    pub(super) fn of_view(view: &IndexView) -> Self {
        let Some(extension) = view.extension(NAME) else { return Self::default() };
        let mut header = Reader(&extension.header);
        let size = header.u64().unwrap_or(0);
        let modified = header.u32().unwrap_or(0);
        let guid = header.take(4).and_then(|_| header.array()).and_then(MailboxGuid::new);
        Self { size, modified, guid }
    }

    /// The extension that holds it, with the places of all messages.
    pub(super) fn extension(&self, places: impl Iterator<Item = u64>) -> TargetExtension {
        let mut header = self.size.to_le_bytes().to_vec();
        header.extend(self.modified.to_le_bytes());
        header.extend([0; 4]);
        header.extend(self.guid.map_or([0; 16], |guid| *guid.as_bytes()));
        TargetExtension {
            name: NAME,
            header,
            record_size: RECORD_SIZE,
            record_align: RECORD_SIZE,
            records: Arc::new(places.flat_map(u64::to_le_bytes).collect()),
        }
    }
}

/// The checksum over the headers of the message at a place of the index, if it is known.
pub(super) fn header_md5(view: &IndexView, place: usize) -> Option<[u8; 16]> {
    let extension = view.extension(HEADER_MD5)?;
    let size = usize::from(extension.record_size);
    let record = extension.records.get(place.checked_mul(size)?..)?;
    record.first_chunk().copied().filter(|md5: &[u8; 16]| *md5 != [0; 16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_layout_of_servers() {
        let guid = MailboxGuid::from_hex(b"401a8c13153e046b6e4d000083ecc375");
        let extension = MboxHeader { size: 401, modified: 0x6b04_3e15, guid }.extension([0, 215].into_iter());
        assert_eq!(extension.header[..12], [0x91, 1, 0, 0, 0, 0, 0, 0, 0x15, 0x3e, 4, 0x6b]);
        assert_eq!(extension.header[16..20], [0x40, 0x1a, 0x8c, 0x13]);
        assert_eq!(extension.records[8..], [0xd7, 0, 0, 0, 0, 0, 0, 0]);
    }
}
