//! The command that reaches a host: the setting `dsync_remote_cmd`, filled in.
//!
//! Its words are separated by single spaces, without quotes, and each is filled in by itself; no shell sees them here. But a program
//! like ssh hands its words to a shell on the other host, so what is filled in is made of characters that mean nothing there.

use crate::configuration::{ConfigurationError, Dialect, Settings};
use crate::exit::Failure;

/// The setting.
const NAME: &str = "dsync_remote_cmd";
/// What it is if nobody says otherwise.
const DEFAULT: &str = "ssh -l%{login} %{host} doveadm dsync-server -u%{user}";
/// What it is for Dovecot's programs. Their `-U` is about a replicator, and a Dovecot since 2.4 does not understand it.
const DEFAULTS_OF_DOVECOT: [&str; 2] = [
    "ssh -l%{login} %{host} doveadm dsync-server -u%u -U",
    "ssh -l%{login} %{host} doveadm dsync-server -u%{user} -U",
];
/// Besides letters and digits, what is not special to any shell.
const HARMLESS: &str = "._@+=,:%/-";

/// What the variables stand for; empty if there is nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filling<'a> {
    pub(super) user: &'a str,
    pub(super) login: &'a str,
    pub(super) host: &'a str,
}

/// The template in the settings. It is filled in here, also if it is from the command line.
pub(super) fn of(settings: &Settings) -> &str {
    let text = settings.text(NAME).unwrap_or(DEFAULT);
    match settings.dialect() {
        _ if DEFAULTS_OF_DOVECOT.contains(&text) => DEFAULT,
        Dialect::Since24 => text.strip_suffix(" -U").unwrap_or(text),
        Dialect::Before24 => text,
    }
}

/// Whether what a template leads to depends on the user who is served.
pub(crate) fn names_user(settings: &Settings) -> bool {
    ["%u", "%{user}"].iter().any(|variable| of(settings).contains(variable))
}

/// The words of the command. A word with variables, none of which stands for anything, is left out.
///
/// # Errors
/// If the template, or what is to be filled in, cannot be used.
pub(super) fn fill(template: &str, filling: &Filling<'_>) -> Result<Vec<String>, Failure> {
    check(filling)?;
    let nothing = Filling { user: "", login: "", host: "" };
    let mut command = Vec::new();
    for word in template.split(' ') {
        if !word.contains('%') {
            command.push(word.to_owned());
            continue;
        }
        let filled = expand(word, filling)?;
        if filled.is_empty() || filled != expand(word, &nothing)? {
            command.push(filled);
        }
    }
    match command.first() {
        Some(program) if !program.is_empty() => Ok(command),
        _ => Err(problem(format!("{template:?} does not begin with a program"))),
    }
}

fn problem(text: String) -> Failure {
    ConfigurationError::setting(NAME, text).into()
}

fn expand(word: &str, filling: &Filling<'_>) -> Result<String, Failure> {
    let variables = [("%", "%"), ("u", filling.user), ("{user}", filling.user), ("{login}", filling.login)];
    let variables = || variables.into_iter().chain([("{host}", filling.host)]);
    let mut text = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('%') {
        let known = variables().find_map(|(name, value)| Some((value, after.strip_prefix(name)?)));
        let Some((value, after)) = known else {
            return Err(problem(format!(
                "a variable in {word:?} is not known; there are %{{user}} (or %u), %{{login}} and %{{host}}, and %% is a percent \
                 sign"
            )));
        };
        text.push_str(before);
        text.push_str(value);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

/// Whether no program would take it for an option, and no shell for anything but a word.
pub(crate) fn is_harmless(value: &str) -> bool {
    !value.starts_with('-') && harmful_character(value).is_none()
}

fn harmful_character(value: &str) -> Option<char> {
    value.chars().find(|it| !it.is_ascii_alphanumeric() && !HARMLESS.contains(*it))
}

fn check(filling: &Filling<'_>) -> Result<(), Failure> {
    for (what, value) in [("user", filling.user), ("login", filling.login), ("host", filling.host)] {
        if value.starts_with('-') {
            return Err(Failure::Usage(format!(
                "{value:?} cannot be a {what} here: it would be taken for an option; write the whole command line instead"
            )));
        }
        if let Some(character) = harmful_character(value) {
            return Err(Failure::Usage(format!(
                "{value:?} cannot be a {what} here: {character:?} may mean something to a shell at the other side; if it is right, \
                 write the whole command line instead of the host"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn filled(template: &str, user: &str, login: &str, host: &str) -> Result<String, Failure> {
        fill(template, &Filling { user, login, host }).map(|words| words.join("|"))
    }

    #[test]
    fn what_stands_for_nothing_is_left_out() {
        for (template, user, login, host, expected) in [
            (DEFAULT, "", "", "h", "ssh|h|doveadm|dsync-server"),
            (DEFAULT, "joe", "", "h", "ssh|h|doveadm|dsync-server|-ujoe"),
            (DEFAULT, "joe@x", "vmail", "h", "ssh|-lvmail|h|doveadm|dsync-server|-ujoe@x"),
            ("a  b %{login} %u", "joe", "", "h", "a||b||joe"),
            ("a %% b%%%{host} %u@%{host}", "", "", "h", "a|b%h|@h"),
        ] {
            assert_eq!(filled(template, user, login, host).unwrap(), expected, "{template} {user} {login} {host}");
        }
    }

    #[test]
    fn what_could_be_something_else_is_refused() {
        for (user, login, host) in [
            ("", "", "-V"),
            ("-x", "", "h"),
            ("", "-oProxyCommand=x", "h"),
            ("a;b", "", "h"),
            ("a b", "", "h"),
            ("", "", "h\n"),
            ("$(x)", "", "h"),
            ("", "`", "h"),
        ] {
            let refused = filled(DEFAULT, user, login, host);
            assert!(matches!(refused, Err(Failure::Usage(_))), "{user:?} {login:?} {host:?}: {refused:?}");
        }
        for template in ["", " ssh", "ssh %{lock_timeout}", "ssh %n", "ssh %", "%{login} x"] {
            let refused = filled(template, "", "", "h");
            assert!(matches!(refused, Err(Failure::Configured(_))), "{template:?}: {refused:?}");
        }
    }

    #[test]
    fn what_only_dovecot_says_by_default_is_not_asked_for() {
        let text = |dialect, value: &str| {
            let settings = Settings::new(dialect, BTreeMap::from([(NAME.to_owned(), value.to_owned())]));
            of(&settings).to_owned()
        };
        assert_eq!(text(Dialect::Before24, ""), DEFAULT);
        assert_eq!(text(Dialect::Before24, DEFAULTS_OF_DOVECOT[0]), DEFAULT);
        assert_eq!(text(Dialect::Since24, DEFAULTS_OF_DOVECOT[1]), DEFAULT);
        assert_eq!(text(Dialect::Before24, "rsh %{host} -U"), "rsh %{host} -U");
        assert_eq!(text(Dialect::Since24, "rsh %{host} -U"), "rsh %{host}");
    }
}
