//! The name of a mailbox as clients see it.

use std::fmt;

/// The visible name of a mailbox as its hierarchy parts, without any separator character: `["Work", "Reports"]`.
///
/// At least one part, no part empty, no part with a NUL. A first part that is `INBOX` in any case is upper-cased,
/// because all of IMAP takes these spellings for one. Whether a store can hold the name is for the store to say.
///
/// Ordered byte-wise part by part, so that a parent sorts before its children and siblings are in byte order.
///
/// ```
/// use dsync_core::model::MailboxName;
/// let name = MailboxName::new(["inbox", "Spam"]).unwrap();
/// assert_eq!(name.to_string(), "INBOX/Spam");
/// assert_eq!(name.parent(), Some(MailboxName::inbox()));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Vec<String>);

impl MailboxName {
    /// More levels than this have no sense, and no server can hold them.
    pub const MOST_LEVELS: usize = 250;

    /// A name of the given parts, or `None` if there is none, one is empty, one holds a NUL, or there are more than
    /// [`MOST_LEVELS`](Self::MOST_LEVELS).
    pub fn new<I, S>(parts: I) -> Option<Self>
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let mut parts: Vec<String> = parts.into_iter().map(Into::into).collect();
        if parts.len() > Self::MOST_LEVELS {
            return None;
        }
        if parts.iter().any(|part| part.is_empty() || part.contains('\0')) {
            return None;
        }
        let first = parts.first_mut()?;
        if first.eq_ignore_ascii_case("INBOX") {
            first.make_ascii_uppercase();
        }
        Some(Self(parts))
    }

    /// Splits `name` at `separator`; `None` if a part is empty or holds a NUL.
    #[must_use]
    pub fn parse(name: &str, separator: char) -> Option<Self> {
        Self::new(name.split(separator))
    }

    /// The name `INBOX`.
    #[must_use]
    pub fn inbox() -> Self {
        Self(vec!["INBOX".to_owned()])
    }

    /// Whether this is the INBOX itself, not one of its children.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        matches!(&*self.0, [only] if only == "INBOX")
    }

    /// The hierarchy parts from the top; never empty.
    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.0
    }

    /// The name one level up, `None` at the top.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        match &*self.0 {
            [] | [_] => None,
            [parent @ .., _] => Some(Self(parent.to_vec())),
        }
    }

    /// Whether this name lies anywhere below `ancestor`.
    #[must_use]
    pub fn is_below(&self, ancestor: &Self) -> bool {
        self.0.len() > ancestor.0.len() && self.0.starts_with(&ancestor.0)
    }

    /// This name with its leading `from` replaced by `to`, if it is `from` or lies below it.
    #[must_use]
    pub fn moved(&self, from: &Self, to: &Self) -> Option<Self> {
        let rest = self.0.strip_prefix(&*from.0)?;
        Self::new(to.0.iter().chain(rest).cloned())
    }

    /// The parts joined by `separator`; ambiguous if a part holds that character.
    #[must_use]
    pub fn join(&self, separator: char) -> String {
        let mut joined = String::new();
        for (index, part) in self.0.iter().enumerate() {
            if index > 0 {
                joined.push(separator);
            }
            joined.push_str(part);
        }
        joined
    }
}

impl fmt::Display for MailboxName {
    /// The parts joined by `/`, for messages to people; control characters are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::escape::write_escaped(f, &self.join('/'))
    }
}

impl fmt::Debug for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailboxName({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inbox_is_one_name_in_any_case_but_only_at_the_top() {
        assert_eq!(MailboxName::parse("InBoX", '/'), Some(MailboxName::inbox()));
        assert_eq!(MailboxName::parse("low/inbox", '/').unwrap().to_string(), "low/inbox");
    }

    #[test]
    fn empty_parts_are_refused() {
        assert_eq!(MailboxName::parse("", '/'), None);
        assert_eq!(MailboxName::parse("a//b", '/'), None);
        assert_eq!(MailboxName::new(Vec::<String>::new()), None);
    }

    #[test]
    fn moving_a_parent_moves_its_children() {
        let name = MailboxName::parse("a/b/c", '/').unwrap();
        let from = MailboxName::parse("a/b", '/').unwrap();
        let to = MailboxName::parse("x", '/').unwrap();
        assert_eq!(name.moved(&from, &to).unwrap().to_string(), "x/c");
        assert_eq!(to.moved(&from, &to), None);
        assert!(name.is_below(&from) && !from.is_below(&from));
    }
}
