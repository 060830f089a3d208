//! What a file is.

use std::fmt;

use crate::dbox::message_file::FileHeader;
use crate::index::bytes::Reader;

/// A kind of file that can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// `dovecot.index` and the like: the main index of a mailbox, the map of an mdbox, the index of the list of mailboxes.
    Index,
    /// `dovecot.index.log` and the like: a transaction log.
    Log,
    /// `dovecot.index.cache`.
    Cache,
    /// `m.1`, `u.1`: messages of an mdbox or sdbox.
    MessageFile,
    /// `dovecot-uidlist` of a Maildir.
    UidList,
    /// `dovecot.mailbox.log`: what happened to mailboxes.
    MailboxLog,
    /// `subscriptions`.
    Subscriptions,
    /// `dovecot-keywords` of a Maildir.
    Keywords,
    /// `dovecot.dsync-names`: names that a store cannot hold.
    Names,
}

impl FileKind {
    const ALL: [Self; 9] = [
        Self::Index,
        Self::Log,
        Self::Cache,
        Self::MessageFile,
        Self::UidList,
        Self::MailboxLog,
        Self::Subscriptions,
        Self::Keywords,
        Self::Names,
    ];

    /// What a file of this name is that begins with these bytes, the more the better.
    #[must_use]
    pub fn recognise(name: &str, head: &[u8]) -> Option<Self> {
        by_binary_head(head).or_else(|| by_name(name)).or_else(|| by_text(head))
    }

    /// What all of them are called.
    pub(super) fn names() -> String {
        Self::ALL.map(|kind| kind.to_string()).join(", ")
    }
}

fn by_binary_head(head: &[u8]) -> Option<FileKind> {
    let mut reader = Reader(head);
    let (major, minor, size) = (reader.u8()?, reader.u8()?, reader.u16()?);
    match (major, minor, size) {
        (7, _, 120..) => Some(FileKind::Index),
        (1, 8, 0 | 1) => Some(FileKind::Cache),
        (1, _, 24..=1024) if minor < 16 => Some(FileKind::Log),
        (1..=5, 0, 0) if head.len() >= 24 => Some(FileKind::MailboxLog),
        _ if FileHeader::decode(head).is_ok() => Some(FileKind::MessageFile),
        _ => None,
    }
}

fn by_name(name: &str) -> Option<FileKind> {
    match name {
        "subscriptions" | ".subscriptions" | "courierimapsubscribed" => Some(FileKind::Subscriptions),
        "dovecot-uidlist" | "courierimapuiddb" => Some(FileKind::UidList),
        "dovecot-keywords" => Some(FileKind::Keywords),
        "dovecot.dsync-names" => Some(FileKind::Names),
        "dovecot.mailbox.log" | "dovecot.mailbox.log.2" => Some(FileKind::MailboxLog),
        _ => None,
    }
}

fn by_text(head: &[u8]) -> Option<FileKind> {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if head.starts_with(b"V\t2\n\n") {
        return Some(FileKind::Subscriptions);
    }
    let mut words = line.split(|byte| *byte == b' ');
    let is_number = |word: &[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    match (words.next()?, words.next()) {
        (b"3", Some([b'V', validity @ ..])) if is_number(validity) => Some(FileKind::UidList),
        (b"1", Some(validity)) if is_number(validity) && words.next().is_some_and(is_number) => {
            Some(FileKind::UidList)
        }
        (b"#", Some(b"Mailboxes")) => Some(FileKind::Names),
        _ => None,
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Index => "index (dovecot.index)",
            Self::Log => "transaction log (dovecot.index.log)",
            Self::Cache => "cache (dovecot.index.cache)",
            Self::MessageFile => "messages of an mdbox or sdbox (m.1, u.1)",
            Self::UidList => "UID list of a Maildir (dovecot-uidlist)",
            Self::MailboxLog => "log of mailboxes (dovecot.mailbox.log)",
            Self::Subscriptions => "subscriptions",
            Self::Keywords => "keywords of a Maildir (dovecot-keywords)",
            Self::Names => "replaced names (dovecot.dsync-names)",
        })
    }
}
