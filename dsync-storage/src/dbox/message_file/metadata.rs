//! What is written about a message behind its body.
//!
//! | key | value | meaning |
//! |---|---|---|
//! | `Z` | hex | size of the message in bytes, if the body is stored compressed, encrypted or in parts |
//! | `R` | hex | received date, Unix time |
//! | `V` | hex | size with every line end counted as CRLF |
//! | `P` | text | POP3 UIDL, from a migration |
//! | `O` | decimal | place in the POP3 listing, from 1 |
//! | `G` | text | GUID |
//! | `B` | text | mailbox that the message was first saved to, by its name on disk; mdbox only |
//! | `X` | list | attachments that are stored in files of their own |
//!
//! The first line of a key counts. A server rewrites none of this as long as the message exists, and neither do we: what
//! moves a message carries the lines along as they are, with those that nobody understands.

use dsync_core::model::{MessageGuid, Timestamp};
use thiserror::Error;

use super::attachment_list::{Attachment, AttachmentListError, parse_attachments};
use super::header::hexadecimal;

const MAGIC: &[u8] = b"\n\x01\x03\n";

/// The lines of one message, in their order and as they were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Each with its line end; none is empty.
    lines: Vec<u8>,
}

/// What is to be written about a new message.
#[derive(Clone, Copy, Debug)]
pub struct NewMetadata<'a> {
    /// Received date. One before 1970 becomes 1970.
    pub received: Timestamp,
    /// Size of the message in bytes, if it is stored compressed.
    pub plain_size: Option<u64>,
    /// Size in bytes with every line end counted as CRLF.
    pub virtual_size: u64,
    /// POP3 UIDL, if it is not left to the server.
    pub pop3_uidl: Option<&'a str>,
    /// Place in the POP3 listing, if it has one; 0 is none.
    pub pop3_order: Option<u32>,
    /// Identity of the message.
    pub guid: &'a MessageGuid,
    /// The mailbox that the message is saved to, by its name on disk; mdbox only.
    pub first_mailbox: Option<&'a [u8]>,
}

/// Why bytes are no metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MetadataError {
    /// They begin with something else.
    #[error("no metadata begins here")]
    Magic,
    /// They end before it does.
    #[error("the metadata is incomplete")]
    Incomplete,
    /// It is longer than [`Metadata::LARGEST`].
    #[error("the metadata is too large")]
    TooLarge,
}

impl Metadata {
    /// The most that is read for one message, in bytes; a real one needs a few hundred, and a hundred more for each
    /// attachment.
    pub const LARGEST: usize = 1 << 20;

    /// The metadata of a new message, in the order in which a server writes it. A UIDL or mailbox name that is empty,
    /// has a LF in it or ends in CR cannot be written and is left out.
    #[must_use]
    pub fn new(message: &NewMetadata<'_>) -> Self {
        let mut metadata = Self { lines: Vec::with_capacity(96) };
        if let Some(size) = message.plain_size {
            metadata.push(b'Z', format!("{size:x}").as_bytes());
        }
        metadata.push(b'R', format!("{:x}", message.received.seconds().max(0)).as_bytes());
        metadata.push(b'V', format!("{:x}", message.virtual_size).as_bytes());
        if let Some(uidl) = message.pop3_uidl {
            metadata.push(b'P', uidl.as_bytes());
        }
        if let Some(order) = message.pop3_order.filter(|order| *order > 0) {
            metadata.push(b'O', order.to_string().as_bytes());
        }
        metadata.push(b'G', &message.guid.text());
        if let Some(mailbox) = message.first_mailbox {
            metadata.push(b'B', mailbox);
        }
        metadata
    }

    fn push(&mut self, key: u8, value: &[u8]) {
        if !value.is_empty() && !value.contains(&b'\n') && !value.ends_with(b"\r") {
            self.lines.push(key);
            self.lines.extend(value);
            self.lines.push(b'\n');
        }
    }

