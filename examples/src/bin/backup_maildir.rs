//! Backs up one Maildir to another and says what was done.
//!
//!     cargo run -p dsync-examples --bin backup_maildir -- maildir:examples/sample/Maildir maildir:/tmp/copy
use std::error::Error;
use std::path::PathBuf;

use dsync_core::report::{Event, Observer};
use dsync_core::session::SyncOptions;
use dsync_core::sync::backup;
use dsync_storage::location::Location;
use dsync_storage::maildir::MaildirStore;

struct Say;

impl Observer for Say {
    fn event(&mut self, _store: &str, event: Event<'_>) {
        match event {
            Event::MailboxCommitted(name) => eprintln!("{name} is up to date"),
            Event::Problem(problem) => eprintln!("could not be done: {problem}"),
            _ => {}
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let mut locations = std::env::args().skip(1);
    let (Some(source), Some(copy)) = (locations.next(), locations.next()) else {
        return Err("give two locations, for example maildir:~/Maildir maildir:/backup/Maildir".into());
    };
    let mut source = MaildirStore::open_read_only(&Location::parse(&source, home.as_deref())?)?;
    let mut copy = MaildirStore::open(&Location::parse(&copy, home.as_deref())?)?;
    let report = backup(&mut source, &mut copy, &SyncOptions::default(), &mut Say)?;
    eprintln!("{} messages copied, {} problems", report.counts.messages_saved, report.problems.len());
    Ok(())
}
