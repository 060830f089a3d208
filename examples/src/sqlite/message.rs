//! A message as a row of the database.

use dsync_core::model::{Flags, Keyword, MessageGuid, MessageRecord, ModSeq, Pop3Uidl, Timestamp, Uid};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

/// The columns in the order of [`decode`].
pub(super) const COLUMNS: &str = "uid, guid, flags, keywords, modseq, received, saved, pop3_uidl, pop3_order";

/// The message in a row.
pub(super) fn decode(row: &Row<'_>) -> rusqlite::Result<MessageRecord> {
    let guid: Vec<u8> = row.get(1)?;
    let invalid = |column, kind| rusqlite::Error::InvalidColumnType(column, "guid".to_owned(), kind);
    let keywords: String = row.get(3)?;
    let pop3_uidl: Option<String> = row.get(7)?;
    Ok(MessageRecord {
        uid: Uid::new(row.get(0)?),
        guid: MessageGuid::new(&guid).ok_or_else(|| invalid(1, Type::Blob))?,
        flags: Flags::from_bits(row.get(2)?),
        keywords: keywords.split_ascii_whitespace().filter_map(Keyword::new).collect(),
        modseq: Some(ModSeq(row.get::<_, i64>(4)?.cast_unsigned())),
        received: Timestamp(row.get(5)?),
        saved: row.get::<_, Option<i64>>(6)?.map(Timestamp),
        pop3_uidl: pop3_uidl.map(|uidl| Pop3Uidl::from(&*uidl)),
        pop3_order: row.get(8)?,
    })
}

/// Adds a message.
pub(super) fn insert(
    connection: &Connection,
    mailbox: &[u8],
    record: &MessageRecord,
    bytes: &[u8],
) -> rusqlite::Result<()> {
    let keywords: Vec<_> = record.keywords.iter().map(Keyword::as_str).collect();
    let sql = format!("INSERT INTO messages (mailbox, {COLUMNS}, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    let row = params![
        mailbox,
        record.uid.map(Uid::get),
        &*record.guid.text(),
        record.flags.bits(),
        keywords.join(" "),
        record.modseq.map(|modseq| modseq.get().cast_signed()),
        record.received.seconds(),
        record.saved.map(Timestamp::seconds),
        record.pop3_uidl.as_deref(),
        record.pop3_order,
        bytes,
    ];
    connection.execute(&sql, row).map(drop)
}
