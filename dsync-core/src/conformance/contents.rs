//! Promises about the messages of a mailbox.

use std::time::Duration;

use super::Factory;
use super::fixture::{
    bytes, create_three, expect, identity, key, keywords, name, new, no_changes, record, save, uid,
};
use crate::model::{Flags, MailboxName, MessageKey, MessageRecord, ModSeq, SyncPoint, Timestamp, UidValidity};
use crate::store::{ErrorKind, MailStore, MessageBody};

pub(super) fn run(factory: &mut Factory<'_>) {
    for mailbox in [MailboxName::inbox(), name("a/b")] {
        committed_messages_are_there_exactly(&mut *factory(), &mailbox);
        saved_messages_are_invisible_until_committed(&mut *factory(), &mailbox);
        messages_can_be_removed_changed_and_added_at_once(&mut *factory(), &mailbox);
        counters_can_go_back(&mut *factory(), &mailbox);
        uids_and_identity_can_change_without_the_bytes(&mut *factory(), &mailbox);
        a_message_can_be_there_twice(&mut *factory(), &mailbox);
        many_keywords_fit(&mut *factory(), &mailbox);
        an_older_view_cannot_commit(&mut *factory(), &mailbox);
        a_held_mailbox_can_be_used(&mut *factory(), &mailbox);
        a_body_that_breaks_off_is_not_saved(&mut *factory(), &mailbox);
        highest_values_fit(&mut *factory(), &mailbox);
    }
}

fn numbered(records: &[MessageRecord], numbers: &[u32]) -> Vec<(MessageRecord, u32)> {
    records.iter().cloned().zip(numbers.iter().copied()).collect()
}

fn committed_messages_are_there_exactly(store: &mut dyn MailStore, mailbox: &MailboxName) {
    let records = create_three(store, mailbox);
    expect(store, mailbox, &numbered(&records, &[3, 7, 8]));
    let open = store.open(mailbox).expect("it can be opened");
    let status = open.status();
    assert_eq!(status.identity, identity(1), "identity");
    assert_eq!(status.uid_next, uid(12), "UIDNEXT");
    assert_eq!(status.highest_modseq, Some(ModSeq(40)), "HIGHESTMODSEQ");
    assert_eq!(status.first_recent_uid, Some(uid(8)), "first recent UID");
    assert_eq!(open.digest(), open.messages().digest(), "a digest that is kept is that of the list");
}

fn saved_messages_are_invisible_until_committed(store: &mut dyn MailStore, mailbox: &MailboxName) {
    let records = create_three(store, mailbox);
    let mut open = store.open(mailbox).expect("it can be opened");
    save(&mut *open, &record(12, 41));
    expect(store, mailbox, &numbered(&records, &[3, 7, 8]));
    drop(open);
    expect(store, mailbox, &numbered(&records, &[3, 7, 8]));
}

fn messages_can_be_removed_changed_and_added_at_once(store: &mut dyn MailStore, mailbox: &MailboxName) {
    let mut records = create_three(store, mailbox);
    let keeps = store.capabilities().keeps;
    let mut open = store.open(mailbox).expect("it can be opened");
    records[0].flags = Flags::SEEN;
    records[0].keywords = keywords(&["new", "work"]);
    records[0].modseq = Some(ModSeq(43));
    records[2].keywords = keywords(&["work"]);
    records[2].flags = Flags::DRAFT;
    records[2].modseq = Some(ModSeq(44));
    records[2].received = Timestamp(1_500_000_000);
    records[2].saved = Some(Timestamp(1_500_000_001));
    records[2].pop3_uidl = Some("other".into());
    records[2].pop3_order = None;
    records.remove(1);
    let mut added = Vec::new();
    for number in [12, 20] {
        added.push(save(&mut *open, &record(number, 45)));
        records.push(record(number, 45));
    }
    let mut changes = no_changes(21, 50, 20);
    changes.remove = vec![key(7)];
    changes.update = records[..2].to_vec();
    changes.add = new(added);
    open.commit(changes).expect("changes can be committed");
    for (found, record) in open.messages().records().zip(&records) {
        assert_eq!(found, keeps.applied(record.clone(), &found), "after a commit the view is the new one");
    }
    assert_eq!(open.messages().len(), records.len(), "after a commit the view is the new one");
    expect(store, mailbox, &numbered(&records, &[3, 8, 12, 20]));
    let open = store.open(mailbox).expect("it can be opened");
    assert_eq!((open.status().uid_next, open.status().highest_modseq), (uid(21), Some(ModSeq(50))));
    assert_eq!(open.status().first_recent_uid, Some(uid(20)));
}

