//! Namespaces: under which names the mailboxes of a store are shown to clients.

use dsync_core::model::MailboxName;

use super::error::ConfigurationError;
use super::expanded::Expanded;
use super::settings::Dialect;
use super::values;

/// A namespace as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Namespace {
    /// Which section describes it; `None` if there is none, and everything is in one namespace.
    pub(super) id: Option<String>,
    /// With what the names of all its mailboxes begin.
    pub(crate) prefix: String,
    /// What separates the levels of its names; `None` for the usual one of the format.
    pub(crate) separator: Option<char>,
    /// It holds the INBOX of the user.
    pub(crate) inbox: bool,
    /// Another one shows the same mailboxes.
    is_alias: bool,
    /// It is only about mailboxes of other users.
    is_shared: bool,
    /// Its mail is at a place of its own.
    has_location: bool,
    /// The file with its subscriptions is with its mail.
    pub(crate) has_subscriptions: bool,
    /// Clients see it.
    visible: bool,
    /// Names are said with the prefix, because there are others beside it.
    full_names: bool,
}

/// By what a namespace says that its mail is at a place of its own, since 2.4.
const OWN_PLACE: [&str; 2] = ["mail_driver", "mail_path"];

impl Namespace {
    /// The one in which everything is if nothing is configured.
    pub(crate) fn only() -> Self {
        Self {
            id: None,
            prefix: String::new(),
            separator: None,
            inbox: true,
            is_alias: false,
            is_shared: false,
            has_location: false,
            has_subscriptions: true,
            visible: true,
            full_names: false,
        }
    }

    /// The same, whose mailboxes are called as clients see them.
    pub(crate) fn with_full_names(self) -> Self {
        Self { full_names: true, ..self }
    }

    /// The level below which all of its names are. `usual` separates the levels if nothing else is said.
    pub(crate) fn level(&self, usual: char) -> Option<MailboxName> {
        let parts = self.prefix.split(self.separator.unwrap_or(usual)).filter(|part| !part.is_empty());
        MailboxName::new(parts)
    }

    /// What others call it.
    fn title(&self) -> &str {
        self.id.as_deref().unwrap_or("inbox")
    }

    /// What is to be told about it.
    pub(super) fn warning(&self) -> Option<String> {
        let title = self.title();
        (!self.has_subscriptions).then(|| {
            format!("namespace/{title}/subscriptions=no: subscriptions are kept in another namespace, and not synchronised")
        })
    }

    /// The mailbox that the section of a namespace describes under this name; `None` if it is in another namespace.
    pub(crate) fn mailbox(&self, id: &str, name: &str) -> Option<MailboxName> {
        if self.id.as_deref().is_some_and(|own| own != id) {
            return None;
        }
        let separator = self.separator.unwrap_or('/');
        match self.full_names && !name.eq_ignore_ascii_case("INBOX") {
            true => MailboxName::parse(&format!("{}{name}", self.prefix), separator),
            false => MailboxName::parse(name, separator),
        }
    }

    /// The name or pattern of a mailbox as clients write it, with levels separated by `/` and without the prefix, unless names
    /// are said with it.
    pub(crate) fn without_prefix(&self, name: &str) -> String {
        if name.eq_ignore_ascii_case("INBOX") {
            return name.to_owned();
        }
        let short = name.strip_prefix(&self.prefix).filter(|_| !self.full_names);
        let name = short.unwrap_or(name);
        match self.separator {
            None | Some('/') => name.to_owned(),
            Some(separator) => name.replace(separator, "/"),
        }
    }
}

/// All namespaces of a user, in the order of the configuration.
pub(super) fn read(settings: &Expanded<'_>) -> Result<Vec<Namespace>, ConfigurationError> {
    let mut found = Vec::new();
    for id in settings.raw().sections("namespace") {
        if let Some(namespace) = read_one(settings, &id)? {
            found.push(namespace);
        }
    }
    if found.is_empty() {
        return Ok(vec![Namespace::only()]);
    }
    check(&found)?;
    Ok(found)
}

