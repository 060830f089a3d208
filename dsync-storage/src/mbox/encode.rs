//! What an mbox keeps of a message, and what it says about it.
//!
//! Line ends become LF, which is how they are stored by every server that keeps an mbox. A client sees the same: a LF is CRLF
//! to it, and a CRLF behind another CR stays as it is.
//!
//! What an mbox cannot keep is changed as little as possible, and noted in the [marks](super::marks):
//!
//! | in the message | because | is stored as |
//! |---|---|---|
//! | the body ends with CR | the CR would be taken for a part of the separator | with a LF behind it |
//! | the body ends with a line `From ` | the separator behind it is not seen | with a LF behind it |
//! | the body begins with a From_ line | the empty line before it would be a separator | `>From ` |
//! | a line of the header is a From_ line | it would be a separator | `>From ` |
//! | a header has the name of a metadata header | it would be taken for one | `X-Original-` and the name |
//! | the name of a header has a NUL in it | servers cannot change such a header | `X-Original: ` and the line |
//! | the last line of a header that is all has no line end | the metadata headers come behind it | with a LF behind it |
//!
//! A CR before the LF of a header line is not shown to clients. So two or more of them get another one.

use std::io::{self, Read, Write};

use dsync_core::model::{Flags, Timestamp};

use super::from_line;
use super::header::{HeaderDigest, HeaderReader};
use super::marks::{
    LINE_HEAD, MOST_LEFT_ALONE, Marks, ORIGINAL, ORIGINAL_LINE, has_nul_in_name, line_head, may_be_from_line,
    may_be_metadata,
};
use super::window::Window;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// How many bytes of header were written.
    pub header_length: u64,
    /// How many bytes of body were written behind it. None if the message has no end-of-header line.
    pub body_length: Option<u64>,
    /// What was changed.
    pub marks: Marks,
    /// The checksum over the header as it is stored.
    pub md5: [u8; 16],
    /// How many bytes [`VisibleMessage`](super::visible::VisibleMessage) will give.
    pub visible_size: u64,
}

/// Writes what an mbox keeps of the message `input` to `out`: first the header, directly behind it the body, with neither the
/// empty line between them nor any metadata header.
///
/// # Errors
/// Those of `input` and `out`.
pub fn encode_message(input: &mut dyn Read, out: &mut dyn Write, digest: HeaderDigest) -> io::Result<Encoded> {
    let mut header = HeaderEncoder {
        input: Window::new(input),
        out,
        reader: HeaderReader::new(digest, false),
        marks: Marks::NONE,
        left_alone: 0,
        length: 0,
        added: 0,
    };
    let has_body = header.encode()?;
    let HeaderEncoder { input, out, reader, marks, length: header_length, added, .. } = header;
    let mut encoded = Encoded {
        header_length,
        body_length: None,
        marks,
        md5: reader.finish().md5,
        visible_size: header_length - added,
    };
    if has_body {
        let mut body = BodyEncoder { input, out, length: 0, tail: Tail::default() };
        body.encode(&mut encoded.marks)?;
        encoded.body_length = Some(body.length);
        encoded.visible_size +=
            1 + body.length - u64::from(encoded.marks.body_quote) - u64::from(encoded.marks.body_line_feed);
    }
    Ok(encoded)
}

struct HeaderEncoder<'a> {
    input: Window<&'a mut dyn Read>,
    out: &'a mut dyn Write,
    reader: HeaderReader,
    marks: Marks,
    left_alone: u8,
    length: u64,
    /// How many bytes clients do not see of those that were written.
    added: u64,
}

