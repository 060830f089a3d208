//! The metadata headers of a message.

use dsync_core::model::Flags;

use super::marks::Marks;

/// Which headers make the checksum of a message (setting `mbox_md5`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeaderDigest {
    /// `apop3d`: those that say who sent it and when.
    #[default]
    Apop3d,
    /// `all`: all that clients see.
    All,
}

/// What `X-IMAPbase` or `X-IMAP` says about the mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImapBase {
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// The greatest UID that was ever given, or 0.
    pub last_uid: u32,
    /// Where in the file the ten digits of `last_uid` are, if there are exactly ten.
    pub last_uid_digits: Option<u64>,
    /// The keywords that are declared, as they are written, valid or not.
    pub keywords: Vec<Vec<u8>>,
    /// It is `X-IMAP`: the first message is none.
    pub is_pseudo: bool,
}

/// What the header of a message says about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The mailbox; only looked for in the first message.
    pub base: Option<ImapBase>,
    /// Each valid `X-UID`, in order. Servers take the first that fits.
    pub uids: Vec<u32>,
    /// The flags.
    pub flags: Flags,
    /// `O`: some session has seen the message, it is no longer recent.
    pub seen_by_session: bool,
    /// The names in the first `X-Keywords` that has any.
    pub keywords: Vec<Vec<u8>>,
    /// The first valid `Content-Length`.
    pub content_length: Option<u64>,
    /// What was changed in the message.
    pub marks: Marks,
    /// The checksum.
    pub md5: [u8; 16],
}
