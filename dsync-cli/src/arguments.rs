//! The command line of dsync(1): `dsync [options] command location2`.
//!
//! Options may stand before the command or after it, up to the first word of the location; they may be clustered
//! (`-vD`) and glued to their value (`-oname=value`).

mod looking;
mod messages;
mod mistake;
mod running;
mod selecting;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, ValueEnum};
use dsync_core::session::SyncOptions;
use dsync_storage::names::AlternativeCharacter;

pub(crate) use looking::LookingOptions;
use messages::MessageOptions;
pub(crate) use running::RunningOptions;
pub(crate) use selecting::{MailboxOptions, SpecialUses, special_uses};

use crate::configuration::{Namespace, WantedNamespaces};
use crate::exit;
use crate::progress::Verbosity;
use crate::users::UserOptions;

/// What the command line says.
#[derive(Debug)]
pub(crate) struct Arguments {
    common: Common,
    users: UserOptions,
    pub(crate) looking: LookingOptions,
    pub(crate) command: Command,
}

/// Makes two mail stores equal: back up, mirror and convert mailboxes so that no mail client notices a difference.
///
/// The first location comes from the configuration of Dovecot, or from the option "-o mail_location=...". The second is given after the command, for example "maildir:/backup/user/Maildir".
// One parser for all commands, so that options may stand before the command and behind it, and be given in both places.
#[derive(Debug, Parser)]
#[command(name = "dsync", version, args_override_self = true, after_help = AFTER_HELP)]
struct Line {
    #[command(flatten)]
    common: Common,

    #[command(flatten)]
    options: RunOptions,

    #[command(flatten)]
    looking: LookingOptions,

    #[command(flatten)]
    users: UserOptions,

    /// What to do; see below
    #[arg(value_name = "COMMAND", hide_possible_values = true, help_heading = "Arguments")]
    command: CommandName,

    /// The other store: driver:path, for example maildir:/backup/user/Maildir; a host, HOST or USER@HOST, that is reached by
    /// the command in the setting dsync_remote_cmd, with ssh if there is none; remote:LOGIN@HOST, which says as whom; a doveadm
    /// service, tcp:HOST:PORT or tcps:HOST:PORT; or a command line of your own, for example ssh login@host doveadm dsync-server
    #[arg(trailing_var_arg = true, value_name = "LOCATION2", help_heading = "Arguments")]
    location: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CommandName {
    #[value(aliases = ["sync", "convert"])]
    Mirror,
    Backup,
    #[value(alias = "dsync-server")]
    Server,
    Purge,
    Verify,
    List,
    Dump,
}

const AFTER_HELP: &str = "\
Commands:
  mirror  merge the changes of the default mail location and of LOCATION2; afterwards both are equal and nothing is lost
          (also: sync, convert)
  backup  make LOCATION2 an exact copy of the default mail location; changes made in LOCATION2 are discarded
  server  be the other side of a run that begins elsewhere, on stdin and stdout (also: dsync-server)
  purge   free the space of messages in the default mail location that were expunged from all mailboxes; only an mdbox
          keeps them until then
  verify  compare two locations, or LOCATION2 with the default mail location: everything that mail clients can notice,
          and every byte. Nothing is changed
  list    say what is in the default mail location, or in another that is given: mailboxes, with --messages also messages
  dump    say what is in files of mail stores that are given: indexes, logs, UID lists, files of an mdbox or sdbox, ...

Options may stand before the command and behind it, up to the first word of LOCATION2.

Exit status:
  0  everything was done, both sides are equal
  1  verify has found differences
  2  done, but for some things that are named on stderr; running again usually settles them
  others: it failed; what was done before is kept, and running again goes on from there:
          64 the command line is wrong, 65 what is stored does not allow it, 66 no file of names, 67 no such user,
          68 no such mailbox or namespace, 70 a mistake in dsync, 73 no room, 75 it may work another time,
          77 no permission, 78 the configuration cannot be used, or a source is missing";

#[derive(Debug, Args)]
struct Common {
    /// Read this configuration file of Dovecot instead of its usual one
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    configuration: Option<PathBuf>,

    /// Override a setting of the configuration and of user databases; may be given several times
    #[arg(short = 'o', value_name = "SETTING=VALUE", value_parser = parse_setting)]
    settings: Vec<(String, String)>,

