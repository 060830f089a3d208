//! Which name is in which member, and what it is called there.

use dsync_core::model::MailboxName;

/// What counts of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Levels above all of its names.
    pub(super) prefix: Vec<String>,
    pub(super) has_inbox: bool,
}

/// All members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Routes {
    parts: Vec<Part>,
}

impl Routes {
    pub(super) fn new(parts: Vec<Part>) -> Self {
        Self { parts }
    }

    /// The member that has a name, and the name there.
    pub(super) fn route(&self, name: &MailboxName) -> Option<(usize, MailboxName)> {
        if name.is_inbox()
            && let Some(at) = self.parts.iter().position(|part| part.has_inbox)
        {
            return Some((at, name.clone()));
        }
        let is_below = |part: &Part| name.parts().len() > part.prefix.len() && name.parts().starts_with(&part.prefix);
        let fitting = self.parts.iter().enumerate().filter(|(_, part)| is_below(part));
        let (at, part) = fitting.max_by_key(|(_, part)| part.prefix.len())?;
        let inner = self.below(part, name)?;
        // It would be taken for the INBOX itself.
        if part.has_inbox && inner.is_inbox() { None } else { Some((at, inner)) }
    }

    fn below(&self, part: &Part, name: &MailboxName) -> Option<MailboxName> {
        let rest = name.parts().strip_prefix(&*part.prefix)?;
        MailboxName::new(rest.iter().cloned())
    }

    /// What a name of a member is called; `None` if it cannot be seen.
    pub(super) fn shown(&self, at: usize, inner: &MailboxName) -> Option<MailboxName> {
        let name = self.full(at, inner)?;
        let (found, back) = self.route(&name)?;
        (found == at && back == *inner).then_some(name)
    }

    fn full(&self, at: usize, inner: &MailboxName) -> Option<MailboxName> {
        let part = self.parts.get(at)?;
        if part.has_inbox && inner.is_inbox() {
            return Some(inner.clone());
        }
        MailboxName::new(part.prefix.iter().chain(inner.parts()).cloned())
    }

    /// Whether a name is above all names of a member, and so always there.
    pub(super) fn is_level(&self, name: &MailboxName) -> bool {
        self.parts.iter().any(|part| part.prefix.starts_with(name.parts()))
    }

    /// All levels above a member.
    pub(super) fn levels(&self, at: usize) -> Vec<MailboxName> {
        let prefix = self.parts.get(at).map(|part| part.prefix.as_slice()).unwrap_or_default();
        (1..=prefix.len()).filter_map(|length| MailboxName::new(prefix.iter().take(length).cloned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text, '/').unwrap()
    }

    fn routes(parts: &[(&str, bool)]) -> Routes {
        let part = |(prefix, has_inbox): &(&str, bool)| Part {
            prefix: prefix.split('/').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
            has_inbox: *has_inbox,
        };
        Routes::new(parts.iter().map(part).collect())
    }

    #[test]
    fn the_longest_prefix_counts() {
        let routes = routes(&[("", true), ("Public", false), ("Public/Old", false)]);
        for (text, at, inner) in [
            ("INBOX", 0, "INBOX"),
            ("INBOX/x", 0, "INBOX/x"),
            ("Public", 0, "Public"),
            ("Publicity", 0, "Publicity"),
            ("Public/News", 1, "News"),
            ("Public/INBOX", 1, "INBOX"),
            ("Public/Old", 1, "Old"),
            ("Public/Old/x/y", 2, "x/y"),
        ] {
            assert_eq!(routes.route(&name(text)), Some((at, name(inner))), "{text}");
            assert_eq!(routes.shown(at, &name(inner)), Some(name(text)), "{text}");
        }
        assert_eq!(routes.shown(0, &name("Public/News")), None, "the namespace hides it");
        assert!(routes.is_level(&name("Public")) && routes.is_level(&name("Public/Old")));
        assert!(!routes.is_level(&name("Public/News")));
        assert_eq!(routes.levels(2), [name("Public"), name("Public/Old")]);
    }

    #[test]
    fn the_namespace_of_inbox_may_have_a_prefix() {
        let routes = routes(&[("INBOX", true), ("Public", false)]);
        assert_eq!(routes.route(&name("INBOX")), Some((0, name("INBOX"))));
        assert_eq!(routes.route(&name("INBOX/Work")), Some((0, name("Work"))));
        assert_eq!(routes.route(&name("INBOX/INBOX")), None);
        assert_eq!(routes.route(&name("Work")), None);
        assert_eq!(routes.shown(0, &name("INBOX")), Some(name("INBOX")));
    }
}
