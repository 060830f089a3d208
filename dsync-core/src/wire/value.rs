//! Values of rows: how they are escaped, and lists within them.

/// Stands for a value that is not there.
pub(super) const NULL: u8 = 0x02;
const ESCAPE: u8 = 0x01;

/// Writes bytes so that neither TAB nor LF nor CR nor NUL is in them.
pub(super) fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        let letter = match byte {
            0 => b'0',
            &ESCAPE => b'1',
            b'\t' => b't',
            b'\n' => b'n',
            b'\r' => b'r',
            _ => {
                out.push(*byte);
                continue;
            }
        };
        out.extend([ESCAPE, letter]);
    }
}

/// Undoes [`escape`]. An unknown escape stands for its letter; one that is cut off at the end is dropped, as servers do.
pub(super) fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut bytes = bytes.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != ESCAPE {
            plain.push(byte);
            continue;
        }
        plain.extend(bytes.next().map(|letter| match letter {
            b'0' => 0,
            b'1' => ESCAPE,
            b't' => b'\t',
            b'n' => b'\n',
            b'r' => b'\r',
            other => other,
        }));
    }
    plain
}

/// A value as it stands between the TABs of a row.
pub(super) fn decode(field: &[u8]) -> Option<Vec<u8>> {
    let mut plain = unescape(field);
    match plain.as_slice() {
        [NULL] => None,
        [NULL, ..] => {
            plain.remove(0);
            Some(plain)
        }
        _ => Some(plain),
    }
}

/// Writes a value as it stands between the TABs of a row.
pub(super) fn encode(value: Option<&[u8]>, out: &mut Vec<u8>) {
    match value {
        None => out.push(NULL),
        Some(value) => {
            if value.first() == Some(&NULL) {
                out.push(NULL);
            }
            escape(value, out);
        }
    }
}

/// The elements of a list within a value, which are escaped once more and separated by TABs. An empty value is an empty list.
pub(super) fn split_list(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let is_empty = value.is_empty();
    value.split(|byte| *byte == b'\t').filter(move |_| !is_empty).map(unescape)
}

/// The other way round.
pub(super) fn join_list<'a>(elements: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut value = Vec::new();
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            value.push(b'\t');
        }
        escape(element, &mut value);
    }
    value
}

/// The beginning of a value for messages to people.
pub(super) fn shown(value: &[u8]) -> String {
    const MOST: usize = 60;
    let start = value.get(..MOST).unwrap_or(value);
    let more = if start.len() < value.len() { "..." } else { "" };
    format!("\"{}{more}\"", start.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_empty_and_odd_values_are_told_apart() {
        for (value, wire) in [
            (None, &b"\x02"[..]),
            (Some(&b""[..]), b""),
            (Some(b"\x02"), b"\x02\x02"),
            (Some(b"a\tb\nc\rd\x01e\0\x02"), b"a\x01tb\x01nc\x01rd\x011e\x010\x02"),
        ] {
            let mut out = Vec::new();
            encode(value, &mut out);
            assert_eq!(out, wire);
            assert_eq!(decode(wire).as_deref(), value);
        }
        assert_eq!(decode(b"a\x01xb\x01").as_deref(), Some(&b"axb"[..]));
    }

    #[test]
    fn lists_are_escaped_twice() {
        let elements: [&[u8]; 3] = [b"a\tb", b"", b"c"];
        let value = join_list(elements);
        assert_eq!(value, b"a\x01tb\t\tc");
        assert!(split_list(&value).eq(elements.map(<[u8]>::to_vec)));
        assert_eq!(split_list(b"").count(), 0);
    }
}
