//! The `dsync` command: makes one mail store look like another.
//!
//! Arguments come in through [`arguments`], the settings of the server through [`configuration`], [`users`]
//! says for whom to work and gives up all rights but theirs, the two stores are found by [`stores`] and made equal by
//! [`mod@synchronise`], [`progress`] shows what happens, and [`exit`] turns the outcome into the exit status. There is no
//! synchronisation logic here.
#![forbid(unsafe_code)]

mod arguments;
mod bar;
mod configuration;
mod dry_run;
mod dump;
mod exit;
#[cfg(feature = "fault-injection")]
mod faults;
mod interruption;
mod list;
mod manual;
mod messages;
mod output;
mod progress;
mod quantities;
mod remote;
mod second_location;
mod second_settings;
mod side;
mod stores;
mod synchronise;
mod transport;
mod users;
mod verify;

use std::process::ExitCode;

use arguments::{Arguments, Command, Mirror, RunningOptions};
use configuration::{Environment, UserConfiguration};
use exit::Failure;
use interruption::Interruption;
use synchronise::{BACKUP, MIRROR, ONE_WAY, Task, synchronise};
use users::{Account, Selection};

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| messages::error(internal_error(panic))));
    #[cfg(feature = "fault-injection")]
    let _faults = faults::begin();
    // What unwinding passes on its way gives up its locks.
    std::panic::catch_unwind(run_as_asked).unwrap_or(ExitCode::from(exit::INTERNAL))
}

/// What is said if the program finds a mistake in itself.
fn internal_error(panic: &dyn std::fmt::Display) -> String {
    format!("there is a mistake in dsync {}; please report it: {panic}", env!("CARGO_PKG_VERSION"))
}

fn run_as_asked() -> ExitCode {
    if let Some(asked) = manual::Asked::by(std::env::args_os()) {
        return match asked.print(arguments::definition()) {
            Ok(()) => ExitCode::from(exit::SUCCESS),
            Err(failure) => told(&failure),
        };
    }
    let arguments = match Arguments::from_command_line() {
        Ok(arguments) => arguments,
        Err(answer) => return answer,
    };
    if arguments.verbosity() == progress::Verbosity::Silent {
        messages::only_errors();
    }
    let interruption = match Interruption::watch() {
        Ok(interruption) => interruption,
        Err(error) => {
            messages::error(format_args!("watching for signals: {error}"));
            return ExitCode::from(exit::TEMPORARY);
        }
    };
    users::signals::release();
    match run(&arguments, &interruption) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => told(&failure),
    }
}

/// The exit status of a failure that has been told.
fn told(failure: &Failure) -> ExitCode {
    messages::error(failure);
    ExitCode::from(failure.exit_status())
}

fn run(arguments: &Arguments, interruption: &Interruption) -> Result<u8, Failure> {
    if let Command::Dump(files) = &arguments.command {
        // Files have no users and need no settings.
        return dump::dump_all(files);
    }
    let environment = Environment::of_process();
    let configuration = stores::configuration(arguments, &environment)?;
    let account = match arguments.users().selection()? {
        Selection::Several(several) => {
            if let Command::Mirror(Mirror { run, .. }) | Command::Backup(run) = &arguments.command {
                second_location::refuse_one_for_all(run, &configuration)?;
            }
            if let Command::Verify(run) | Command::List(run) = &arguments.command {
                second_location::refuse_words_for_all(run)?;
            }
            let users = arguments.users();
            return Ok(users::several::serve(&several, users, &configuration, arguments.verbosity())?);
        }
        selection => Account::find(selection, &configuration, &environment)?,
    };
    if arguments.verbosity() == progress::Verbosity::Debug {
        messages::debug(account.describe());
    }
    let user = account.configuration();
    let prepare = || -> Result<_, Failure> {
        // What is to be done with the rights of the caller comes before they are given up.
        let task = match &arguments.command {
            Command::Mirror(Mirror { one_way: true, run }) => Some(Task::prepare(user, run, &ONE_WAY)?),
            Command::Mirror(Mirror { run, .. }) => Some(Task::prepare(user, run, &MIRROR)?),
            Command::Backup(run) => Some(Task::prepare(user, run, &BACKUP)?),
            Command::Server(_) | Command::Purge | Command::Verify(_) | Command::List(_) | Command::Dump(_) => None,
        };
        account.take_on()?;
        if !matches!(arguments.command, Command::Server(_) | Command::Verify(_) | Command::List(_)) {
            account.warn_of_root();
        }
        Ok(task)
    };
    let carry_out = |task: Option<Task<'_>>| match (task, &arguments.command) {
        (Some(task), _) => synchronise(arguments, user, task, interruption),
        (None, Command::Server(running)) => serve(arguments, user, running, interruption),
        (None, Command::Verify(run)) => verify::verify(arguments, user, run, interruption),
        (None, Command::List(run)) => list::list(arguments, user, run, interruption),
        (None, _) => purge(arguments, user),
    };
    prepare().and_then(carry_out).map_err(|failure| account.blame(failure))
}

/// Is the other side of a run that begins elsewhere.
fn serve(
    arguments: &Arguments,
    user: &UserConfiguration,
    running: &RunningOptions,
    interruption: &Interruption,
) -> Result<u8, Failure> {
    let mut progress = progress::Progress::new(arguments.verbosity()).until(interruption);
    let mut side = None;
    let open = |wanted: remote::Wanted<'_>| {
        let lock = synchronise::lock(user, wanted.lock)?;
        let user = user.clone().about_namespaces(wanted.namespaces);
        let places = user.places()?;
        let own = side::Side::of_places(places, remote::has_full_names(&user)?);
        let store = stores::open_for_part(arguments, &user, &own, wanted.part, wanted.alternative, false)?;
        side = Some(own);
        Ok((store, lock))
    };
    // Without one there is nothing to open either, which the other side is to hear of.
    let location = user.first_location().map(|location| location.to_string()).unwrap_or_default();
    let served = remote::serve(open, &location, &running.keeping(), &mut progress)?;
    let purged = match side.filter(|_| served.purge) {
        Some(side) => stores::purge_side(arguments, user, &side, |report| progress.purged(report))?,
        None => exit::SUCCESS,
    };
    Ok(served.report.exit_status().max(purged))
}

fn purge(arguments: &Arguments, user: &UserConfiguration) -> Result<u8, Failure> {
    let report = stores::open_dbox(arguments, user)?.purge()?;
    Ok(progress::Progress::new(arguments.verbosity()).purged(&report))
}