impl HeaderEncoder<'_> {
    /// Whether there is a body.
    fn encode(&mut self) -> io::Result<bool> {
        let mut is_first_line = true;
        loop {
            match self.input.peek(2)? {
                [] => return Ok(false),
                [b'\n', ..] => {
                    self.input.consume(1);
                    return Ok(true);
                }
                [b'\r', b'\n', ..] => {
                    self.input.consume(2);
                    return Ok(true);
                }
                [b' ' | b'\t', ..] if !is_first_line => {}
                _ => self.begin_line()?,
            }
            is_first_line = false;
            self.line()?;
        }
    }

    /// The beginning of a line, as far as it has to be changed.
    fn begin_line(&mut self) -> io::Result<()> {
        let times = self.input.take_run(ORIGINAL_LINE)?;
        if has_nul_in_name(line_head(self.input.peek(LINE_HEAD + 1)?)) {
            self.marks.original_lines = true;
            self.added += ORIGINAL_LINE.len() as u64;
            return self.write_repeated(ORIGINAL_LINE, times + 1);
        }
        self.write_repeated(ORIGINAL_LINE, times)?;
        match self.input.peek(1)? {
            [b'>' | b'F', ..] if times == 0 => self.begin_quotable(),
            [b'C' | b'c' | b'S' | b's' | b'X' | b'x', ..] if times == 0 => self.begin_named(),
            _ => Ok(()),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.feed(0, bytes);
        self.length += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn write_repeated(&mut self, bytes: &[u8], times: u64) -> io::Result<()> {
        (0..times).try_for_each(|_| self.write(bytes))
    }

    /// The beginning of a line that may be a From_ line, or one behind `>`.
    fn begin_quotable(&mut self) -> io::Result<()> {
        let quotes = self.input.take_run(b">")?;
        let is_from_line = may_be_from_line(line_head(self.input.peek(LINE_HEAD + 1)?));
        let leave_alone = quotes > 0 && self.marks.header_quotes == 0 && self.left_alone < MOST_LEFT_ALONE;
        if is_from_line && leave_alone {
            self.left_alone += 1;
        } else if is_from_line {
            self.marks.header_quotes = self.left_alone + 1;
            self.added += 1;
            self.write(b">")?;
        }
        self.write_repeated(b">", quotes)
    }

    /// The beginning of a line that may be metadata.
    fn begin_named(&mut self) -> io::Result<()> {
        let times = self.input.take_run(ORIGINAL)?;
        if may_be_metadata(line_head(self.input.peek(LINE_HEAD + 1)?)) {
            self.marks.original_names = true;
            self.added += ORIGINAL.len() as u64;
            self.write(ORIGINAL)?;
        }
        self.write_repeated(ORIGINAL, times)
    }

    /// The rest of a line.
    fn line(&mut self) -> io::Result<()> {
        loop {
            let bytes = self.input.peek(1)?;
            match memchr::memchr2(b'\r', b'\n', bytes) {
                Some(0) => {
                    let returns = self.input.take_run(b"\r")?;
                    let ends = match self.input.peek(1)? {
                        [b'\n', ..] => {
                            self.input.consume(1);
                            true
                        }
                        [] => {
                            self.marks.header_line_feed = true;
                            self.added += 1;
                            true
                        }
                        _ => false,
                    };
                    self.returns(returns, ends)?;
                    if ends {
                        return self.write(b"\n");
                    }
                }
                None if bytes.is_empty() => {
                    self.marks.header_line_feed = true;
                    self.added += 1;
                    return self.write(b"\n");
                }
                end => {
                    let piece = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
                    let length = piece.len();
                    self.reader.feed(0, piece);
                    self.length += length as u64;
                    self.out.write_all(piece)?;
                    self.input.consume(length);
                }
            }
        }
    }

    /// CRs within a line, or at its end.
    fn returns(&mut self, returns: u64, ends: bool) -> io::Result<()> {
        let is_line_end = ends && returns == 1 && !self.marks.header_line_feed;
        if returns > 0 && ends && !is_line_end {
            // The reader of the mbox takes one for a part of the line end.
            self.added += 1;
            self.write(b"\r")?;
        }
        self.write_repeated(b"\r", if is_line_end { 0 } else { returns })
    }
}

struct BodyEncoder<'a> {
    input: Window<&'a mut dyn Read>,
    out: &'a mut dyn Write,
    length: u64,
    tail: Tail,
}

