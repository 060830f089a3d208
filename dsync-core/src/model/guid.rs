//! Globally unique identifiers of mailboxes and of messages.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;

use sha1::{Digest, Sha1};

/// The identity of a mailbox: 16 bytes that stay the same when it is renamed or converted; never all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxGuid([u8; 16]);

impl MailboxGuid {
    /// A GUID, or `None` if all bytes are zero, which every format reads as "no GUID".
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// Reads exactly 32 hexadecimal digits of either case.
    #[must_use]
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        decode_hex(text).and_then(Self::new)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for MailboxGuid {
    /// 32 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for MailboxGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailboxGuid({self})")
    }
}

/// The identity of a message: a string that is the same for every copy of it, in any mailbox and any format.
///
/// The dbox formats use 32 hexadecimal digits, Maildir the base name of the first file that held the message.
/// Never empty and never holding NUL, LF or CR. The bytes need not be UTF-8.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MessageGuid(Form);

/// There may be millions in memory, and nearly all of a dbox are of the short form.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Form {
    /// 32 lower-case hexadecimal digits.
    Short([u8; 16]),
    /// Anything else.
    Long(Box<[u8]>),
}

/// The bytes of a [`MessageGuid`].
#[derive(Clone, Copy, Debug)]
pub struct GuidText<'a>(Text<'a>);

#[derive(Clone, Copy, Debug)]
enum Text<'a> {
    Short([u8; 32]),
    Long(&'a [u8]),
}

impl Deref for GuidText<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Text::Short(digits) => digits,
            Text::Long(bytes) => bytes,
        }
    }
}

impl MessageGuid {
    /// A GUID, or `None` if `bytes` is empty or holds NUL, LF or CR.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let valid = !bytes.is_empty() && !bytes.iter().any(|byte| matches!(byte, 0 | b'\n' | b'\r'));
        if !valid {
            return None;
        }
        let is_lower_case = !bytes.iter().any(u8::is_ascii_uppercase);
        Some(Self(match decode_hex(bytes).filter(|_| is_lower_case) {
            Some(short) => Form::Short(short),
            None => Form::Long(bytes.into()),
        }))
    }

    /// The bytes that the 32 lower-case hexadecimal digits of a GUID of that form stand for; `None` for any other.
    pub(super) fn short(&self) -> Option<[u8; 16]> {
        match &self.0 {
            Form::Short(bytes) => Some(*bytes),
            Form::Long(_) => None,
        }
    }

    /// The GUID with this [`short`](Self::short) form.
    pub(super) fn of_short(bytes: [u8; 16]) -> Self {
        Self(Form::Short(bytes))
    }

    /// The GUID with this [`text`](Self::text), which was that of one without a [`short`](Self::short) form.
    pub(super) fn of_long(text: &[u8]) -> Self {
        Self(Form::Long(text.into()))
    }

    /// The bytes of the string.
    ///
    /// ```
    /// use dsync_core::model::MessageGuid;
    /// let guid = MessageGuid::new(b"00112233445566778899aabbccddeeff").unwrap();
    /// assert_eq!(&*guid.text(), b"00112233445566778899aabbccddeeff");
    /// ```
    #[must_use]
    pub fn text(&self) -> GuidText<'_> {
        GuidText(match &self.0 {
            Form::Short(bytes) => Text::Short(encode_hex(bytes)),
            Form::Long(bytes) => Text::Long(bytes),
        })
    }

    /// The GUID whose text is the 32 hexadecimal digits of these bytes.
    ///
    /// ```
    /// use dsync_core::model::MessageGuid;
    /// assert_eq!(&*MessageGuid::from_128([0xab; 16]).text(), b"abababababababababababababababab");
    /// ```
    #[must_use]
    pub const fn from_128(bytes: [u8; 16]) -> Self {
        Self(Form::Short(bytes))
    }

    /// The form for places that have room for 16 bytes only: 32 hexadecimal digits are decoded, of any other
    /// string it is bytes 4 to 19 of its SHA-1. (As Dovecot computes it.)
    ///
    /// ```
    /// use dsync_core::model::MessageGuid;
    /// let guid = MessageGuid::new(b"1600000001.M1P77.host.example,S=141,W=149").unwrap();
    /// assert_eq!(guid.to_128()[..4], [0xce, 0xa4, 0x4d, 0x30]);
    /// ```
    #[must_use]
    pub fn to_128(&self) -> [u8; 16] {
        let bytes = match &self.0 {
            Form::Short(bytes) => return *bytes,
            Form::Long(bytes) => bytes,
        };
        decode_hex(bytes).unwrap_or_else(|| {
            let digest = Sha1::digest(bytes);
            let mut short = [0; 16];
            short.copy_from_slice(&digest[4..20]);
            short
        })
    }
}

impl PartialOrd for MessageGuid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MessageGuid {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text().cmp(&other.text())
    }
}

impl fmt::Display for MessageGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::escape::write_escaped(f, &String::from_utf8_lossy(&self.text()))
    }
}

impl fmt::Debug for MessageGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageGuid({self})")
    }
}

fn decode_hex(text: &[u8]) -> Option<[u8; 16]> {
    let text: &[u8; 32] = text.try_into().ok()?;
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(bytes)
}

fn encode_hex(bytes: &[u8; 16]) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0xf)];
    }
    text
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_guid_survives_its_text_form() {
        let text = b"00112233445566778899aabbccddeeff";
        let guid = MailboxGuid::from_hex(text).unwrap();
        assert_eq!(guid.to_string().as_bytes(), text);
        assert_eq!(MailboxGuid::from_hex(b"0011"), None);
        assert_eq!(MailboxGuid::from_hex(&[b'0'; 32]), None);
        assert_eq!(MailboxGuid::from_hex(&[b'g'; 32]), None);
    }

    #[test]
    fn hexadecimal_message_guids_are_decoded_and_others_hashed() {
        let hex = MessageGuid::new(b"00112233445566778899AABBCCDDEEFF").unwrap();
        assert_eq!(hex.to_128()[15], 0xff);
        let name = MessageGuid::new(b"1795440904.M938973P28562.vm,S=24,W=28").unwrap();
        assert_eq!(name.to_128()[..4], [0x7c, 0x42, 0xdf, 0x9f]);
    }

    #[test]
    fn a_message_guid_keeps_its_spelling_and_order() {
        let mut texts: [&[u8]; 6] = [
            b"00112233445566778899aabbccddeeff",
            b"00112233445566778899AABBCCDDEEFF",
            b"00112233445566778899aabbccddeef",
            b"0011223344556677889",
            b"g",
            b"00112233445566778899aabbccddeefe",
        ];
        let mut guids = texts.map(|text| MessageGuid::new(text).unwrap());
        guids.iter().zip(texts).for_each(|(guid, text)| assert_eq!(&*guid.text(), text));
        texts.sort_unstable();
        guids.sort();
        guids.iter().zip(texts).for_each(|(guid, text)| assert_eq!(&*guid.text(), text));
        assert_eq!(size_of::<MessageGuid>(), 24);
    }

    #[test]
    fn a_message_guid_fits_one_line() {
        assert_eq!(MessageGuid::new(b""), None);
        assert_eq!(MessageGuid::new(b"a\nb"), None);
    }
}
