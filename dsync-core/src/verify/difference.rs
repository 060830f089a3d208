//! One difference between two stores.

use std::fmt;

use crate::model::{MailboxName, MessageKey};

/// Something that is not the same at two stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where: the name of a mailbox, or one that is only subscribed or a level of the hierarchy.
    pub mailbox: MailboxName,
    /// Of which message; `None` if it is about the mailbox or the name. A message that has no UID at the first store is named
    /// by the one that it has at the second.
    pub message: Option<MessageKey>,
    /// What is not the same.
    pub field: Field,
    /// What it is at the first store, as text; `None` if there is nothing.
    pub first: Option<String>,
    /// What it is at the second store.
    pub second: Option<String>,
}

/// What may be different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Field {
    /// Whether the user is subscribed to the name: `yes` or `no`.
    Subscribed,
    /// What is at the name: `mailbox`, `directory` (a level that cannot be selected), or nothing.
    Kind,
    /// The GUID of a mailbox.
    MailboxGuid,
    /// UIDVALIDITY.
    UidValidity,
    /// UIDNEXT.
    UidNext,
    /// HIGHESTMODSEQ.
    HighestModSeq,
    /// The lowest UID of those that are `\Recent`.
    FirstRecentUid,
    /// Whether the message is there: its GUID, or nothing.
    Message,
    /// The UID of a message that was recognised by what it is.
    Uid,
    /// The GUID of a message.
    MessageGuid,
    /// System flags.
    Flags,
    /// Keywords.
    Keywords,
    /// MODSEQ.
    ModSeq,
    /// INTERNALDATE, in seconds since 1970.
    Received,
    /// SAVEDATE, in seconds since 1970.
    Saved,
    /// The POP3 UIDL that is stored with the message.
    Pop3Uidl,
    /// The place in the POP3 listing that is stored with the message.
    Pop3Order,
    /// The size in bytes, with CRLF at the end of each line (RFC822.SIZE).
    Size,
    /// The bytes, with CRLF at the end of each line.
    Body {
        /// Where the first different byte is, counted from 0. The values are what follows there.
        offset: u64,
    },
}

impl Field {
    /// Its name for programs, in lower case with underscores.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Subscribed => "subscribed",
            Self::Kind => "kind",
            Self::MailboxGuid => "mailbox_guid",
            Self::UidValidity => "uid_validity",
            Self::UidNext => "uid_next",
            Self::HighestModSeq => "highest_modseq",
            Self::FirstRecentUid => "first_recent_uid",
            Self::Message => "message",
            Self::Uid => "uid",
            Self::MessageGuid => "guid",
            Self::Flags => "flags",
            Self::Keywords => "keywords",
            Self::ModSeq => "modseq",
            Self::Received => "received",
            Self::Saved => "saved",
            Self::Pop3Uidl => "pop3_uidl",
            Self::Pop3Order => "pop3_order",
            Self::Size => "size",
            Self::Body { .. } => "body",
        }
    }
}

impl fmt::Display for Field {
    /// Its name for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscribed => f.write_str("subscribed"),
            Self::Kind => f.write_str("there is"),
            Self::MailboxGuid | Self::MessageGuid => f.write_str("GUID"),
            Self::UidValidity => f.write_str("UIDVALIDITY"),
            Self::UidNext => f.write_str("UIDNEXT"),
            Self::HighestModSeq => f.write_str("HIGHESTMODSEQ"),
            Self::FirstRecentUid => f.write_str("first recent UID"),
            Self::Message => f.write_str("message"),
            Self::Uid => f.write_str("UID"),
            Self::Flags => f.write_str("flags"),
            Self::Keywords => f.write_str("keywords"),
            Self::ModSeq => f.write_str("MODSEQ"),
            Self::Received => f.write_str("received date"),
            Self::Saved => f.write_str("saved date"),
            Self::Pop3Uidl => f.write_str("POP3 UIDL"),
            Self::Pop3Order => f.write_str("POP3 order"),
            Self::Size => f.write_str("size"),
            Self::Body { offset } => write!(f, "bytes from {offset} on"),
        }
    }
}

impl fmt::Display for Difference {
    /// `INBOX: message with UID 7: flags: \Seen at the first, \Seen \Flagged at the second`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.mailbox)?;
        if let Some(message) = self.message {
            write!(f, "{message}: ")?;
        }
        let [first, second] = [&self.first, &self.second].map(|value| value.as_deref().unwrap_or("nothing"));
        write!(f, "{}: {first} at the first, {second} at the second", self.field)
    }
}
