//! One message as a mailbox lists it.

use std::fmt;
use std::ops::Deref;

use super::{Flags, Keywords, MessageGuid, ModSeq, Timestamp, Uid};

/// Everything about a message but its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRecord {
    /// `None` if the store has not given it one yet: a file that was delivered into a Maildir and that no server
    /// has seen so far. It will get one when the store is next opened for writing.
    pub uid: Option<Uid>,
    /// Identity of the message, the same in every mailbox and store.
    pub guid: MessageGuid,
    /// System flags.
    pub flags: Flags,
    /// Keywords.
    pub keywords: Keywords,
    /// When it last changed, in the mailbox's own counting; `None` if the store has not counted that yet.
    pub modseq: Option<ModSeq>,
    /// INTERNALDATE.
    pub received: Timestamp,
    /// SAVEDATE: when it was put into this mailbox; `None` if the store cannot tell.
    pub saved: Option<Timestamp>,
    /// The POP3 UIDL that is stored with the message; `None` lets the server derive it from UID and UIDVALIDITY.
    pub pop3_uidl: Option<Pop3Uidl>,
    /// Its place in the POP3 listing before all messages without one; `None` for UID order.
    pub pop3_order: Option<u32>,
}

/// A POP3 UIDL: no space or control character.
// Few messages have one, and there may be millions in memory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pop3Uidl(Box<Box<str>>);

impl From<&str> for Pop3Uidl {
    fn from(text: &str) -> Self {
        Self(Box::new(text.into()))
    }
}

impl Deref for Pop3Uidl {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Pop3Uidl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pop3Uidl({:?})", &**self)
    }
}

/// How to name one message of an open mailbox to its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageKey {
    /// The message with this UID.
    Uid(Uid),
    /// The message at this place among those without a UID, counted from 0 in the order of the
    /// [`MessageList`](super::MessageList). Means something only for the view that the list is of.
    Unassigned(u32),
}

impl fmt::Display for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => write!(f, "message with UID {uid}"),
            Self::Unassigned(place) => write!(f, "message {} of those without UID", place.saturating_add(1)),
        }
    }
}
