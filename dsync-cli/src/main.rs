//! The `dsync` command: makes one mail store look like another.
//!
//! Arguments come in through [`arguments`], the settings of the server through [`configuration`], [`users`]
//! says for whom to work and gives up all rights but theirs, the two stores are
//! found by [`stores`], [`progress`] shows what happens, and [`exit`] turns the outcome into the exit status. There is no synchronisation logic here.
#![forbid(unsafe_code)]

mod arguments;
mod configuration;
mod exit;
mod messages;
mod progress;
mod stores;
mod users;

use std::process::ExitCode;

use arguments::{Arguments, Command, Run};
use configuration::{Environment, UserConfiguration};
use dsync_core::report::{Observer, Report};
use dsync_core::session::{SessionError, SyncOptions};
use dsync_core::store::MailStore;
use dsync_core::sync;
use exit::Failure;
use users::{Account, Selection};

fn main() -> ExitCode {
    users::signals::release();
    let arguments = match Arguments::from_command_line() {
        Ok(arguments) => arguments,
        Err(answer) => return answer,
    };
    match run(&arguments) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            messages::error(&failure);
            ExitCode::from(failure.exit_status())
        }
    }
}

fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let environment = Environment::of_process();
    let configuration = stores::configuration(arguments, &environment)?;
    let account = match arguments.users().selection()? {
        Selection::Several(several) => {
            let users = arguments.users();
            return Ok(users::several::serve(&several, users, &configuration, arguments.verbosity())?);
        }
        selection => Account::find(selection, &configuration, &environment)?,
    };
    // What has to be done with the rights of the caller is to be done before this.
    account.take_on()?;
    let user = account.configuration();
    match &arguments.command {
        Command::Purge => purge(arguments, user),
        Command::Mirror(mirror) if mirror.one_way => synchronise(arguments, user, &mirror.run, &ONE_WAY),
        Command::Mirror(mirror) => synchronise(arguments, user, &mirror.run, &MIRROR),
        Command::Backup(run) => synchronise(arguments, user, run, &BACKUP),
    }
}

/// Makes two stores equal.
type Synchronisation =
    fn(&mut dyn MailStore, &mut dyn MailStore, &SyncOptions, &mut dyn Observer) -> Result<Report, SessionError>;

/// A way to make two stores equal, and what is to be expected of it.
struct Way {
    run: Synchronisation,
    /// Both stores are changed.
    both_ways: bool,
    /// Afterwards both are the same.
    makes_equal: bool,
}

const BACKUP: Way = Way { run: sync::backup, both_ways: false, makes_equal: true };
const MIRROR: Way = Way { run: sync::mirror, both_ways: true, makes_equal: true };
const ONE_WAY: Way = Way { run: sync::merge_one_way, both_ways: false, makes_equal: false };

fn synchronise(arguments: &Arguments, user: &UserConfiguration, run: &Run, way: &Way) -> Result<u8, Failure> {
    let mut progress = progress::Progress::new(arguments.verbosity());
    let options = options(user, run, way)?;
    let (mut first, mut second) = match way.both_ways {
        true => stores::open_both(arguments, user, run)?,
        false => stores::open_source_and_destination(arguments, user, run)?,
    };
    let report = (way.run)(&mut *first, &mut *second, &options, &mut progress)?;
    progress.summary(&report, options.is_everything() && way.makes_equal);
    match run.options.mailboxes.wanted().filter(|_| run.options.mailboxes.strict && report.found_nothing()) {
        Some(wanted) => Err(Failure::NotFound(format!("there is no {wanted} on either side"))),
        None => Ok(report.exit_status()),
    }
}

/// What the run is asked to do.
fn options(user: &UserConfiguration, run: &Run, way: &Way) -> Result<SyncOptions, Failure> {
    let mailboxes = &run.options.mailboxes;
    if mailboxes.all_namespaces {
        let reason = "on one machine namespaces with a location of their own are the same on both sides";
        return Err(Failure::Usage(format!("-N cannot be used here: {reason}")));
    }
    let settings = user.settings().raw();
    arguments::check_namespaces(&mailboxes.namespaces, settings.all())
        .map_err(|prefix| Failure::NotFound(format!("there is no namespace with the prefix {prefix:?}")))?;
    if run.options.reverse && way.both_ways {
        messages::warning("-R has no effect: a mirror without -1 goes in both directions");
    }
    let uses = arguments::special_uses(settings.all());
    Ok(run.options.sync_options(&user.namespace()?, &uses, &mut |special| {
        messages::warning(format_args!("no mailbox is known to be {special}; no setting special_use says so"));
    }))
}

fn purge(arguments: &Arguments, user: &UserConfiguration) -> Result<u8, Failure> {
    let report = stores::open_dbox(arguments, user)?.purge()?;
    Ok(progress::Progress::new(arguments.verbosity()).purged(&report))
}
