//! The keywords of an mbox file, each once.

use std::collections::HashMap;

use dsync_core::model::{Keyword, Keywords};

use super::header::is_keyword_name;

/// So many sets are remembered, and so many problems told one by one.
const MOST_SETS: usize = 4096;
const LARGEST_SET: usize = 100;
const MOST_PROBLEMS: usize = 20;

/// Gives names their spelling, and lets messages with the same names share a set.
#[derive(Debug, Default)]
pub(super) struct KeywordTable {
    by_name: HashMap<Vec<u8>, Option<Keyword>>,
    sets: HashMap<Vec<Vec<u8>>, Keywords>,
    problems: Vec<String>,
    further_problems: usize,
}

impl KeywordTable {
    /// The names that the mailbox declares.
    pub(super) fn declare(&mut self, names: &[Vec<u8>]) {
        for name in names {
            self.spelling(name, true);
        }
    }

    /// The keywords of a message, whose names are in its header as they are.
    pub(super) fn set(&mut self, names: &[Vec<u8>]) -> Keywords {
        if names.is_empty() {
            return Keywords::none();
        }
        if let Some(set) = self.sets.get(names) {
            return set.clone();
        }
        let set: Keywords = names.iter().filter_map(|name| self.spelling(name, false)).collect();
        if names.len() <= LARGEST_SET {
            if self.sets.len() >= MOST_SETS {
                self.sets.clear();
            }
            self.sets.insert(names.to_vec(), set.clone());
        }
        set
    }

    pub(super) fn problems(mut self) -> Vec<String> {
        if self.further_problems > 0 {
            self.problems.push(format!("{} more keywords are not declared or not valid", self.further_problems));
        }
        self.problems
    }

    fn spelling(&mut self, name: &[u8], is_declaration: bool) -> Option<Keyword> {
        let key = name.to_ascii_lowercase();
        if let Some(known) = self.by_name.get(&key) {
            return known.clone();
        }
        let text = String::from_utf8_lossy(name);
        let keyword = if is_keyword_name(name) { Keyword::new(&text) } else { None };
        let short: String = text.chars().take(100).collect();
        match (&keyword, is_declaration) {
            (Some(_), true) => {}
            (Some(_), false) => self.problem(format!(
                "the keyword {short} is not declared in X-IMAPbase: a server would drop it, here it is kept"
            )),
            (None, _) => self.problem(format!("{short:?} is no valid keyword and is dropped")),
        }
        self.by_name.insert(key, keyword.clone());
        keyword
    }

    fn problem(&mut self, text: String) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(text);
        } else {
            self.further_problems += 1;
        }
    }
}
