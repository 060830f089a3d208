//! A mailbox that is looked at.

use super::Row;
use crate::model::MailboxGuid;
use crate::wire::item::{Column, optional, required};
use crate::wire::row::{Fields, RowWriter};
use crate::wire::{ItemKind, Layouts, WireError, limits};

/// A mailbox that is looked at now, as it is at the side that sends this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxInfo {
    /// Which one. Both sides say the same.
    pub guid: MailboxGuid,
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// UIDNEXT.
    pub uid_next: u32,
    /// How many messages there are.
    pub message_count: u32,
    /// The first recent UID.
    pub first_recent_uid: u32,
    /// HIGHESTMODSEQ.
    pub highest_modseq: u64,
    /// HIGHESTMODSEQ of flags that are not shared.
    pub highest_private_modseq: u64,
    /// The side cannot go on with it: it does not have it, or what it was told of the last run is not true.
    pub lost: bool,
    /// The side does not have it and does not want it.
    pub ignore: bool,
    /// What a server keeps in its cache; nothing is concluded from an empty list.
    pub cache_fields: Vec<CacheField>,
    /// Messages have GUIDs that stay.
    pub have_guids: bool,
    /// Messages keep the GUIDs that they are saved with.
    pub have_save_guids: bool,
    /// GUIDs are nothing but 128 bits.
    pub have_only_guid128: bool,
    /// There are messages that cannot be read, and are not listed. Only this program says that; others do not understand it.
    pub partial: bool,
    /// Both sides are known to have had the same messages below this UID. Only this program says that; others do not understand it.
    pub common_below: Option<u32>,
}

/// A field that a server keeps in the cache of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheField {
    /// Its name: `hdr.subject`.
    pub name: Vec<u8>,
    /// How long it is kept.
    pub decision: CacheDecision,
    /// That was said by the administrator.
    pub forced: bool,
    /// When it was last used, in seconds since 1970; 0 if that is not known.
    pub last_used: u64,
}

/// How long a field is kept in a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheDecision {
    /// Not at all.
    No,
    /// For recent messages.
    Temporary,
    /// For all.
    Yes,
}

impl MailboxInfo {
    pub(in crate::wire) const COLUMNS: &'static [Column] = &[
        required("mailbox_guid"),
        required("uid_validity"),
        required("uid_next"),
        required("messages_count"),
        required("first_recent_uid"),
        required("highest_modseq"),
        required("highest_pvt_modseq"),
        optional("mailbox_lost"),
        optional("mailbox_ignore"),
        optional("cache_fields"),
        optional("have_guids"),
        optional("have_save_guids"),
        optional("have_only_guid128"),
        optional("partial"),
        optional("common_below"),
    ];

    /// Reads a row. The layouts say what the fields of the cache look like.
    pub(in crate::wire) fn read_with(fields: &Fields<'_>, layouts: &Layouts) -> Result<Self, WireError> {
        let mut cache_fields = Vec::new();
        let rows = fields.get("cache_fields").filter(|value| !value.is_empty());
        for row in rows.into_iter().flat_map(|value| value.split(|byte| *byte == b'\n')) {
            if cache_fields.len() == limits::LIST {
                return Err(fields.too_many("cache_fields", limits::LIST));
            }
            cache_fields.push(CacheField::read(&Fields::parse(ItemKind::CacheField, layouts, row)?)?);
        }
        Ok(Self {
            guid: fields.required_mailbox_guid("mailbox_guid")?,
            uid_validity: fields.required_number("uid_validity")?,
            uid_next: fields.required_number("uid_next")?,
            message_count: fields.required_number("messages_count")?,
            first_recent_uid: fields.required_number("first_recent_uid")?,
            highest_modseq: fields.required_number("highest_modseq")?,
            highest_private_modseq: fields.required_number("highest_pvt_modseq")?,
            lost: fields.is_set("mailbox_lost"),
            ignore: fields.is_set("mailbox_ignore"),
            cache_fields,
            have_guids: fields.is_set("have_guids"),
            have_save_guids: fields.is_set("have_save_guids"),
            have_only_guid128: fields.is_set("have_only_guid128"),
            partial: fields.is_set("partial"),
            common_below: fields.number("common_below")?,
        })
    }

    pub(in crate::wire) fn write_with(&self, layouts: &Layouts, out: &mut Vec<u8>) {
        let mut cache_fields = Vec::new();
        for (index, field) in self.cache_fields.iter().enumerate() {
            if index > 0 {
                cache_fields.push(b'\n');
            }
            let mut row = RowWriter::new(layouts.columns(ItemKind::CacheField).unwrap_or_default());
            field.write(&mut row);
            row.finish(&mut cache_fields);
        }
        let mut row = RowWriter::new(layouts.columns(ItemKind::Mailbox).unwrap_or_default());
        row.set("mailbox_guid", self.guid.to_string());
        row.set_number("uid_validity", self.uid_validity);
        row.set_number("uid_next", self.uid_next);
        row.set_number("messages_count", self.message_count);
        row.set_number("first_recent_uid", self.first_recent_uid);
        row.set_number("highest_modseq", self.highest_modseq);
        row.set_number("highest_pvt_modseq", self.highest_private_modseq);
        row.set_flag("mailbox_lost", self.lost);
        row.set_flag("mailbox_ignore", self.ignore);
        row.set("cache_fields", cache_fields);
        row.set_flag("have_guids", self.have_guids);
        row.set_flag("have_save_guids", self.have_save_guids);
        row.set_flag("have_only_guid128", self.have_only_guid128);
        row.set_flag("partial", self.partial);
        row.set_if_some("common_below", self.common_below.map(|uid| uid.to_string()));
        out.push(ItemKind::Mailbox.character());
        row.finish(out);
    }
}

impl Row for CacheField {
    const KIND: ItemKind = ItemKind::CacheField;
    const COLUMNS: &'static [Column] = &[required("name"), required("decision"), optional("last_used")];

    fn read(fields: &Fields<'_>) -> Result<Self, WireError> {
        let text = fields.required("decision")?;
        let (decision, forced) = match text {
            [decision] => (decision, false),
            [decision, b'F'] => (decision, true),
            other => return Err(fields.invalid("decision", other)),
        };
        let decision = match decision {
            b'n' => CacheDecision::No,
            b't' => CacheDecision::Temporary,
            b'y' => CacheDecision::Yes,
            _ => return Err(fields.invalid("decision", text)),
        };
        let last_used = fields.number("last_used")?.unwrap_or(0);
        Ok(Self { name: fields.required("name")?.to_vec(), decision, forced, last_used })
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        let decision = match self.decision {
            CacheDecision::No => "n",
            CacheDecision::Temporary => "t",
            CacheDecision::Yes => "y",
        };
        row.set("name", self.name.as_slice());
        row.set("decision", format!("{decision}{}", if self.forced { "F" } else { "" }));
        row.set_positive("last_used", self.last_used);
    }
}
