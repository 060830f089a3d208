//! A main index as text.

use std::io::Write;

use super::{Failure, extension, flags, text};
use crate::index::keywords::{bit, decode_keywords};
use crate::index::main_index::{MainIndex, offset};

/// The fields of the base header.
pub(super) const FIELDS: [(u16, &str); 11] = [
    (offset::UID_VALIDITY, "UIDVALIDITY"),
    (offset::NEXT_UID, "UIDNEXT"),
    (offset::MESSAGES, "messages"),
    (offset::SEEN, "seen"),
    (offset::DELETED, "deleted"),
    (offset::FIRST_RECENT, "first recent UID"),
    (offset::UNSEEN_LOWWATER, "no unseen UID below"),
    (offset::DELETED_LOWWATER, "no deleted UID below"),
    (offset::LOG_SEQ, "number of the log"),
    (offset::LOG_TAIL, "carried out in it up to offset"),
    (offset::LOG_HEAD, "contains it up to offset"),
];

pub(super) fn dump(bytes: &[u8], output: &mut dyn Write) -> Result<(), Failure> {
    let index = MainIndex::decode(bytes).map_err(|error| Failure::Damage(error.to_string()))?;
    writeln!(output, "index id: {}", index.index_id())?;
    for (offset, name) in FIELDS {
        writeln!(output, "{name}: {}", index.get(offset))?;
    }
    let mut keywords = Vec::new();
    for extension in &index.extensions {
        let name = &extension.name;
        write!(
            output,
            "extension {}: reset id {}, header {} bytes, record {} bytes",
            text(name),
            extension.reset_id,
            extension.header.len(),
            extension.record_size
        )?;
        if name == b"keywords" {
            keywords = decode_keywords(&extension.header);
            let names: Vec<_> = keywords.iter().map(|name| text(name)).collect();
            writeln!(output, ": {}", names.join(" "))?;
        } else {
            let header = extension::header(name, &extension.header);
            writeln!(output, "{}{header}", if header.is_empty() { "" } else { ": " })?;
        }
    }
    for (place, (uid, bits)) in index.messages.iter().enumerate() {
        write!(output, "UID {uid}: flags {}", flags(*bits))?;
        for extension in &index.extensions {
            let record = extension.record(place);
            if record.iter().all(|byte| *byte == 0) {
                continue;
            }
            if extension.name == b"keywords" {
                let set = keywords.iter().enumerate().filter(|(number, _)| bit(record, *number));
                let names: Vec<_> = set.map(|(_, name)| text(name)).collect();
                write!(output, "; keywords {}", names.join(" "))?;
            } else if extension::is_known(&extension.name) {
                write!(output, "; {}", extension::record(&extension.name, record))?;
            } else {
                write!(output, "; {}: {}", text(&extension.name), extension::record(&extension.name, record))?;
            }
        }
        writeln!(output)?;
    }
    Ok(())
}