fn read_one(settings: &Expanded<'_>, id: &str) -> Result<Option<Namespace>, ConfigurationError> {
    let name = |field: &str| format!("namespace/{id}/{field}");
    let text = |field: &str| settings.get(&name(field)).map(Option::unwrap_or_default);
    let flag = |field: &str| {
        let text = text(field)?;
        let value = if text.is_empty() { Some(false) } else { values::boolean(&text) };
        value.ok_or_else(|| ConfigurationError::setting(name(field), format!("{text:?} is neither yes nor no")))
    };
    if flag("disabled")? {
        return Ok(None);
    }
    let separator = text("separator")?;
    let mut characters = separator.chars();
    let separator = match (characters.next(), characters.next()) {
        (separator, None) => separator,
        _ => {
            return Err(ConfigurationError::setting(
                name("separator"),
                format!("{separator:?} is not one character"),
            ));
        }
    };
    let kind = text("type")?;
    let is_shared = match &*kind {
        "" | "private" | "public" => false,
        "shared" => true,
        _ => {
            return Err(ConfigurationError::setting(
                name("type"),
                format!("{kind:?} is not private, shared or public"),
            ));
        }
    };
    Ok(Some(Namespace {
        id: Some(id.to_owned()),
        prefix: text("prefix")?,
        separator,
        inbox: flag("inbox")?,
        is_alias: !text("alias_for")?.is_empty(),
        is_shared,
        has_subscriptions: text("subscriptions")?.is_empty() || flag("subscriptions")?,
        visible: !flag("hidden")? || values::boolean(&text("list")?) != Some(false),
        full_names: false,
        has_location: ["location"].iter().chain(&OWN_PLACE).any(|field| settings.raw().text(&name(field)).is_some()),
    }))
}

fn check(namespaces: &[Namespace]) -> Result<(), ConfigurationError> {
    let inboxes: Vec<_> = namespaces.iter().filter(|it| it.inbox).map(Namespace::title).collect();
    match inboxes.as_slice() {
        [_] => {}
        [] => {
            return Err(ConfigurationError::setting(
                "namespace",
                "none has inbox=yes, so it is not known where INBOX is",
            ));
        }
        many => {
            let problem = format!("{} all have inbox=yes; only one can", many.join(" and "));
            return Err(ConfigurationError::setting("namespace", problem));
        }
    }
    for (index, namespace) in namespaces.iter().enumerate() {
        if namespaces.iter().take(index).any(|other| other.prefix == namespace.prefix) {
            let problem = format!("another namespace has the prefix {:?} too", namespace.prefix);
            return Err(ConfigurationError::setting(format!("namespace/{}/prefix", namespace.title()), problem));
        }
    }
    Ok(())
}

/// Which namespaces a run is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum WantedNamespaces {
    /// Nothing is said: that of INBOX, and what has no place of its own.
    #[default]
    Usual,
    /// Those with these prefixes.
    Prefixes(Vec<String>),
    /// All that clients see, but those of other users.
    Visible,
}

/// The namespaces whose mail a run is about, one for each place. That of INBOX is the first if it is among them.
///
/// Up to Dovecot 2.3 a server's own program takes by default all that have no place of their own, which are then all at one place,
/// the default one. So they show the same mailboxes under different prefixes, and one of them is enough. One with a place of its own
/// its program would compare with itself, if the other store is on this machine; here the second location holds what is at all places.
pub(super) fn chosen<'a>(
    namespaces: &'a [Namespace],
    wanted: &WantedNamespaces,
    dialect: Dialect,
) -> Result<Vec<&'a Namespace>, ConfigurationError> {
    let found = match wanted {
        WantedNamespaces::Usual => usual(namespaces, dialect)?,
        WantedNamespaces::Prefixes(prefixes) if prefixes.is_empty() => usual(namespaces, dialect)?,
        WantedNamespaces::Prefixes(prefixes) => {
            prefixes.iter().map(|prefix| with_prefix(namespaces, prefix)).collect::<Result<_, _>>()?
        }
        WantedNamespaces::Visible => {
            namespaces.iter().filter(|it| it.visible && !it.is_alias && !it.is_shared).collect()
        }
    };
    // Those without a place of their own are all the same mailboxes.
    let mut places: Vec<&Namespace> = Vec::new();
    let (inboxes, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|it| it.inbox);
    for namespace in inboxes.into_iter().chain(others) {
        let is_known =
            |known: &&Namespace| known.id == namespace.id || !(known.has_location || namespace.has_location);
        if !places.iter().any(is_known) {
            places.push(namespace);
        }
    }
    if let Some(at) = places.iter().position(|it| !it.has_location && !it.inbox)
        && let Some(inbox) = namespaces.iter().find(|it| it.inbox && !it.has_location)
    {
        // It has the default place, and the usual names for it.
        places.remove(at);
        places.insert(0, inbox);
    }
    Ok(places)
}

