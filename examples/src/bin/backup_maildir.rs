//! Backs up a Maildir to an mdbox and shows how far it is. The source is only read; run it again, and only what changed is
//! copied.
//!
//!     cargo run -p dsync-examples --bin backup_maildir -- maildir:examples/sample/Maildir mdbox:/tmp/copy
use std::error::Error;
use std::path::PathBuf;

use dsync_core::{Event, Observer, SyncOptions, backup};
use dsync_storage::{Location, Settings};

/// Counts what has come of what will come.
#[derive(Default)]
struct Progress {
    expected: usize,
    copied: usize,
    bytes: u64,
}

impl Observer for Progress {
    fn event(&mut self, _store: &str, event: Event<'_>) {
        match event {
            Event::MailboxPlanned(_, plan) => self.expected += plan.fetch.len(),
            Event::MessageSaved(name, size) => {
                self.copied += 1;
                self.bytes += size.unwrap_or(0);
                eprint!("\r{} of {} messages, {} bytes, {name} ", self.copied, self.expected, self.bytes);
            }
            Event::MailboxCommitted(name) => eprintln!("\r{name} is up to date                    "),
            Event::Problem(problem) => eprintln!("could not be done: {problem}"),
            _ => {}
        }
    }

    fn is_to_stop(&self) -> bool {
        // Say true here, for example after a signal, and the run ends after the step that it is at.
        false
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let mut locations = std::env::args().skip(1);
    let (Some(source), Some(copy)) = (locations.next(), locations.next()) else {
        return Err("give two locations, for example maildir:~/Maildir mdbox:/backup/mdbox".into());
    };
    let settings = Settings::default();
    let mut source = dsync_storage::open_read_only(&Location::parse(&source, home.as_deref())?, &settings)?;
    let mut copy = dsync_storage::open(&Location::parse(&copy, home.as_deref())?, &settings)?;
    let report = backup(&mut *source, &mut *copy, &SyncOptions::default(), &mut Progress::default())?;
    eprintln!("{} messages copied, {} problems", report.counts.messages_saved, report.problems.len());
    std::process::exit(report.exit_status().into());
}
