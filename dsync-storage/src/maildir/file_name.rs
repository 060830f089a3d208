//! Names of message files.
//!
//! ```text
//! 1600000001.M1P77.host.example,S=141,W=149:2,DFRSTab,second
//! └──────────────── base ─────────────────┘   └flags┘└ rest ┘
//!                               sizes
//! ```
//!
//! The base ends at the first `:`. Flags are read from what follows the **last** `:`, if that begins with `2,`; they
//! end at the next `,`. `D` `F` `R` `S` `T` are system flags, `a` to `z` the keywords of slots 0 to 25, anything else is
//! unknown and kept. Source of these rules: observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::cmp::Ordering;

use dsync_core::model::Flags;

/// How many keywords can have a letter.
pub const SLOTS: u8 = 26;

const FLAG_LETTERS: [(u8, Flags); 5] = [
    (b'D', Flags::DRAFT),
    (b'F', Flags::FLAGGED),
    (b'R', Flags::ANSWERED),
    (b'S', Flags::SEEN),
    (b'T', Flags::DELETED),
];

/// A set of keyword slots, as the bits 0 to 25.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SlotSet(u32);

impl SlotSet {
    /// Adds a slot. Those from 26 on have no letter and are ignored.
    pub fn insert(&mut self, slot: u8) {
        if slot < SLOTS {
            self.0 |= 1 << slot;
        }
    }

    /// Whether the slot is in the set.
    #[must_use]
    pub fn contains(self, slot: u8) -> bool {
        slot < SLOTS && self.0 & (1 << slot) != 0
    }

    /// The slots, ascending.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..SLOTS).filter(move |slot| self.contains(*slot))
    }
}

/// A parsed file name; borrows the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileName<'a> {
    name: &'a [u8],
    /// Up to the last `:` that flags follow, or all of the name.
    before_info: &'a [u8],
    /// The flag letters, empty if there are none.
    letters: &'a [u8],
    /// From the `,` after the flags on, or empty.
    rest: &'a [u8],
}

impl<'a> FileName<'a> {
    /// Takes a name apart. Every name can be.
    #[must_use]
    pub fn parse(name: &'a [u8]) -> Self {
        let none = Self { name, before_info: name, letters: &[], rest: &[] };
        let Some(colon) = name.iter().rposition(|byte| *byte == b':') else { return none };
        let (before_info, info) = name.split_at(colon);
        let Some(letters) = info.strip_prefix(b":2,") else { return Self { before_info, ..none } };
        let end = letters.iter().position(|byte| *byte == b',').unwrap_or(letters.len());
        let (letters, rest) = letters.split_at(end);
        Self { name, before_info, letters, rest }
    }

    /// What identifies the message: everything before the first `:`.
    #[must_use]
    pub fn base(&self) -> &'a [u8] {
        base_of(self.name)
    }

    /// The system flags.
    #[must_use]
    pub fn flags(&self) -> Flags {
        let mut flags = Flags::NONE;
        for (letter, flag) in FLAG_LETTERS {
            if self.letters.contains(&letter) {
                flags |= flag;
            }
        }
        flags
    }

    /// The keyword slots.
    #[must_use]
    pub fn slots(&self) -> SlotSet {
        let mut slots = SlotSet::default();
        for letter in self.letters.iter().filter(|letter| letter.is_ascii_lowercase()) {
            slots.insert(letter - b'a');
        }
        slots
    }

    /// The same name with other flags and keywords. Letters of unknown meaning and whatever follows the flags stay.
    #[must_use]
    pub fn with_flags(&self, flags: Flags, slots: SlotSet) -> Vec<u8> {
        let mut letters: Vec<u8> = self
            .letters
            .iter()
            .copied()
            .filter(|letter| !letter.is_ascii_lowercase() && !FLAG_LETTERS.iter().any(|(known, _)| known == letter))
            .collect();
        letters.extend(FLAG_LETTERS.iter().filter(|(_, flag)| flags.contains(*flag)).map(|(letter, _)| letter));
        letters.extend(slots.iter().map(|slot| b'a' + slot));
        letters.sort_unstable();
        letters.dedup();
        [self.before_info, b":2,", &letters, self.rest].concat()
    }

    /// The size in the name, as the message is stored (`,S=`).
    #[must_use]
    pub fn physical_size(&self) -> Option<u64> {
        size_field(self.name, b",S=")
    }

    /// The size in the name, with every line end as CRLF (`,W=`).
    #[must_use]
    pub fn virtual_size(&self) -> Option<u64> {
        size_field(self.name, b",W=")
    }
}

