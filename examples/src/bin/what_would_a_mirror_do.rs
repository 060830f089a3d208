//! Says what a mirror of two stores would change in each of them, and changes nothing: the very run is carried out on stores that
//! only pretend to change.
//!
//!     cargo run -p dsync-examples --bin what_would_a_mirror_do -- maildir:/home/anna/Maildir mdbox:/mnt/anna/mdbox
#![allow(clippy::print_stdout, reason = "that is what it was asked for")]

use std::error::Error;

use dsync_core::rehearsal::{Rehearsal, StoreChange};
use dsync_core::{MailStore, StoreError, SyncOptions, Unobserved, mirror};
use dsync_storage::{Location, Settings};

fn rehearsal(location: &Location) -> Result<Rehearsal, StoreError> {
    let settings = Settings::default();
    Ok(match location.exists() {
        true => Rehearsal::of(dsync_storage::open_read_only(location, &settings)?),
        // It comes into being only when something is written to it, which a rehearsal never does.
        false => Rehearsal::of_missing(dsync_storage::open(location, &settings)?),
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut locations = std::env::args().skip(1);
    let (Some(first), Some(second)) = (locations.next(), locations.next()) else {
        return Err("give two locations, for example maildir:/home/anna/Maildir mdbox:/mnt/anna/mdbox".into());
    };
    let mut first = rehearsal(&Location::parse(&first, None)?)?;
    let mut second = rehearsal(&Location::parse(&second, None)?)?;
    mirror(&mut first, &mut second, &SyncOptions::default(), &mut Unobserved)?;
    for store in [first, second] {
        println!("{}:", store.location());
        for change in store.changes() {
            match change {
                StoreChange::Tree(action) => println!("  {action:?}"),
                StoreChange::Mailbox { name, added, updated, renumbered, removed, .. } => println!(
                    "  {name}: {} messages would come, {} change, {} get other UIDs, {} go",
                    added.len(),
                    updated.len(),
                    renumbered.len(),
                    removed.len()
                ),
            }
        }
    }
    Ok(())
}
