//! The two headers: of a file and of a message in it.

use super::MessageFileError;

/// Size of the message headers that we write, in bytes.
pub const MESSAGE_HEADER_SIZE: usize = 30;
/// Other sizes are allowed; this keeps damage from making us read nonsense.
const LARGEST_MESSAGE_HEADER: usize = 4096;
/// Where the size of the body is in a message header.
const SIZE_FIELD: std::ops::Range<usize> = 13..29;
const MAGIC: [u8; 2] = [1, 2];
/// A message header without the size. (The spaces once held a UID.)
const BLANK_HEADER: [u8; MESSAGE_HEADER_SIZE] = *b"\x01\x02N          0000000000000000\n";

/// The first line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// 2 today; 1 can be read.
    pub version: u8,
    /// Size of the header of every message in the file, in bytes; at least 30.
    pub message_header_size: usize,
    /// Unix time of creation. Only the decision when to begin a new file depends on it.
    pub created: Option<u32>,
}

impl FileHeader {
    const VERSION: u8 = 2;

    /// Longest line that is looked at; real ones have 16 bytes.
    pub(super) const LONGEST: usize = 1024;

    /// Reads the line at the front of `bytes`; also returns its length, which is where the first message begins. Fields
    /// of unknown meaning are ignored.
    ///
    /// # Errors
    /// If there is no such line, it is of another version, or the size of message headers is missing or absurd.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), MessageFileError> {
        let head = bytes.get(..Self::LONGEST).unwrap_or(bytes);
        let line = head.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        let text = line.strip_suffix(b"\n").ok_or(MessageFileError::FileHeader)?;
        let mut fields = text.split(|byte| *byte == b' ');
        let version = match fields.next().unwrap_or_default() {
            b"1" => 1,
            b"2" => 2,
            other if !other.is_empty() && other.iter().all(u8::is_ascii_digit) => {
                return Err(MessageFileError::Version);
            }
            _ => return Err(MessageFileError::FileHeader),
        };
        let (mut message_header_size, mut created) = (None, None);
        for field in fields {
            match field.split_first() {
                Some((b'M', value)) => message_header_size = hexadecimal(value),
                Some((b'C', value)) => created = hexadecimal(value).and_then(|stamp| u32::try_from(stamp).ok()),
                _ => {}
            }
        }
        let message_header_size = message_header_size
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| (MESSAGE_HEADER_SIZE..=LARGEST_MESSAGE_HEADER).contains(size))
            .ok_or(MessageFileError::MessageHeaderSize)?;
        Ok((Self { version, message_header_size, created }, line.len()))
    }

    /// The header of a new file, created at this Unix time.
    #[must_use]
    pub fn encode(created: u32) -> Vec<u8> {
        format!("{} M{MESSAGE_HEADER_SIZE:x} C{created:x}\n", Self::VERSION).into_bytes()
    }

    /// Whether messages as we write them may be appended to the file.
    #[must_use]
    pub fn allows_appending(&self) -> bool {
        self.version == Self::VERSION && self.message_header_size == MESSAGE_HEADER_SIZE
    }
}

/// The size of the body, in bytes as it is stored, from a message header. `bytes` is the whole header, as long as the
/// file header says, and `offset` where in the file it is.
///
/// # Errors
/// [`MessageFileError::MessageHeader`] if it is none.
pub fn decode_message_header(bytes: &[u8], offset: u64) -> Result<u64, MessageFileError> {
    let valid = bytes.starts_with(&MAGIC) && bytes.ends_with(b"\n") && bytes.len() >= MESSAGE_HEADER_SIZE;
    let size = bytes.get(SIZE_FIELD).filter(|_| valid).and_then(hexadecimal);
    size.ok_or(MessageFileError::MessageHeader { offset })
}

/// The header of a message with a body of `body_size` bytes.
#[must_use]
pub fn encode_message_header(body_size: u64) -> [u8; MESSAGE_HEADER_SIZE] {
    let mut header = BLANK_HEADER;
    let field = header.iter_mut().skip(SIZE_FIELD.start);
    field.zip(format!("{body_size:016X}").bytes()).for_each(|(to, digit)| *to = digit);
    header
}

/// A hexadecimal number without sign, in either case; leading zeros do not matter.
pub(super) fn hexadecimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        value.checked_mul(16)?.checked_add(u64::from(digit))
    })
}
