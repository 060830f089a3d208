//! A cache file as text: its header and its fields.

use std::io::Write;

use super::{Failure, text, time};
use crate::index::bytes::Reader;
use crate::index::cache::Cache;

pub(super) fn dump(bytes: &[u8], output: &mut dyn Write) -> Result<(), Failure> {
    let damage = || Failure::Damage("its header is incomplete".to_owned());
    let mut reader = Reader(bytes.get(4..).ok_or_else(damage)?);
    let mut next = || reader.u32().ok_or_else(damage);
    let (index_id, file_seq, continued, records) = (next()?, next()?, next()?, next()?);
    writeln!(output, "index id: {index_id}")?;
    writeln!(output, "number: {file_seq}")?;
    writeln!(output, "records: {records}, of which {continued} continue others")?;
    let Some(cache) = Cache::decode(bytes, index_id, file_seq) else {
        return Err(Failure::Damage("its list of fields cannot be read".to_owned()));
    };
    for field in cache.fields() {
        let kind = match field.kind {
            0 => format!("{} bytes", field.size),
            1 => "any size".to_owned(),
            2 => "text".to_owned(),
            3 => format!("{} bytes of bits", field.size),
            4 => "header".to_owned(),
            other => format!("type {other}"),
        };
        let decision = match field.decision & 0x7f {
            0 => "not cached",
            1 => "cached for new messages",
            2 => "cached always",
            _ => "unknown decision",
        };
        let forced = if field.decision & 0x80 == 0 { "" } else { ", forced" };
        let used = time(field.last_used.into());
        writeln!(output, "field {}: {kind}, {decision}{forced}, last used {used}", text(field.name))?;
    }
    Ok(())
}