    /// What takes the place of characters that the name of a mailbox cannot have in a store; _ if not given
    #[arg(short = 'C', long = "alt-char", value_name = "CHARACTER")]
    alternative: Option<AlternativeCharacter>,

    /// Say what is done, mailbox by mailbox, and how much it was at the end
    #[arg(short = 'v', long = "verbose")]
    verbose: bool,

    /// Say also why: every decision about every message
    #[arg(short = 'D', long = "debug")]
    debug: bool,

    /// Say nothing on stderr but why something failed
    #[arg(short = 'q', long = "quiet", conflicts_with_all = ["verbose", "debug"])]
    quiet: bool,
}

/// What command lines can be made of.
pub(crate) fn definition() -> clap::Command {
    Line::command()
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Command {
    Mirror(Mirror),
    Backup(Run),
    Server(Box<RunningOptions>),
    Purge,
    Verify(Run),
    List(Run),
    /// Files.
    Dump(Vec<String>),
}

#[derive(Debug)]
pub(crate) struct Mirror {
    pub(crate) one_way: bool,
    pub(crate) run: Run,
}

/// What all commands between two stores know.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) options: RunOptions,
    pub(crate) location: Vec<String>,
}

/// The options of commands between two stores.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// Merge in one direction only (mirror): LOCATION2 takes over what was done in the default mail location and keeps its
    /// own changes; nothing is changed in the default mail location
    #[arg(short = '1', long = "one-way", alias = "oneway-sync")]
    one_way: bool,

    /// Reverse the direction: from LOCATION2 to the default mail location. (A mirror without -1 has none.)
    #[arg(short = 'R', long = "reverse-sync")]
    pub(crate) reverse: bool,

    /// Clients use the store that is written (backup): a mailbox that has changed since its copy was made gets a new UIDVALIDITY,
    /// so that no client takes one message for another
    #[arg(long = "restore")]
    pub(crate) restore: bool,

    /// Look into every mailbox, also into those that both sides show to be the same
    #[arg(short = 'f', long = "full-sync")]
    pub(crate) full: bool,

    #[command(flatten)]
    pub(crate) mailboxes: MailboxOptions,

    #[command(flatten)]
    messages: MessageOptions,

    #[command(flatten)]
    pub(crate) running: RunningOptions,
}

impl RunOptions {
    /// What the run is asked to do. A special use that no mailbox has is given to `unknown`.
    pub(crate) fn sync_options(
        &self,
        namespace: &Namespace,
        uses: &SpecialUses,
        unknown: &mut dyn FnMut(&str),
    ) -> SyncOptions {
        let mut options = SyncOptions::default();
        options.full = self.full;
        options.restore = self.restore;
        options.mailboxes = self.mailboxes.selection(namespace, uses, unknown);
        options.messages = self.messages.selection();
        options.allow_empty_source = self.running.allow_empty_source;
        options.tree_only = self.mailboxes.tree_only();
        options.all_mailbox = self.mailboxes.all_mailbox(namespace);
        options.state = self.running.known_state();
        options
    }
}

impl Arguments {
    /// Reads the command line of the process. On `Err` everything has been said already.
    pub(crate) fn from_command_line() -> Result<Self, ExitCode> {
        let words = with_command(std::env::args_os().collect());
        Self::try_parse_from(&words).map_err(|error| {
            let mistake = match error.use_stderr() {
                true => Some(mistake::describe(&error, &Line::command())),
                false => mistake::misread(words.iter().map(OsString::as_os_str)),
            };
            match mistake {
                Some(mistake) => {
                    crate::messages::error(mistake);
                    ExitCode::from(exit::USAGE)
                }
                None => match error.print() {
                    Ok(()) => ExitCode::from(exit::SUCCESS),
                    Err(error) => {
                        let failure = exit::Failure::Output(error);
                        crate::messages::error(&failure);
                        ExitCode::from(failure.exit_status())
                    }
                },
            }
        })
    }

