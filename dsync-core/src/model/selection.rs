//! Which mailboxes take part in a run.

use std::collections::BTreeSet;

use super::{MailboxGuid, MailboxName, MailboxNode, MailboxTree, NodeKind};

/// A choice of mailboxes by what they are called, or by what they are.
///
/// Subscriptions are facts about names, not about mailboxes: they take part if the name does, whatever was excluded.
///
/// ```
/// use dsync_core::model::{MailboxName, MailboxSelection};
/// let selection = MailboxSelection::matching("Lists/*").excluding("*/old");
/// let contains = |name| selection.contains(&MailboxName::parse(name, '/').unwrap(), None);
/// assert!(contains("Lists/rust/users") && !contains("Lists") && !contains("Lists/rust/old"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxSelection {
    only: Only,
    excluded: Vec<Exclusion>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Only {
    #[default]
    All,
    Matching(String),
    Named(BTreeSet<MailboxName>),
    Guid(MailboxGuid),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Exclusion {
    Matching(String),
    Named(MailboxName),
}

impl MailboxSelection {
    /// All mailboxes.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// The mailboxes whose name, its parts joined by `/`, matches `pattern`: `*` stands for anything, `%` for anything
    /// within one level (RFC 3501, 6.3.8). INBOX is matched in any case.
    #[must_use]
    pub fn matching(pattern: impl Into<String>) -> Self {
        Self { only: Only::Matching(pattern.into()), ..Self::default() }
    }

    /// The mailboxes with these names.
    #[must_use]
    pub fn named(names: impl IntoIterator<Item = MailboxName>) -> Self {
        Self { only: Only::Named(names.into_iter().collect()), ..Self::default() }
    }

    /// The mailbox with this GUID, whatever it is called. Of the names only the subscriptions take part.
    #[must_use]
    pub fn with_guid(guid: MailboxGuid) -> Self {
        Self { only: Only::Guid(guid), ..Self::default() }
    }

    /// The same without the mailboxes whose name, its parts joined by `/`, matches `mask`: `*` stands for anything, `?`
    /// for any one character. INBOX is matched in any case.
    #[must_use]
    pub fn excluding(mut self, mask: impl Into<String>) -> Self {
        self.excluded.push(Exclusion::Matching(mask.into()));
        self
    }

    /// The same without the mailboxes with these names.
    #[must_use]
    pub fn excluding_named(mut self, names: impl IntoIterator<Item = MailboxName>) -> Self {
        self.excluded.extend(names.into_iter().map(Exclusion::Named));
        self
    }

    /// Whether it is all of them.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// How it is said to another program; `None` if it cannot be said in these words.
    pub(crate) fn words(&self) -> Option<SelectionWords> {
        let mut words = SelectionWords::default();
        match &self.only {
            Only::All => {}
            Only::Matching(pattern) => words.pattern = Some(pattern.clone()),
            Only::Guid(guid) => words.guid = Some(*guid),
            Only::Named(names) => match names.first() {
                Some(name) if names.len() == 1 => words.pattern = Some(name.join('/')),
                _ => return None,
            },
        }
        words.excluded = self.excluded.iter().map(Exclusion::mask).collect();
        Some(words)
    }

    /// Whether the mailbox takes part; `guid` is `None` if it has none yet.
    #[must_use]
    pub fn contains(&self, name: &MailboxName, guid: Option<MailboxGuid>) -> bool {
        let is_wanted = match &self.only {
            Only::Guid(wanted) => guid == Some(*wanted),
            _ => self.covers(name),
        };
        is_wanted && !self.excluded.iter().any(|exclusion| exclusion.covers(name))
    }

    /// Whether the subscription to a name takes part.
    #[must_use]
    pub fn contains_subscription(&self, name: &MailboxName) -> bool {
        self.covers(name)
    }

    /// Whether the name is one of those that were asked for, excluded or not.
    fn covers(&self, name: &MailboxName) -> bool {
        match &self.only {
            Only::All | Only::Guid(_) => true,
            Only::Matching(pattern) => matches(pattern, name, &Wildcards::OF_LISTS),
            Only::Named(names) => names.contains(name),
        }
    }

    /// The part of a tree that takes part. Mailboxes for which `also` holds do so in any case.
    #[must_use]
    pub fn part_of(&self, tree: &MailboxTree, also: &dyn Fn(&MailboxName, &MailboxNode) -> bool) -> MailboxTree {
        let is_looked_for = |node: &MailboxNode| node.guid().is_some_and(|guid| self.only == Only::Guid(guid));
        let is_found = tree.values().any(is_looked_for);
        let part = tree.iter().filter_map(|(name, node)| {
            let takes_part = match node.kind {
                // It may be the one that is looked for: nothing may be concluded from not finding that.
                NodeKind::Unreadable(_) if matches!(self.only, Only::Guid(_)) => !is_found,
                NodeKind::Directory if matches!(self.only, Only::Guid(_)) => false,
                _ => self.contains(name, node.guid()) || node.guid().is_some() && also(name, node),
            };
            let kind = if takes_part { node.kind.clone() } else { NodeKind::Absent };
            let subscribed = node.subscribed && self.contains_subscription(name);
            (kind != NodeKind::Absent || subscribed).then(|| (name.clone(), MailboxNode { kind, subscribed }))
        });
        part.collect()
    }
}

/// A [`MailboxSelection`] in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SelectionWords {
    /// See [`MailboxSelection::matching`].
    pub(crate) pattern: Option<String>,
    /// See [`MailboxSelection::with_guid`].
    pub(crate) guid: Option<MailboxGuid>,
    /// See [`MailboxSelection::excluding`].
    pub(crate) excluded: Vec<String>,
}