fn counters_can_go_back(store: &mut dyn MailStore, mailbox: &MailboxName) {
    let mut records = create_three(store, mailbox);
    let mut open = store.open(mailbox).expect("it can be opened");
    records.pop();
    records[1].modseq = Some(ModSeq(5));
    records[1].keywords = keywords(&["other"]);
    let mut changes = no_changes(8, 11, 1);
    changes.remove = vec![key(8)];
    changes.update = vec![records[1].clone()];
    open.commit(changes).expect("counters can go back");
    expect(store, mailbox, &numbered(&records, &[3, 7]));
    let open = store.open(mailbox).expect("it can be opened");
    assert_eq!((open.status().uid_next, open.status().highest_modseq), (uid(8), Some(ModSeq(11))));
}

fn uids_and_identity_can_change_without_the_bytes(store: &mut dyn MailStore, mailbox: &MailboxName) {
    let mut records = create_three(store, mailbox);
    let mut open = store.open(mailbox).expect("it can be opened");
    // 3 becomes 7 and 7 becomes 3: also where the numbers overlap no message may be mistaken for another.
    records[0].uid = Some(uid(7));
    records[1].uid = Some(uid(3));
    let mut changes = no_changes(12, 60, 1);
    changes.identity = identity(2);
    changes.renumber = vec![(key(3), records[0].clone()), (key(7), records[1].clone())];
    open.commit(changes).expect("UIDs and identity can change");
    records.swap(0, 1);
    expect(store, mailbox, &numbered(&records, &[7, 3, 8]));
    let open = store.open(mailbox).expect("it can be opened");
    assert_eq!(open.status().identity, identity(2));
}

fn a_message_can_be_there_twice(store: &mut dyn MailStore, mailbox: &MailboxName) {
    let mut records = create_three(store, mailbox);
    let mut open = store.open(mailbox).expect("it can be opened");
    let mut copy = record(12, 41);
    copy.guid = records[0].guid.clone();
    let saved = save(&mut *open, &copy);
    let mut changes = no_changes(13, 41, 1);
    changes.add = new(vec![saved]);
    open.commit(changes).expect("a copy can be added");
    records.push(copy);
    expect(store, mailbox, &numbered(&records, &[3, 7, 8, 12]));
}

