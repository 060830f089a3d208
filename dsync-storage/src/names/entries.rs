//! The file that remembers which stored name stands for which original one.
//!
//! ```text
//! # comment
//! <GUID> TAB <stored name> TAB <original name> LF
//! ```
//!
//! The GUID is that of the mailbox, 32 hexadecimal digits, or `-` where there is no mailbox. Levels of names are separated by
//! `/`; in a level `%`, `/` and control characters are written as `%` and two hexadecimal digits for each byte, all else
//! as UTF-8. Lines that are anything else are ignored. Of two lines that contradict each other the later counts.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::fmt::Write;

use dsync_core::model::{MailboxGuid, MailboxName};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The mailbox; `None` for a level, or a subscription, without one.
    pub guid: Option<MailboxGuid>,
    /// What it is called in the store.
    pub stored: MailboxName,
    /// What it is called everywhere else.
    pub original: MailboxName,
}

const HEADER: &str = "# Mailboxes whose names cannot be held here, by dsync: GUID, name here, name elsewhere\n";

/// The bytes of the file.
#[must_use]
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut text = HEADER.to_owned();
    for Entry { guid, stored, original } in entries {
        let guid = guid.map_or_else(|| "-".to_owned(), |guid| guid.to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{guid}\t{}\t{}", escape(stored), escape(original));
    }
    text.into_bytes()
}

/// The lines that can be understood, in their order.
#[must_use]
pub fn decode(bytes: &[u8]) -> Vec<Entry> {
    bytes.split(|byte| *byte == b'\n').filter_map(decode_line).collect()
}

/// Whether `new` says anything that `known` does not.
pub(super) fn is_news(known: &[Entry], new: &[Entry]) -> bool {
    let contradicts = |old: &Entry| new.iter().any(|new| new.is_about(old) && new.original != old.original);
    new.iter().any(|new| new.is_mapping() && !known.contains(new)) || known.iter().any(contradicts)
}

/// What the file says afterwards: what `stays` of it, and `new`.
pub(super) fn updated(entries: Vec<Entry>, new: &[Entry], stays: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    let is_kept = |old: &Entry| stays(old) && !new.iter().any(|new| new.is_about(old));
    let kept = entries.into_iter().filter(is_kept);
    kept.chain(new.iter().filter(|new| new.is_mapping()).cloned()).collect()
}

impl Entry {
    /// Whether the names differ. If not, there is nothing to remember.
    fn is_mapping(&self) -> bool {
        self.stored != self.original
    }

    /// Whether both are about the same thing at the same place.
    pub(super) fn is_about(&self, other: &Self) -> bool {
        self.guid == other.guid && self.stored == other.stored
    }
}

fn decode_line(line: &[u8]) -> Option<Entry> {
    let mut fields = line.split(|byte| *byte == b'\t');
    let guid = match fields.next()? {
        b"-" => None,
        digits => Some(MailboxGuid::from_hex(digits)?),
    };
    let (stored, original) = (unescape(fields.next()?)?, unescape(fields.next()?)?);
    // INBOX has the same name everywhere.
    let is_possible = fields.next().is_none() && !stored.is_inbox() && !original.is_inbox();
    is_possible.then_some(Entry { guid, stored, original })
}

fn escape(name: &MailboxName) -> String {
    let mut text = String::new();
    for (level, part) in name.parts().iter().enumerate() {
        if level > 0 {
            text.push('/');
        }
        for character in part.chars() {
            if matches!(character, '%' | '/') || character.is_control() {
                let mut bytes = [0; 4];
                for byte in character.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(text, "%{byte:02x}");
                }
            } else {
                text.push(character);
            }
        }
    }
    text
}

fn unescape(field: &[u8]) -> Option<MailboxName> {
    let parts = field.split(|byte| *byte == b'/').map(|part| {
        let mut plain = Vec::with_capacity(part.len());
        let mut bytes = part.iter();
        while let Some(byte) = bytes.next() {
            plain.push(match byte {
                b'%' => digit(*bytes.next()?)? << 4 | digit(*bytes.next()?)?,
                _ => *byte,
            });
        }
        String::from_utf8(plain).ok()
    });
    MailboxName::new(parts.collect::<Option<Vec<_>>>()?)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_readable() {
        let entry = Entry {
            guid: MailboxGuid::new([0xab; 16]),
            stored: MailboxName::new(["a_b", "größe"]).unwrap(),
            original: MailboxName::new(["a.b", "100%\t/é"]).unwrap(),
        };
        let text = String::from_utf8(encode(std::slice::from_ref(&entry))).unwrap();
        let line = text.lines().nth(1).unwrap();
        assert_eq!(line, "abababababababababababababababab\ta_b/größe\ta.b/100%25%09%2fé");
        assert_eq!(decode(text.as_bytes()), [entry]);
    }

    #[test]
    fn what_is_no_line_is_ignored() {
        let known = "-\ta_b\ta.b\n";
        for line in
            ["", "-\ta", "-\ta\tb\tc", "x\ta\tb", "-\t\tb", "-\ta//b\tc", "-\ta%4\tb", "-\ta%00\tb", "-\tINBOX\tb"]
        {
            assert_eq!(decode(format!("{line}\n{known}{line}").as_bytes()).len(), 1, "{line:?}");
        }
        assert_eq!(decode(b"-\t\xff\tb\n"), []);
    }

    proptest! {
        #[test]
        fn any_names_survive(
            stored in prop::collection::vec("[^\0]{1,6}", 1..4),
            original in prop::collection::vec("[^\0]{1,6}", 1..4),
            guid in any::<[u8; 16]>(),
        ) {
            let (stored, original) = (MailboxName::new(stored).unwrap(), MailboxName::new(original).unwrap());
            prop_assume!(!stored.is_inbox() && !original.is_inbox());
            let entries = [Entry { guid: MailboxGuid::new(guid), stored, original }];
            prop_assert_eq!(decode(&encode(&entries)), entries);
        }

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let entries = decode(&bytes);
            prop_assert_eq!(decode(&encode(&entries)), entries);
        }

        #[test]
        fn almost_a_file_can_be_read(text in "([-0a%/\t\n]|00000000000000000000000000000001){0,40}") {
            let entries = decode(text.as_bytes());
            prop_assert_eq!(decode(&encode(&entries)), entries);
        }
    }
}
