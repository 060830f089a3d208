//! A first backup and one with nothing to do, then mirrors, beside a plain copy of the same files, in one run.
//!
//!     cargo run --release -p dsync-benches --bin backup_against_copy -- [MESSAGES] [DIRECTORY]
//!
//! Each is durable at its end. Everything is made in a new directory below DIRECTORY (default: that for temporary files).
#![allow(clippy::print_stdout, reason = "the figures are what was asked for")]

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dsync_benches::Load;
use dsync_core::report::Unobserved;
use dsync_storage::location::{Driver, Location};
use dsync_storage::maildir::MaildirStore;

/// How many messages are delivered before the last mirror.
const DELIVERIES: u32 = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let messages = arguments.next().map_or(Ok(Load::REFERENCE.messages), |text| text.parse())?;
    let place = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let directory = tempfile::tempdir_in(place)?;
    let (source, copy, backup) =
        (directory.path().join("source"), directory.path().join("copy"), directory.path().join("backup"));
    Load { messages, ..Load::REFERENCE }.write(&source)?;
    run(Command::new("sync").arg("-f").arg(&source))?;

    let copied = timed(|| {
        run(Command::new("cp").arg("-a").arg(&source).arg(&copy))?;
        run(Command::new("sync").arg("-f").arg(&copy))
    })?;
    let first = timed(|| back_up(&source, &backup))?;
    let idle = timed(|| back_up(&source, &backup))?;
    println!("{messages} messages in {} mailboxes", Load::REFERENCE.mailboxes);
    println!("cp -a and sync -f   {copied:>10.3?}");
    println!("first backup        {first:>10.3?}   {:.2} of the copy", first.as_secs_f64() / copied.as_secs_f64());
    println!("nothing to do       {idle:>10.3?}");
    // It numbers what no server has numbered yet.
    let first = timed(|| mirror(&source, &backup))?;
    println!("first mirror        {first:>10.3?}");
    let idle = timed(|| mirror(&source, &backup))?;
    println!("nothing to do       {idle:>10.3?}");
    for number in 0..DELIVERIES {
        let name = format!("new/1700000000.M{number}P1.bench.example");
        std::fs::write(source.join(name), format!("Subject: {number}\n\nbody\n"))?;
    }
    let few = timed(|| mirror(&source, &backup))?;
    println!("{DELIVERIES} new messages    {few:>10.3?}");
    Ok(())
}

fn back_up(source: &Path, backup: &Path) -> Result<(), Box<dyn Error>> {
    let mut source = MaildirStore::open_read_only(&Location::new(Driver::Maildir, source))?;
    let mut backup = MaildirStore::open(&Location::new(Driver::Maildir, backup))?;
    let report = dsync_core::sync::backup(
        &mut source,
        &mut backup,
        &dsync_core::session::SyncOptions::default(),
        &mut Unobserved,
    )?;
    if report.problems.is_empty() { Ok(()) } else { Err("the backup has problems".into()) }
}

fn mirror(first: &Path, second: &Path) -> Result<(), Box<dyn Error>> {
    let mut first = MaildirStore::open(&Location::new(Driver::Maildir, first))?;
    let mut second = MaildirStore::open(&Location::new(Driver::Maildir, second))?;
    let options = dsync_core::session::SyncOptions::default();
    let report = dsync_core::sync::mirror(&mut first, &mut second, &options, &mut Unobserved)?;
    if report.problems.is_empty() { Ok(()) } else { Err("the mirror has problems".into()) }
}

fn timed(work: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    if command.status()?.success() { Ok(()) } else { Err(format!("{command:?} failed").into()) }
}
