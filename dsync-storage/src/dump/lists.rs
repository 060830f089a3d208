//! Files with a line or a record for each thing, as text.

use std::io::Write;

use dsync_core::model::{NameHash, TreeChange};

use super::{Failure, hexadecimal, text, time};
use crate::list::mailbox_log::{RECORD_SIZE, decode_record};
use crate::list::mutf7;
use crate::list::subscriptions::Subscriptions;
use crate::maildir::uidlist::UidList;
use crate::names::entries;

pub(super) fn uid_list(bytes: &[u8], output: &mut dyn Write) -> Result<(), Failure> {
    let (list, damage) = UidList::decode(bytes);
    let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    writeln!(output, "UIDVALIDITY: {}", shown(list.uid_validity.map(|validity| validity.to_string())))?;
    writeln!(output, "UIDNEXT: {}", shown(list.uid_next.map(|uid| uid.to_string())))?;
    writeln!(output, "mailbox GUID: {}", shown(list.guid.map(|guid| guid.to_string())))?;
    for item in &list.other_items {
        writeln!(output, "unknown item: {}", text(item))?;
    }
    for listed in list.entries.iter() {
        write!(output, "UID {}: file {}", listed.uid, text(listed.base()))?;
        for (key, value) in listed.to_entry().fields {
            let name = match key {
                b'G' => "GUID".to_owned(),
                b'P' => "POP3 UIDL".to_owned(),
                b'O' => "POP3 order".to_owned(),
                b'S' => "size".to_owned(),
                b'W' => "virtual size".to_owned(),
                other => format!("field {}", text(&[other])),
            };
            write!(output, "; {name} {}", text(&value))?;
        }
        writeln!(output)?;
    }
    match damage {
        Some(damage) => Err(Failure::Damage(format!("line {}: {}", damage.line, damage.reason))),
        None => Ok(()),
    }
}

pub(super) fn mailbox_log(bytes: &[u8], output: &mut dyn Write) -> Result<(), Failure> {
    for (number, record) in bytes.chunks(RECORD_SIZE).enumerate() {
        let offset = number.saturating_mul(RECORD_SIZE);
        let event = record.try_into().ok().and_then(decode_record);
        let Some(event) = event else {
            return Err(Failure::Damage(format!("the record at offset {offset} makes no sense")));
        };
        let named = |what: &str, hash: NameHash| format!("{what}, hash of the name {}", hexadecimal(&hash.0));
        let change = match event.change {
            TreeChange::MailboxDeleted(guid) => format!("mailbox deleted, GUID {guid}"),
            TreeChange::DirectoryDeleted(hash) => named("directory deleted", hash),
            TreeChange::Renamed(hash) => named("renamed to this name", hash),
            TreeChange::Subscribed(hash) => named("subscribed", hash),
            TreeChange::Unsubscribed(hash) => named("unsubscribed", hash),
        };
        writeln!(output, "{}: {change}", time(event.time.seconds()))?;
    }
    Ok(())
}

pub(super) fn subscriptions(bytes: &[u8], output: &mut dyn Write) -> Result<(), Failure> {
    // In an old file the parts of a name are separated by what its layout has for that; they are shown as they are.
    for name in Subscriptions::decode(bytes, b'\n').names() {
        let part = |part: &Vec<u8>| match mutf7::decode(part) {
            Some(name) => text(name.as_bytes()),
            None => text(part),
        };
        writeln!(output, "{}", name.iter().map(part).collect::<Vec<_>>().join("/"))?;
    }
    Ok(())
}

pub(super) fn keywords(bytes: &[u8], output: &mut dyn Write) -> Result<(), Failure> {
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let number = line.split(|byte| *byte == b' ').next().unwrap_or_default();
        let number: Option<u8> = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
        match number.and_then(|number| b'a'.checked_add(number)).filter(u8::is_ascii_lowercase) {
            Some(letter) => writeln!(output, "{}: {}", char::from(letter), text(line))?,
            None => writeln!(output, "no letter: {}", text(line))?,
        }
    }
    Ok(())
}

pub(super) fn names(bytes: &[u8], output: &mut dyn Write) -> Result<(), Failure> {
    for entry in entries::decode(bytes) {
        let guid = entry.guid.map_or_else(|| "no mailbox".to_owned(), |guid| format!("GUID {guid}"));
        writeln!(output, "{}: is {} elsewhere; {guid}", entry.stored, entry.original)?;
    }
    Ok(())
}