/// Everything before the first `:`.
#[must_use]
pub fn base_of(name: &[u8]) -> &[u8] {
    name.split(|byte| *byte == b':').next().unwrap_or_default()
}

/// The first occurrence counts, and only if nothing but digits stands between it and `,`, `:` or the end.
fn size_field(name: &[u8], key: &[u8]) -> Option<u64> {
    let start = name.windows(key.len()).position(|window| window == key)?.checked_add(key.len())?;
    let value = name.get(start..)?.split(|byte| matches!(byte, b',' | b':')).next()?;
    std::str::from_utf8(value).ok().filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

/// Whether a message with this GUID can be stored under the GUID itself as base name.
#[must_use]
pub fn can_be_base(guid: &[u8]) -> bool {
    // Room for ":2," and all letters there are.
    const LONGEST: usize = 255 - 3 - 31;
    // Spaces and control characters are allowed, because a GUID with one can be kept in no other place.
    let valid = |byte: &u8| !matches!(byte, 0 | b'\n' | b'\r' | b'/' | b':');
    !guid.is_empty() && guid.len() <= LONGEST && !guid.starts_with(b".") && guid.iter().all(valid)
}

/// Sorts base names into the order in which a server gives them UIDs: by the leading number, then by the number after
/// the first `M` in the part that follows it (if both have one), then by bytes.
///
/// A server subtracts the leading numbers in 32 bits. That, and comparing by `M` only some pairs, is no order in the
/// mathematical sense, which a sort of the standard library may answer with a panic. So the names are merged here;
/// for sets of names that do have an order the result is the same.
pub fn sort_for_uid_assignment(bases: &mut Vec<&[u8]>) {
    let mut merged = Vec::with_capacity(bases.len());
    let mut run = 1usize;
    while run < bases.len() {
        for pair in bases.chunks(run.saturating_mul(2)) {
            let (first, second) = pair.split_at(run.min(pair.len()));
            merge(first, second, &mut merged);
        }
        std::mem::swap(bases, &mut merged);
        merged.clear();
        run = run.saturating_mul(2);
    }
}

fn merge<'a>(first: &[&'a [u8]], second: &[&'a [u8]], merged: &mut Vec<&'a [u8]>) {
    let (mut first, mut second) = (first.iter().peekable(), second.iter().peekable());
    loop {
        let from_second = match (first.peek(), second.peek()) {
            (Some(a), Some(b)) => compare_for_uid_assignment(a, b).is_gt(),
            (None, Some(_)) => true,
            (_, None) => false,
        };
        match if from_second { second.next() } else { first.next() } {
            Some(base) => merged.push(base),
            None => return,
        }
    }
}

fn compare_for_uid_assignment(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (UidOrder::of(a), UidOrder::of(b));
    let distance = a.seconds.wrapping_sub(b.seconds).cast_signed();
    let by_micros = match (a.micros, b.micros) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => Ordering::Equal,
    };
    distance.cmp(&0).then(by_micros).then_with(|| a.rest.cmp(b.rest))
}

struct UidOrder<'a> {
    /// The leading number, in the 32 bits that count.
    seconds: u32,
    micros: Option<u64>,
    rest: &'a [u8],
}

