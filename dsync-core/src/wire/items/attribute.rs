//! An attribute of a mailbox.

use super::Row;
use crate::wire::item::{Column, optional, required};
use crate::wire::row::{Fields, RowWriter};
use crate::wire::{ItemKind, WireError};

/// An attribute of a mailbox (RFC 5464).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Whether others see it too.
    pub shared: bool,
    /// Its name, without `/private/` or `/shared/`.
    pub key: Vec<u8>,
    /// Its value, unless that follows as a body.
    pub value: Option<Vec<u8>>,
    /// The value follows as a body.
    pub stream: bool,
    /// It was deleted.
    pub deleted: bool,
    /// When it last changed, in seconds since 1970; 0 if that is not known.
    pub changed: u64,
    /// The modseq of that change; 0 if that is not known.
    pub modseq: u64,
}

impl Row for Attribute {
    const KIND: ItemKind = ItemKind::Attribute;
    const COLUMNS: &'static [Column] = &[
        required("type"),
        required("key"),
        optional("value"),
        optional("stream"),
        optional("deleted"),
        optional("last_change"),
        optional("modseq"),
    ];

    fn read(fields: &Fields<'_>) -> Result<Self, WireError> {
        let shared = match fields.required("type")? {
            b"p" => false,
            b"s" => true,
            other => return Err(fields.invalid("type", other)),
        };
        Ok(Self {
            shared,
            key: fields.required("key")?.to_vec(),
            value: fields.bytes("value"),
            stream: fields.is_set("stream"),
            deleted: fields.is_set("deleted"),
            changed: fields.number("last_change")?.unwrap_or(0),
            modseq: fields.number("modseq")?.unwrap_or(0),
        })
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        row.set("type", if self.shared { "s" } else { "p" });
        row.set("key", self.key.as_slice());
        row.set_if_some("value", self.value.clone());
        row.set_flag("stream", self.stream);
        row.set_flag("deleted", self.deleted);
        row.set_positive("last_change", self.changed);
        row.set_positive("modseq", self.modseq);
    }
}
