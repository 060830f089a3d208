//! The metadata headers of a message.
//!
//! | header | value | says |
//! |---|---|---|
//! | `X-IMAPbase` | UIDVALIDITY, a blank, greatest UID in ten digits, keywords | the state of the mailbox; in the first message only |
//! | `X-IMAP` | the same | the first message is no message, it only holds this |
//! | `X-UID` | decimal | the UID |
//! | `Status` | letters | `R` `\Seen`, `O` not `\Recent`, and our own [marks](super::marks) |
//! | `X-Status` | letters | `A` `\Answered`, `F` `\Flagged`, `T` `\Draft`, `D` `\Deleted` |
//! | `X-Keywords` | names | the keywords |
//! | `Content-Length` | decimal | how long the body is |
//!
//! Clients do not see them. They come from UW-IMAP; what is read and ignored here is what Dovecot reads and ignores
//! (`index/mbox/mbox-sync-parse.c`, `lib-mail/message-header-parser.c`).

mod values;

use dsync_core::model::Flags;
use md5::{Digest, Md5};
use memchr::{memchr, memchr2};

use super::marks::Marks;
use values::{BaseValue, Number, Words};

/// The names of the metadata headers. Their case does not matter.
pub const METADATA_NAMES: [&[u8]; 7] =
    [b"Content-Length", b"Status", b"X-IMAP", b"X-IMAPbase", b"X-Keywords", b"X-Status", b"X-UID"];

/// More bytes are no name of a header, nor of a keyword.
const LONGEST_NAME: usize = 4 * 1024;

/// So much is read of a list of keywords, and so many UIDs of a message: whoever writes more means harm.
const LONGEST_LIST: usize = 256 * 1024;
const MOST_UIDS: usize = 16;

/// Which headers make the checksum of a message (Dovecot's setting `mbox_md5`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeaderDigest {
    /// `apop3d`, the default: those that say when the message was sent and how it came.
    #[default]
    Apop3d,
    /// `all`: all that clients see.
    All,
}

/// Why a text is no value of `mbox_md5`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no known checksum over headers: write apop3d or all")]
pub struct InvalidHeaderDigest(String);

impl std::str::FromStr for HeaderDigest {
    type Err = InvalidHeaderDigest;

    fn from_str(text: &str) -> Result<Self, InvalidHeaderDigest> {
        match text {
            "apop3d" => Ok(Self::Apop3d),
            "all" => Ok(Self::All),
            _ => Err(InvalidHeaderDigest(text.to_owned())),
        }
    }
}

/// What `X-IMAPbase` or `X-IMAP` says about the mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImapBase {
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// The greatest UID that was ever given, or 0.
    pub last_uid: u32,
    /// Where in the file the ten digits of `last_uid` are, if there are exactly ten, so that they can be overwritten.
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
    /// The checksum, which servers take for its GUID.
    pub md5: [u8; 16],
    /// How many bytes of the header clients see, if nothing was changed. Its last line ends for them in any case.
    pub visible_size: u64,
}

/// Whether a server takes this as the name of a keyword: an atom of IMAP. Its length is another question (Dovecot's setting
/// `mail_max_keyword_length`).
#[must_use]
pub fn is_keyword_name(name: &[u8]) -> bool {
    let special = |byte: &u8| matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']');
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic() && !special(byte))
}

/// Whether a header line that begins with `head` is metadata.
pub(super) fn is_metadata(head: &[u8]) -> bool {
    let head = head.get(..LONGEST_NAME).unwrap_or(head);
    let colon = memchr2(b':', b'\n', head).filter(|at| head.get(*at) == Some(&b':'));
    colon.and_then(|at| head.get(..at)).is_some_and(|name| {
        let name = trim_name(name);
        METADATA_NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
    })
}

