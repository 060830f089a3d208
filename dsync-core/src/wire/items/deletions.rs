//! What was deleted from the tree.

use super::Row;
use crate::model::{MailboxGuid, NameHash};
use crate::wire::item::{Column, optional, required};
use crate::wire::row::{Fields, RowWriter, decimal, from_hex_digits, hex_digits};
use crate::wire::{ItemKind, WireError, limits};

/// What was deleted from the tree of a side, each with its time in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletions {
    /// What stands between the parts of the names that were hashed.
    pub separator: char,
    /// What characters were escaped with in these names.
    pub escape_character: Option<Vec<u8>>,
    /// Mailboxes.
    pub mailboxes: Vec<(MailboxGuid, u64)>,
    /// Directories.
    pub directories: Vec<(NameHash, u64)>,
    /// Subscriptions that were cancelled.
    pub unsubscribed: Vec<(NameHash, u64)>,
}

impl Row for Deletions {
    const KIND: ItemKind = ItemKind::Deletions;
    const COLUMNS: &'static [Column] = &[
        required("hierarchy_sep"),
        optional("escape_char"),
        optional("mailboxes"),
        optional("dirs"),
        optional("unsubscribes"),
    ];

    fn read(fields: &Fields<'_>) -> Result<Self, WireError> {
        let separator = fields.required("hierarchy_sep")?;
        Ok(Self {
            separator: single(separator).ok_or_else(|| fields.invalid("hierarchy_sep", separator))?,
            escape_character: fields.bytes("escape_char"),
            mailboxes: pairs(fields, "mailboxes", MailboxGuid::new)?,
            directories: pairs(fields, "dirs", |hash| Some(NameHash(hash)))?,
            unsubscribed: pairs(fields, "unsubscribes", |hash| Some(NameHash(hash)))?,
        })
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        row.set("hierarchy_sep", self.separator.to_string());
        row.set_if_some("escape_char", self.escape_character.clone());
        row.set_if_some("mailboxes", joined(self.mailboxes.iter().map(|(guid, time)| (guid.as_bytes(), *time))));
        row.set_if_some("dirs", joined(self.directories.iter().map(|(hash, time)| (&hash.0, *time))));
        row.set_if_some("unsubscribes", joined(self.unsubscribed.iter().map(|(hash, time)| (&hash.0, *time))));
    }
}

/// A text of one character.
fn single(text: &[u8]) -> Option<char> {
    let mut characters = std::str::from_utf8(text).ok()?.chars();
    characters.next().filter(|_| characters.next().is_none())
}

fn pairs<T>(
    fields: &Fields<'_>,
    column: &'static str,
    read: impl Fn([u8; 16]) -> Option<T>,
) -> Result<Vec<(T, u64)>, WireError> {
    let Some(value) = fields.get(column).filter(|value| !value.is_empty()) else { return Ok(Vec::new()) };
    let mut words = value.split(|byte| *byte == b' ');
    let mut list = Vec::new();
    while let Some(first) = words.next() {
        if list.len() == limits::DELETIONS {
            return Err(fields.too_many(column, limits::DELETIONS));
        }
        let pair = from_hex_digits(first).and_then(&read).zip(words.next().and_then(decimal));
        list.push(pair.ok_or_else(|| fields.invalid(column, value))?);
    }
    Ok(list)
}

fn joined<'a>(pairs: impl Iterator<Item = (&'a [u8; 16], u64)>) -> Option<String> {
    let words: Vec<_> = pairs.map(|(bytes, time)| format!("{} {time}", hex_digits(bytes))).collect();
    (!words.is_empty()).then(|| words.join(" "))
}
