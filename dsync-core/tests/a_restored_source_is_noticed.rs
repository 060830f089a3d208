//! A source that was restored from an old copy gives UIDs again: what stands under them is not what it was.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Read;

use dsync_core::memory::MemoryStore;
use dsync_core::model::{MailboxName, MessageKey};
use dsync_core::report::Unobserved;
use dsync_core::session::SyncOptions;
use dsync_core::store::MailStore;
use dsync_core::sync::backup;

fn texts(store: &mut MemoryStore) -> Vec<String> {
    let mut inbox = store.open(&MailboxName::inbox()).unwrap();
    let keys: Vec<MessageKey> = inbox.messages().keyed().map(|(key, _)| key).collect();
    let text = |key| {
        let mut text = String::new();
        inbox.body(key).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    keys.into_iter().map(text).collect()
}

#[test]
fn new_mail_under_old_uids_is_copied() {
    let inbox = MailboxName::inbox();
    for with_guids in [[true, false], [false, true], [false, false]] {
        let [mut source, mut copy] = with_guids.map(|with_guids| match with_guids {
            true => MemoryStore::new(),
            false => MemoryStore::without_guids(7),
        });
        let run = |source: &mut MemoryStore, copy: &mut MemoryStore| {
            for _ in 0..2 {
                let report = backup(source, copy, &SyncOptions::default(), &mut Unobserved).unwrap();
                assert_eq!(report.exit_status(), 0);
            }
            assert_eq!(texts(source), texts(copy), "{with_guids:?}");
        };
        for number in 0..10 {
            source.deliver(&inbox, format!("Subject: {number}\n\n").as_bytes());
        }
        run(&mut source, &mut copy);
        let mut restored = source.duplicate();
        source.deliver(&inbox, b"Subject: lost\n\n");
        run(&mut source, &mut copy);
        restored.deliver(&inbox, b"Subject: new\n\n");
        restored.deliver(&inbox, b"Subject: newer\n\n");
        run(&mut restored, &mut copy);
    }
}
