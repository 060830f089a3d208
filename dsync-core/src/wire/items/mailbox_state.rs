//! What both sides have in common.

use super::Row;
use crate::model::MailboxGuid;
use crate::wire::item::{Column, optional, required};
use crate::wire::row::{Fields, RowWriter};
use crate::wire::{ItemKind, WireError};

/// What both sides had in common in a mailbox: told by the master before the run, and by both after a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxState {
    /// The mailbox.
    pub guid: MailboxGuid,
    /// Its UIDVALIDITY; 0 if nothing can be built upon.
    pub uid_validity: u32,
    /// Up to this UID both sides had the same messages.
    pub common_uid: u32,
    /// What happened up to this modseq was known to both sides.
    pub common_modseq: u64,
    /// The same for flags that are not shared with others.
    pub common_private_modseq: u64,
    /// How many messages there were.
    pub message_count: u32,
    /// Something came in between: another run is needed.
    pub changes_during_sync: bool,
    /// UIDNEXT, the first recent UID and HIGHESTMODSEQ as the sender has them now. Only this program says that; others do not
    /// understand it.
    pub counters: Option<(u32, u32, u64)>,
    /// The sender keeps the mailbox as it was compared until it hears what became of it at the other side; another row will say how it
    /// came out here. Only this program says that, to a peer that [does it too](super::Handshake::commits_in_turn).
    pub held: bool,
    /// Nothing was done, because somebody has changed the mailbox since it was compared: it is to be offered again. Only this program
    /// says that, like [`Self::held`].
    pub to_be_repeated: bool,
}

impl Row for MailboxState {
    const KIND: ItemKind = ItemKind::MailboxState;
    const COLUMNS: &'static [Column] = &[
        required("mailbox_guid"),
        required("last_uidvalidity"),
        required("last_common_uid"),
        required("last_common_modseq"),
        required("last_common_pvt_modseq"),
        optional("last_messages_count"),
        optional("changes_during_sync"),
        optional("uid_next"),
        optional("first_recent_uid"),
        optional("highest_modseq"),
        optional("held"),
        optional("to_be_repeated"),
    ];

    fn read(fields: &Fields<'_>) -> Result<Self, WireError> {
        Ok(Self {
            guid: fields.required_mailbox_guid("mailbox_guid")?,
            uid_validity: fields.required_number("last_uidvalidity")?,
            common_uid: fields.required_number("last_common_uid")?,
            common_modseq: fields.required_number("last_common_modseq")?,
            common_private_modseq: fields.required_number("last_common_pvt_modseq")?,
            message_count: fields.number("last_messages_count")?.unwrap_or(0),
            changes_during_sync: fields.is_set("changes_during_sync"),
            counters: match (
                fields.number("uid_next")?,
                fields.number("first_recent_uid")?,
                fields.number("highest_modseq")?,
            ) {
                (Some(uid_next), Some(first_recent), Some(modseq)) => Some((uid_next, first_recent, modseq)),
                _ => None,
            },
            held: fields.is_set("held"),
            to_be_repeated: fields.is_set("to_be_repeated"),
        })
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        row.set("mailbox_guid", self.guid.to_string());
        row.set_number("last_uidvalidity", self.uid_validity);
        row.set_number("last_common_uid", self.common_uid);
        row.set_number("last_common_modseq", self.common_modseq);
        row.set_number("last_common_pvt_modseq", self.common_private_modseq);
        row.set_number("last_messages_count", self.message_count);
        row.set_flag("changes_during_sync", self.changes_during_sync);
        if let Some((uid_next, first_recent, modseq)) = self.counters {
            row.set_number("uid_next", uid_next);
            row.set_number("first_recent_uid", first_recent);
            row.set_number("highest_modseq", modseq);
        }
        row.set_flag("held", self.held);
        row.set_flag("to_be_repeated", self.to_be_repeated);
    }
}
