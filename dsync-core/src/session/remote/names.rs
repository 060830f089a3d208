//! How mailboxes are called between the two sides.
//!
//! Servers say names as clients see them, with the prefix of the namespace: `INBOX.Work`. A store knows them without. Two of this
//! program say so to each other, and leave prefixes out, which need not be the same on both sides.

use std::borrow::Cow;

use crate::model::{MailboxName, TreeHistory};
use crate::session::SessionError;
use crate::wire::Handshake;

/// What stands before the names of a side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Prefix {
    parts: Vec<String>,
}

/// A name of the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HeardName {
    Is(MailboxName),
    /// The level above all names.
    Prefix,
    /// It is in another namespace.
    Foreign,
}

impl Prefix {
    /// The prefix of names whose levels are separated by any of `separators`.
    pub(super) fn of(text: &str, separators: &[char]) -> Self {
        let parts = text.split(separators).filter(|part| !part.is_empty());
        Self { parts: parts.map(str::to_owned).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// What names begin with, whose levels are separated like that.
    pub(super) fn text(&self, separator: char) -> String {
        self.parts.iter().fold(String::new(), |text, part| format!("{text}{part}{separator}"))
    }

    /// The name as the other side knows it.
    pub(super) fn told<'a>(&self, name: &'a MailboxName) -> Cow<'a, MailboxName> {
        if name.is_inbox() || self.is_empty() {
            return Cow::Borrowed(name);
        }
        let told = MailboxName::new(self.parts.iter().chain(name.parts()).map(String::as_str));
        told.map_or(Cow::Borrowed(name), Cow::Owned)
    }

    /// The name as this side knows it.
    pub(super) fn heard(&self, name: MailboxName) -> HeardName {
        if name.is_inbox() || self.is_empty() {
            return HeardName::Is(name);
        }
        let inbox_as_prefix =
            |own: &String, part: &String| own == part || own.eq_ignore_ascii_case("INBOX") && part == "INBOX";
        let begins = self.parts.iter().zip(name.parts()).all(|(own, part)| inbox_as_prefix(own, part));
        let rest = name.parts().get(self.parts.len()..).filter(|_| begins);
        match rest {
            None if begins => HeardName::Prefix,
            Some([]) => HeardName::Prefix,
            // It would be taken for the INBOX itself.
            Some([only]) if only.eq_ignore_ascii_case("INBOX") => HeardName::Foreign,
            Some(rest) => MailboxName::new(rest.iter().map(String::as_str)).map_or(HeardName::Foreign, HeardName::Is),
            None => HeardName::Foreign,
        }
    }
}

/// The prefix of the names that travel, and that of those that the other side has hashed.
///
/// # Errors
/// If the master wants another namespace than that of this side.
pub(super) fn agreed(own: &TreeHistory, master: &Handshake, peer: &Handshake) -> Result<[Prefix; 2], SessionError> {
    let prefix = Prefix::of(&own.prefix, &own.separators);
    if let Some(relative_to) = &peer.relative_to {
        let text = String::from_utf8_lossy(relative_to);
        let (separator, prefix) = separator_and_prefix(&text);
        return Ok([Prefix::default(), Prefix::of(prefix, &[separator])]);
    }
    let wanted = master.namespace_prefixes.as_deref();
    match wanted {
        Some([only]) if Prefix::of(&String::from_utf8_lossy(only), &own.separators) == prefix => {}
        None => {}
        Some(_) => {
            let text = format!("other namespaces than the one with the prefix {:?} (-n)", own.prefix);
            return Err(SessionError::Unsupported(text));
        }
    }
    Ok([prefix.clone(), prefix])
}

/// What [`Handshake::relative_to`] says.
fn separator_and_prefix(relative_to: &str) -> (char, &str) {
    let mut characters = relative_to.chars();
    (characters.next().unwrap_or('/'), characters.as_str())
}

/// What a master calls a mailbox, or several, as this side calls it, with its levels separated by `/`; `None` if that can be
/// nothing in the namespace of this side. `relative_to` is what the master says of its names.
pub(super) fn pattern_here(text: &str, own: &TreeHistory, relative_to: Option<&str>) -> Option<String> {
    if text.eq_ignore_ascii_case("INBOX") {
        return Some(text.to_owned());
    }
    if let Some((separator, prefix)) = relative_to.map(separator_and_prefix) {
        return Some(text.strip_prefix(prefix).unwrap_or(text).replace(separator, "/"));
    }
    let prefix = Prefix::of(&own.prefix, &own.separators);
    let spellings = own.separators.iter().map(|separator| prefix.text(*separator));
    let rest = spellings.into_iter().find_map(|prefix| Some(text.strip_prefix(&prefix)?.to_owned()));
    let rest = match rest {
        Some(rest) => rest,
        // Whatever stands before it.
        None if text.starts_with('*') => text.to_owned(),
        None => return None,
    };
    Some(match own.separators[..] {
        [separator] if separator != '/' => rest.replace(separator, "/"),
        _ => rest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text, '/').unwrap()
    }

    #[test]
    fn names_go_out_with_their_prefix_and_come_in_without() {
        for (prefix, separators) in
            [("INBOX.", &['.'][..]), ("INBOX/", &['/']), ("Mail/of/me/", &['/', '.']), ("", &['/'])]
        {
            let prefix = Prefix::of(prefix, separators);
            for text in ["INBOX", "Work", "Work/Reports", "INBOX/Child"] {
                assert_eq!(
                    prefix.heard(prefix.told(&name(text)).into_owned()),
                    HeardName::Is(name(text)),
                    "{prefix:?}"
                );
            }
        }
        let prefix = Prefix::of("INBOX.", &['.']);
        assert_eq!(prefix.told(&name("Work")).to_string(), "INBOX/Work");
        assert_eq!((prefix.text('.'), prefix.heard(name("Public"))), ("INBOX.".to_owned(), HeardName::Foreign));
        assert_eq!(prefix.heard(name("INBOX/INBOX")), HeardName::Foreign);
        assert_eq!(Prefix::of("a/b/", &['/']).heard(name("a/b")), HeardName::Prefix);
        assert_eq!(Prefix::of("a/b/", &['/']).heard(name("a")), HeardName::Prefix);
        assert_eq!(Prefix::of("a/b/", &['/']).heard(name("a/c")), HeardName::Foreign);
    }

    #[test]
    fn patterns_of_a_server_are_about_whole_names() {
        let own = |prefix: &str, separators: &[char]| TreeHistory {
            prefix: prefix.to_owned(),
            separators: separators.to_vec(),
            events: Vec::new(),
        };
        for (text, prefix, separators, expected) in [
            ("INBOX.Lists.*", "INBOX.", &['.'][..], Some("Lists/*")),
            ("inbox", "INBOX.", &['.'], Some("inbox")),
            ("*.old", "INBOX.", &['.'], Some("*/old")),
            ("Lists", "INBOX.", &['.'], None),
            ("Lists/old", "", &['/'], Some("Lists/old")),
            ("a.b", "", &['/', '.'], Some("a.b")),
        ] {
            let here = pattern_here(text, &own(prefix, separators), None);
            assert_eq!(here.as_deref(), expected, "{text} {prefix}");
        }
        assert_eq!(pattern_here("INBOX.a.*", &own("", &['/']), Some(".INBOX.")).as_deref(), Some("a/*"));
    }
}
