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
    has_subscriptions: bool,
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
        }
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
        let is_other = self.id.as_deref().is_some_and(|own| own != id);
        if is_other { None } else { MailboxName::parse(name, self.separator.unwrap_or('/')) }
    }

    /// The name or pattern of a mailbox as clients write it, with levels separated by `/` and without the prefix.
    pub(crate) fn without_prefix(&self, name: &str) -> String {
        if name.eq_ignore_ascii_case("INBOX") {
            return name.to_owned();
        }
        let name = name.strip_prefix(&self.prefix).unwrap_or(name);
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

/// The namespace whose mail a run is about: of those with the prefixes that are `wanted`, or, if nothing is, that of INBOX.
///
/// Up to Dovecot 2.3 a server's own program takes all that have no place of their own, which are then all at one place, the
/// default one. So they show the same mailboxes under different prefixes, and one of them is enough. One with a place of its own
/// its program would compare with itself; here the second location takes the part of that place.
pub(super) fn chosen<'a>(
    namespaces: &'a [Namespace],
    wanted: &[String],
    dialect: Dialect,
) -> Result<&'a Namespace, ConfigurationError> {
    let mut found = Vec::new();
    for prefix in wanted {
        let namespace = with_prefix(namespaces, prefix)?;
        if !found.contains(&namespace) {
            found.push(namespace);
        }
    }
    match found.as_slice() {
        [] => main(namespaces, dialect),
        [one] if one.has_location => Ok(one),
        many => match many.iter().find(|it| it.has_location) {
            Some(apart) => {
                let problem = "its mail is at a place of its own, apart from that of the other namespaces that are given with -n; \
                               synchronise each place in a run of its own, with a LOCATION2 of its own";
                Err(ConfigurationError::setting(format!("namespace/{}/location", apart.title()), problem))
            }
            // They are all the same mailboxes.
            None => {
                let inbox = namespaces.iter().find(|it| it.inbox && !it.has_location);
                inbox.or(many.first().copied()).map_or_else(|| main(namespaces, dialect), Ok)
            }
        },
    }
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

fn main(namespaces: &[Namespace], dialect: Dialect) -> Result<&Namespace, ConfigurationError> {
    let main = namespaces.iter().find(|it| it.inbox);
    let main = main.ok_or_else(|| ConfigurationError::setting("namespace", "none has inbox=yes"))?;
    let elsewhere = namespaces.iter().find(|it| !it.has_location && !it.is_alias && !it.is_shared && !it.inbox);
    match elsewhere {
        Some(other) if main.has_location && dialect == Dialect::Before24 => {
            let problem = format!(
                "its mail is at a place of its own, while that of namespace {} is in mail_location; choose one place with -n {:?} \
                 or -n {:?}, and synchronise the other one in another run",
                other.title(),
                main.prefix,
                other.prefix
            );
            Err(ConfigurationError::setting(format!("namespace/{}/location", main.title()), problem))
        }
        _ => Ok(main),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::with_settings;
    use super::*;

    fn namespaces(lines: &[(&str, &str)]) -> Result<Vec<Namespace>, String> {
        with_settings(lines, read).map_err(|error| error.to_string())
    }

    #[test]
    fn without_any_there_is_one() {
        let found = namespaces(&[]).unwrap();
        assert_eq!(found, [Namespace::only()]);
        assert_eq!(main(&found, Dialect::Before24).unwrap().without_prefix("a/b.c"), "a/b.c");
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
        let main = main(&found, Dialect::Before24).unwrap();
        assert!(main.warning().is_some());
        assert_eq!(main.mailbox("inbox", "a.b"), MailboxName::parse("a/b", '/'));
        assert_eq!(main.mailbox("compat", "a.b"), None);
        for (visible, stored) in
            [("INBOX", "INBOX"), ("inbox", "inbox"), ("INBOX.a.b", "a/b"), ("INBOX.%", "%"), ("x", "x")]
        {
            assert_eq!(main.without_prefix(visible), stored);
        }
    }

    #[test]
    fn a_prefix_chooses_one_place() {
        let found = namespaces(&[
            ("namespace", "inbox old public moved compat others"),
            ("namespace/inbox/inbox", "yes"),
            ("namespace/old/prefix", "Old/"),
            ("namespace/public/prefix", "Public/"),
            ("namespace/public/location", "maildir:/public"),
            ("namespace/moved/prefix", "Moved/"),
            ("namespace/moved/location", "maildir:/moved"),
            ("namespace/compat/prefix", "Compat/"),
            ("namespace/compat/alias_for", "Old/"),
            ("namespace/others/prefix", "Others/"),
            ("namespace/others/type", "shared"),
        ])
        .unwrap();
        let chosen = |prefixes: &[&str]| {
            let prefixes: Vec<_> = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
            let chosen = super::chosen(&found, &prefixes, Dialect::Before24);
            chosen.map(Namespace::title).map_err(|error| error.to_string())
        };
        for (prefixes, title) in [
            (&[][..], "inbox"),
            (&["Old/"], "inbox"),
            (&["", "Old/"], "inbox"),
            (&["Public/"], "public"),
            (&["Public/", "Public/"], "public"),
        ] {
            assert_eq!(chosen(prefixes).as_deref(), Ok(title), "{prefixes:?}");
        }
        for (prefixes, part) in [
            (&["Public"][..], "\"Public/\""),
            (&["Public/", "Moved/"], "namespace/public/location"),
            (&["", "Moved/"], "run of its own"),
            (&["Compat/"], "namespace/compat/alias_for"),
            (&["Others/"], "-u"),
        ] {
            let error = chosen(prefixes).unwrap_err();
            assert!(error.contains(part), "{prefixes:?}: {error}");
        }
        assert!(super::chosen(&[Namespace::only()], &[String::new()], Dialect::Before24).is_ok());
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
        assert_eq!(main(&apart, Dialect::Since24).unwrap().title(), "a");
        assert!(main(&apart, Dialect::Before24).unwrap_err().to_string().contains("-n \"b/\""));
        assert_eq!(chosen(&apart, &["b/".to_owned()], Dialect::Before24).unwrap().title(), "b");
        assert_eq!(chosen(&apart, &[String::new()], Dialect::Before24).unwrap().title(), "a");
    }
}
