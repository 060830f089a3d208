//! Modified UTF-7 (RFC 3501, 5.1.3): mailbox names as ASCII.
//!
//! Printable ASCII stands for itself, `&` is `&-`, and every run of anything else is `&`, its UTF-16BE in base64 with
//! `,` instead of `/` and without padding, `-`.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use base64::Engine;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        // Servers accept left-over bits that are not zero.
        .with_decode_allow_trailing_bits(true),
);

/// Encodes a name.
///
/// ```
/// use dsync_storage::list::mutf7::encode;
/// assert_eq!(encode("Tom & Größe"), "Tom &- Gr&APYA3w-e");
/// ```
#[must_use]
pub fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        if is_direct(first) {
            encoded.push(first);
            if first == '&' {
                encoded.push('-');
            }
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        }
        let end = rest.find(is_direct).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        let units: Vec<u8> = run.encode_utf16().flat_map(u16::to_be_bytes).collect();
        encoded.push('&');
        BASE64.encode_string(units, &mut encoded);
        encoded.push('-');
        rest = after;
    }
    encoded
}

/// Decodes a name; `None` if it is not valid.
#[must_use]
pub fn decode(encoded: &[u8]) -> Option<String> {
    let mut name = String::with_capacity(encoded.len());
    let mut rest = encoded;
    let mut after_run = false;
    while let Some((&first, tail)) = rest.split_first() {
        if !(0x20..0x7f).contains(&first) {
            return None;
        }
        if first != b'&' {
            name.push(char::from(first));
            rest = tail;
            after_run = false;
            continue;
        }
        let end = tail.iter().position(|byte| *byte == b'-')?;
        let (run, after) = tail.split_at(end);
        rest = after.strip_prefix(b"-")?;
        if run.is_empty() {
            name.push('&');
            after_run = false;
            continue;
        }
        // Two runs in a row would be a second spelling of one.
        if after_run {
            return None;
        }
        decode_run(run, &mut name)?;
        after_run = true;
    }
    Some(name)
}

fn decode_run(run: &[u8], name: &mut String) -> Option<()> {
    let bytes = BASE64.decode(run).ok()?;
    let pairs = bytes.chunks_exact(2);
    if bytes.is_empty() || !pairs.remainder().is_empty() {
        return None;
    }
    let units = pairs.filter_map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)));
    for character in char::decode_utf16(units) {
        let character = character.ok()?;
        if is_direct(character) || character == '\0' {
            return None;
        }
        name.push(character);
    }
    Some(())
}

fn is_direct(character: char) -> bool {
    (' '..='~').contains(&character)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn examples() {
        for (name, encoded) in [
            ("plain", "plain"),
            ("ä", "&AOQ-"),
            ("äö", "&AOQA9g-"),
            ("日本語", "&ZeVnLIqe-"),
            ("😀", "&2D3eAA-"),
            ("a&b", "a&-b"),
            ("\u{7f}", "&AH8-"),
            ("\u{feff}", "&,v8-"),
            ("a\tb", "a&AAk-b"),
        ] {
            assert_eq!(encode(name), encoded);
            assert_eq!(decode(encoded.as_bytes()).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_is_invalid_is_refused() {
        for encoded in [
            "&AOQ",
            "&",
            "&AOQ*-",
            "&AOQA9-",
            "&AO-",
            "&AOQ-&APY-",
            "&2D0-",
            "&3gDYPQ-",
            "&AAA-",
            "&AGE-",
            "&AOQ=-",
            "a\tb",
            "\u{e4}",
        ] {
            assert_eq!(decode(encoded.as_bytes()), None, "{encoded}");
        }
    }

    #[test]
    fn left_over_bits_are_tolerated() {
        assert_eq!(decode(b"&AOR-").as_deref(), Some("ä"));
    }

    proptest! {
        #[test]
        fn every_name_survives(name in "[^\0]{0,20}") {
            prop_assert_eq!(decode(encode(&name).as_bytes()), Some(name));
        }

        #[test]
        fn any_bytes_can_be_decoded(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(&bytes);
        }
    }
}
