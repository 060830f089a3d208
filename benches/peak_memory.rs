//! How much memory a run takes for each message of one large mailbox.
//!
//!     cargo run --release -p dsync-benches --bin peak_memory -- [MESSAGES] [DIRECTORY]
//!
//! Every step is a process of its own, so that its peak is its own. Both sides of a run are in one process. Memory that
//! the allocator has not given back to the system counts, so with fewer messages the figures are a little higher. An open
//! mailbox keeps 41 bytes of each message, and an mdbox another 22 of its map; an mbox and a Maildir keep more.
#![allow(clippy::print_stdout, reason = "the figures are what was asked for")]

use std::error::Error;
use std::process::Command;
use std::time::Instant;

use dsync_benches::filled::fill;
use dsync_core::model::{Flags, MailboxName, MessageRecord, Uid};
use dsync_core::report::Unobserved;
use dsync_core::session::SyncOptions;
use dsync_core::store::{MailboxChanges, Origin};
use dsync_storage::location::Location;
use dsync_storage::settings::Settings;

/// A step: what it does, its name as an argument, and its two locations below the directory.
const STEPS: [(&str, &str, &str, &str); 17] = [
    ("make an mdbox", "make", "mdbox:source", ""),
    ("mdbox to mdbox", "backup", "mdbox:source", "mdbox:mdbox"),
    ("nothing to do", "backup", "mdbox:source", "mdbox:mdbox"),
    ("mirror, nothing to do", "mirror", "mdbox:source", "mdbox:mdbox"),
    ("mdbox to sdbox", "backup", "mdbox:source", "sdbox:sdbox"),
    ("nothing to do", "backup", "mdbox:source", "sdbox:sdbox"),
    ("sdbox to mdbox", "backup", "sdbox:sdbox", "mdbox:second"),
    ("mdbox to Maildir", "backup", "mdbox:source", "maildir:maildir"),
    ("nothing to do", "backup", "mdbox:source", "maildir:maildir"),
    ("Maildir to mdbox", "backup", "maildir:maildir", "mdbox:third"),
    ("mdbox to mbox", "backup", "mdbox:source", "mbox:mbox"),
    ("nothing to do", "backup", "mdbox:source", "mbox:mbox"),
    ("mbox to mdbox", "backup", "mbox:mbox", "mdbox:fourth"),
    ("change a flag", "flag", "mdbox:source", ""),
    ("mirror, one flag changed", "mirror", "mdbox:source", "mdbox:mdbox"),
    ("the same with a Maildir", "mirror", "mdbox:source", "maildir:maildir"),
    ("the same with an mbox", "mirror", "mdbox:source", "mbox:mbox"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [step, messages, first, second] = arguments.as_slice() {
        return run(step, messages.parse()?, first, second);
    }
    let messages: u32 = arguments.first().map_or(Ok(100_000), |text| text.parse())?;
    let place = arguments.get(1).map_or_else(std::env::temp_dir, Into::into);
    let directory = tempfile::tempdir_in(place)?;
    println!("one mailbox of {messages} messages; the peak of each process, less that of one without messages");
    let mut empty = 0;
    for messages in [0, messages] {
        let root = directory.path().join(messages.to_string());
        std::fs::create_dir(&root)?;
        for (what, step, first, second) in STEPS {
            let at = |location: &str| location.replace(':', &format!(":{}/", root.display()));
            let count = messages.to_string();
            let started = Instant::now();
            let output =
                Command::new(std::env::current_exe()?).args([step, &count, &at(first), &at(second)]).output()?;
            if !output.status.success() {
                return Err(format!("{what}: {}", String::from_utf8_lossy(&output.stderr)).into());
            }
            let peak: u64 = String::from_utf8(output.stdout)?.trim().parse()?;
            if messages == 0 {
                empty = empty.max(peak);
                continue;
            }
            let own = peak.saturating_sub(empty);
            println!(
                "{what:24} {:>7.2?} {:>8} KiB {:>6} bytes a message",
                started.elapsed(),
                own / 1024,
                own / u64::from(messages)
            );
        }
    }
    Ok(())
}

/// Does a step and prints the peak of the process in bytes.
fn run(step: &str, messages: u32, first: &str, second: &str) -> Result<(), Box<dyn Error>> {
    let settings = Settings::default();
    if step == "make" {
        make(&Location::parse(first, None)?, messages)?;
    } else if step == "flag" {
        flag(&Location::parse(first, None)?)?;
    } else {
        let mut source = dsync_storage::open(&Location::parse(first, None)?, &settings)?;
        let mut destination = dsync_storage::open(&Location::parse(second, None)?, &settings)?;
        let options = SyncOptions::default();
        let report = match step {
            "mirror" => dsync_core::sync::mirror(&mut *source, &mut *destination, &options, &mut Unobserved)?,
            _ => dsync_core::sync::backup(&mut *source, &mut *destination, &options, &mut Unobserved)?,
        };
        if let Some(problem) = report.problems.first() {
            return Err(problem.to_string().into());
        }
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc/self/status")?;
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse()?;
    println!("{}", kilobytes * 1024);
    Ok(())
}

/// Flags the first message, as a client would.
fn flag(location: &Location) -> Result<(), Box<dyn Error>> {
    let mut store = dsync_storage::open(location, &Settings::default())?;
    let mut mailbox = store.open(&MailboxName::inbox())?;
    let status = mailbox.status().clone();
    let highest_modseq = status.highest_modseq.ok_or("no HIGHESTMODSEQ")?.plus(1);
    let first = mailbox.messages().records().next();
    let flagged = first.map(|first| MessageRecord {
        flags: first.flags | Flags::FLAGGED,
        modseq: Some(highest_modseq),
        ..first
    });
    mailbox.commit(MailboxChanges {
        update: flagged.into_iter().collect(),
        uid_next: status.uid_next,
        highest_modseq,
        first_recent_uid: status.first_recent_uid.unwrap_or(Uid::FIRST),
        ..MailboxChanges::empty(Origin::Local)
    })?;
    Ok(())
}

fn make(location: &Location, messages: u32) -> Result<(), Box<dyn Error>> {
    let mut store = dsync_storage::open(location, &Settings::default())?;
    fill(&mut *store, &MailboxName::inbox(), 0, messages)
}
