//! The fields of a line of Dovecot's auth protocol.
//!
//! A line is a list of fields with TABs between them. NUL, 0x01, TAB, CR and LF in a field are written as the byte 0x01
//! and one of `0`, `1`, `t`, `r`, `n`; all other bytes stand for themselves. Fields may be empty and mean nothing then.

/// What begins an escape sequence.
const ESCAPE: u8 = 1;

/// The fields of a line, without the empty ones, as they were before they were escaped.
pub(crate) fn split(line: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    line.split(|byte| *byte == b'\t').filter(|field| !field.is_empty()).map(unescape)
}

/// Adds a TAB and a field to a line.
pub(crate) fn push(line: &mut Vec<u8>, field: &[u8]) {
    line.push(b'\t');
    for byte in field {
        match byte {
            0 => line.extend([ESCAPE, b'0']),
            1 => line.extend([ESCAPE, b'1']),
            b'\t' => line.extend([ESCAPE, b't']),
            b'\r' => line.extend([ESCAPE, b'r']),
            b'\n' => line.extend([ESCAPE, b'n']),
            other => line.push(*other),
        }
    }
}

/// The field that was escaped. A sequence that has no meaning stands for its second byte, as the server reads it.
pub(crate) fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut bytes = field.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != ESCAPE {
            plain.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'0') => plain.push(0),
            Some(b'1') => plain.push(1),
            Some(b't') => plain.push(b'\t'),
            Some(b'r') => plain.push(b'\r'),
            Some(b'n') => plain.push(b'\n'),
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn empty_fields_mean_nothing() {
        let fields: Vec<_> = split(b"USER\t\t7\tjoe\t").collect();
        assert_eq!(fields, [b"USER".to_vec(), b"7".to_vec(), b"joe".to_vec()]);
        assert_eq!(split(b"").count(), 0);
    }

    #[test]
    fn escapes_are_read() {
        assert_eq!(unescape(b"x=a\x011b\x010\x01t\x01r\x01n"), b"x=a\x01b\0\t\r\n");
        assert_eq!(unescape(b"odd \x01x and cut off \x01"), b"odd x and cut off ");
        assert_eq!(unescape(b"\\t stays"), b"\\t stays");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(fields in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..6)) {
            let mut line = b"WORD".to_vec();
            for field in &fields {
                push(&mut line, field);
            }
            prop_assert!(!line.contains(&b'\n') && !line.contains(&b'\r') && !line.contains(&0));
            let read: Vec<_> = split(&line).skip(1).collect();
            prop_assert_eq!(read, fields);
        }

        #[test]
        fn no_bytes_are_too_much(line in prop::collection::vec(prop::sample::select(b"\x01\tabc\xff".to_vec()), 0..40)) {
            prop_assert!(split(&line).map(|field| field.len()).sum::<usize>() <= line.len());
        }
    }
}
