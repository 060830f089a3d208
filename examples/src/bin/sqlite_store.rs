//! Keeps a Maildir and a database the same: a storage of your own needs nothing but the two traits, see
//! `dsync_examples::sqlite`, and is synchronised with every other one.
//!
//!     cargo run -p dsync-examples --bin sqlite_store -- maildir:/tmp/Maildir /tmp/mail.sqlite
use std::error::Error;
use std::path::Path;

use dsync_core::{SyncOptions, Unobserved, VerifyOptions, mirror, verify};
use dsync_examples::sqlite::SqliteStore;
use dsync_storage::{Location, Settings};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(maildir), Some(database)) = (arguments.next(), arguments.next()) else {
        return Err("give a location and a database, for example maildir:/tmp/Maildir /tmp/mail.sqlite".into());
    };
    let mut maildir = dsync_storage::open(&Location::parse(&maildir, None)?, &Settings::default())?;
    let mut database = SqliteStore::open(Path::new(&database))?;
    let report = mirror(&mut *maildir, &mut database, &SyncOptions::default(), &mut Unobserved)?;
    let outcome = verify(&mut *maildir, &mut database, &VerifyOptions::default(), &mut Unobserved)?;
    eprintln!("{} messages copied; {} differences", report.counts.messages_saved, outcome.differences);
    std::process::exit(outcome.exit_status().into());
}
