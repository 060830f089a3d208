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
    let Command::Backup(backup) = &arguments.command;
    let (mut source, mut destination) = stores::open_pair(arguments, backup)?;
    let mut progress = progress::Progress::new(arguments.verbosity());
    let report = dsync_core::sync::backup(&mut *source, &mut *destination, &mut progress)?;
    progress.summary(&report);
    Ok(report.exit_status())
}
