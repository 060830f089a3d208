//! A message of a mailbox, or what happened to it.

use super::Row;
use crate::model::{Keyword, MessageGuid, Uid};
use crate::wire::item::{Column, optional, required};
use crate::wire::row::{Fields, RowWriter, from_hex_digits, hex_digits};
use crate::wire::value::{join_list, split_list};
use crate::wire::{ItemKind, WireError, limits};

/// What a [`Change`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// The message is there. Its GUID, if the store has GUIDs.
    Save(Option<MessageGuid>),
    /// It is gone. The 128-bit form of its GUID, if that is known.
    Expunge(Option<[u8; 16]>),
    /// Its flags changed. Its GUID, if the store has GUIDs.
    Flags(Option<MessageGuid>),
}

/// A checksum over some headers, where GUIDs do not say which messages are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderHash {
    /// The other side has no message to compare with.
    Needless,
    /// The checksum.
    Is([u8; 16]),
}

/// What happened to a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeywordChangeKind {
    /// It was added, and may be gone again.
    Added,
    /// It was taken away.
    Removed,
    /// It is there.
    Present,
    /// It was added and is there.
    AddedAndPresent,
}

/// A keyword of a message, and what happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeywordChange {
    /// What happened.
    pub kind: KeywordChangeKind,
    /// The keyword.
    pub keyword: Keyword,
}

/// A message of a mailbox, or what happened to it. Flags are bits as index files use them; others than those of
/// [`Flags`](crate::model::Flags) mean nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is said.
    pub kind: ChangeKind,
    /// Its UID. UIDs ascend in a list.
    pub uid: Uid,
    /// A checksum over its headers, if GUIDs do not count.
    pub header_hash: Option<HeaderHash>,
    /// When it last changed; 0 if that is not known.
    pub modseq: u64,
    /// When flags that are not shared last changed.
    pub private_modseq: u64,
    /// Flags that were set.
    pub added: u8,
    /// Flags that were taken away.
    pub removed: u8,
    /// Flags that are set.
    pub flags: u8,
    /// All keywords were taken away. Obsolete.
    pub keywords_reset: bool,
    /// Its keywords, and what happened to them.
    pub keywords: Vec<KeywordChange>,
    /// INTERNALDATE in seconds since 1970, if messages are chosen by it.
    pub received: Option<u64>,
    /// Its size with CRLF line ends, if messages are chosen by it; the greatest number if it is not known.
    pub virtual_size: Option<u64>,
}

impl Change {
    /// A row that says nothing but that.
    #[must_use]
    pub fn new(uid: Uid, kind: ChangeKind) -> Self {
        Self {
            kind,
            uid,
            header_hash: None,
            modseq: 0,
            private_modseq: 0,
            added: 0,
            removed: 0,
            flags: 0,
            keywords_reset: false,
            keywords: Vec::new(),
            received: None,
            virtual_size: None,
        }
    }
}