    /// Reads the metadata at the front of `bytes`, which begin right behind a body; also returns how many bytes it
    /// takes.
    ///
    /// # Errors
    /// If it is none, ends beyond `bytes`, or is too large.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), MetadataError> {
        let complete = bytes.len() <= Self::LARGEST;
        let bytes = bytes.get(..Self::LARGEST).unwrap_or(bytes);
        if !bytes.starts_with(MAGIC) {
            let begun = MAGIC.starts_with(bytes);
            return Err(if begun { MetadataError::Incomplete } else { MetadataError::Magic });
        }
        let mut end = MAGIC.len();
        for line in bytes.get(MAGIC.len()..).unwrap_or_default().split_inclusive(|byte| *byte == b'\n') {
            let Some(text) = line.strip_suffix(b"\n") else { break };
            if is_last(text) {
                let lines = bytes.get(MAGIC.len()..end).unwrap_or_default().to_vec();
                return Ok((Self { lines }, end.saturating_add(line.len())));
            }
            end = end.saturating_add(line.len());
        }
        Err(if complete { MetadataError::Incomplete } else { MetadataError::TooLarge })
    }

    /// The bytes as they stand behind a body, from the magic to the empty line at the end.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [MAGIC, &self.lines, b"\n"].concat()
    }

    /// The value of the first line with this key.
    #[must_use]
    pub fn value(&self, key: u8) -> Option<&[u8]> {
        let mut lines = self.lines.split(|byte| *byte == b'\n').map(without_cr);
        lines.find_map(|line| line.split_first().filter(|(first, _)| **first == key)).map(|(_, value)| value)
    }

    /// The received date; 1970 if there is none, or none that can be understood.
    #[must_use]
    pub fn received(&self) -> Timestamp {
        Timestamp(self.value(b'R').and_then(hexadecimal).unwrap_or(0).cast_signed())
    }

    /// The size in bytes with every line end counted as CRLF. Without it the message has to be counted.
    #[must_use]
    pub fn virtual_size(&self) -> Option<u64> {
        self.value(b'V').and_then(hexadecimal)
    }

    /// The size of the message in bytes, if that is not the size of the stored body.
    #[must_use]
    pub fn plain_size(&self) -> Option<u64> {
        self.value(b'Z').and_then(hexadecimal)
    }

    /// The identity of the message.
    #[must_use]
    pub fn guid(&self) -> Option<MessageGuid> {
        self.value(b'G').and_then(MessageGuid::new)
    }

    /// The POP3 UIDL, if one is kept with the message. Whether it is shown depends on the mailbox.
    #[must_use]
    pub fn pop3_uidl(&self) -> Option<&str> {
        self.value(b'P').and_then(|uidl| std::str::from_utf8(uidl).ok()).filter(|uidl| !uidl.is_empty())
    }

    /// The place in the POP3 listing, if one is kept with the message. Whether it counts depends on the mailbox.
    #[must_use]
    pub fn pop3_order(&self) -> Option<u32> {
        let digits = self.value(b'O').filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        std::str::from_utf8(digits).ok()?.parse().ok().filter(|order| *order > 0)
    }

    /// The mailbox that the message was first saved to, by its name on disk.
    #[must_use]
    pub fn first_mailbox(&self) -> Option<&[u8]> {
        self.value(b'B').filter(|mailbox| !mailbox.is_empty())
    }

    /// The attachments that are stored in files of their own, in the order of the message; none if it is stored whole.
    ///
    /// # Errors
    /// If the list cannot be understood; then the message cannot be put together.
    pub fn attachments(&self) -> Result<Vec<Attachment>, AttachmentListError> {
        self.value(b'X').map_or(Ok(Vec::new()), parse_attachments)
    }
}

/// Whether a line ends the metadata. One that starts with a space does since version 1.
fn is_last(line: &[u8]) -> bool {
    let line = without_cr(line);
    line.is_empty() || line.starts_with(b" ")
}

/// A server drops a CR before the line end, whatever reads the line.
fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