fn with_prefix<'a>(namespaces: &'a [Namespace], prefix: &str) -> Result<&'a Namespace, ConfigurationError> {
    let Some(namespace) = namespaces.iter().find(|it| it.prefix == prefix) else {
        let known: Vec<_> = namespaces.iter().map(|it| format!("{:?}", it.prefix)).collect();
        return Err(ConfigurationError::NoNamespace { prefix: prefix.to_owned(), known: known.join(", ") });
    };
    let field = |field: &str| format!("namespace/{}/{field}", namespace.title());
    if namespace.is_alias {
        let problem = "it shows the mailboxes of another namespace; give the prefix of that one with -n";
        return Err(ConfigurationError::setting(field("alias_for"), problem));
    }
    if namespace.is_shared {
        let problem = "it shows mailboxes of other users; synchronise them for each of these users, with -u";
        return Err(ConfigurationError::setting(field("type"), problem));
    }
    Ok(namespace)
}

fn usual(namespaces: &[Namespace], dialect: Dialect) -> Result<Vec<&Namespace>, ConfigurationError> {
    let main = namespaces.iter().find(|it| it.inbox);
    let main = main.ok_or_else(|| ConfigurationError::setting("namespace", "none has inbox=yes"))?;
    let elsewhere = namespaces.iter().find(|it| !it.has_location && !it.is_alias && !it.is_shared && !it.inbox);
    let elsewhere = elsewhere.filter(|_| main.has_location && dialect == Dialect::Before24);
    Ok([main].into_iter().chain(elsewhere).collect())
}

#[cfg(test)]
mod tests {
    use super::super::tests::with_settings;
    use super::*;

    fn main(namespaces: &[Namespace], dialect: Dialect) -> &Namespace {
        chosen(namespaces, &WantedNamespaces::Usual, dialect).unwrap()[0]
    }

    fn prefixes(prefixes: &[&str]) -> WantedNamespaces {
        WantedNamespaces::Prefixes(prefixes.iter().map(|prefix| (*prefix).to_owned()).collect())
    }

    fn namespaces(lines: &[(&str, &str)]) -> Result<Vec<Namespace>, String> {
        with_settings(lines, read).map_err(|error| error.to_string())
    }

    #[test]
    fn without_any_there_is_one() {
        let found = namespaces(&[]).unwrap();
        assert_eq!(found, [Namespace::only()]);
        assert_eq!(main(&found, Dialect::Before24).without_prefix("a/b.c"), "a/b.c");
    }

    #[test]
    fn names_lose_prefix_and_separator() {
        let found = namespaces(&[
            ("namespace", "compat inbox off"),
            ("namespace/compat/alias_for", "INBOX."),
            ("namespace/inbox/inbox", "yes"),
            ("namespace/inbox/prefix", "INBOX."),
            ("namespace/inbox/separator", "."),
            ("namespace/inbox/subscriptions", "no"),
            ("namespace/off/disabled", "yes"),
            ("namespace/off/inbox", "yes"),
        ])
        .unwrap();
        let main = main(&found, Dialect::Before24);
        assert!(main.warning().is_some());
        let full = main.clone().with_full_names();
        assert_eq!(full.mailbox("inbox", "a.b"), MailboxName::parse("INBOX/a/b", '/'));
        assert_eq!(
            (full.without_prefix("INBOX.a"), full.without_prefix("Public.a")),
            ("INBOX/a".into(), "Public/a".into())
        );
        assert_eq!(main.level('/'), Some(MailboxName::inbox()));
        assert_eq!(main.mailbox("inbox", "a.b"), MailboxName::parse("a/b", '/'));
        assert_eq!(main.mailbox("compat", "a.b"), None);
        for (visible, stored) in
            [("INBOX", "INBOX"), ("inbox", "inbox"), ("INBOX.a.b", "a/b"), ("INBOX.%", "%"), ("x", "x")]
        {
            assert_eq!(main.without_prefix(visible), stored);
        }
    }

