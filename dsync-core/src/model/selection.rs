//! Which mailboxes take part in a run.

use super::MailboxName;

/// A choice of mailboxes by their names.
///
/// ```
/// use dsync_core::model::{MailboxName, MailboxSelection};
/// let selection = MailboxSelection::matching("Lists/*");
/// let contains = |name| selection.contains(&MailboxName::parse(name, '/').unwrap());
/// assert!(contains("Lists/rust/users") && !contains("Lists"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MailboxSelection {
    /// All of them.
    #[default]
    All,
    /// Those whose name, its parts joined by `/`, matches a pattern: `*` stands for anything, `%` for anything within
    /// one level (RFC 3501, 6.3.8). INBOX is matched in any case.
    Matching(String),
}

impl MailboxSelection {
    /// The mailboxes that match `pattern`.
    #[must_use]
    pub fn matching(pattern: impl Into<String>) -> Self {
        Self::Matching(pattern.into())
    }

    /// Whether the mailbox takes part.
    #[must_use]
    pub fn contains(&self, name: &MailboxName) -> bool {
        match self {
            Self::All => true,
            Self::Matching(pattern) if name.is_inbox() => {
                pattern.eq_ignore_ascii_case("INBOX") || matches(pattern, "INBOX")
            }
            Self::Matching(pattern) => matches(pattern, &name.join('/')),
        }
    }
}

/// Without recursion, so that no pattern takes more than the product of both lengths.
fn matches(pattern: &str, name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    // For each length of the beginning of the name, whether the pattern so far matches it.
    let mut reachable = vec![false; name.len().saturating_add(1)];
    reachable[0] = true;
    for wanted in pattern.chars() {
        let mut next = vec![false; reachable.len()];
        for length in 0..reachable.len() {
            let read = length.checked_sub(1).and_then(|last| name.get(last));
            next[length] = match (wanted, read) {
                ('*', _) => reachable[length] || (length > 0 && next[length - 1]),
                ('%', _) => reachable[length] || (length > 0 && next[length - 1] && read != Some(&'/')),
                (wanted, Some(read)) => *read == wanted && reachable[length - 1],
                (_, None) => false,
            };
        }
        reachable = next;
    }
    reachable.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_those_of_imap() {
        for (pattern, name, expected) in [
            ("*", "a/b", true),
            ("%", "a/b", false),
            ("%", "a", true),
            ("a/%", "a/b", true),
            ("a/%", "a/b/c", false),
            ("a*c", "a/b/c", true),
            ("", "a", false),
            ("%/%", "a/b", true),
            ("a%b", "ab", true),
            ("X", "X/c", false),
        ] {
            let name = MailboxName::parse(name, '/').unwrap();
            assert_eq!(MailboxSelection::matching(pattern).contains(&name), expected, "{pattern} {name}");
        }
        assert!(MailboxSelection::matching("inbox").contains(&MailboxName::inbox()));
    }
}