impl BodyEncoder<'_> {
    fn encode(&mut self, marks: &mut Marks) -> io::Result<()> {
        if begins_with_from_line(self.input.peek(from_line::LOOK_AHEAD)?) {
            marks.body_quote = true;
            self.write(b">")?;
        }
        loop {
            let bytes = self.input.peek(1)?;
            if bytes.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\r', bytes);
            if end == Some(0) {
                let returns = self.input.take_run(b"\r")?;
                let is_line_end = returns == 1 && self.input.starts_with(b"\n")?;
                (0..if is_line_end { 0 } else { returns }).try_for_each(|_| self.write(b"\r"))?;
            } else {
                let piece = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
                let length = piece.len();
                self.tail.add(piece);
                self.length += length as u64;
                self.out.write_all(piece)?;
                self.input.consume(length);
            }
        }
        let tail = self.tail.bytes();
        if tail.ends_with(b"\r") || tail.ends_with(b"\nFrom ") || (tail == b"From " && self.length == 5) {
            marks.body_line_feed = true;
            self.write(b"\n")?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tail.add(bytes);
        self.length += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// Whether a server would take the beginning of a body for a From_ line, given what of it comes first.
fn begins_with_from_line(start: &[u8]) -> bool {
    if !start.starts_with(from_line::PREFIX) {
        return false;
    }
    let start = start.get(..from_line::LOOK_AHEAD).unwrap_or(start);
    if start.len() >= from_line::LOOK_AHEAD && memchr::memchr(b'\n', start).is_none() {
        return true;
    }
    // Dates may begin behind a line end, and lines end differently when they are stored. Behind the end the separator follows.
    let mut stored = Vec::with_capacity(start.len() + 32);
    for line in start.split_inclusive(|byte| *byte == b'\n') {
        match line {
            [.., b'\r', b'\r', b'\n'] => stored.extend_from_slice(line),
            [text @ .., b'\r', b'\n'] => stored.extend(text.iter().chain(b"\n")),
            line => stored.extend_from_slice(line),
        }
    }
    stored.extend_from_slice(b"\nFrom MAILER-DAEMON  Thu Jan");
    from_line::parse(&stored).is_some()
}

/// The last bytes of a body.
#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    const LENGTH: usize = 6;

    fn add(&mut self, bytes: &[u8]) {
        let last = bytes.get(bytes.len().saturating_sub(Self::LENGTH)..).unwrap_or_default();
        self.bytes.extend_from_slice(last);
        let surplus = self.bytes.len().saturating_sub(Self::LENGTH);
        self.bytes.drain(..surplus);
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What `X-IMAPbase` says about the mailbox.
#[derive(Clone, Copy, Debug)]
pub struct BaseLine<'a> {
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// The greatest UID that was ever given.
    pub last_uid: u32,
    /// All keywords that occur in the file. They must be [names of keywords](super::header::is_keyword_name).
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
    /// Its keywords. They must be [names of keywords](super::header::is_keyword_name).
    pub keywords: &'a [&'a str],
    /// From [`Encoded::body_length`].
    pub body_length: Option<u64>,
    /// From [`Encoded::marks`].
    pub marks: Marks,
    /// How many blanks of room to leave, so that servers need not move what is behind it when something changes.
    pub padding: usize,
}

/// The metadata headers of a message, in the order in which servers have to find them. In a file stand: the
/// [From_ line](from_line::encode), the header, these, an empty line and the body if there is one, a line feed.
#[must_use]
pub fn metadata(head: &Head<'_>) -> Vec<u8> {
    let mut lines = Vec::new();
    if let Some(base) = &head.base {
        base_line(&mut lines, "X-IMAPbase", base);
    }
    let room = " ".repeat(head.padding);
    let (room_behind_uid, room_behind_keywords) = if head.keywords.is_empty() { (&*room, "") } else { ("", &*room) };
    lines.extend_from_slice(format!("X-UID: {}{room_behind_uid}\nStatus: ", head.uid).as_bytes());
    if head.flags.contains(Flags::SEEN) {
        lines.push(b'R');
    }
    if !head.recent {
        lines.push(b'O');
    }
    lines.extend_from_slice(&head.marks.letters());
    lines.push(b'\n');
    let letters = [(Flags::ANSWERED, b'A'), (Flags::FLAGGED, b'F'), (Flags::DRAFT, b'T'), (Flags::DELETED, b'D')];
    if !head.flags.without(Flags::SEEN).is_empty() {
        lines.extend_from_slice(b"X-Status: ");
        lines.extend(letters.into_iter().filter(|(flag, _)| head.flags.contains(*flag)).map(|(_, letter)| letter));
        lines.push(b'\n');
    }
    if !head.keywords.is_empty() {
        lines.extend_from_slice(b"X-Keywords:");
        keyword_list(&mut lines, head.keywords);
        lines.extend_from_slice(room_behind_keywords.as_bytes());
        lines.push(b'\n');
    }
    if let Some(length) = head.body_length {
        lines.extend_from_slice(format!("Content-Length: {length}\n").as_bytes());
    }
    lines
}

/// The pseudo message, complete: what an mbox without messages holds so that UIDVALIDITY and UIDNEXT are kept.
#[must_use]
pub fn pseudo_message(base: BaseLine<'_>, now: Timestamp) -> Vec<u8> {
    let mut message = from_line::encode(now);
    let date = from_line::utc(now, "%a, %d %b %Y %H:%M:%S +0000");
    message.extend_from_slice(
        format!(
            "Date: {date}\n\
             From: Mail System Internal Data <MAILER-DAEMON@localhost>\n\
             Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n\
             Message-ID: <{}@localhost>\n",
            now.seconds()
        )
        .as_bytes(),
    );
    base_line(&mut message, "X-IMAP", &base);
    message.extend_from_slice(
        b"Status: RO\n\
          \n\
          This text is part of the internal format of your mail folder, and is not\n\
          a real message. It holds what has to be remembered about the folder, and\n\
          the programs that read it do not show it. If it is deleted, important\n\
          data are lost, and will be made anew with other values.\n\
          \n",
    );
    message
}

fn base_line(lines: &mut Vec<u8>, name: &str, base: &BaseLine<'_>) {
    lines.extend_from_slice(format!("{name}: {} {:010}", base.uid_validity, base.last_uid).as_bytes());
    keyword_list(lines, base.keywords);
    lines.push(b'\n');
}

/// Each name behind a blank; lines that grow long are folded, as Dovecot does it: it sometimes fails to change them when they
/// are not.
fn keyword_list(lines: &mut Vec<u8>, names: &[&str]) {
    const LONG: usize = 1024;
    let mut start = memchr::memrchr(b'\n', lines).map_or(0, |at| at + 1);
    for name in names {
        if lines.len() - start < LONG {
            lines.push(b' ');
        } else {
            lines.extend_from_slice(b"\n\t");
            start = lines.len();
        }
        lines.extend_from_slice(name.as_bytes());
    }
}