/// Without blanks before the colon; and up to a NUL, because that is how Dovecot compares names.
fn trim_name(mut name: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = name {
        name = rest;
    }
    name.get(..memchr(0, name).unwrap_or(name.len())).unwrap_or_default()
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Reads the header of a message that comes in pieces of any size.
#[derive(Debug)]
pub struct HeaderReader {
    is_first_message: bool,
    found: Metadata,
    place: Place,
    name: Vec<u8>,
    kind: Option<Kind>,
    value: Value,
    held_cr: bool,
    digest: HeaderDigest,
    md5: Md5,
    seen_received: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    LineStart,
    Name,
    BehindColon,
    Value,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Base {
        is_pseudo: bool,
    },
    Uid,
    Status,
    XStatus,
    Keywords,
    ContentLength,
    /// Visible, and part of the checksum.
    Digested {
        is_received: bool,
    },
    Visible,
}

/// What was read of a value.
#[derive(Debug)]
enum Value {
    None,
    Number(Number),
    Words(Words),
    Base(BaseValue),
}

impl HeaderReader {
    /// For the header of a message, the first of its file or another.
    #[must_use]
    pub fn new(digest: HeaderDigest, is_first_message: bool) -> Self {
        Self {
            is_first_message,
            found: Metadata::default(),
            place: Place::LineStart,
            name: Vec::new(),
            kind: None,
            value: Value::None,
            held_cr: false,
            digest,
            md5: Md5::new(),
            seen_received: false,
        }
    }

    /// Takes the next bytes of the header, which are at `offset` of the file.
    pub fn feed(&mut self, offset: u64, mut bytes: &[u8]) {
        let mut offset = offset;
        while let Some(first) = bytes.first() {
            let taken = match self.place {
                Place::LineStart if is_blank(first) && self.kind.is_some() => {
                    self.place = Place::Value;
                    // To what reads it a line end is a blank.
                    if !matches!(self.value, Value::None) {
                        self.value_bytes(offset, b"\n");
                    }
                    0
                }
                Place::LineStart => {
                    self.end_header();
                    self.name.clear();
                    self.place = Place::Name;
                    0
                }
                Place::Name => self.feed_name(bytes),
                Place::BehindColon => {
                    self.place = Place::Value;
                    let taken = usize::from(is_blank(first));
                    self.count(taken as u64);
                    taken
                }
                Place::Value => self.feed_value(offset, bytes),
            };
            offset += taken as u64;
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    /// The header is complete.
    #[must_use]
    pub fn finish(mut self) -> Metadata {
        if self.place == Place::Name {
            self.begin_line_without_colon();
        }
        if std::mem::take(&mut self.held_cr) {
            self.value_bytes(0, b"\r");
        }
        if self.place != Place::LineStart {
            self.count(1);
        }
        self.end_header();
        self.found.md5 = self.md5.finalize().into();
        self.found
    }

    fn feed_name(&mut self, bytes: &[u8]) -> usize {
        let room = LONGEST_NAME.saturating_sub(self.name.len());
        let head = bytes.get(..room).unwrap_or(bytes);
        let end = memchr2(b':', b'\n', head);
        let taken = end.unwrap_or(head.len());
        self.name.extend_from_slice(head.get(..taken).unwrap_or_default());
        match end.and_then(|at| head.get(at)) {
            Some(b':') => {
                self.begin_header();
                self.count(self.name.len() as u64 + 1);
                self.place = Place::BehindColon;
                taken + 1
            }
            Some(_) => {
                self.begin_line_without_colon();
                taken
            }
            None if self.name.len() >= LONGEST_NAME => {
                self.begin_line_without_colon();
                taken
            }
            None => taken,
        }
    }

    fn begin_header(&mut self) {
        let name = trim_name(&self.name);
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let (kind, value) = if is("X-IMAPbase") || is("X-IMAP") {
            (Kind::Base { is_pseudo: is("X-IMAP") }, Value::Base(BaseValue::default()))
        } else if is("X-UID") {
            (Kind::Uid, Value::Number(Number::default()))
        } else if is("Content-Length") {
            (Kind::ContentLength, Value::Number(Number::default()))
        } else if is("Status") {
            (Kind::Status, Value::None)
        } else if is("X-Status") {
            (Kind::XStatus, Value::None)
        } else if is("X-Keywords") {
            (Kind::Keywords, Value::Words(Words::default()))
        } else {
            let is_received = is("Received");
            let counts = match self.digest {
                HeaderDigest::All => true,
                HeaderDigest::Apop3d if is("Delivered-To") || is("X-Delivery-ID") => true,
                // The first Received says it better.
                HeaderDigest::Apop3d => !self.seen_received && (is("Date") || is("Message-ID") || is_received),
            };
            (if counts { Kind::Digested { is_received } } else { Kind::Visible }, Value::None)
        };
        (self.kind, self.value) = (Some(kind), value);
    }

    /// All of the line is its value.
    fn begin_line_without_colon(&mut self) {
        let counts = self.digest == HeaderDigest::All;
        self.kind = Some(if counts { Kind::Digested { is_received: false } } else { Kind::Visible });
        self.value = Value::None;
        self.place = Place::Value;
        let line = std::mem::take(&mut self.name);
        let (line, held_cr) = match line.as_slice() {
            [line @ .., b'\r'] => (line, true),
            line => (line, false),
        };
        self.visible_value(line);
        self.held_cr = held_cr;
    }

    fn feed_value(&mut self, offset: u64, bytes: &[u8]) -> usize {
        let end = memchr(b'\n', bytes);
        let line = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        let (value, ends_in_cr) = match line {
            [value @ .., b'\r'] => (value, true),
            value => (value, false),
        };
        // A CR is part of the value unless the line end follows.
        if !line.is_empty() && std::mem::take(&mut self.held_cr) {
            self.value_bytes(offset.saturating_sub(1), b"\r");
        }
        self.value_bytes(offset, value);
        self.held_cr |= ends_in_cr;
        if end.is_some() {
            self.held_cr = false;
            self.count(1);
            self.place = Place::LineStart;
        }
        line.len() + usize::from(end.is_some())
    }

    fn value_bytes(&mut self, offset: u64, bytes: &[u8]) {
        match (&mut self.value, self.kind) {
            (Value::Number(number), _) => number.feed(bytes),
            (Value::Words(words), _) => words.feed(bytes),
            (Value::Base(base), _) => base.feed(offset, bytes),
            (Value::None, Some(Kind::Status)) => bytes.iter().for_each(|letter| match letter {
                b'R' => self.found.flags |= Flags::SEEN,
                b'O' => self.found.seen_by_session = true,
                letter => self.found.marks.add_letter(*letter),
            }),
            (Value::None, Some(Kind::XStatus)) => bytes.iter().for_each(|letter| {
                self.found.flags |= match letter {
                    b'A' => Flags::ANSWERED,
                    b'F' => Flags::FLAGGED,
                    b'T' => Flags::DRAFT,
                    b'D' => Flags::DELETED,
                    _ => Flags::NONE,
                }
            }),
            (Value::None, _) => self.visible_value(bytes),
        }
    }

    fn visible_value(&mut self, bytes: &[u8]) {
        self.count(bytes.len() as u64);
        if matches!(self.kind, Some(Kind::Digested { .. })) {
            self.md5.update(bytes);
        }
    }

    fn count(&mut self, bytes: u64) {
        if matches!(self.kind, Some(Kind::Digested { .. } | Kind::Visible)) {
            self.found.visible_size += bytes;
        }
    }

    /// The header and its continuation lines are complete.
    fn end_header(&mut self) {
        let value = std::mem::replace(&mut self.value, Value::None);
        match (self.kind.take(), value) {
            (Some(Kind::Digested { is_received: true }), _) => self.seen_received = true,
            (Some(Kind::Uid), Value::Number(number)) => {
                // In the first message it only counts behind the base.
                let counts = !self.is_first_message || self.found.base.is_some();
                let uid = number.wrapping().filter(|uid| *uid != 0 && counts);
                self.found.uids.extend(uid.filter(|_| self.found.uids.len() < MOST_UIDS));
            }
            (Some(Kind::ContentLength), Value::Number(number)) if self.found.content_length.is_none() => {
                self.found.content_length = number.saturating();
            }
            (Some(Kind::Keywords), Value::Words(words)) if self.found.keywords.is_empty() => {
                self.found.keywords = words.finish();
            }
            (Some(Kind::Base { is_pseudo }), Value::Base(base))
                if self.is_first_message && self.found.base.is_none() =>
            {
                self.found.base = base.finish(is_pseudo);
            }
            _ => {}
        }
    }
}
