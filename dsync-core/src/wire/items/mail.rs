//! Messages that are wanted, and that come.

use super::Row;
use crate::model::{MessageGuid, Uid};
use crate::wire::item::{Column, optional, required};
use crate::wire::row::{Fields, RowWriter};
use crate::wire::{ItemKind, WireError};

/// A message that is wanted: by its GUID, or by its UID if that is all that is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailRequest {
    /// Its GUID.
    pub guid: Option<MessageGuid>,
    /// The UID of it, or of one of several with that GUID, at the side that has it.
    pub uid: Option<Uid>,
}

/// A message that was wanted, by its GUID or its UID. Its bytes follow as a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its GUID, if it was asked for by that.
    pub guid: Option<MessageGuid>,
    /// Its UID, if it was asked for by that.
    pub uid: Option<Uid>,
    /// The POP3 UIDL that is stored with it; empty if there is none.
    pub pop3_uidl: Option<Vec<u8>>,
    /// Its POP3 order; 0 if it has none.
    pub pop3_order: u32,
    /// INTERNALDATE in seconds since 1970; 0 if that is not known.
    pub received: u64,
    /// When it was saved; `None` if that is not known.
    pub saved: Option<u64>,
    /// The bytes follow. If not, the message is gone.
    pub stream: bool,
}

impl Row for MailRequest {
    const KIND: ItemKind = ItemKind::MailRequest;
    const COLUMNS: &'static [Column] = &[optional("guid"), required("uid")];

    fn read(fields: &Fields<'_>) -> Result<Self, WireError> {
        Ok(Self { guid: fields.message_guid("guid")?, uid: fields.number("uid")?.and_then(Uid::new) })
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        row.set_if_some("guid", self.guid.as_ref().map(|guid| guid.text().to_vec()));
        row.set_if_some("uid", self.uid.map(|uid| uid.to_string()));
    }
}

impl Row for Mail {
    const KIND: ItemKind = ItemKind::Mail;
    const COLUMNS: &'static [Column] = &[
        required("guid"),
        optional("uid"),
        optional("pop3_uidl"),
        optional("pop3_order"),
        optional("received_date"),
        optional("saved_date"),
        optional("stream"),
    ];

    fn read(fields: &Fields<'_>) -> Result<Self, WireError> {
        let guid = fields.required("guid")?;
        let uid = fields.number("uid")?.and_then(Uid::new);
        if guid.is_empty() && uid.is_none() {
            return Err(fields.invalid("guid", guid));
        }
        Ok(Self {
            guid: fields.message_guid("guid")?,
            uid,
            pop3_uidl: fields.bytes("pop3_uidl"),
            pop3_order: fields.number("pop3_order")?.unwrap_or(0),
            received: fields.number("received_date")?.unwrap_or(0),
            saved: fields.number("saved_date")?,
            stream: fields.is_set("stream"),
        })
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        row.set("guid", self.guid.as_ref().map(|guid| guid.text().to_vec()).unwrap_or_default());
        row.set_if_some("uid", self.uid.map(|uid| uid.to_string()));
        row.set_if_some("pop3_uidl", self.pop3_uidl.clone());
        row.set_positive("pop3_order", self.pop3_order);
        row.set_positive("received_date", self.received);
        row.set_if_some("saved_date", self.saved.map(|time| time.to_string()));
        row.set_flag("stream", self.stream);
    }
}
