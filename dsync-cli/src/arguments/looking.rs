//! Commands that look at stores and change nothing, and their options.

use clap::Args;

use super::{CommandName, Run, RunOptions};

/// Options of commands that look at stores.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "What is looked at (verify, list)")]
pub(crate) struct LookingOptions {
    /// Do not read the messages: compare everything but their sizes and bytes
    #[arg(long = "no-bodies")]
    pub(crate) no_bodies: bool,

    /// List the messages, too
    #[arg(long = "messages")]
    pub(crate) messages: bool,
}

impl LookingOptions {
    /// What of it has no meaning for a command.
    pub(super) fn stray(self, command: CommandName) -> Option<&'static str> {
        match command {
            _ if self.no_bodies && command != CommandName::Verify => Some("--no-bodies is of verify"),
            _ if self.messages && command != CommandName::List => Some("--messages is of list"),
            _ => None,
        }
    }
}

/// A comparison, if the rest of the command line fits it.
pub(super) fn verify(options: RunOptions, location: Vec<String>) -> Result<Run, &'static str> {
    if let Some(refusal) = of_synchronisations(&options) {
        return Err(refusal);
    }
    match (location.len(), options.running.default_destination) {
        (0, false) => {
            Err("verify compares two locations; give both, or only the one that is compared with the default one")
        }
        (1 | 2, true) => Err("-d takes LOCATION2 from the settings, so none can be given"),
        (0..=2, _) => Ok(Run { options, location }),
        _ => Err("verify compares two mail locations on this machine; options stand before them"),
    }
}

/// A listing, if the rest of the command line fits it.
pub(super) fn list(options: RunOptions, location: Vec<String>) -> Result<Run, &'static str> {
    if let Some(refusal) = of_synchronisations(&options) {
        return Err(refusal);
    }
    match (location.len(), options.running.default_destination) {
        (1.., true) => Err("-d takes the location from the settings, so none can be given"),
        (0 | 1, _) => Ok(Run { options, location }),
        _ => Err("list lists one mail location on this machine; options stand before it"),
    }
}

/// Whether something was given that only makes sense when something is changed.
fn of_synchronisations(options: &RunOptions) -> Option<&'static str> {
    let running = &options.running;
    [
        (options.one_way, "-1 is of mirror"),
        (options.restore, "--restore is of backup"),
        (options.reverse, "-R is of backup and mirror: nothing is changed here, so there is no direction"),
        (!options.messages.is_everything(), "-t, -e, -I and -O are of backup and mirror: they say what is copied"),
        (running.dry_run, "--dry-run is of backup and mirror: nothing is changed here anyway"),
        (running.state.is_some(), "-s is of backup and mirror"),
        (options.mailboxes.tree_only(), "an empty -m or -g is of backup and mirror"),
        (running.purge, "-P is of backup and mirror"),
        (running.allow_empty_source, "--allow-empty-source is of backup"),
    ]
    .into_iter()
    .find_map(|(is_given, refusal)| is_given.then_some(refusal))
}

#[cfg(test)]
mod tests {
    use crate::arguments::{Arguments, Command};

    fn parse(words: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(words.split(' '))
    }

    #[test]
    fn one_or_two_locations_are_compared() {
        for (words, count) in
            [("maildir:/a", 1), ("maildir:/a mdbox:/b", 2), ("-d", 0), ("--json -m a --no-bodies sdbox:/a", 1)]
        {
            let arguments = parse(&format!("dsync verify {words}")).unwrap();
            let Command::Verify(run) = &arguments.command else { panic!("{words}") };
            assert_eq!(run.location.len(), count, "{words}");
        }
        for words in ["", " -d a", " a b c", " -R a", " -1 a", " -t 5d a", " --dry-run a", " -s x a", " -P a"] {
            assert!(parse(&format!("dsync verify{words}")).is_err(), "{words}");
        }
        for (words, count) in [("", 0), (" maildir:/a", 1), (" --json --messages -m a sdbox:/a", 1), (" -d", 0)] {
            let arguments = parse(&format!("dsync list{words}")).unwrap();
            let Command::List(run) = &arguments.command else { panic!("{words}") };
            assert_eq!(run.location.len(), count, "{words}");
        }
        for words in ["list a b", "list -R", "list --no-bodies", "verify --messages a", "list -d a"] {
            assert!(parse(&format!("dsync {words}")).is_err(), "{words}");
        }
        assert!(parse("dsync dump").is_err() && parse("dsync dump a b").is_ok());
        assert!(parse("dsync backup --no-bodies a").is_err());
        assert!(parse("dsync backup --json a").is_err(), "only what would be done can be said so");
    }
}
