//! When a certificate is valid, as it says itself. (RFC 5280, 4.1.)

/// Tags of the encoding (X.690).
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which comes first in a certificate that has one.
const VERSION: u8 = 0xa0;

/// A span of time, in seconds since 1970, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: u64,
    pub(super) until: u64,
}

impl Validity {
    /// That of a certificate; `None` if it is none.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let inner = Value::read(certificate)?.inside(SEQUENCE)?;
        let mut rest = Value::read(inner)?.inside(SEQUENCE)?;
        let first = Value::read(rest)?;
        if first.tag == VERSION {
            rest = first.rest;
        }
        // The serial number, the algorithm and the issuer.
        for _ in 0..3 {
            rest = Value::read(rest)?.rest;
        }
        let validity = Value::read(rest)?.inside(SEQUENCE)?;
        let from = Value::read(validity)?;
        let until = Value::read(from.rest)?;
        Some(Self { from: from.time()?, until: until.time()? })
    }
}

/// An encoded value, and what is behind it.
struct Value<'a> {
    tag: u8,
    content: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Value<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // An indefinite length (0x80) is not allowed here.
            0x81..=0x84 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (length.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        Some(Self { tag, content, rest })
    }

    fn inside(self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }

    fn time(&self) -> Option<u64> {
        let text = std::str::from_utf8(self.content).ok()?.strip_suffix('Z')?;
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i16>().ok();
        let (year, rest) = match (self.tag, text.len()) {
            (UTC_TIME, 12) => {
                let year = number(0..2)?;
                (if year < 50 { 2000 + year } else { 1900 + year }, 2)
            }
            (GENERALIZED_TIME, 14) => (number(0..4)?, 4),
            _ => return None,
        };
        let part = |index: usize| {
            let start = rest + 2 * index;
            text.get(start..start + 2)?.parse::<i8>().ok()
        };
        let time = jiff::civil::DateTime::new(year, part(0)?, part(1)?, part(2)?, part(3)?, part(4)?, 0).ok()?;
        let seconds = jiff::tz::Offset::UTC.to_timestamp(time).ok()?.as_second();
        // Before 1970 is always long ago.
        Some(u64::try_from(seconds).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        [&[tag, 0x81, length][..], content].concat()
    }

    fn certificate(from: &[u8], until: &[u8]) -> Vec<u8> {
        let head =
            [&value(VERSION, &value(2, &[2]))[..], &value(2, &[1]), &value(0x30, &[]), &value(0x30, &[])].concat();
        let body = [head, value(SEQUENCE, &[from, until].concat())].concat();
        value(SEQUENCE, &value(SEQUENCE, &body))
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let bytes = certificate(&value(UTC_TIME, b"700101000001Z"), &value(GENERALIZED_TIME, b"20500101000000Z"));
        assert_eq!(Validity::of(&bytes), Some(Validity { from: 1, until: 2_524_608_000 }));
        let bytes = certificate(&value(UTC_TIME, b"240229120000Z"), &value(UTC_TIME, b"491231235959Z"));
        assert_eq!(Validity::of(&bytes), Some(Validity { from: 1_709_208_000, until: 2_524_607_999 }));
        for wrong in [&b"241301000000Z"[..], b"2401010000Z", b"24010100000+Z", b"", b"\xff"] {
            assert_eq!(Validity::of(&certificate(&value(UTC_TIME, wrong), &value(UTC_TIME, b"491231235959Z"))), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..60), at in 0_usize..80, byte in any::<u8>()) {
            let _ = Validity::of(&bytes);
            let mut bytes = certificate(&value(UTC_TIME, b"700101000001Z"), &value(UTC_TIME, b"491231235959Z"));
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            let _ = Validity::of(&bytes);
        }
    }
}