    fn try_parse_from(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        let Line { common, users, looking, options, command, location } = Line::try_parse_from(words)?;
        let refuse = |text: &str| Err(Line::command().error(clap::error::ErrorKind::ArgumentConflict, text));
        if let Some(text) = looking.stray(command) {
            return refuse(text);
        }
        let command = match command {
            CommandName::Verify => match looking::verify(options, location) {
                Ok(run) => Command::Verify(run),
                Err(text) => return refuse(text),
            },
            CommandName::List => match looking::list(options, location) {
                Ok(run) => Command::List(run),
                Err(text) => return refuse(text),
            },
            CommandName::Dump if location.is_empty() => return refuse("dump takes files"),
            CommandName::Dump => Command::Dump(location),
            _ if options.running.json && !options.running.dry_run => {
                return refuse("--json is of verify, list and --dry-run");
            }
            CommandName::Server | CommandName::Purge if !options.running.second_settings.is_empty() => {
                return refuse("-p is about LOCATION2, and there is none");
            }
            CommandName::Purge if !location.is_empty() => return refuse("purge takes no location"),
            CommandName::Purge => Command::Purge,
            // Dovecot's programs append it to a command that has it already.
            CommandName::Server
                if location.iter().any(|word| !["server", "dsync-server"].contains(&word.as_str())) =>
            {
                return refuse("server takes no location; the other side says what is to be done");
            }
            CommandName::Server if users.are_several() => return refuse("server is for one user"),
            CommandName::Server => Command::Server(Box::new(options.running)),
            _ if options.running.state.is_some() && users.are_several() => {
                return refuse("-s is for one user: nobody could tell the states of several apart");
            }
            _ if options.running.default_destination && !location.is_empty() => {
                return refuse("-d takes LOCATION2 from the settings, so none can be given");
            }
            _ if location.is_empty() && !options.running.default_destination => {
                return refuse("LOCATION2 is missing, for example maildir:/backup/user/Maildir");
            }
            CommandName::Mirror if options.restore => {
                return refuse("--restore is of backup; a mirror takes nothing back");
            }
            CommandName::Backup if options.one_way => {
                return refuse("-1 is of mirror; a backup has one direction anyway");
            }
            _ if options.messages.is_contradictory() => {
                return refuse("-t is later than -e, so no message could be copied");
            }
            CommandName::Backup => Command::Backup(Run { options, location }),
            CommandName::Mirror => {
                Command::Mirror(Mirror { one_way: options.one_way, run: Run { options, location } })
            }
        };
        Ok(Self { common, users, looking, command })
    }

    /// The configuration file given with `-c`.
    pub(crate) fn configuration_file(&self) -> Option<&Path> {
        self.common.configuration.as_deref()
    }

    /// The settings given with `-o`, in their order; the last one of a name counts.
    pub(crate) fn settings(&self) -> &[(String, String)] {
        &self.common.settings
    }

    /// Which users are meant.
    pub(crate) fn users(&self) -> &UserOptions {
        &self.users
    }

    /// Which namespaces are asked for.
    pub(crate) fn wanted_namespaces(&self) -> WantedNamespaces {
        match &self.command {
            Command::Mirror(Mirror { run, .. })
            | Command::Backup(run)
            | Command::Verify(run)
            | Command::List(run) => run.options.mailboxes.wanted_namespaces(),
            Command::Server(_) | Command::Purge | Command::Dump(_) => WantedNamespaces::Usual,
        }
    }

    /// What `-C` says.
    pub(crate) fn alternative_character(&self) -> Option<AlternativeCharacter> {
        self.common.alternative
    }

    pub(crate) fn verbosity(&self) -> Verbosity {
        match (self.common.debug, self.common.verbose) {
            (true, _) => Verbosity::Debug,
            (false, true) => Verbosity::Verbose,
            (false, false) if self.common.quiet => Verbosity::Silent,
            (false, false) => Verbosity::Quiet,
        }
    }
}

/// The command line with the command, if the program was called by the name of one: `dsync-server`.
fn with_command(mut words: Vec<OsString>) -> Vec<OsString> {
    const SERVER: &str = "dsync-server";
    let name = words.first().and_then(|program| Path::new(program).file_name()).and_then(|name| name.to_str());
    if name == Some(SERVER) {
        words.insert(1, SERVER.into());
    }
    words
}

fn parse_setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err("write it as name=value".to_owned()),
    }
}

#[cfg(test)]
mod tests;
