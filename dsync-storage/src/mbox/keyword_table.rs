//! The keywords of an mbox file, each once.

use std::collections::HashMap;

use dsync_core::model::{Keyword, Keywords};

use super::header::is_keyword_name;

/// So many sets are remembered.
const MOST_SETS: usize = 4096;
const LARGEST_SET: usize = 100;

/// Gives names their spelling, and lets messages with the same names share a set.
#[derive(Debug, Default)]
pub(super) struct KeywordTable {
    by_name: HashMap<Vec<u8>, Option<Keyword>>,
    sets: HashMap<Vec<Vec<u8>>, Keywords>,
}

impl KeywordTable {
    /// The names that the mailbox declares.
    pub(super) fn declare(&mut self, names: &[Vec<u8>]) {
        for name in names {
            self.spelling(name);
        }
    }

    /// The keywords of a message, whose names are in its header as they are. Those that the mailbox does not declare are kept,
    /// where a server would drop them; those that are none are dropped.
    pub(super) fn set(&mut self, names: &[Vec<u8>]) -> Keywords {
        if names.is_empty() {
            return Keywords::none();
        }
        if let Some(set) = self.sets.get(names) {
            return set.clone();
        }
        let set: Keywords = names.iter().filter_map(|name| self.spelling(name)).collect();
        if names.len() <= LARGEST_SET {
            if self.sets.len() >= MOST_SETS {
                self.sets.clear();
            }
            self.sets.insert(names.to_vec(), set.clone());
        }
        set
    }

    fn spelling(&mut self, name: &[u8]) -> Option<Keyword> {
        let key = name.to_ascii_lowercase();
        if let Some(known) = self.by_name.get(&key) {
            return known.clone();
        }
        let text = String::from_utf8_lossy(name);
        let keyword = if is_keyword_name(name) { Keyword::new(&text) } else { None };
        self.by_name.insert(key, keyword.clone());
        keyword
    }
}
