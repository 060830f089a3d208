//! What is in the extensions of an index, as far as that is known.

use super::{hexadecimal, time};
use crate::index::bytes::Reader;

/// A value in an extension. They follow each other without a gap.
#[derive(Clone, Copy)]
enum Value {
    Byte,
    Short,
    Number,
    Long,
    Time,
    /// 16 bytes.
    Id,
}

/// The name of a value, and what it is.
type Field = (&'static str, Value);

/// The values in the header of an extension.
fn header_fields(name: &[u8]) -> &'static [Field] {
    use Value::{Byte, Id, Long, Number, Time};
    match name {
        b"modseq" => &[("highest modseq", Long), ("log", Number), ("offset in it", Number)],
        b"map" => &[("highest file", Number), ("rebuilds", Number)],
        b"mdbox-hdr" => &[("map UIDVALIDITY", Number), ("mailbox GUID", Id), ("marks", Byte)],
        b"dbox-hdr" => &[("rebuilds", Number), ("mailbox GUID", Id), ("marks", Byte)],
        b"hdr-pop3-uidl" => &[("highest UID with a POP3 UIDL", Number)],
        b"hdr-vsize" => &[("bytes", Long), ("highest UID", Number), ("messages", Number)],
        b"mbox" => &[("size", Long), ("mtime", Time), ("marks", Number), ("mailbox GUID", Id)],
        b"last-rename-stamp" => &[("renamed", Time)],
        b"maildir" => &[
            ("new looked at", Time),
            ("new mtime", Time),
            ("nanoseconds", Number),
            ("cur looked at", Time),
            ("cur mtime", Time),
            ("nanoseconds", Number),
            ("uidlist mtime", Time),
            ("nanoseconds", Number),
            ("uidlist size", Number),
        ],
        _ => &[],
    }
}

/// The values that each message has of an extension.
fn record_fields(name: &[u8]) -> &'static [Field] {
    use Value::{Id, Long, Number, Short, Time};
    match name {
        b"modseq" | b"hmodseq" => &[("modseq", Long)],
        b"cache" => &[("cache offset", Number)],
        b"map" => &[("file", Number), ("offset", Number), ("size", Number)],
        b"ref" => &[("references", Short)],
        b"mdbox" => &[("map UID", Number), ("saved", Time)],
        b"guid" => &[("GUID", Id)],
        b"vsize" => &[("virtual size and 1", Number)],
        b"mbox" => &[("offset", Long)],
        b"header-md5" => &[("MD5 of headers", Id)],
        b"list" => &[("name", Number), ("parent", Number), ("GUID", Id), ("UIDVALIDITY", Number)],
        b"msgs" => &[("messages", Number), ("unseen", Number), ("recent", Number), ("UIDNEXT", Number)],
        _ => &[],
    }
}

/// The header of an extension, in words.
pub(super) fn header(name: &[u8], bytes: &[u8]) -> String {
    values(header_fields(name), bytes)
}

/// Whether the values of messages say by themselves which extension they are of.
pub(super) fn is_known(name: &[u8]) -> bool {
    !record_fields(name).is_empty()
}

/// What a message has of an extension, in words.
pub(super) fn record(name: &[u8], bytes: &[u8]) -> String {
    values(record_fields(name), bytes)
}

/// The values that are known, and what is behind them in hexadecimal digits, unless it is zeros.
fn values(fields: &[Field], bytes: &[u8]) -> String {
    let mut reader = Reader(bytes);
    let mut parts = Vec::new();
    for (name, value) in fields {
        let before = reader.0;
        let Some(text) = take(&mut reader, *value) else {
            reader.0 = before;
            break;
        };
        parts.push(format!("{name} {text}"));
    }
    if reader.0.iter().any(|byte| *byte != 0) || fields.is_empty() && !bytes.is_empty() {
        parts.push(format!("bytes {}", hexadecimal(reader.0)));
    }
    parts.join(", ")
}

fn take(reader: &mut Reader<'_>, value: Value) -> Option<String> {
    Some(match value {
        Value::Byte => reader.u8()?.to_string(),
        Value::Short => reader.u16()?.to_string(),
        Value::Number => reader.u32()?.to_string(),
        Value::Long => reader.u64()?.to_string(),
        Value::Time => time(reader.u32()?.into()),
        Value::Id => hexadecimal(&reader.array::<16>()?),
    })
}