impl Exclusion {
    fn mask(&self) -> String {
        match self {
            Self::Matching(mask) => mask.clone(),
            Self::Named(name) => name.join('/'),
        }
    }

    fn covers(&self, name: &MailboxName) -> bool {
        match self {
            Self::Matching(mask) => matches(mask, name, &Wildcards::OF_MASKS),
            Self::Named(excluded) => excluded == name,
        }
    }
}

/// The characters of a pattern that stand for others.
struct Wildcards {
    /// For anything.
    anything: char,
    /// For anything without the separator.
    within_level: Option<char>,
    /// For one character.
    any_one: Option<char>,
}

impl Wildcards {
    const OF_LISTS: Self = Self { anything: '*', within_level: Some('%'), any_one: None };
    const OF_MASKS: Self = Self { anything: '*', within_level: None, any_one: Some('?') };
}

fn matches(pattern: &str, name: &MailboxName, wildcards: &Wildcards) -> bool {
    match name.is_inbox() {
        true => pattern.eq_ignore_ascii_case("INBOX") || matches_text(pattern, "INBOX", wildcards),
        false => matches_text(pattern, &name.join('/'), wildcards),
    }
}

/// Without recursion, so that no pattern takes more than the product of both lengths.
fn matches_text(pattern: &str, name: &str, wildcards: &Wildcards) -> bool {
    let name: Vec<char> = name.chars().collect();
    // For each length of the beginning of the name, whether the pattern so far matches it.
    let mut reachable = vec![false; name.len().saturating_add(1)];
    reachable[0] = true;
    for wanted in pattern.chars() {
        let mut next = vec![false; reachable.len()];
        for length in 0..reachable.len() {
            let read = length.checked_sub(1).and_then(|last| name.get(last));
            let stays = |goes_on: bool| reachable[length] || (length > 0 && goes_on && next[length - 1]);
            next[length] = match (wanted, read) {
                (wanted, _) if wanted == wildcards.anything => stays(true),
                (wanted, _) if Some(wanted) == wildcards.within_level => stays(read != Some(&'/')),
                (wanted, Some(_)) if Some(wanted) == wildcards.any_one => reachable[length - 1],
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

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text, '/').unwrap()
    }

    fn guid(number: u8) -> MailboxGuid {
        MailboxGuid::new([number; 16]).unwrap()
    }

    #[test]
    fn wildcards_are_those_of_imap() {
        for (pattern, text, expected) in [
            ("*", "a/b", true),
            ("%", "a/b", false),
            ("%", "a", true),
            ("a/%", "a/b", true),
            ("a/%", "a/b/c", false),
            ("a*c", "a/b/c", true),
            ("", "a", false),
            ("%/%", "a/b", true),
            ("a%b", "ab", true),
            ("a?b", "axb", false),
            ("X", "X/c", false),
        ] {
            let selection = MailboxSelection::matching(pattern);
            assert_eq!(selection.contains(&name(text), None), expected, "{pattern} {text}");
        }
        assert!(MailboxSelection::matching("inbox").contains(&MailboxName::inbox(), None));
    }

    #[test]
    fn masks_exclude_whole_names() {
        for (mask, text, expected) in [
            ("X", "X", false),
            ("X", "X/c", true),
            ("X*", "X/c", false),
            ("?", "X", false),
            ("?", "Xy", true),
            ("a?c", "a/c", false),
            ("a%", "ab", true),
            ("inbox", "INBOX", false),
            ("\u{e4}?", "\u{e4}\u{f6}", false),
        ] {
            let selection = MailboxSelection::all().excluding("other").excluding(mask);
            assert_eq!(selection.contains(&name(text), None), expected, "{mask} {text}");
            assert!(selection.contains_subscription(&name(text)), "{mask} {text}");
        }
    }

    #[test]
    fn a_mailbox_is_found_by_its_guid_whatever_it_is_called() {
        let selection = MailboxSelection::with_guid(guid(1));
        assert!(selection.contains(&name("x"), Some(guid(1))));
        assert!(!selection.contains(&name("x"), Some(guid(2))) && !selection.contains(&name("x"), None));
        assert!(!selection.excluding("x").contains(&name("x"), Some(guid(1))));
        let named = MailboxSelection::named([name("a"), name("b")]).excluding_named([name("b")]);
        assert!(named.contains(&name("a"), None) && !named.contains(&name("b"), None));
        assert!(!named.contains(&name("c"), None));
    }

    fn tree(with_guid: bool) -> MailboxTree {
        let mailbox = |number| NodeKind::Mailbox { guid: Some(guid(number)), uid_validity: None };
        let node = |kind, subscribed| MailboxNode { kind, subscribed };
        let mut tree = MailboxTree::from([
            (name("a"), node(mailbox(1), true)),
            (name("b"), node(NodeKind::Directory, false)),
            (name("c"), node(NodeKind::Unreadable("broken".to_owned()), false)),
        ]);
        if with_guid {
            tree.insert(name("d"), node(mailbox(4), false));
        }
        tree
    }

    #[test]
    fn a_subscription_stays_where_the_mailbox_does_not_take_part() {
        let show = |selection: &MailboxSelection, tree: &MailboxTree| {
            let part = selection.part_of(tree, &|_, _| false);
            let nodes = part.iter().map(|(name, node)| {
                let kind = match node.kind {
                    NodeKind::Absent => "-",
                    NodeKind::Directory => "directory",
                    NodeKind::Mailbox { .. } => "mailbox",
                    NodeKind::Unreadable(_) => "unreadable",
                };
                format!("{name} {kind}{}", if node.subscribed { " subscribed" } else { "" })
            });
            nodes.collect::<Vec<_>>().join(", ")
        };
        let full = "a mailbox subscribed, b directory, c unreadable, d mailbox";
        assert_eq!(show(&MailboxSelection::all(), &tree(true)), full);
        assert_eq!(show(&MailboxSelection::all().excluding("[ab]"), &tree(true)), full);
        let rest = "a - subscribed, b directory, c unreadable, d mailbox";
        assert_eq!(show(&MailboxSelection::all().excluding("a"), &tree(true)), rest);
        assert_eq!(show(&MailboxSelection::matching("a"), &tree(true)), "a mailbox subscribed");
        let one = MailboxSelection::with_guid(guid(4));
        assert_eq!(show(&one, &tree(true)), "a - subscribed, d mailbox");
        assert_eq!(show(&one, &tree(false)), "a - subscribed, c unreadable", "it may be that one");
    }
}
