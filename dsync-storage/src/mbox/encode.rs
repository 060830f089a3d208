//! What an mbox keeps of a message.

use std::io::{self, Read, Write};

use dsync_core::model::{Flags, Timestamp};

use super::header::HeaderDigest;
use super::marks::Marks;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// How many bytes of header were written.
    pub header_length: u64,
    /// How many bytes of body were written behind it. None if the message has no end-of-header line.
    pub body_length: Option<u64>,
    /// What was changed.
    pub marks: Marks,
    /// The checksum over the header.
    pub md5: [u8; 16],
    /// How many bytes [`VisibleMessage`](super::visible::VisibleMessage) will give.
    pub visible_size: u64,
}

/// Writes what an mbox keeps of the message `input` to `out`: first the header, directly behind it the body, with neither the
/// empty line between them nor any metadata header.
///
/// # Errors
/// Those of `input` and `out`.
pub fn encode_message(_input: &mut dyn Read, _out: &mut dyn Write, _digest: HeaderDigest) -> io::Result<Encoded> {
    todo!()
}

/// What `X-IMAPbase` says about the mailbox.
#[derive(Clone, Copy, Debug)]
pub struct BaseLine<'a> {
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// The greatest UID that was ever given.
    pub last_uid: u32,
    /// All keywords that occur in the file.
    pub keywords: &'a [&'a str],
}

/// What is said about a message.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The mailbox; for the first message of a file.
    pub base: Option<BaseLine<'a>>,
    /// Its UID.
    pub uid: u32,
    /// Its flags.
    pub flags: Flags,
    /// No session has seen it yet.
    pub recent: bool,
    /// Its keywords.
    pub keywords: &'a [&'a str],
    /// From [`Encoded::body_length`].
    pub body_length: Option<u64>,
    /// From [`Encoded::marks`].
    pub marks: Marks,
    /// How many blanks of room to leave for later changes.
    pub padding: usize,
}

/// The metadata headers of a message. In a file stand: the [From_ line](super::from_line::encode), the header, these, an empty
/// line and the body if there is one, a line feed.
#[must_use]
pub fn metadata(_head: &Head<'_>) -> Vec<u8> {
    todo!()
}

/// The pseudo message, complete: what an mbox without messages holds so that UIDVALIDITY and UIDNEXT are kept.
#[must_use]
pub fn pseudo_message(_base: BaseLine<'_>, _now: Timestamp) -> Vec<u8> {
    todo!()
}
