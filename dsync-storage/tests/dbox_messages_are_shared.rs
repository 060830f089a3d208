//! A message that is in several places of an mdbox is stored once, as far as servers allow that.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use dsync_core::model::{
    Flags, Keywords, MailboxIdentity, MailboxName, MessageGuid, MessageRecord, ModSeq, Timestamp, Uid,
};
use dsync_core::store::{MailStore, Mailbox, MailboxChanges, MessageBody, Origin};
use dsync_storage::dbox::map::{Map, MapChanges};
use dsync_storage::fs::permissions::Permissions;
use dsync_storage::index::files::IndexFiles;
use dsync_storage::index::reading::read_index;
use dsync_storage::index::writer::LockedIndex;
use dsync_storage::location::Location;
use dsync_storage::settings::Settings;

fn open(root: &Path) -> Box<dyn MailStore> {
    let text = format!("mdbox:{}", root.display());
    dsync_storage::open(&Location::parse(&text, None).unwrap(), &Settings::default()).unwrap()
}

/// Adds the same message under each of these UIDs.
fn add(mailbox: &mut dyn Mailbox, uids: std::ops::Range<u32>) {
    let uid_next = Uid::new(uids.end).unwrap();
    let mut adds = Vec::new();
    for uid in uids {
        let record = MessageRecord {
            uid: Uid::new(uid),
            guid: MessageGuid::new(b"the same").unwrap(),
            flags: Flags::default(),
            keywords: Keywords::default(),
            modseq: Some(ModSeq::FIRST),
            received: Timestamp(1_500_000_000),
            saved: Some(Timestamp(1_600_000_000)),
            pop3_uidl: None,
            pop3_order: None,
        };
        let body = MessageBody::from_bytes(b"Subject: x\n\ny\n".to_vec());
        adds.push((mailbox.save(&record, body).unwrap(), record));
    }
    let changes = MailboxChanges {
        add: adds.try_into().unwrap(),
        uid_next,
        highest_modseq: ModSeq(50),
        ..MailboxChanges::empty(Origin::Local)
    };
    mailbox.commit(changes).unwrap();
}

#[test]
fn a_message_is_shared_no_more_often_than_servers_allow() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("mail");
    let mut store = open(&root);
    let mut mailbox = store.create(&MailboxName::inbox(), MailboxIdentity::UNDECIDED).unwrap();
    add(&mut *mailbox, 1..2);
    let map = IndexFiles::of_map(&root.join("storage"));
    let mut locked = LockedIndex::lock(&map, &Permissions::PRIVATE).unwrap();
    let many = MapChanges { count: vec![(1, 32_767 - 1 - 2)], ..MapChanges::default() };
    locked.append_last_records(&many.records()).unwrap();
    drop(locked);
    add(&mut *mailbox, 2..7);
    let view = read_index(&map).unwrap().unwrap().view;
    let references: Vec<_> = Map::of_view(&view).unwrap().entries().map(|entry| entry.references).collect();
    assert_eq!(references, [32_767, 1, 1, 1]);
}
