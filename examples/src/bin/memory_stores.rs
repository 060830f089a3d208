//! Mirrors two stores in memory that both were changed: the shortest complete program, and how to test your own code
//! against the library.
use std::error::Error;

use dsync_core::memory::MemoryStore;
use dsync_core::model::{Flags, Keywords, MailboxName};
use dsync_core::{MailStore, SyncOptions, Unobserved, mirror};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut home, mut work) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
    let (inbox, options) = (MailboxName::inbox(), SyncOptions::default());
    let uid = home.deliver(&inbox, b"Subject: hello\n\nworld\n");
    mirror(&mut home, &mut work, &options, &mut Unobserved)?;

    home.set_flags(&inbox, uid, Flags::SEEN, Keywords::none());
    work.deliver(&inbox, b"Subject: while you were away\n\nnews\n");
    let report = mirror(&mut home, &mut work, &options, &mut Unobserved)?;
    assert_eq!((report.exit_status(), report.counts.messages_saved), (0, 1));

    let (here, there) = (home.open(&inbox)?, work.open(&inbox)?);
    assert_eq!((here.status(), here.messages()), (there.status(), there.messages()));
    eprintln!("both have the same {} messages", here.status().message_count);
    Ok(())
}