impl<'a> UidOrder<'a> {
    fn of(base: &'a [u8]) -> Self {
        let base = base_of(base);
        let digits = base.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = base.split_at(digits);
        let seconds =
            number.iter().fold(0u32, |value, digit| value.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')));
        Self { seconds, micros: micros(digits, rest), rest }
    }
}

/// The number after the first `M` in the first dot-separated part after the leading number.
fn micros(digits: usize, rest: &[u8]) -> Option<u64> {
    let part = rest.strip_prefix(b".").filter(|_| digits > 0)?.split(|byte| matches!(byte, b'.' | b':')).next()?;
    let start = part.iter().position(|byte| *byte == b'M')?.checked_add(1)?;
    let digits: Vec<u8> = part.get(start..)?.iter().copied().take_while(u8::is_ascii_digit).collect();
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slots(letters: &str) -> SlotSet {
        let mut slots = SlotSet::default();
        letters.bytes().for_each(|letter| slots.insert(letter - b'a'));
        slots
    }

    #[test]
    fn a_full_name_is_taken_apart() {
        let name = FileName::parse(b"1600000001.M1P77.host.example,S=141,W=149:2,DFRSTab");
        assert_eq!(name.base(), b"1600000001.M1P77.host.example,S=141,W=149");
        assert_eq!((name.physical_size(), name.virtual_size()), (Some(141), Some(149)));
        assert_eq!((name.flags(), name.slots()), (Flags::ALL, slots("ab")));
    }

    #[test]
    fn setting_flags_changes_names_as_a_server_does() {
        for (before, after) in [
            ("a1:2,S,extra", "a1:2,FSb,extra"),
            ("a2:1,foo", "a2:2,Fb"),
            ("a3:1,x:2,F", "a3:1,x:2,Fb"),
            ("a4:", "a4:2,Fb"),
            ("a5:2", "a5:2,Fb"),
            ("a7:3,S", "a7:2,Fb"),
            ("a8:2,QSX", "a8:2,FQSXb"),
            ("b2:2,SS", "b2:2,FSb"),
            ("b3:2,P", "b3:2,FPb"),
            ("b4:2,ZS", "b4:2,FSZb"),
            ("b0;2,S", "b0;2,S:2,Fb"),
        ] {
            let name = FileName::parse(before.as_bytes());
            let mut letters = name.slots();
            letters.insert(1);
            let result = name.with_flags(name.flags() | Flags::FLAGGED, letters);
            assert_eq!(String::from_utf8_lossy(&result), after);
        }
    }

    #[test]
    fn only_proper_sizes_count() {
        for (name, size) in [
            ("a,S=5", Some(5)),
            ("a,S=5,W=7:2,S", Some(5)),
            ("a,S=abc", None),
            ("a,S=12x", None),
            ("a,S=,S=5", None),
            ("a,S=99999999999999999999999", None),
        ] {
            assert_eq!(FileName::parse(name.as_bytes()).physical_size(), size, "{name}");
        }
    }

    #[test]
    fn uids_are_given_in_the_order_of_a_server() {
        let expected = [
            "abc",
            "msg.5",
            "zzz",
            "0005.x",
            "99999999999.M1.h",
            "1600000004.12_3.h",
            "1600000005.P9M1Q3.h",
            "1600000005.M2P1.h",
            "1600000005.M10P1.h",
            "1600000005.R9.M7P1.h",
            "1600000006.M4.h",
            "1600000006.V1I2M000005.h,S=3",
            "2600000006.M4.h",
        ];
        let mut names: Vec<_> = expected.iter().rev().map(|name| name.as_bytes()).collect();
        sort_for_uid_assignment(&mut names);
        let names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        assert_eq!(names, expected);
    }

    proptest! {
        #[test]
        fn flags_survive_any_name(name in prop::collection::vec(any::<u8>(), 0..40), bits in 0u8..32, letters in "[a-z]{0,5}") {
            let slots = slots(&letters);
            let changed = FileName::parse(&name).with_flags(Flags::from_bits(bits), slots);
            let parsed = FileName::parse(&changed);
            prop_assert_eq!((parsed.flags(), parsed.slots()), (Flags::from_bits(bits), slots));
            prop_assert_eq!(parsed.with_flags(parsed.flags(), parsed.slots()), changed);
        }

        #[test]
        fn any_set_of_names_can_be_sorted(names in prop::collection::vec("[0-9]{0,12}[.M0-9a:]{0,8}", 0..40)) {
            let mut bases: Vec<_> = names.iter().map(String::as_bytes).collect();
            let mut before = bases.clone();
            sort_for_uid_assignment(&mut bases);
            let mut after = bases.clone();
            before.sort();
            after.sort();
            prop_assert_eq!(before, after);
        }
    }
}
