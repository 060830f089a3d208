//! Keywords: the flags that users and programs name themselves.

use std::fmt;
use std::sync::Arc;

/// The name of a keyword, for example `$Forwarded` or `work`.
///
/// Not empty, no control character (bytes below 0x20 and 0x7f) and no LF, so that it fits one line of any file.
/// Two spellings that differ in case are two different `Keyword`s; whether a mailbox can hold both is for its
/// store to know ([`Keyword::same_name`]).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keyword(Arc<str>);

impl Keyword {
    /// A keyword, or `None` if `name` is empty or holds a control character.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let valid = !name.is_empty() && name.bytes().all(|byte| byte >= 0x20 && byte != 0x7f);
        valid.then(|| Self(name.into()))
    }

    /// The name as it was first spelled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a mailbox takes both for the same keyword: equal but for the case of ASCII letters.
    #[must_use]
    pub fn same_name(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyword({:?})", &*self.0)
    }
}

/// The keywords of one message: sorted, each once. Cheap to clone, so messages with the same set can share it.
///
/// ```
/// use dsync_core::model::{Keyword, Keywords};
/// let set: Keywords = ["b", "a", "b"].iter().filter_map(|name| Keyword::new(name)).collect();
/// assert_eq!(set.iter().map(Keyword::as_str).collect::<Vec<_>>(), ["a", "b"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
// Most messages have none, and there may be millions in memory.
pub struct Keywords(Option<Arc<Vec<Keyword>>>);

impl Keywords {
    /// The empty set.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// In byte order of their names.
    pub fn iter(&self) -> std::slice::Iter<'_, Keyword> {
        self.as_slice().iter()
    }

    fn as_slice(&self) -> &[Keyword] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    /// The keyword of the set that a mailbox takes for the same as `name`.
    #[must_use]
    pub fn spelling_of(&self, name: &str) -> Option<&Keyword> {
        self.iter().find(|keyword| keyword.same_name(name))
    }

    /// Whether both hold the same, but for the spelling.
    #[must_use]
    pub fn same_names(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|keyword| other.spelling_of(keyword.as_str()).is_some())
    }

    /// Whether `keyword` is in the set, by its exact spelling.
    #[must_use]
    pub fn contains(&self, keyword: &Keyword) -> bool {
        self.as_slice().binary_search(keyword).is_ok()
    }
}

impl FromIterator<Keyword> for Keywords {
    fn from_iter<I: IntoIterator<Item = Keyword>>(keywords: I) -> Self {
        let mut keywords: Vec<_> = keywords.into_iter().collect();
        keywords.sort();
        keywords.dedup();
        Self((!keywords.is_empty()).then(|| Arc::new(keywords)))
    }
}

impl<'a> IntoIterator for &'a Keywords {
    type Item = &'a Keyword;
    type IntoIter = std::slice::Iter<'a, Keyword>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
