//! The line `X` of the metadata: which parts of a message are stored in files of their own.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

/// A part of a message that is stored in a file of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Where in the whole message it begins, in bytes.
    pub start: u64,
    /// How many bytes of the message it is.
    pub size: u64,
    /// How the file becomes these bytes.
    pub encoding: Encoding,
    path: PathBuf,
}

impl Attachment {
    /// The file, below the directory of attachments; sdbox has more behind the name. It never leads out of the
    /// directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// How the file of an attachment becomes a part of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Raw,
    /// As lines of base64, without a line end behind the last.
    Base64 {
        /// Characters in each line but the last: a multiple of 4, not 0.
        line_length: u32,
        /// What stands between lines.
        line_end: LineEnd,
    },
}

/// A line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// LF.
    Lf,
    /// CR LF.
    CrLf,
}

/// Why a list of attachments cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AttachmentListError {
    /// It does not consist of groups of four fields.
    #[error("the list of attachments is incomplete")]
    Fields,
    /// A place or size is no number.
    #[error("the list of attachments has an invalid place or size")]
    Number,
    /// An attachment begins before the one in front of it ends.
    #[error("the attachments overlap")]
    Order,
    /// An attachment is coded in a way that we do not know.
    #[error("an attachment is coded in an unknown way")]
    Encoding,
    /// A path leads out of the directory of attachments.
    #[error("the path of an attachment is invalid")]
    Path,
}

/// Reads a list of attachments: `start size options path` of each, all separated by single spaces. The options are `-`, or
/// `B` and the length of base64 lines, with a `C` in front if lines end in CRLF.
///
/// # Errors
/// If it is no such list, attachments are not in order, or a path leads elsewhere.
pub fn parse_attachments(list: &[u8]) -> Result<Vec<Attachment>, AttachmentListError> {
    let mut fields = list.split(|byte| *byte == b' ');
    let mut attachments = Vec::new();
    let mut end = 0u64;
    while let Some(start) = fields.next() {
        let mut field = || fields.next().ok_or(AttachmentListError::Fields);
        let (size, options, path) = (field()?, field()?, field()?);
        let (start, size) = (decimal(start)?, decimal(size)?);
        if start < end {
            return Err(AttachmentListError::Order);
        }
        end = start.checked_add(size).ok_or(AttachmentListError::Number)?;
        attachments.push(Attachment { start, size, encoding: encoding(options)?, path: relative(path)? });
    }
    Ok(attachments)
}

fn decimal(digits: &[u8]) -> Result<u64, AttachmentListError> {
    let number = Some(digits).filter(|digits| digits.iter().all(u8::is_ascii_digit));
    let number = number.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    number.ok_or(AttachmentListError::Number)
}

fn encoding(options: &[u8]) -> Result<Encoding, AttachmentListError> {
    if options == b"-" {
        return Ok(Encoding::Raw);
    }
    let (line_end, rest) = match options.strip_prefix(b"C") {
        Some(rest) => (LineEnd::CrLf, rest),
        None => (LineEnd::Lf, options),
    };
    let line_length = rest.strip_prefix(b"B").and_then(|digits| decimal(digits).ok());
    let line_length = line_length.and_then(|length| u32::try_from(length).ok());
    match line_length.filter(|length| *length > 0 && length.is_multiple_of(4)) {
        Some(line_length) => Ok(Encoding::Base64 { line_length, line_end }),
        None => Err(AttachmentListError::Encoding),
    }
}

fn relative(path: &[u8]) -> Result<PathBuf, AttachmentListError> {
    let path = Path::new(OsStr::from_bytes(path));
    let mut components = path.components().peekable();
    let inside = components.peek().is_some() && components.all(|it| matches!(it, Component::Normal(_)));
    // What follows the last slash is the name of the file.
    let named = !path.as_os_str().as_bytes().ends_with(b"/") && !path.as_os_str().as_bytes().contains(&0);
    if inside && named { Ok(path.to_owned()) } else { Err(AttachmentListError::Path) }
}
