//! The end of a run.

use super::Row;
use crate::wire::item::{Column, optional};
use crate::wire::row::{Fields, RowWriter};
use crate::wire::{ItemKind, WireError};

/// The slave is done, and how it went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finish {
    /// What failed, for people.
    pub error: Option<Vec<u8>>,
    /// The class of that failure, in Dovecot's numbers. Means nothing without `error`.
    pub mail_error: Option<u32>,
    /// The master must not keep a state of this run.
    pub require_full_resync: bool,
}

impl Row for Finish {
    const KIND: ItemKind = ItemKind::Finish;
    const COLUMNS: &'static [Column] = &[optional("error"), optional("mail_error"), optional("require_full_resync")];

    fn read(fields: &Fields<'_>) -> Result<Self, WireError> {
        Ok(Self {
            error: fields.bytes("error").filter(|error| !error.is_empty()),
            mail_error: fields.number("mail_error")?,
            require_full_resync: fields.is_set("require_full_resync"),
        })
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        row.set_if_some("error", self.error.clone());
        row.set_if_some("mail_error", self.mail_error.map(|code| code.to_string()));
        row.set_flag("require_full_resync", self.require_full_resync);
    }
}
