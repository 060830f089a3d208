//! The manual page, and what shells complete: made from the same definitions as `--help`, so that they say the same.

use std::ffi::OsString;
use std::io::{self, Write};

use clap_complete::Shell;
use clap_mangen::Man;

use crate::exit::Failure;

/// What is in the manual page beyond the options.
const PROSE: &str = include_str!("manual.roff");

/// What can be asked for besides commands that do something. Neither is in the help: they are for those who make packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// `dsync manual`: the manual page, for man(1).
    Manual,
    /// `dsync completions SHELL`: the script with which a shell completes command lines.
    Completions(Shell),
}

impl Asked {
    /// What the words of a command line ask for, if it is one of these.
    pub(crate) fn by(words: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let words: Vec<_> = words.into_iter().skip(1).collect();
        match words.as_slice() {
            [word] if word == "manual" => Some(Self::Manual),
            [word, shell] if word == "completions" => shell.to_str()?.parse().ok().map(Self::Completions),
            _ => None,
        }
    }

    /// Writes it to stdout. `command` is the definition of the command line.
    pub(crate) fn print(self, mut command: clap::Command) -> Result<(), Failure> {
        let mut text = Vec::new();
        match self {
            Self::Manual => write_manual(command, &mut text).map_err(Failure::Output)?,
            Self::Completions(shell) => clap_complete::generate(shell, &mut command, "dsync", &mut text),
        }
        io::stdout().write_all(&text).map_err(Failure::Output)
    }
}

fn write_manual(command: clap::Command, page: &mut dyn Write) -> io::Result<()> {
    let command = command.override_usage("dsync [OPTIONS] COMMAND [LOCATION2 ...]");
    let man = Man::new(command).title("DSYNC").manual("User Commands");
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    page.write_all(PROSE.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments;

    #[test]
    fn only_whole_requests_are_heeded() {
        let asked = |words: &str| Asked::by(words.split(' ').map(OsString::from));
        assert_eq!(asked("dsync manual"), Some(Asked::Manual));
        assert_eq!(asked("dsync completions zsh"), Some(Asked::Completions(Shell::Zsh)));
        for words in ["dsync", "dsync manual x", "dsync completions", "dsync completions dos", "dsync backup manual"]
        {
            assert_eq!(asked(words), None, "{words}");
        }
    }

    #[test]
    fn shells_get_scripts() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut arguments::definition(), "dsync", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("mirror") && script.contains("full-sync"), "{script}");
        }
    }

    #[test]
    fn the_manual_has_all_options_and_commands() {
        let mut page = Vec::new();
        write_manual(arguments::definition(), &mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        let command = arguments::definition();
        let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
        for name in shown.filter_map(clap::Arg::get_long) {
            assert!(page.contains(&format!("\\-\\-{}", name.replace('-', "\\-"))), "--{name} is missing");
        }
        for name in ["mirror", "backup", "server", "purge", "verify", "list", "EXIT STATUS", "WITHOUT DOWNTIME"] {
            assert!(page.contains(name), "{name} is missing");
        }
    }
}
