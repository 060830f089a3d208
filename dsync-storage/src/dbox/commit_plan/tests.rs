use dsync_core::model::{Flags, Keywords, MailboxGuid, MessageGuid, ModSeq, UidValidity};
use dsync_core::store::{Origin, SavedBody};

use super::super::header::MdboxRecord;
use super::super::snapshot::Stored;
use super::*;
use crate::index::target::TargetMessage;

fn identity() -> MailboxIdentity {
    MailboxIdentity::new(MailboxGuid::new([1; 16]).unwrap(), UidValidity::new(7).unwrap())
}

pub(in crate::dbox) fn record(uid: u32, guid: &str) -> MessageRecord {
    MessageRecord {
        uid: Uid::new(uid),
        guid: MessageGuid::new(guid.as_bytes()).unwrap(),
        flags: Flags::NONE,
        keywords: Keywords::none(),
        modseq: Some(ModSeq(1)),
        received: Timestamp(100),
        saved: Some(Timestamp(200)),
        pop3_uidl: None,
        pop3_order: None,
    }
}

/// A mailbox with messages 1, 2 and 3, whose numbers in the map are ten times that.
fn before() -> Snapshot {
    let records: Vec<_> = [(1, "a"), (2, "b"), (3, "c")].map(|(uid, guid)| record(uid, guid)).into();
    let mut snapshot = Snapshot::of_new(identity());
    snapshot.stored = Arc::new([10, 20, 30].map(|map_uid| Stored { map_uid, ..Stored::default() }).into());
    snapshot.messages = MessageList::new(records).unwrap();
    snapshot.header.guid = identity().guid;
    snapshot
}

fn changes() -> MailboxChanges {
    MailboxChanges {
        uid_next: Uid::new(100).unwrap(),
        highest_modseq: ModSeq(9),
        ..MailboxChanges::empty(Origin::Local)
    }
}

fn new(number: usize, record: MessageRecord) -> NewMessages {
    vec![(SavedBody(number), record)].try_into().unwrap()
}

fn planned(before: &Snapshot, mut changes: MailboxChanges) -> CommitPlan {
    plan(before, &mut changes, identity(), Timestamp(300)).unwrap()
}

fn key(uid: u32) -> MessageKey {
    MessageKey::Uid(Uid::new(uid).unwrap())
}

#[test]
fn what_goes_is_released_and_the_rest_stays() {
    let changes = MailboxChanges {
        remove: vec![key(2)],
        renumber: vec![(key(3), record(5, "c"))],
        add: new(4, record(6, "d")),
        ..changes()
    };
    let plan = planned(&before(), changes);
    let uids: Vec<_> = plan.messages.records().map(|record| record.uid.unwrap().get()).collect();
    assert_eq!(uids, [1, 5, 6]);
    assert_eq!(plan.sources.iter().nth(2), Some(Source::Saved(4)));
    assert_eq!(plan.released, [(2, 20)]);
    assert_eq!(plan.removed, [(2, MessageGuid::new(b"b").unwrap().to_128())]);
    assert!(plan.rewrite.is_empty() && !plan.reuses_uids);
}

#[test]
fn what_is_stored_with_a_message_is_stored_again_when_it_changes() {
    let mut other_date = record(1, "a");
    other_date.received = Timestamp(101);
    let mut flagged = record(2, "b");
    flagged.flags = Flags::FLAGGED;
    let mut uidl = record(3, "c");
    uidl.pop3_uidl = Some("x".into());
    let plan = planned(&before(), MailboxChanges { update: vec![other_date, flagged, uidl], ..changes() });
    assert_eq!(plan.rewrite, [0, 2]);
    assert_eq!(plan.released, [(1, 10), (3, 30)]);
    assert_eq!(plan.header.highest_pop3, Some(3));
    assert!(plan.header.has_pop3_uidl && !plan.header.has_pop3_order);
    assert_eq!(plan.stale, [1, 2, 3], "servers look for POP3 data of all of them now");
}

#[test]
fn hidden_pop3_data_do_not_come_to_light_with_those_of_others() {
    let mut before = before();
    Arc::make_mut(&mut before.stored)[0].hides_pop3 = true;
    assert!(planned(&before, changes()).rewrite.is_empty());
    let mut uidl = record(4, "d");
    uidl.pop3_uidl = Some("x".into());
    let plan = planned(&before, MailboxChanges { add: new(0, uidl), ..changes() });
    assert_eq!(plan.rewrite, [0]);
}

#[test]
fn attachments_whose_names_depend_on_the_uid_come_into_the_message_when_it_changes() {
    let mut before = before();
    Arc::make_mut(&mut before.stored)[2].has_attachments = true;
    assert!(planned(&before, changes()).rewrite.is_empty());
    let renumber = vec![(key(3), record(9, "c"))];
    assert_eq!(planned(&before, MailboxChanges { renumber, ..changes() }).rewrite, [2]);
}

fn lost(uid: u32, guid: [u8; 16]) -> Lost {
    let message = TargetMessage { uid, flags: 0, keywords: Keywords::none(), modseq: 1 };
    Lost { message, record: MdboxRecord { map_uid: uid * 10, saved: 0, guid } }
}

#[test]
fn a_lost_message_stays_and_gives_way_only_to_itself() {
    let own = MessageGuid::new(b"d").unwrap().to_128();
    let mut before = before();
    before.lost = vec![lost(4, own)];
    assert_eq!(planned(&before, changes()).lost, before.lost);
    let again = MailboxChanges { add: new(0, record(4, "d")), ..changes() };
    let plan = planned(&before, again);
    assert!(plan.lost.is_empty());
    assert_eq!(plan.released, [(4, 40)]);
    let mut other = MailboxChanges { add: new(0, record(4, "e")), ..changes() };
    let error = plan_error(&before, &mut other);
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let mut renumbered = MailboxChanges { renumber: vec![(key(1), record(4, "a"))], ..changes() };
    assert_eq!(plan_error(&before, &mut renumbered).kind(), ErrorKind::Corrupt);
}

fn plan_error(before: &Snapshot, changes: &mut MailboxChanges) -> StoreError {
    plan(before, changes, identity(), Timestamp(300)).unwrap_err()
}

#[test]
fn what_lost_messages_have_of_pop3_data_is_not_ruled_out() {
    let mut before = before();
    before.lost = vec![lost(4, [9; 16])];
    before.header = DboxHeader { has_pop3_uidl: true, highest_pop3: Some(4), ..before.header };
    let header = planned(&before, changes()).header;
    assert!(header.has_pop3_uidl);
    assert_eq!(header.highest_pop3, Some(4));
}

#[test]
fn impossible_changes_are_refused() {
    let twice = new(0, record(3, "x"));
    let error = plan_error(&before(), &mut MailboxChanges { add: twice, ..changes() });
    assert_eq!(error.kind(), ErrorKind::Changed);
    let error = plan_error(&before(), &mut MailboxChanges { remove: vec![key(8)], ..changes() });
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
