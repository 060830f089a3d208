//! The keywords of the rows of a list.

use std::collections::HashMap;

use crate::model::Keywords;

/// The keywords of the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeywordColumn {
    /// Each set once, but for the empty one.
    pub(super) sets: Vec<Keywords>,
    places: HashMap<Keywords, u32>,
    /// The set of each row, counted from 1; 0 for the empty one. Ends with the last row that has keywords.
    numbers: Vec<u32>,
}

impl KeywordColumn {
    /// Sets those of a row that comes after all others with keywords.
    pub(super) fn set(&mut self, index: usize, keywords: &Keywords) {
        if keywords.is_empty() {
            return;
        }
        let number = self.number_of(keywords);
        self.numbers.resize(index, 0);
        self.numbers.push(number);
    }

    /// Sets those of any row.
    pub(super) fn replace(&mut self, index: usize, keywords: &Keywords) {
        if index >= self.numbers.len() {
            return self.set(index, keywords);
        }
        let number = if keywords.is_empty() { 0 } else { self.number_of(keywords) };
        self.numbers[index] = number;
        while self.numbers.last() == Some(&0) {
            self.numbers.pop();
        }
    }

    /// The number of a set, which gets one if it has none.
    fn number_of(&mut self, keywords: &Keywords) -> u32 {
        if let Some(number) = self.places.get(keywords) {
            return *number;
        }
        self.sets.push(keywords.clone());
        // There are no more sets than messages, and a mailbox has less than 2^32 of those.
        let number = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        self.places.insert(keywords.clone(), number);
        number
    }

    pub(super) fn at(&self, index: usize) -> Keywords {
        let number = self.numbers.get(index).and_then(|number| number.checked_sub(1));
        let set = number.and_then(|number| self.sets.get(usize::try_from(number).ok()?));
        set.cloned().unwrap_or_default()
    }
}
