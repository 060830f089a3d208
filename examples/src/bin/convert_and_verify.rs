//! Converts mail to another format, and takes nobody's word for it: compares both stores afterwards, every byte of every message.
//!
//!     cargo run -p dsync-examples --bin convert_and_verify -- maildir:examples/sample/Maildir sdbox:/tmp/converted
#![allow(clippy::print_stdout, reason = "that is what it was asked for")]

use std::error::Error;

use dsync_core::{Event, Observer, SyncOptions, Unobserved, VerifyOptions, backup, verify};
use dsync_storage::{Location, Settings};

/// Says each difference as it is found; there could be millions.
struct Differences;

impl Observer for Differences {
    fn event(&mut self, _store: &str, event: Event<'_>) {
        match event {
            Event::Difference(difference) => println!("{difference}"),
            Event::Problem(problem) => eprintln!("could not be compared: {problem}"),
            _ => {}
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut locations = std::env::args().skip(1);
    let (Some(from), Some(to)) = (locations.next(), locations.next()) else {
        return Err("give two locations, for example maildir:/home/anna/Maildir sdbox:/home/anna/sdbox".into());
    };
    let (from, to) = (Location::parse(&from, None)?, Location::parse(&to, None)?);
    if let Some(path) = from.overlap(&to) {
        return Err(format!("both locations use {}", path.display()).into());
    }
    let settings = Settings::default();
    let mut source = dsync_storage::open_read_only(&from, &settings)?;
    let mut converted = dsync_storage::open(&to, &settings)?;
    backup(&mut *source, &mut *converted, &SyncOptions::default(), &mut Unobserved)?;

    // Opened anew, for reading only: what counts is what is on disk.
    let mut converted = dsync_storage::open_read_only(&to, &settings)?;
    let outcome = verify(&mut *source, &mut *converted, &VerifyOptions::default(), &mut Differences)?;
    eprintln!("{} differences in {} messages", outcome.differences, outcome.messages);
    std::process::exit(outcome.exit_status().into());
}
