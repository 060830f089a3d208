//! Backs up a store in memory: the shortest complete program, and how to test your own code against the library.
use std::error::Error;

use dsync_core::memory::MemoryStore;
use dsync_core::model::{Flags, Keywords, MailboxName};
use dsync_core::report::Unobserved;
use dsync_core::session::SyncOptions;
use dsync_core::store::MailStore;
use dsync_core::sync::backup;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut source, mut copy) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
    let inbox = MailboxName::inbox();
    let uid = source.deliver(&inbox, b"Subject: hello\n\nworld\n");
    source.deliver(&inbox, b"Subject: again\n\nworld\n");
    backup(&mut source, &mut copy, &SyncOptions::default(), &mut Unobserved)?;

    source.set_flags(&inbox, uid, Flags::SEEN, Keywords::none());
    let report = backup(&mut source, &mut copy, &SyncOptions::default(), &mut Unobserved)?;
    assert_eq!((report.counts.messages_saved, report.counts.messages_changed), (0, 1));

    let (here, there) = (copy.open(&inbox)?, source.open(&inbox)?);
    assert_eq!(here.messages(), there.messages());
    eprintln!("both have the same {} messages", here.status().message_count);
    Ok(())
}