    #[test]
    fn there_is_one_namespace_for_each_place() {
        let found = namespaces(&[
            ("namespace", "inbox old public moved compat others"),
            ("namespace/inbox/inbox", "yes"),
            ("namespace/old/prefix", "Old/"),
            ("namespace/public/prefix", "Public/"),
            ("namespace/public/location", "maildir:/public"),
            ("namespace/moved/prefix", "Moved/"),
            ("namespace/moved/hidden", "yes"),
            ("namespace/moved/list", "no"),
            ("namespace/moved/location", "maildir:/moved"),
            ("namespace/compat/prefix", "Compat/"),
            ("namespace/compat/alias_for", "Old/"),
            ("namespace/others/prefix", "Others/"),
            ("namespace/others/type", "shared"),
        ])
        .unwrap();
        let titles = |wanted: &WantedNamespaces| {
            let chosen = chosen(&found, wanted, Dialect::Before24);
            let titles = chosen.map(|all| all.into_iter().map(Namespace::title).collect::<Vec<_>>().join(" "));
            titles.map_err(|error| error.to_string())
        };
        for (wanted, expected) in [
            (&[][..], "inbox"),
            (&["Old/"], "inbox"),
            (&["", "Old/"], "inbox"),
            (&["Public/"], "public"),
            (&["Public/", "Public/"], "public"),
            (&["Public/", "Moved/"], "public moved"),
            (&["Moved/", ""], "inbox moved"),
            (&["Moved/", "Old/"], "inbox moved"),
        ] {
            assert_eq!(titles(&prefixes(wanted)).as_deref(), Ok(expected), "{wanted:?}");
        }
        assert_eq!(titles(&WantedNamespaces::Visible).as_deref(), Ok("inbox public"));
        for (wanted, part) in
            [(&["Public"][..], "\"Public/\""), (&["Compat/"], "namespace/compat/alias_for"), (&["Others/"], "-u")]
        {
            let error = titles(&prefixes(wanted)).unwrap_err();
            assert!(error.contains(part), "{wanted:?}: {error}");
        }
        assert!(chosen(&[Namespace::only()], &prefixes(&[""]), Dialect::Before24).is_ok());
    }

    #[test]
    fn contradictions_are_refused() {
        for (lines, part) in [
            (&[("namespace", "a b"), ("namespace/b/prefix", "b/")][..], "none has inbox=yes"),
            (&[("namespace", "a b"), ("namespace/a/inbox", "yes"), ("namespace/b/inbox", "yes")], "a and b"),
            (&[("namespace", "a b"), ("namespace/a/inbox", "yes")], "prefix"),
            (&[("namespace", "a"), ("namespace/a/inbox", "true")], "neither yes nor no"),
            (&[("namespace", "a"), ("namespace/a/inbox", "yes"), ("namespace/a/separator", "//")], "one character"),
            (&[("namespace", "a"), ("namespace/a/inbox", "yes"), ("namespace/a/type", "odd")], "odd"),
        ] {
            let error = namespaces(lines).unwrap_err();
            assert!(error.contains(part), "{lines:?}: {error}");
        }
        let apart = namespaces(&[
            ("namespace", "a b"),
            ("namespace/a/inbox", "yes"),
            ("namespace/a/location", "maildir:/x"),
            ("namespace/b/prefix", "b/"),
        ]);
        let apart = apart.unwrap();
        assert_eq!(apart[0].warning(), None);
        let titles = |wanted: &WantedNamespaces, dialect| -> Vec<String> {
            chosen(&apart, wanted, dialect).unwrap().into_iter().map(|it| it.title().to_owned()).collect()
        };
        assert_eq!(titles(&WantedNamespaces::Usual, Dialect::Since24), ["a"]);
        assert_eq!(titles(&WantedNamespaces::Usual, Dialect::Before24), ["a", "b"]);
        assert_eq!(titles(&prefixes(&["b/"]), Dialect::Before24), ["b"]);
        assert_eq!(titles(&prefixes(&[""]), Dialect::Before24), ["a"]);
    }
}
