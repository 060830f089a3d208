//! Lines on stderr: one for each thing that is said, whole, and with the name of the user it is about.
//!
//! A line is written at once, so that those of several processes that share a terminal or a file do not run into each
//! other. Names come from mail stores, from other hosts and from configuration; what they contain cannot begin a line of
//! its own or control a terminal.

use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use indicatif::ProgressBar;

/// The user whose mail this process works on, once known.
static USER: OnceLock<String> = OnceLock::new();

/// From now on every line names this user. Only the first call counts.
pub(crate) fn set_user(name: &str) {
    // A process works for one user.
    let _ = USER.set(name.to_owned());
}

/// Something went wrong, and the run or a part of it failed.
pub(crate) fn error(text: impl Display) {
    say(format_args!("Error: {text}"));
}

/// Whether warnings are left out.
static ONLY_ERRORS: AtomicBool = AtomicBool::new(false);

/// From now on nothing is said but errors.
pub(crate) fn only_errors() {
    ONLY_ERRORS.store(true, Ordering::Relaxed);
}

/// Something could not be done, or is not as it seems.
pub(crate) fn warning(text: impl Display) {
    if ONLY_ERRORS.load(Ordering::Relaxed) {
        return;
    }
    say(format_args!("Warning: {text}"));
}

/// Passes on a line of the other side; whether that was wanted.
pub(crate) fn of_other_side(text: impl Display) -> bool {
    let is_wanted = !ONLY_ERRORS.load(Ordering::Relaxed);
    if is_wanted {
        say(format_args!("other side: {text}"));
    }
    is_wanted
}

/// Says why; only for those who asked for every detail.
pub(crate) fn debug(text: impl Display) {
    say(format_args!("Debug: {text}"));
}

/// Says something to those who asked to hear more.
pub(crate) fn say(text: impl Display) {
    let line = line(USER.get().map(String::as_str), text);
    // If stderr is closed, nobody can be told.
    let write = || drop(std::io::stderr().write_all(line.as_bytes()));
    match &*below() {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// What is drawn below the lines.
static BELOW: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn below() -> MutexGuard<'static, Option<ProgressBar>> {
    BELOW.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on lines are written above this bar.
pub(crate) fn keep_above(bar: ProgressBar) {
    *below() = Some(bar);
}

/// There is no bar any more.
pub(crate) fn keep_nothing_above() {
    *below() = None;
}

/// `dsync(user): text`, and a line end.
fn line(user: Option<&str>, text: impl Display) -> String {
    let mut line = match user {
        Some(user) => format!("dsync({user}): {text}"),
        None => format!("dsync: {text}"),
    };
    if line.contains(is_harmful) {
        line = harmless(&line);
    }
    line.push('\n');
    line
}

/// The text without anything that could begin a line or control a terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().fold(String::new(), |mut line, character| {
        let _ = match is_harmful(character) {
            true => write!(line, "{}", character.escape_default()),
            false => line.write_char(character),
        };
        line
    })
}

fn is_harmful(character: char) -> bool {
    character.is_control() && character != '\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_user() {
        assert_eq!(line(None, "Error: no"), "dsync: Error: no\n");
        assert_eq!(line(Some("anna"), "INBOX: 3 messages"), "dsync(anna): INBOX: 3 messages\n");
    }

    #[test]
    fn nothing_in_it_makes_another_line() {
        assert_eq!(line(Some("a\nb"), "\u{1b}[2J\u{9b}ä\t"), "dsync(a\\nb): \\u{1b}[2J\\u{9b}ä\t\n");
    }
}
