//! Settings by name: what the configuration says, and what overrides it.
//!
//! All are in one flat list, as `doveconf -S` shows them: `mail_location`, `plugin/zlib_save`,
//! `namespace/inbox/prefix`. The value of a list such as `namespace` is the ids of its members, separated by blanks.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Which names settings have, and how `%` is expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// As up to Dovecot 2.3: `mail_location`, `%u`.
    Before24,
    /// As since Dovecot 2.4: `mail_driver` and `mail_path`, `%{user}`.
    Since24,
}

/// A value, and whether `%` in it stands for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// From a configuration file: variables are to be expanded.
    Template(&'a str),
    /// From the command line or a user database: taken as it is.
    Literal(&'a str),
}

impl<'a> Value<'a> {
    /// As it is written.
    pub(crate) fn text(self) -> &'a str {
        match self {
            Self::Template(text) | Self::Literal(text) => text,
        }
    }
}

/// All settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    dialect: Dialect,
    written: Arc<BTreeMap<String, String>>,
    overriding: BTreeMap<String, Overriding>,
}

#[derive(Clone, Debug)]
struct Overriding {
    text: String,
    /// It was appended to what is written, so it is expanded.
    template: bool,
}

impl Settings {
    /// What a configuration says.
    pub(crate) fn new(dialect: Dialect, written: BTreeMap<String, String>) -> Self {
        let written = written.into_iter().map(|(name, value)| (canonical(dialect, &name), value)).collect();
        Self { dialect, written: Arc::new(written), overriding: BTreeMap::new() }
    }

    /// Takes away what was not written but only printed.
    pub(super) fn forget(&mut self, name: &str) {
        Arc::make_mut(&mut self.written).remove(name);
    }

    /// Which names they have.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Lets `value` win over whatever the setting is. A name that ends with `+` appends to it.
    pub(crate) fn override_with(&mut self, name: &str, value: &str) {
        let (name, append) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
        let name = canonical(self.dialect, name);
        let before = if append { self.get(&name) } else { None };
        let overriding = match before {
            None => Overriding { text: value.to_owned(), template: false },
            Some(Value::Literal(before)) => Overriding { text: format!("{before}{value}"), template: false },
            Some(Value::Template(before)) => {
                Overriding { text: format!("{before}{}", protect(self.dialect, value)), template: true }
            }
        };
        self.overriding.insert(name, overriding);
    }

    /// A setting; `None` if nothing is known about it.
    pub(crate) fn get(&self, name: &str) -> Option<Value<'_>> {
        let name = canonical(self.dialect, name);
        match self.overriding.get(&name) {
            Some(Overriding { text, template: false }) => Some(Value::Literal(text)),
            Some(Overriding { text, template: true }) => Some(Value::Template(text)),
            None => self.written.get(&name).map(|text| Value::Template(text)),
        }
    }

    /// The text of a setting as it is written; `None` if it is empty or not known.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(Value::text).filter(|text| !text.is_empty())
    }

    /// The words of a setting that is a list: written one after the other, or, since 2.4, each as a setting that is `yes`.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let section = format!("{name}/");
        let members = self.written.range(section.clone()..).take_while(|(member, _)| member.starts_with(&section));
        let chosen =
            members.filter(|(_, value)| *value == "yes").map(|(member, _)| member[section.len()..].to_owned());
        let words = self.text(name).unwrap_or_default().split([' ', '\t', ',']).filter(|word| !word.is_empty());
        let words = words.map(str::to_owned);
        if self.is_overridden(name) { words.collect() } else { words.chain(chosen).collect() }
    }

    /// Whether the setting was given on the command line or by a user database.
    pub(crate) fn is_overridden(&self, name: &str) -> bool {
        self.overriding.contains_key(&canonical(self.dialect, name))
    }

    /// Whether the configuration has a setting of this name.
    pub(crate) fn is_written(&self, name: &str) -> bool {
        self.written.contains_key(&canonical(self.dialect, name))
    }

    /// All settings as they are written.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let written = self.written.iter().filter(|(name, _)| !self.overriding.contains_key(*name));
        let overriding = self.overriding.iter().map(|(name, Overriding { text, .. })| (name, text));
        written.chain(overriding).map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The ids of the sections of a kind, such as `namespace`, in the order of the configuration.
    pub(crate) fn sections(&self, kind: &str) -> Vec<String> {
        let ids = self.text(kind).unwrap_or_default();
        ids.split_ascii_whitespace().map(str::to_owned).collect()
    }
}

/// The one name of a setting that has several.
fn canonical(dialect: Dialect, name: &str) -> String {
    if name == "mail" {
        return "mail_location".to_owned();
    }
    if dialect == Dialect::Since24 {
        return name.to_owned();
    }
    match name.strip_prefix("namespace/").and_then(|rest| rest.split_once('/')) {
        Some((id, "mail" | "mail_location")) => format!("namespace/{id}/location"),
        _ => name.to_owned(),
    }
}

/// The text that expands to `text`.
fn protect(dialect: Dialect, text: &str) -> String {
    match dialect {
        Dialect::Before24 => text.replace('%', "%%"),
        Dialect::Since24 => text.replace("%{", "%%{"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(dialect: Dialect, written: &[(&str, &str)]) -> Settings {
        Settings::new(
            dialect,
            written.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        )
    }

    #[test]
    fn what_is_given_wins_by_any_of_its_names() {
        let mut settings =
            settings(Dialect::Before24, &[("mail_location", "a:%u"), ("namespace/inbox/location", "b")]);
        assert_eq!(settings.get("mail"), Some(Value::Template("a:%u")));
        settings.override_with("mail", "c:%u");
        assert_eq!(settings.get("mail_location"), Some(Value::Literal("c:%u")));
        settings.override_with("namespace/inbox/mail_location", "d");
        assert_eq!(settings.get("namespace/inbox/location"), Some(Value::Literal("d")));
        assert!(settings.is_overridden("mail") && !settings.is_overridden("mail_home"));
    }

    #[test]
    fn what_is_appended_is_not_expanded() {
        let mut old = settings(Dialect::Before24, &[("mail_plugins", "%s")]);
        old.override_with("mail_plugins+", " 100%");
        assert_eq!(old.get("mail_plugins"), Some(Value::Template("%s 100%%")));
        old.override_with("mail_plugins+", "");
        old.override_with("other+", "%u");
        assert_eq!(old.get("other"), Some(Value::Literal("%u")));
        let mut new = settings(Dialect::Since24, &[("mail_path", "/x")]);
        new.override_with("mail_path+", "%{user}%u");
        assert_eq!(new.get("mail_path"), Some(Value::Template("/x%%{user}%u")));
    }

    #[test]
    fn lists_are_written_in_two_ways() {
        let mut settings =
            settings(Dialect::Since24, &[("a", "x, y"), ("b/z", "no"), ("b/y", "yes"), ("bc/x", "yes")]);
        assert_eq!(settings.list("a"), ["x", "y"]);
        assert_eq!(settings.list("b"), ["y"]);
        settings.override_with("b", "q");
        assert_eq!(settings.list("b"), ["q"]);
    }

    #[test]
    fn sections_keep_their_order() {
        let settings = settings(Dialect::Before24, &[("namespace", "z 1 a"), ("namespace/1/prefix", "x/")]);
        assert_eq!(settings.sections("namespace"), ["z", "1", "a"]);
        assert_eq!(settings.get("namespace/1/prefix").map(Value::text), Some("x/"));
        assert!(settings.sections("userdb").is_empty());
    }
}
