use super::*;
use crate::model::Keywords;
use crate::report::Unobserved;
use crate::session::SyncOptions;
use crate::sync::backup;

#[test]
fn the_store_in_memory_passes_the_conformance_suite() {
    crate::conformance::run(&mut || Box::new(MemoryStore::with_seed(7)));
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '/').unwrap()
}

fn assert_equal(a: &mut MemoryStore, b: &mut MemoryStore) {
    assert_eq!(a.tree().unwrap(), b.tree().unwrap());
    for name in a.tree().unwrap().into_iter().filter(|(_, node)| node.is_mailbox()).map(|(name, _)| name) {
        let (mut here, mut there) = (a.open(&name).unwrap(), b.open(&name).unwrap());
        assert_eq!(here.status(), there.status());
        assert_eq!(here.messages(), there.messages());
        for (key, _) in here.messages().clone().keyed() {
            let bytes = |mailbox: &mut Box<dyn Mailbox>| mailbox.body(key).unwrap().read_all().unwrap();
            assert_eq!(bytes(&mut here), bytes(&mut there));
        }
    }
}

#[test]
fn a_backup_follows_the_source_and_discards_what_others_did() {
    let (mut source, mut copy) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
    for text in ["one", "two", "three"] {
        source.deliver(&MailboxName::inbox(), text.as_bytes());
        source.deliver(&name("Work"), text.as_bytes());
    }
    source.set_subscribed(&name("Gone"), true).unwrap();
    let report = backup(&mut source, &mut copy, &SyncOptions::default(), &mut Unobserved).unwrap();
    assert_eq!((report.counts.messages_saved, report.exit_status()), (6, 0));
    assert_equal(&mut source, &mut copy);

    source.rename(&name("Work"), &name("Play")).unwrap();
    let uid = Uid::new(2).unwrap();
    source.set_flags(&name("Play"), uid, Flags::SEEN, Keywords::none());
    source.expunge(&MailboxName::inbox(), uid);
    copy.deliver(&name("Extra"), b"x");
    copy.expunge(&name("Work"), Uid::FIRST);
    copy.set_flags(&MailboxName::inbox(), Uid::FIRST, Flags::DELETED, Keywords::none());
    let report = backup(&mut source, &mut copy, &SyncOptions::default(), &mut Unobserved).unwrap();
    assert_eq!(report.counts.messages_saved, 1);
    assert_equal(&mut source, &mut copy);

    let report = backup(&mut source, &mut copy, &SyncOptions::default(), &mut Unobserved).unwrap();
    assert_eq!(report.counts.mailboxes_changed, 0);
}

#[test]
fn an_empty_source_does_not_empty_the_destination() {
    let (mut source, mut copy) = (MemoryStore::new(), MemoryStore::new());
    copy.deliver(&MailboxName::inbox(), b"x");
    let error = backup(&mut source, &mut copy, &SyncOptions::default(), &mut Unobserved).unwrap_err();
    assert!(error.to_string().contains("refusing"));
}
