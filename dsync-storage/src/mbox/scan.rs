//! Where the messages of an mbox are, and what is said about them.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use dsync_core::model::{Flags, Keywords, Timestamp};

use super::header::{HeaderDigest, ImapBase};
use super::marks::Marks;

/// What is in an mbox file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// The messages in their order in the file. The pseudo message is not among them.
    pub messages: Vec<ScannedMessage>,
    /// What the first message, or the pseudo message, says about the mailbox.
    pub base: Option<ImapBase>,
    /// The pseudo message, if the first one is none.
    pub pseudo: Option<ScannedMessage>,
    /// Further valid `X-UID`s: (index into `messages`, UID) in the order in which they are found. Servers take the first
    /// that fits.
    pub further_uids: Vec<(usize, u32)>,
    /// How long the file was.
    pub length: u64,
    /// What was found that is not as it should be, as text for people.
    pub problems: Vec<String>,
}

/// Where one message is, and what is said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedMessage {
    /// Where the separator is: 0 for the first message of the file, else where the line end before its From_ line begins. It is
    /// what the index keeps.
    pub offset: u64,
    /// Where its From_ line is.
    pub from: u64,
    /// Where its header begins.
    pub header: u64,
    /// Where its body begins. None if it has no end-of-header line.
    pub body: Option<u64>,
    /// Where it ends, without the line end that belongs to the separator.
    pub end: u64,
    /// Where the next From_ line is, or the end of the file.
    pub next: u64,
    /// When it was received.
    pub received: Timestamp,
    /// Its UID as it is written, if that is a number other than 0. Whether servers accept it is another question.
    pub uid: Option<u32>,
    /// Its flags.
    pub flags: Flags,
    /// Some session has seen it, it is no longer recent.
    pub seen_by_session: bool,
    /// Its keywords, in the spelling of their declaration.
    pub keywords: Keywords,
    /// The checksum over its header.
    pub md5: [u8; 16],
    /// What was changed because an mbox cannot keep it.
    pub marks: Marks,
    /// How many bytes [`VisibleMessage`](super::visible::VisibleMessage) gives.
    pub visible_size: u64,
}

/// Why a file cannot be read as an mbox.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It does not begin with a From_ line.
    #[error(
        "{path} is not an mbox: it does not begin with a line such as \"From user@host Tue Nov 14 22:13:20 2023\"; \
         move the file elsewhere if it is not mail, or put such a line before it"
    )]
    NoMbox {
        /// The file.
        path: PathBuf,
    },
}

/// Reads an mbox.
///
/// # Errors
/// If the file cannot be read or is no mbox.
pub fn scan(file: &File, path: &Path, digest: HeaderDigest) -> Result<Scanned, ScanError> {
    todo!("{file:?} {path:?} {digest:?}")
}
