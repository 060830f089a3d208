//! What is wrong with a command line, in one line like all that this program says.

use std::ffi::OsStr;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

/// What an error of the parser means, and what can be done about it. `command` is what was parsed.
pub(super) fn describe(error: &Error, command: &Command) -> String {
    let Some(option) = first(error, ContextKind::InvalidArg).map(|text| option(text, command)) else {
        return first_paragraph(error);
    };
    let value = first(error, ContextKind::InvalidValue).unwrap_or_default();
    match error.kind() {
        ErrorKind::MissingRequiredArgument if option == "<COMMAND>" => {
            "the command is missing: write dsync, options, a command such as backup, and LOCATION2; see dsync --help"
                .to_owned()
        }
        ErrorKind::MissingRequiredArgument => format!("{option} has to be given too"),
        ErrorKind::InvalidValue if option == "<COMMAND>" => {
            let known = all(error, ContextKind::ValidValue).join(", ");
            format!(
                "there is no command {value:?}; the commands are {known}, and options stand before them or directly behind"
            )
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("{option} needs a value; see dsync --help"),
        ErrorKind::InvalidValue => {
            let known = all(error, ContextKind::ValidValue).join(", ");
            format!("{option} {value:?}: that is none of {known}")
        }
        ErrorKind::ValueValidation => {
            let reason = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            format!("{option} {value:?}: {reason}")
        }
        ErrorKind::UnknownArgument => match first(error, ContextKind::SuggestedArg) {
            Some(similar) => format!("there is no option {option}; {similar} is similar, see dsync --help"),
            None => format!("there is no option {option}; see dsync --help"),
        },
        ErrorKind::TooManyValues => format!("{option} takes no value, but {value:?} is given"),
        ErrorKind::ArgumentConflict => {
            let others: Vec<_> =
                all(error, ContextKind::PriorArg).into_iter().map(|text| self::option(text, command)).collect();
            format!("{option} cannot be used with {}", others.join(" and "))
        }
        _ => first_paragraph(error),
    }
}

/// A word that begins with a letter which, alone, asks for help or for the version, and goes on: a name in a wrong place, which
/// must not be answered as if all were well.
pub(super) fn misread<'a>(words: impl IntoIterator<Item = &'a OsStr>) -> Option<String> {
    let words = words.into_iter().map(OsStr::to_string_lossy);
    let mut words = words.filter(|word| word.len() > 2 && (word.starts_with("-h") || word.starts_with("-V")));
    let word = words.next()?;
    Some(format!("there is no option {word}, and neither a host nor a location can begin with -; see dsync --help"))
}

/// An option as people know it: by its letter, and by its name.
fn option(text: &str, command: &Command) -> String {
    let word = text.split(' ').next().unwrap_or_default();
    let name = word.strip_prefix("--").unwrap_or_default();
    let known = command.get_arguments().find(|argument| argument.get_long() == Some(name));
    match known.and_then(clap::Arg::get_short) {
        Some(letter) => format!("-{letter} ({word})"),
        None => word.to_owned(),
    }
}

fn all(error: &Error, kind: ContextKind) -> Vec<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text],
        Some(ContextValue::Strings(texts)) => texts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

fn first(error: &Error, kind: ContextKind) -> Option<&str> {
    all(error, kind).into_iter().next()
}

/// What the parser itself says, without its advice.
fn first_paragraph(error: &Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
    let paragraph = lines.collect::<Vec<_>>().join(" ");
    paragraph.strip_prefix("error: ").unwrap_or(&paragraph).to_owned()
}
