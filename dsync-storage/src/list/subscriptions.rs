//! The subscriptions file.
//!
//! ```text
//! V TAB 2 LF LF                 version 2: exactly these five bytes
//! Work TAB Reports LF           one name a line, its parts separated by TAB and escaped
//! ```
//!
//! Version 1 has no header and one name a line with the separator of the layout inside. A file keeps its version. Parts
//! are spelled as on disk (modified UTF-7). Names without a mailbox are kept. Source: observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

const HEADER: &[u8] = b"V\t2\n\n";

/// A subscriptions file: its lines, in order, exactly as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriptions {
    version: Version,
    lines: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// The separator of the layout.
    One(u8),
    Two,
}

impl Subscriptions {
    /// The content of a file that does not exist yet: version 2, no names.
    #[must_use]
    pub fn new() -> Self {
        Self { version: Version::Two, lines: Vec::new() }
    }

    /// Reads a file. `separator` is that of the layout. A last line without LF, which servers lose, is accepted.
    #[must_use]
    pub fn decode(bytes: &[u8], separator: u8) -> Self {
        let (version, body) = match bytes.strip_prefix(HEADER) {
            Some(body) => (Version::Two, body),
            None => (Version::One(separator), bytes),
        };
        let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
        let mut lines: Vec<_> = lines.collect();
        // What follows the last LF is no line if it is empty.
        if lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        Self { version, lines }
    }

    /// The bytes of the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = match self.version {
            Version::Two => HEADER.to_vec(),
            Version::One(_) => Vec::new(),
        };
        for line in &self.lines {
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
        }
        bytes
    }

    /// The names, as the parts that are stored. Lines that are no name are left out.
    pub fn names(&self) -> impl Iterator<Item = Vec<Vec<u8>>> {
        self.lines.iter().filter_map(|line| self.parts(line))
    }

    /// Adds or removes a name given by its stored parts; the other lines stay as they are. Whether anything changed.
    pub fn set(&mut self, parts: &[&[u8]], subscribed: bool) -> bool {
        let matches: Vec<bool> = self.lines.iter().map(|line| self.is_name(line, parts)).collect();
        let present = matches.contains(&true);
        if present == subscribed {
            return false;
        }
        if subscribed {
            self.lines.push(self.line(parts));
        } else {
            let mut matches = matches.into_iter();
            self.lines.retain(|_| !matches.next().unwrap_or(false));
        }
        true
    }

    fn is_name(&self, line: &[u8], parts: &[&[u8]]) -> bool {
        self.parts(line).is_some_and(|found| {
            let inbox = |first: &[u8]| first.eq_ignore_ascii_case(b"INBOX");
            found.len() == parts.len()
                && found
                    .iter()
                    .zip(parts)
                    .enumerate()
                    .all(|(level, (found, part))| found == part || level == 0 && inbox(found) && inbox(part))
        })
    }

    fn parts(&self, line: &[u8]) -> Option<Vec<Vec<u8>>> {
        if line.is_empty() {
            return None;
        }
        Some(match self.version {
            Version::Two => line.split(|byte| *byte == b'\t').map(unescape).collect(),
            Version::One(separator) => line.split(|byte| *byte == separator).map(<[u8]>::to_vec).collect(),
        })
    }

    fn line(&self, parts: &[&[u8]]) -> Vec<u8> {
        match self.version {
            Version::Two => parts.iter().map(|part| escape(part)).collect::<Vec<_>>().join(&b'\t'),
            Version::One(separator) => parts.join(&separator),
        }
    }
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self::new()
    }
}

const ESCAPES: [(u8, u8); 5] = [(0, b'0'), (1, b'1'), (b'\t', b't'), (b'\n', b'n'), (b'\r', b'r')];

fn escape(part: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(part.len());
    for byte in part {
        match ESCAPES.iter().find(|(plain, _)| plain == byte) {
            Some((_, code)) => escaped.extend([1, *code]),
            None => escaped.push(*byte),
        }
    }
    escaped
}

fn unescape(part: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(part.len());
    let mut bytes = part.iter();
    while let Some(byte) = bytes.next() {
        if *byte != 1 {
            plain.push(*byte);
        } else if let Some(code) = bytes.next() {
            plain.push(ESCAPES.iter().find(|(_, known)| known == code).map_or(*code, |(plain, _)| *plain));
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(subscriptions: &Subscriptions) -> Vec<String> {
        let joined = subscriptions.names().map(|parts| parts.join(&b'/'));
        joined.map(|name| String::from_utf8_lossy(&name).into_owned()).collect()
    }

    #[test]
    fn version_2_is_read_and_extended() {
        let mut file = Subscriptions::decode(b"V\t2\n\nfoo\nfoo\tbar\n&ANw-n\nlost", b'.');
        assert_eq!(names(&file), ["foo", "foo/bar", "&ANw-n", "lost"]);
        assert!(file.set(&[b"new", b"a\tb"], true));
        assert!(!file.set(&[b"foo"], true));
        assert!(file.set(&[b"foo", b"bar"], false));
        assert_eq!(file.encode(), b"V\t2\n\nfoo\n&ANw-n\nlost\nnew\ta\x01tb\n");
        assert_eq!(names(&file)[3], "new/a\tb");
    }

    #[test]
    fn version_1_stays_version_1() {
        for bytes in [&b"foo.bar\n"[..], b"V\t3\n\nfoo.bar\n"] {
            let mut file = Subscriptions::decode(bytes, b'.');
            assert!(file.set(&[b"x", b"y"], true));
            assert_eq!(file.encode(), [bytes, b"x.y\n"].concat());
        }
        let mut empty = Subscriptions::decode(b"", b'/');
        empty.set(&[b"x", b"y"], true);
        assert_eq!(empty.encode(), b"x/y\n");
    }

    #[test]
    fn inbox_is_one_name_in_any_case() {
        let mut file = Subscriptions::decode(b"inbox\n", b'.');
        assert!(!file.set(&[b"INBOX"], true));
        assert!(file.set(&[b"INBOX"], false));
        assert_eq!(file.encode(), b"");
    }

    proptest! {
        #[test]
        fn foreign_lines_survive(text in "(V\t2\n\n)?([a-z.\t]{0,5}\n){0,6}") {
            let file = Subscriptions::decode(text.as_bytes(), b'.');
            prop_assert_eq!(file.encode(), text.as_bytes());
        }

        #[test]
        fn any_part_survives_version_2(part in prop::collection::vec(any::<u8>(), 1..9)) {
            let mut file = Subscriptions::new();
            file.set(&[&part, b"x"], true);
            let read = Subscriptions::decode(&file.encode(), b'.');
            let expected: Vec<Vec<Vec<u8>>> = vec![vec![part, b"x".to_vec()]];
            prop_assert_eq!(read.names().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let file = Subscriptions::decode(&bytes, b'.');
            let again = Subscriptions::decode(&file.encode(), b'.');
            prop_assert_eq!(file.names().collect::<Vec<_>>(), again.names().collect::<Vec<_>>());
        }
    }
}
