//! A name of the tree.

use super::Row;
use crate::model::{MailboxGuid, MailboxName};
use crate::wire::item::{Column, optional, required};
use crate::wire::row::{Fields, RowWriter};
use crate::wire::value::{join_list, split_list};
use crate::wire::{ItemKind, WireError};

/// Whether something is at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existence {
    /// Nothing: only a parent of others, or subscribed.
    Absent,
    /// A mailbox or a directory.
    Present,
    /// Something that was deleted. Not seen in practice.
    Deleted,
}

/// A name of the tree, and what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeNode {
    /// The name. What is no UTF-8 in it arrives as U+FFFD.
    pub name: MailboxName,
    /// Whether something is there.
    pub existence: Existence,
    /// Which mailbox; `None` for a directory.
    pub guid: Option<MailboxGuid>,
    /// Its UIDVALIDITY; 0 if it has none.
    pub uid_validity: u32,
    /// Its UIDNEXT; 0 if it is not known.
    pub uid_next: u32,
    /// When it got its name, in seconds since 1970; 0 if that is not known.
    pub renamed: u64,
    /// Whether the user subscribed to the name.
    pub subscribed: bool,
    /// When that last changed; 0 if that is not known.
    pub subscription_changed: u64,
}

impl Row for TreeNode {
    const KIND: ItemKind = ItemKind::TreeNode;
    const COLUMNS: &'static [Column] = &[
        required("name"),
        required("existence"),
        optional("mailbox_guid"),
        optional("uid_validity"),
        optional("uid_next"),
        optional("last_renamed_or_created"),
        optional("subscribed"),
        optional("last_subscription_change"),
    ];

    fn read(fields: &Fields<'_>) -> Result<Self, WireError> {
        let name = fields.required("name")?;
        let parts = split_list(name).map(|part| String::from_utf8_lossy(&part).into_owned());
        let existence = match fields.required("existence")? {
            b"n" => Existence::Absent,
            b"y" => Existence::Present,
            b"d" => Existence::Deleted,
            other => return Err(fields.invalid("existence", other)),
        };
        Ok(Self {
            name: MailboxName::new(parts).ok_or_else(|| fields.invalid("name", name))?,
            existence,
            guid: fields.mailbox_guid("mailbox_guid")?,
            uid_validity: fields.number("uid_validity")?.unwrap_or(0),
            uid_next: fields.number("uid_next")?.unwrap_or(0),
            renamed: fields.number("last_renamed_or_created")?.unwrap_or(0),
            subscribed: fields.is_set("subscribed"),
            subscription_changed: fields.number("last_subscription_change")?.unwrap_or(0),
        })
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        let existence = match self.existence {
            Existence::Absent => "n",
            Existence::Present => "y",
            Existence::Deleted => "d",
        };
        row.set("name", join_list(self.name.parts().iter().map(String::as_bytes)));
        row.set("existence", existence);
        row.set_if_some("mailbox_guid", self.guid.map(|guid| guid.to_string()));
        row.set_positive("uid_validity", self.uid_validity);
        row.set_positive("uid_next", self.uid_next);
        row.set_positive("last_renamed_or_created", self.renamed);
        row.set_flag("subscribed", self.subscribed);
        row.set_positive("last_subscription_change", self.subscription_changed);
    }
}