fn many_keywords_fit(store: &mut dyn MailStore, mailbox: &MailboxName) {
    let mut records = create_three(store, mailbox);
    let names: Vec<_> = (0..40).map(|number| format!("keyword-{number:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut open = store.open(mailbox).expect("it can be opened");
    records[0].keywords = keywords(&names);
    records[2].keywords = keywords(&names[30..]);
    let mut changes = no_changes(12, 90, 1);
    changes.update = vec![records[0].clone(), records[2].clone()];
    open.commit(changes).expect("keywords can be set");
    expect(store, mailbox, &numbered(&records, &[3, 7, 8]));
}

fn an_older_view_cannot_commit(store: &mut dyn MailStore, mailbox: &MailboxName) {
    let mut records = create_three(store, mailbox);
    let mut older = store.open(mailbox).expect("it can be opened");
    let mut newer = store.open(mailbox).expect("it can be opened");
    let saved = save(&mut *newer, &record(12, 41));
    let mut changes = no_changes(13, 41, 1);
    changes.add = new(vec![saved]);
    newer.commit(changes).expect("a message can be added");
    records.push(record(12, 41));

    let mut late = record(12, 41);
    late.guid = record(99, 1).guid;
    let saved = older.save(&late, MessageBody::from_bytes(bytes(99))).expect("a message can be saved");
    let mut changes = no_changes(13, 41, 1);
    changes.add = new(vec![(saved, late)]);
    let error = older.commit(changes).err().map(|error| error.kind());
    assert_eq!(error, Some(ErrorKind::Changed), "a UID that was taken meanwhile is not given twice");
    expect(store, mailbox, &numbered(&records, &[3, 7, 8, 12]));
}

fn a_held_mailbox_can_be_used(store: &mut dyn MailStore, mailbox: &MailboxName) {
    let mut records = create_three(store, mailbox);
    store.claim(Duration::ZERO).expect("nobody else changes the store");
    store.claim(Duration::ZERO).expect("what is claimed stays claimed");
    let mut older = store.open(mailbox).expect("it can be opened");
    let mut open = store.open(mailbox).expect("it can be opened");
    for _ in 0..2 {
        open.hold().expect("nobody has changed it");
    }
    let body = open.body(MessageKey::Uid(uid(3))).expect("a message of a held mailbox can be read");
    assert!(!body.read_all().expect("it is read").is_empty(), "a message of a held mailbox has its bytes");
    let saved = save(&mut *open, &record(12, 41));
    let mut changes = no_changes(13, 41, 1);
    changes.add = new(vec![saved]);
    open.commit(changes).expect("a held mailbox can be changed");
    records.push(record(12, 41));
    match older.hold() {
        Ok(()) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::Changed, "an older view cannot be held"),
    }
    older.release();
    drop(older);
    open.hold().expect("it can be held after a commit");
    let point = SyncPoint {
        fingerprint: [7; 16],
        uid_validity: UidValidity::new(1001).expect("not zero"),
        uid_next: uid(13),
        highest_modseq: ModSeq(41),
        peer: [9; 8],
    };
    open.remember(point).expect("holding ends where a moment is remembered");
    open.hold().expect("it can be held again");
    open.release();
    expect(store, mailbox, &numbered(&records, &[3, 7, 8, 12]));
}

fn a_body_that_breaks_off_is_not_saved(store: &mut dyn MailStore, mailbox: &MailboxName) {
    let mut records = create_three(store, mailbox);
    let mut open = store.open(mailbox).expect("it can be opened");
    let mut body = MessageBody::from_bytes(bytes(12));
    body.size = body.size.map(|size| size + 1);
    let error = open.save(&record(12, 41), body).err().map(|error| error.kind());
    assert_eq!(error, Some(ErrorKind::Source), "a body of another length than announced is refused");
    let saved = save(&mut *open, &record(13, 41));
    let mut changes = no_changes(14, 41, 1);
    changes.add = new(vec![saved]);
    open.commit(changes).expect("the mailbox goes on after a refused body");
    records.push(record(13, 41));
    expect(store, mailbox, &numbered(&records, &[3, 7, 8, 13]));
}

fn highest_values_fit(store: &mut dyn MailStore, mailbox: &MailboxName) {
    let mut records = create_three(store, mailbox);
    let mut open = store.open(mailbox).expect("it can be opened");
    let mut last = record(4_294_967_290, 1 << 60);
    // No format keeps dates in more than 32 bits.
    last.received = Timestamp(i64::from(u32::MAX) - 1);
    last.saved = Some(Timestamp(i64::from(u32::MAX) - 1));
    let saved = save(&mut *open, &last);
    let mut changes = no_changes(4_294_967_291, (1 << 60) + 5, 1);
    changes.add = new(vec![saved]);
    open.commit(changes).expect("high numbers can be stored");
    records.push(last);
    expect(store, mailbox, &numbered(&records, &[3, 7, 8, 4_294_967_290]));
}
