//! `dovecot-keywords`: which letter in file names stands for which keyword.
//!
//! ```text
//! 0 $Forwarded        letter a
//! 1 work              letter b
//! 25 rarely used      letter z; names may hold spaces
//! ```
//!
//! One line for each used slot, in slot order. Names compare without regard to case; a slot is never freed. The 27th
//! keyword of a mailbox has no letter and lives in the index only. Source: observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::fmt::Write;

use dsync_core::model::Keyword;

use super::file_name::SLOTS;

/// Name of the file.
pub const FILE_NAME: &str = "dovecot-keywords";

/// The keywords that have letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeywordSlots {
    /// By slot.
    names: [Option<Keyword>; SLOTS as usize],
}

impl KeywordSlots {
    /// Reads the file. A line that is not understood is skipped, as servers do; of two for one slot the last counts.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        let mut slots = Self::default();
        // What follows the last LF is unfinished.
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end);
        for line in bytes.get(..complete).unwrap_or_default().split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let Some((slot, name)) = decode_line(line) else { continue };
            let taken = slots.slot_of(name.as_str()).is_some_and(|other| other != slot);
            if let Some(place) = slots.names.get_mut(usize::from(slot))
                && !taken
            {
                *place = Some(name);
            }
        }
        slots
    }

    /// The file with these keywords.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = String::new();
        for (slot, name) in self.names.iter().enumerate() {
            if let Some(name) = name {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{slot} {name}");
            }
        }
        text.into_bytes()
    }

    /// The keyword of a slot; a letter without a name is called `unknown-<slot>`, as servers do.
    #[must_use]
    pub fn name(&self, slot: u8) -> Option<Keyword> {
        let place = self.names.get(usize::from(slot))?;
        place.clone().or_else(|| {
            let mut name = format!("unknown-{slot}");
            while self.slot_of(&name).is_some() {
                name.push('?');
            }
            Keyword::new(&name)
        })
    }

    /// The slot of a keyword.
    #[must_use]
    pub fn slot_of(&self, name: &str) -> Option<u8> {
        let found = self.names.iter().position(|place| place.as_ref().is_some_and(|known| known.same_name(name)))?;
        u8::try_from(found).ok()
    }

    /// The slot of a keyword, giving it the first free one if it has none; `None` if all are taken.
    pub fn slot_for(&mut self, keyword: &Keyword) -> Option<u8> {
        if let Some(slot) = self.slot_of(keyword.as_str()) {
            return Some(slot);
        }
        let (slot, place) = self.names.iter_mut().enumerate().find(|(_, place)| place.is_none())?;
        *place = Some(keyword.clone());
        u8::try_from(slot).ok()
    }
}

fn decode_line(line: &[u8]) -> Option<(u8, Keyword)> {
    let (slot, name) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let slot = slot.parse().ok().filter(|slot| *slot < SLOTS)?;
    Some((slot, Keyword::new(name)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(slots: &KeywordSlots, slot: u8) -> String {
        slots.name(slot).unwrap().to_string()
    }

    #[test]
    fn odd_lines_are_skipped() {
        let slots = KeywordSlots::decode(
            b"0 $Forwarded\n1 Kw-B\r\nnospace\n26 late\nx y\n3 \n4 KW-b\n5  lead\n5 twice\n6 cut",
        );
        assert_eq!(name(&slots, 0), "$Forwarded");
        assert_eq!(name(&slots, 1), "Kw-B");
        assert_eq!(name(&slots, 4), "unknown-4");
        assert_eq!(name(&slots, 5), "twice");
        assert_eq!(name(&slots, 6), "unknown-6");
        assert_eq!(slots.slot_of("kw-b"), Some(1));
        assert_eq!(slots.name(26), None);
    }

    #[test]
    fn new_keywords_get_the_first_free_slot_until_there_is_none() {
        let mut slots = KeywordSlots::decode(b"1 b\n");
        let keyword = |text: &str| Keyword::new(text).unwrap();
        assert_eq!(slots.slot_for(&keyword("B")), Some(1));
        assert_eq!(slots.slot_for(&keyword("a")), Some(0));
        for number in 2..26 {
            assert_eq!(slots.slot_for(&keyword(&format!("k{number}"))), Some(number));
        }
        assert_eq!(slots.slot_for(&keyword("one too many")), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(names in prop::collection::vec("[a-z $]{1,9}", 0..30)) {
            let mut slots = KeywordSlots::default();
            for name in &names {
                slots.slot_for(&Keyword::new(name).unwrap());
            }
            prop_assert_eq!(KeywordSlots::decode(&slots.encode()), slots);
        }

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let slots = KeywordSlots::decode(&bytes);
            prop_assert_eq!(KeywordSlots::decode(&slots.encode()), slots);
        }
    }
}
