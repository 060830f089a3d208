//! What was changed in a message because an mbox cannot keep it as it is.
//!
//! Six things cannot stand in an mbox, see [`encode`](super::encode). Each is changed so little as possible, and a letter
//! in the `Status` header says so:
//!
//! | letter | what was changed |
//! |---|---|
//! | `e` | a LF was added at the end of the body |
//! | `q` | a `>` was put before the body |
//! | `l` | a LF was added to the last line of a header that is all of the message |
//! | `x` | header lines with the names of metadata headers got the prefix `X-Original-` |
//! | `z` | header lines with a NUL in their name got the prefix `X-Original: ` |
//! | `g` | From_ lines in the header got the prefix `>`; `n + 1` times the letter: but not the first `n` that had one before |
//!
//! Servers do not show that header to clients, ignore letters that they do not know, and keep them when they change flags
//! (Dovecot 2.3.19.1, `status_flags_replace`). The letters are none that other programs use: `R`, `O`, `N`, `U`, `D`, `A`, `F`,
//! `T`, `S`, `P` and Mutt's `r`.
//!
//! Anybody can send a message with such a header, and a delivery agent may leave it as it is. So
//! [`scan`](super::scan::scan()) believes a letter only where what it says can be true.

use memchr::{memchr, memchr2};

use super::from_line;
use super::header::METADATA_NAMES;

/// What was changed in a message, so that it can be undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// `e`: a LF was added at the end of the body.
    pub body_line_feed: bool,
    /// `q`: a `>` was put before the body.
    pub body_quote: bool,
    /// `l`: a LF was added to the last line of a header that is all of the message.
    pub header_line_feed: bool,
    /// `x`: header lines with names of metadata headers got the prefix [`ORIGINAL`].
    pub original_names: bool,
    /// `z`: header lines with a NUL in their name got the prefix [`ORIGINAL_LINE`].
    pub original_lines: bool,
    /// `g`: From_ lines in the header got a `>`, all but the first `header_quotes - 1` that had one before. 0: none did.
    pub header_quotes: u8,
}

/// What is put before the name of a header that would be taken for metadata.
pub const ORIGINAL: &[u8] = b"X-Original-";

/// What is put before a header line that has a NUL in its name.
pub const ORIGINAL_LINE: &[u8] = b"X-Original: ";

/// So many From_ lines with `>` before the first one without are left as they are.
pub(super) const MOST_LEFT_ALONE: u8 = 15;

/// So much of a header line decides whether it has to be changed.
pub(super) const LINE_HEAD: usize = 4 * 1024;

impl Marks {
    /// Nothing was changed.
    pub const NONE: Self = Self {
        body_line_feed: false,
        body_quote: false,
        header_line_feed: false,
        original_names: false,
        original_lines: false,
        header_quotes: 0,
    };

    /// Whether nothing was changed.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// Takes a letter of a `Status` header into account.
    pub fn add_letter(&mut self, letter: u8) {
        match letter {
            b'e' => self.body_line_feed = true,
            b'q' => self.body_quote = true,
            b'l' => self.header_line_feed = true,
            b'x' => self.original_names = true,
            b'z' => self.original_lines = true,
            b'g' => self.header_quotes = self.header_quotes.saturating_add(1),
            _ => {}
        }
    }

    /// The letters for the `Status` header.
    #[must_use]
    pub fn letters(self) -> Vec<u8> {
        let each = [
            (b'e', u8::from(self.body_line_feed)),
            (b'q', u8::from(self.body_quote)),
            (b'l', u8::from(self.header_line_feed)),
            (b'x', u8::from(self.original_names)),
            (b'z', u8::from(self.original_lines)),
            (b'g', self.header_quotes),
        ];
        each.into_iter().flat_map(|(letter, times)| std::iter::repeat_n(letter, usize::from(times))).collect()
    }
}

/// What of a header line decides whether it has to be changed, given at least [`LINE_HEAD`] bytes from its start on, or
/// all there are. It is the same for the line of the message and for the line in the mbox, which differ in the CRs before
/// their LF.
pub(super) fn line_head(bytes: &[u8]) -> &[u8] {
    let head = bytes.get(..LINE_HEAD).unwrap_or(bytes);
    let mut head = head.get(..memchr(b'\n', head).unwrap_or(head.len())).unwrap_or_default();
    while let [rest @ .., b'\r'] = head {
        head = rest;
    }
    head
}

/// Whether a header line that begins with `head` may be a From_ line for a server, whatever stands in the next line.
pub(super) fn may_be_from_line(head: &[u8]) -> bool {
    let Some(rest) = head.strip_prefix(from_line::PREFIX) else { return false };
    // Too long to be seen as a whole.
    if head.len() + 64 > LINE_HEAD {
        return true;
    }
    let Some(date) = from_line::skip_sender(rest) else { return false };
    // Behind a sender a blank follows, or the line ends.
    if date.is_empty() && !rest.ends_with(b" ") {
        return false;
    }
    // A date may begin in the next line, behind four or five bytes that nobody looks at.
    date.len() < 5 || from_line::parse(&[head, &[b'\n'; 32]].concat()).is_some()
}

/// Whether there is a NUL in the name of a header line that begins with `head`. Dovecot loses what is behind it when it
/// writes the header, and then cannot write it at all.
pub(super) fn has_nul_in_name(head: &[u8]) -> bool {
    memchr2(0, b':', head).is_some_and(|at| head.get(at) == Some(&0))
}

/// Whether a header line that begins with `head` may be metadata for a server.
pub(super) fn may_be_metadata(head: &[u8]) -> bool {
    METADATA_NAMES.iter().any(|name| {
        let Some((start, rest)) = head.split_at_checked(name.len()) else { return false };
        if !start.eq_ignore_ascii_case(name) {
            return false;
        }
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        match rest.get(blanks) {
            Some(byte) => *byte == b':',
            None => blanks > 0 && head.len() == LINE_HEAD,
        }
    })
}
