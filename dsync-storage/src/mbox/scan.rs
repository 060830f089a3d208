//! Where the messages of an mbox are, and what is said about them.
//!
//! A message ends before the next *separator*: a line end and a valid From_ line. The line end is part of the separator,
//! not of the body. At the end of the file the last line end is a separator. Empty lines before it belong to the message.
//!
//! `Content-Length` is believed only if there is a separator where it says that the body ends; then From_ lines within the
//! body are text.
//!
//! These are the rules of Dovecot (`index/mbox/istream-raw-mbox.c`, seen with 2.3.19.1), but for two, where a message would be
//! lost there:
//!
//! * The byte behind `\nFrom ` is not looked at, so that in `\nFrom \nFrom a@b Thu ...` the second line is not seen. Here
//!   too; but a valid `Content-Length` is believed all the same, while Dovecot does so only sometimes.
//! * NULs at the end of the file, left by a crash, are ignored if the last body ends before them by its `Content-Length`.

mod scanner;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use dsync_core::model::{Flags, Keywords, Timestamp};

use super::header::{HeaderDigest, HeaderReader, ImapBase};
use super::keyword_table::KeywordTable;
use super::marks::Marks;
use scanner::{FoundFromLine, Scanner};

pub(super) use scanner::read_at;

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
/// The file is read once, in pieces; bodies whose length is known by a `Content-Length` are skipped. Nobody may change it
/// meanwhile: hold the lock.
///
/// # Errors
/// If the file cannot be read or is no mbox.
pub fn scan(file: &File, path: &Path, digest: HeaderDigest) -> Result<Scanned, ScanError> {
    let mut scan = Scan::new(file, path, digest)?;
    let mut messages = Vec::new();
    while let Some(message) = scan.next()? {
        messages.push(message);
    }
    messages.shrink_to_fit();
    Ok(Scanned { messages, ..scan.finish() })
}

/// An mbox that is being read, message by message: there may be millions.
pub(super) struct Scan<'a> {
    scanner: Scanner<'a>,
    path: &'a Path,
    next: Option<FoundFromLine>,
    keywords: KeywordTable,
    /// What is known so far, without the messages.
    file: Scanned,
    /// How many messages were read.
    count: usize,
}

impl<'a> Scan<'a> {
    /// Begins to read.
    ///
    /// # Errors
    /// As [`scan`].
    pub(super) fn new(file: &'a File, path: &'a Path, digest: HeaderDigest) -> Result<Self, ScanError> {
        let read_error = |source| ScanError::Read { path: path.to_owned(), source };
        let length = file.metadata().map_err(read_error)?.len();
        let mut scanner = Scanner::new(file, length, digest);
        let mut next = None;
        if length > 0 {
            next = scanner.first_from_line().map_err(read_error)?;
            if next.is_none() {
                return Err(ScanError::NoMbox { path: path.to_owned() });
            }
        }
        let file = Scanned { length, ..Scanned::default() };
        Ok(Self { scanner, path, next, keywords: KeywordTable::default(), file, count: 0 })
    }

    /// The next message. The pseudo message is none.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<ScannedMessage>, ScanError> {
        while let Some(from_line) = self.next {
            let is_first = from_line.offset == 0;
            let read = self.scanner.message(from_line, is_first);
            let (mut message, metadata, next) =
                read.map_err(|source| ScanError::Read { path: self.path.to_owned(), source })?;
            self.next = next;
            if let Some(base) = metadata.base {
                self.keywords.declare(&base.keywords);
                let is_pseudo = base.is_pseudo;
                self.file.base = Some(base);
                if is_pseudo {
                    self.file.pseudo = Some(message);
                    continue;
                }
            }
            if let [uid, further @ ..] = metadata.uids.as_slice() {
                message.uid = Some(*uid);
                self.file.further_uids.extend(further.iter().map(|uid| (self.count, *uid)));
            }
            message.keywords = self.keywords.set(&metadata.keywords);
            self.count += 1;
            return Ok(Some(message));
        }
        Ok(None)
    }

    /// What the first message, or the pseudo message, says about the mailbox. It is known with the first message.
    pub(super) fn base(&self) -> Option<&ImapBase> {
        self.file.base.as_ref()
    }

    /// The further UIDs of the message that was read last.
    pub(super) fn further_uids(&self) -> &[(usize, u32)] {
        let all = &self.file.further_uids;
        all.get(all.partition_point(|(of, _)| of + 1 < self.count)..).unwrap_or_default()
    }

    /// What there is beside the messages, when all were read.
    pub(super) fn finish(self) -> Scanned {
        let mut file = self.file;
        if let Some(nuls) = self.scanner.ignored_nuls {
            file.problems.push(format!(
                "the last {nuls} bytes are NULs, left by a program that was interrupted; they are ignored"
            ));
        }
        file
    }
}

/// Reads only what the first message says about the mailbox.
///
/// # Errors
/// As [`scan`].
pub fn scan_base(file: &File, path: &Path) -> Result<Option<ImapBase>, ScanError> {
    let read_error = |source| ScanError::Read { path: path.to_owned(), source };
    let length = file.metadata().map_err(read_error)?.len();
    if length == 0 {
        return Ok(None);
    }
    let mut scanner = Scanner::new(file, length, HeaderDigest::default());
    if scanner.first_from_line().map_err(read_error)?.is_none() {
        return Err(ScanError::NoMbox { path: path.to_owned() });
    }
    scanner.skip_line().map_err(read_error)?;
    let mut reader = HeaderReader::new(HeaderDigest::default(), true);
    scanner.header(&mut reader).map_err(read_error)?;
    Ok(reader.finish().base)
}