impl Row for Change {
    const KIND: ItemKind = ItemKind::Change;
    const COLUMNS: &'static [Column] = &[
        required("type"),
        required("uid"),
        optional("guid"),
        optional("hdr_hash"),
        optional("modseq"),
        optional("pvt_modseq"),
        optional("add_flags"),
        optional("remove_flags"),
        optional("final_flags"),
        optional("keywords_reset"),
        optional("keyword_changes"),
        optional("received_timestamp"),
        optional("virtual_size"),
    ];

    fn read(fields: &Fields<'_>) -> Result<Self, WireError> {
        let kind = match fields.required("type")? {
            b"s" => {
                fields.required("guid")?;
                ChangeKind::Save(fields.message_guid("guid")?)
            }
            b"e" => {
                let guid = fields.get("guid").filter(|guid| !guid.is_empty());
                let read = |guid| from_hex_digits(guid).ok_or_else(|| fields.invalid("guid", guid));
                ChangeKind::Expunge(guid.map(read).transpose()?)
            }
            b"f" => ChangeKind::Flags(fields.message_guid("guid")?),
            other => return Err(fields.invalid("type", other)),
        };
        let uid = fields.required("uid")?;
        let uid = fields.number("uid")?.and_then(Uid::new).ok_or_else(|| fields.invalid("uid", uid))?;
        let header_hash = match fields.get("hdr_hash") {
            None => None,
            Some(b"") => Some(HeaderHash::Needless),
            Some(text) => {
                Some(HeaderHash::Is(from_hex_digits(text).ok_or_else(|| fields.invalid("hdr_hash", text))?))
            }
        };
        Ok(Self {
            kind,
            uid,
            header_hash,
            modseq: fields.number("modseq")?.unwrap_or(0),
            private_modseq: fields.number("pvt_modseq")?.unwrap_or(0),
            added: fields.hex("add_flags")?.unwrap_or(0),
            removed: fields.hex("remove_flags")?.unwrap_or(0),
            flags: fields.hex("final_flags")?.unwrap_or(0),
            keywords_reset: fields.is_set("keywords_reset"),
            keywords: keywords(fields)?,
            received: fields.hex("received_timestamp")?,
            virtual_size: fields.hex("virtual_size")?,
        })
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        let text = |guid: &Option<MessageGuid>| guid.as_ref().map(|guid| guid.text().to_vec()).unwrap_or_default();
        let (letter, guid) = match &self.kind {
            ChangeKind::Save(guid) => ("s", Some(text(guid))),
            ChangeKind::Expunge(guid) => ("e", guid.as_ref().map(|guid| hex_digits(guid).into_bytes())),
            ChangeKind::Flags(guid) => ("f", Some(text(guid))),
        };
        row.set("type", letter);
        row.set_number("uid", self.uid.get());
        row.set_if_some("guid", guid);
        row.set_if_some(
            "hdr_hash",
            self.header_hash.map(|hash| match hash {
                HeaderHash::Needless => String::new(),
                HeaderHash::Is(hash) => hex_digits(&hash),
            }),
        );
        row.set_positive("modseq", self.modseq);
        row.set_positive("pvt_modseq", self.private_modseq);
        row.set_positive_hex("add_flags", self.added);
        row.set_positive_hex("remove_flags", self.removed);
        row.set_positive_hex("final_flags", self.flags);
        row.set_flag("keywords_reset", self.keywords_reset);
        if !self.keywords.is_empty() {
            let elements: Vec<_> = self.keywords.iter().map(KeywordChange::text).collect();
            row.set("keyword_changes", join_list(elements.iter().map(Vec::as_slice)));
        }
        row.set_if_some("received_timestamp", self.received.map(|time| format!("{time:x}")));
        row.set_if_some("virtual_size", self.virtual_size.map(|size| format!("{size:x}")));
    }
}

fn keywords(fields: &Fields<'_>) -> Result<Vec<KeywordChange>, WireError> {
    let Some(value) = fields.get("keyword_changes") else { return Ok(Vec::new()) };
    let mut keywords = Vec::new();
    for element in split_list(value) {
        if keywords.len() == limits::KEYWORDS {
            return Err(fields.too_many("keyword_changes", limits::KEYWORDS));
        }
        let change = KeywordChange::parse(&element);
        keywords.push(change.ok_or_else(|| fields.invalid("keyword_changes", &element))?);
    }
    Ok(keywords)
}

impl KeywordChange {
    fn parse(element: &[u8]) -> Option<Self> {
        let (sign, name) = element.split_first()?;
        let kind = match sign {
            b'+' => KeywordChangeKind::Added,
            b'-' => KeywordChangeKind::Removed,
            b'=' => KeywordChangeKind::Present,
            b'&' => KeywordChangeKind::AddedAndPresent,
            _ => return None,
        };
        Some(Self { kind, keyword: Keyword::new(&String::from_utf8_lossy(name))? })
    }

    fn text(&self) -> Vec<u8> {
        let sign = match self.kind {
            KeywordChangeKind::Added => b'+',
            KeywordChangeKind::Removed => b'-',
            KeywordChangeKind::Present => b'=',
            KeywordChangeKind::AddedAndPresent => b'&',
        };
        [&[sign], self.keyword.as_str().as_bytes()].concat()
    }
}
