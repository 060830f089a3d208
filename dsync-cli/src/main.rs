//! The `dsync` command: makes one mail store look like another.
//!
//! Arguments come in through [`arguments`], the two stores are found by [`stores`], [`progress`] shows what happens,
//! and [`exit`] turns the outcome into the exit status. There is no synchronisation logic here.
#![forbid(unsafe_code)]

mod arguments;
mod exit;
mod progress;
mod stores;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use dsync_core::model::MailboxSelection;
use dsync_core::sync;
use exit::Failure;

fn main() -> ExitCode {
    let arguments = match Arguments::from_command_line() {
        Ok(arguments) => arguments,
        Err(answer) => return answer,
    };
    match run(&arguments) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            eprintln!("dsync: Error: {failure}");
            ExitCode::from(failure.exit_status())
        }
    }
}

fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let mut progress = progress::Progress::new(arguments.verbosity());
    let options = arguments.command.run().options();
    let both_ways = matches!(&arguments.command, Command::Mirror(mirror) if !mirror.one_way);
    let (mut first, mut second) = match both_ways {
        true => stores::open_both(arguments)?,
        false => stores::open_source_and_destination(arguments)?,
    };
    let run = match &arguments.command {
        Command::Backup(_) => sync::backup,
        Command::Mirror(mirror) if mirror.one_way => sync::merge_one_way,
        Command::Mirror(_) => sync::mirror,
    };
    let report = run(&mut *first, &mut *second, &options, &mut progress)?;
    let all = options.mailboxes == MailboxSelection::All;
    progress.summary(&report, all && (both_ways || matches!(&arguments.command, Command::Backup(_))));
    Ok(report.exit_status())
}
