//! What a list keeps of every message, in as few bytes as possible.

use std::collections::BTreeMap;

use crate::model::{Flags, MessageRecord, ModSeq, Timestamp, Uid};

/// The fields without room between them for their alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed)]
pub(super) struct Row {
    pub(super) guid: RowGuid,
    pub(super) uid: Option<Uid>,
    /// The low bits of these; all of them, unless the row is [wide](Marks::WIDE).
    modseq: u32,
    received: u32,
    saved: u32,
    marks: Marks,
}

/// A GUID. Arrays of bytes, because numbers would need more room for their alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowGuid {
    Short([u8; 16]),
    /// Where its text begins in the texts, and how long it is.
    Long([u8; 8], [u8; 8]),
}

/// The five flags in the low bits, and what else there is about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Marks(u8);

impl Marks {
    const HAS_MODSEQ: u8 = 0x20;
    const HAS_SAVED: u8 = 0x40;
    /// Not all of its numbers fit into 32 bits.
    const WIDE: u8 = 0x80;

    fn has(self, mark: u8) -> bool {
        self.0 & mark != 0
    }
}

/// What a row counts and when it was: the fields of it that are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) modseq: Option<ModSeq>,
    pub(super) received: Timestamp,
    pub(super) saved: Option<Timestamp>,
}

/// The numbers of wide rows, by row: dates before 1970 or after 2106, and modseqs that hardly any mailbox reaches.
pub(super) type WideRows = BTreeMap<usize, Numbers>;

impl Row {
    /// The row of `record` at a place of the list; what does not fit into it goes to the `wide` ones.
    pub(super) fn new(place: usize, guid: RowGuid, record: &MessageRecord, wide: &mut WideRows) -> Self {
        let numbers = Numbers { modseq: record.modseq, received: record.received, saved: record.saved };
        Self::of_numbers(place, (guid, record.uid, record.flags), numbers, wide)
    }

    fn of_numbers(
        place: usize,
        (guid, uid, flags): (RowGuid, Option<Uid>, Flags),
        numbers: Numbers,
        wide: &mut WideRows,
    ) -> Self {
        let mut marks = flags.bits();
        marks |= if numbers.modseq.is_some() { Marks::HAS_MODSEQ } else { 0 };
        marks |= if numbers.saved.is_some() { Marks::HAS_SAVED } else { 0 };
        let narrow = (
            u32::try_from(numbers.modseq.unwrap_or_default().get()),
            u32::try_from(numbers.received.seconds()),
            u32::try_from(numbers.saved.unwrap_or_default().seconds()),
        );
        let (Ok(modseq), Ok(received), Ok(saved)) = narrow else {
            wide.insert(place, numbers);
            return Self { guid, uid, modseq: 0, received: 0, saved: 0, marks: Marks(marks | Marks::WIDE) };
        };
        Self { guid, uid, modseq, received, saved, marks: Marks(marks) }
    }

    /// Gives the row, which is at this place of the list, another UID, and a modseq if it has none.
    pub(super) fn decide(&mut self, place: usize, uid: Uid, modseq: ModSeq, wide: &mut WideRows) {
        let mut numbers = self.numbers(place, wide);
        numbers.modseq = numbers.modseq.or(Some(modseq));
        *self = Self::of_numbers(place, (self.guid, Some(uid), self.flags()), numbers, wide);
    }

    pub(super) fn has_saved(self) -> bool {
        self.marks.has(Marks::HAS_SAVED)
    }

    /// Gives the row, which is at this place of the list, a date of saving if it has none.
    pub(super) fn save_by_default(&mut self, place: usize, saved: Timestamp, wide: &mut WideRows) {
        if !self.has_saved() {
            let numbers = Numbers { saved: Some(saved), ..self.numbers(place, wide) };
            *self = Self::of_numbers(place, (self.guid, self.uid, self.flags()), numbers, wide);
        }
    }

    pub(super) fn flags(self) -> Flags {
        Flags::from_bits(self.marks.0)
    }

    /// The numbers of the row, which is at this place of the list.
    pub(super) fn numbers(self, place: usize, wide: &WideRows) -> Numbers {
        if self.marks.has(Marks::WIDE)
            && let Some(numbers) = wide.get(&place)
        {
            return *numbers;
        }
        Numbers {
            modseq: self.marks.has(Marks::HAS_MODSEQ).then_some(ModSeq(self.modseq.into())),
            received: Timestamp(self.received.into()),
            saved: self.marks.has(Marks::HAS_SAVED).then_some(Timestamp(self.saved.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_takes_little_memory() {
        assert_eq!(size_of::<Row>(), 34);
    }
}
