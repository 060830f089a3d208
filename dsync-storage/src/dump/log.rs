//! A transaction log as text.

use std::io::Write;

use super::{Failure, extension, flags, hexadecimal, index, text, time};
use crate::index::bytes::{Reader, padded};
use crate::index::log::{Change, ExtensionIntro, ExtensionTarget, Framed, LogHeader, UidRange, decode_record};

pub(super) fn dump(bytes: &[u8], output: &mut dyn Write) -> Result<(), Failure> {
    let header = LogHeader::decode(bytes).map_err(|error| Failure::Damage(error.to_string()))?;
    writeln!(output, "version: 1.{}", header.minor)?;
    writeln!(output, "index id: {}", header.index_id)?;
    writeln!(output, "number: {}", header.file_seq)?;
    writeln!(output, "continues: number {}, offset {}", header.prev_file_seq, header.prev_file_offset)?;
    writeln!(output, "created: {}", time(header.create_stamp.into()))?;
    writeln!(output, "highest modseq before: {}", header.initial_modseq)?;
    let mut offset = usize::from(header.header_size);
    let mut current = None;
    loop {
        match decode_record(bytes, offset) {
            Ok(Framed::Record(record, end)) => {
                let whose = if record.external { "" } else { "request: " };
                let mirrored = if record.sync { "mirrored: " } else { "" };
                writeln!(output, "offset {offset}: {whose}{mirrored}{}", describe(&record.change, current.as_ref()))?;
                if let Change::ExtensionIntro(intro) = record.change {
                    current = Some(intro);
                }
                offset = end;
            }
            Ok(Framed::Unfinished) => {
                let rest = bytes.len().saturating_sub(offset);
                if rest > 0 {
                    writeln!(output, "offset {offset}: {rest} bytes that are not finished")?;
                }
                return Ok(());
            }
            Err(error) => return Err(Failure::Damage(error.to_string())),
        }
    }
}

fn describe(change: &Change, current: Option<&ExtensionIntro>) -> String {
    match change {
        Change::Expunge(uids) => format!("expunge UIDs {}", ranges(uids)),
        Change::ExpungeGuid(messages) => {
            format!("expunge {}", joined(messages, |(uid, guid)| format!("UID {uid} (GUID {})", hexadecimal(guid))))
        }
        Change::Append(messages) => {
            format!("append {}", joined(messages, |(uid, bits, _)| format!("UID {uid} (flags {})", flags(*bits))))
        }
        Change::FlagUpdate(updates) => format!(
            "flags of {}",
            joined(updates, |update| {
                let force = if update.force { ", in any case" } else { "" };
                let (add, remove) = (flags(update.add), flags(update.remove));
                format!("UIDs {} (set {add}, clear {remove}{force})", range(&update.uids))
            })
        ),
        Change::HeaderUpdate(changes) => format!("header: {}", joined(changes, |(at, new)| header(*at, new))),
        Change::ExtensionIntro(intro) => format!(
            "extension {}: reset id {}, header {} bytes, record {} bytes, aligned to {}, marks {}",
            target(&intro.target),
            intro.reset_id,
            intro.header_size,
            intro.record_size,
            intro.record_align,
            intro.flags
        ),
        Change::ExtensionReset(id, keeps) => {
            format!("{}: reset id is now {id}{}", whose(current), if *keeps { ", data stay" } else { "" })
        }
        Change::ExtensionHeader(changes) => {
            let change = |(at, new): &(u32, Vec<u8>)| match (at, current.map(|intro| &intro.target)) {
                (0, Some(ExtensionTarget::Name(name))) => extension::header(name, new),
                _ => format!("bytes {} at {at}", hexadecimal(new)),
            };
            format!("{}: header: {}", whose(current), joined(changes, change))
        }
        Change::ExtensionRecords(bytes) => format!("{}: {}", whose(current), records(bytes, current)),
        Change::ExtensionIncrement(changes) => {
            format!("{}: {}", whose(current), joined(changes, |(uid, by)| format!("UID {uid} {by:+}")))
        }
        Change::KeywordUpdate { remove, name, uids } => {
            format!("{} keyword {} of UIDs {}", if *remove { "clear" } else { "set" }, text(name), ranges(uids))
        }
        Change::KeywordReset(uids) => format!("clear all keywords of UIDs {}", ranges(uids)),
        Change::ModSeqUpdate(changes) => joined(changes, |(uid, modseq)| match uid {
            0 => format!("highest modseq {modseq}"),
            uid => format!("UID {uid} modseq {modseq}"),
        }),
        Change::IndexDeleted => "the mailbox is deleted".to_owned(),
        Change::IndexUndeleted => "the mailbox is not deleted".to_owned(),
        Change::Boundary(size) => format!("the following belongs together: {size} bytes with this"),
        Change::AttributeUpdate(bytes) => format!("attributes: {}", text(bytes)),
    }
}

fn joined<T>(items: &[T], describe: impl Fn(&T) -> String) -> String {
    items.iter().map(describe).collect::<Vec<_>>().join(", ")
}

fn range(uids: &UidRange) -> String {
    if uids.first == uids.last { uids.first.to_string() } else { format!("{}:{}", uids.first, uids.last) }
}

fn ranges(uids: &[UidRange]) -> String {
    uids.iter().map(range).collect::<Vec<_>>().join(",")
}

/// A change of the base header.
fn header(at: u16, new: &[u8]) -> String {
    let field = index::FIELDS.iter().find(|(offset, _)| *offset == at);
    match (field, <[u8; 4]>::try_from(new)) {
        (Some((_, name)), Ok(value)) => format!("{name} {}", u32::from_le_bytes(value)),
        _ => format!("bytes {} at {at}", hexadecimal(new)),
    }
}

fn target(target: &ExtensionTarget) -> String {
    match target {
        ExtensionTarget::Number(number) => format!("number {number}"),
        ExtensionTarget::Name(name) => text(name),
    }
}

fn whose(current: Option<&ExtensionIntro>) -> String {
    current.map_or_else(|| "an extension".to_owned(), |intro| format!("extension {}", target(&intro.target)))
}

/// UIDs with data, padded.
fn records(bytes: &[u8], current: Option<&ExtensionIntro>) -> String {
    let Some(intro) = current.filter(|intro| intro.record_size > 0) else {
        return format!("bytes {}", hexadecimal(bytes));
    };
    let size = usize::from(intro.record_size);
    let name: &[u8] = if let ExtensionTarget::Name(name) = &intro.target { name } else { b"" };
    let entries = bytes.chunks(padded(size.saturating_add(4), 4)).map(|entry| {
        let mut reader = Reader(entry);
        match (reader.u32(), reader.take(size)) {
            (Some(uid), Some(data)) => format!("UID {uid} {}", extension::record(name, data)),
            _ => format!("bytes {}", hexadecimal(entry)),
        }
    });
    entries.collect::<Vec<_>>().join("; ")
}
