//! The counter from which new mailboxes get their UIDVALIDITY.
//!
//! `dovecot-uidvalidity` holds the last value given out as 8 lower-case hexadecimal digits; beside it an empty file
//! `dovecot-uidvalidity.<8 digits>` has the same value in its name. Giving out the next value is renaming that second
//! file, which no two processes can do at once. Source: observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

/// Name of the main file.
pub const MAIN: &str = "dovecot-uidvalidity";

/// Name of the numbered file for a value.
#[must_use]
pub fn numbered(value: u32) -> String {
    format!("{MAIN}.{value:08x}")
}

/// The contents of the main file for a value.
#[must_use]
pub fn encode(value: u32) -> String {
    format!("{value:08x}")
}

/// The value in the main file; `None` if there is no valid one.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(bytes).ok()?;
    let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(text, 16).ok().filter(|value| digits && *value != 0)
}

/// The value in the name of a numbered file; `None` if it is no such name.
#[must_use]
pub fn decode_numbered(name: &[u8]) -> Option<u32> {
    decode(name.strip_prefix(MAIN.as_bytes())?.strip_prefix(b".")?)
}

/// The next value after the greatest one known; 0 is left out. `now` is used if none is known.
#[must_use]
pub fn next(known: Option<u32>, now: u32) -> u32 {
    match known {
        Some(value) => value.checked_add(1).unwrap_or(1),
        None => now.max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_server_are_understood() {
        assert_eq!(decode(b"6b043944"), Some(0x6b04_3944));
        assert_eq!(decode_numbered(b"dovecot-uidvalidity.6b043944"), Some(0x6b04_3944));
        for bytes in [&b""[..], b"6b04394", b"6b0439444", b"00000000", b"6b04394g", b"+b043944", b"6b043944\n"] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
        assert_eq!(decode_numbered(b"dovecot-uidlist"), None);
    }

    #[test]
    fn values_are_written_as_they_are_read() {
        for value in [1, 0x6b04_3944, u32::MAX] {
            assert_eq!(decode(encode(value).as_bytes()), Some(value));
            assert_eq!(decode_numbered(numbered(value).as_bytes()), Some(value));
        }
    }

    #[test]
    fn values_grow_and_are_never_zero() {
        assert_eq!(next(Some(7), 100), 8);
        assert_eq!(next(None, 100), 100);
        assert_eq!(next(Some(u32::MAX), 100), 1);
        assert_eq!(next(None, 0), 1);
    }
}
