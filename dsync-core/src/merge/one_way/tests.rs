use proptest::prelude::*;

use super::one_way as one_way_without;
use super::*;
use crate::model::{
    Flags, Keyword, Keywords, MailboxGuid, MailboxIdentity, MailboxStatus, MessageList, Timestamp, UidValidity,
};

fn one_way(source: MailboxView<'_>, destination: MailboxView<'_>) -> MailboxPlan {
    one_way_without(source, destination, &LeftOut::default(), true)
}

#[derive(Clone, Debug)]
struct Side {
    status: MailboxStatus,
    messages: MessageList,
}

impl Side {
    fn new(identity: Option<u8>, uid_next: u32, highest: Option<u64>, records: Vec<MessageRecord>) -> Self {
        let identity = MailboxIdentity {
            guid: identity.and_then(|number| MailboxGuid::new([number; 16])),
            uid_validity: identity.and_then(|number| UidValidity::new(number.into())),
        };
        let messages = MessageList::new(records).unwrap();
        let status = MailboxStatus {
            identity,
            uid_next: Uid::new(uid_next).unwrap(),
            message_count: u32::try_from(messages.len()).unwrap(),
            highest_modseq: highest.map(ModSeq),
            first_recent_uid: Some(Uid::FIRST),
        };
        Self { status, messages }
    }

    fn view(&self) -> MailboxView<'_> {
        MailboxView { status: &self.status, messages: &self.messages }
    }

    /// Carries a plan out and complains about one that breaks an invariant.
    fn after(&self, plan: &MailboxPlan) -> Self {
        let changes = &plan.changes;
        let mut records: Vec<_> = self.messages.keyed().collect();
        let mut take = |wanted: &MessageKey| {
            let index = records.iter().position(|(key, _)| key == wanted).expect("the message is there");
            records.remove(index).1
        };
        changes.remove.iter().for_each(|key| drop(take(key)));
        let mut placed = Vec::new();
        for (key, target) in &changes.renumber {
            assert_eq!(take(key).guid, target.guid);
            placed.push(target.clone());
        }
        for target in &changes.update {
            let key = MessageKey::Uid(target.uid.expect("what is updated has a UID"));
            assert_eq!(take(&key).guid, target.guid);
            placed.push(target.clone());
        }
        placed.extend(plan.fetch.iter().map(|(_, target)| target));
        let mut records: Vec<_> = records.into_iter().map(|(_, record)| record).chain(placed).collect();
        records.sort_by_key(|record| record.uid);
        assert!(records.iter().all(|record| record.uid.is_some_and(|uid| uid < changes.uid_next)));
        assert!(records.iter().all(|record| record.modseq.is_some_and(|m| m <= changes.highest_modseq)));
        let mut after = Self::new(None, changes.uid_next.get(), Some(changes.highest_modseq.get()), records);
        after.status.identity = changes.identity.or(Self::new(Some(9), 1, None, vec![]).status.identity);
        after.status.first_recent_uid = Some(changes.first_recent_uid);
        after
    }
}

fn record(uid: u32, guid: &str, modseq: u64) -> MessageRecord {
    MessageRecord {
        uid: Uid::new(uid),
        guid: MessageGuid::new(guid.as_bytes()).unwrap(),
        flags: Flags::NONE,
        keywords: Keywords::none(),
        modseq: (modseq != 0).then_some(ModSeq(modseq)),
        received: Timestamp(7),
        saved: None,
        pop3_uidl: None,
        pop3_order: None,
    }
}

fn empty() -> Side {
    Side::new(None, 1, None, vec![])
}

#[test]
fn a_first_backup_fetches_everything_as_it_is() {
    let source = Side::new(Some(1), 9, Some(50), vec![record(3, "a", 40), record(5, "b", 50)]);
    let plan = one_way(source.view(), empty().view());
    assert_eq!(plan.fetch.len(), 2);
    assert_eq!(plan.fetch.get(1).unwrap(), (MessageKey::Uid(Uid::new(5).unwrap()), record(5, "b", 50)));
    let after = empty().after(&plan);
    assert_eq!((after.status, after.messages), (source.status, source.messages));
}

#[test]
fn what_the_destination_added_is_discarded_and_its_counters_go_back() {
    let source = Side::new(Some(1), 4, Some(50), vec![record(3, "a", 40)]);
    let destination = Side::new(Some(1), 9, Some(70), vec![record(3, "a", 60), record(8, "x", 70)]);
    let plan = one_way(source.view(), destination.view());
    assert_eq!(plan.changes.remove, [MessageKey::Uid(Uid::new(8).unwrap())]);
    assert_eq!(plan.changes.update, [record(3, "a", 40)]);
    assert_eq!((plan.changes.uid_next.get(), plan.changes.highest_modseq), (4, ModSeq(50)));
}

#[test]
fn a_message_under_another_uid_is_not_transferred_again() {
    let source = Side::new(Some(2), 12, Some(5), vec![record(10, "a", 4), record(11, "b", 5)]);
    let destination = Side::new(Some(1), 3, Some(9), vec![record(1, "b", 8), record(2, "a", 9)]);
    let plan = one_way(source.view(), destination.view());
    assert!(plan.fetch.is_empty());
    assert_eq!(plan.changes.renumber.len(), 2);
    assert_eq!(destination.after(&plan).messages, source.messages);
}

#[test]
fn messages_without_uid_get_one_that_stays() {
    let source = Side::new(None, 1, None, vec![record(0, "a", 0), record(0, "b", 0)]);
    let first = empty().after(&one_way(source.view(), empty().view()));
    assert_eq!(first.messages.get(Uid::new(2).unwrap()).unwrap().guid.text()[..], b"b"[..]);

    // "a" is removed, "0" (which sorts first) and "c" are delivered: "b" stays 2, and 1 is not given again.
    let source = Side::new(None, 1, None, vec![record(0, "0", 0), record(0, "b", 0), record(0, "c", 0)]);
    let plan = one_way(source.view(), first.view());
    let second = first.after(&plan);
    let uids: Vec<_> = second.messages.records().map(|r| (r.uid.unwrap().get(), r.guid.to_string())).collect();
    assert_eq!(uids, [(2, "b".into()), (3, "0".into()), (4, "c".into())]);
    assert!(!one_way(source.view(), second.view()).needed);
}

#[test]
fn what_is_not_selected_does_not_come_and_what_is_there_of_it_stays() {
    let source = Side::new(
        Some(1),
        9,
        Some(20),
        vec![record(2, "a", 5), record(4, "b", 6), record(5, "c", 7), record(8, "d", 8)],
    );
    let destination =
        Side::new(Some(1), 9, Some(20), vec![record(2, "a", 3), record(3, "gone", 3), record(6, "b", 6)]);
    let keys = |uids: &[u32]| uids.iter().map(|uid| MessageKey::Uid(Uid::new(*uid).unwrap())).collect::<HashSet<_>>();
    let left_out = LeftOut { unselected: keys(&[2, 4, 5]), ..LeftOut::default() };
    let plan = one_way_without(source.view(), destination.view(), &left_out, true);
    assert_eq!(plan.fetch.iter().map(|(_, record)| record).collect::<Vec<_>>(), [record(8, "d", 8)]);
    assert_eq!(plan.changes.update, [record(2, "a", 5)]);
    assert_eq!(plan.changes.renumber, [(MessageKey::Uid(Uid::new(6).unwrap()), record(4, "b", 6))]);
    assert_eq!(plan.changes.remove, [MessageKey::Uid(Uid::new(3).unwrap())], "it is not at the source");
    assert_eq!((plan.unselected, plan.changes.uid_next), (1, Uid::new(9).unwrap()));
    let again = one_way_without(source.view(), destination.after(&plan).view(), &left_out, true);
    assert!(!again.needed);
}

#[test]
fn what_has_no_uid_and_is_not_selected_uses_none_up() {
    let source = Side::new(Some(1), 3, Some(20), vec![record(1, "a", 5), record(0, "b", 0), record(0, "c", 0)]);
    let unselected = HashSet::from([MessageKey::Unassigned(0)]);
    let left_out = LeftOut { unselected, ..LeftOut::default() };
    let plan = one_way_without(source.view(), empty().view(), &left_out, true);
    let fetched: Vec<_> = plan.fetch.iter().map(|(_, record)| (record.uid, record.guid.to_string())).collect();
    assert_eq!(fetched, [(Uid::new(1), "a".to_owned()), (Uid::new(3), "c".to_owned())]);
    assert_eq!(plan.unselected, 1);
}

#[test]
fn what_is_unavailable_gets_no_uid() {
    let source = Side::new(None, 1, None, vec![record(0, "a", 0), record(0, "b", 0), record(0, "c", 0)]);
    let unavailable = HashSet::from([MessageKey::Unassigned(1)]);
    let unavailable = LeftOut { unavailable, ..LeftOut::default() };
    let plan = one_way_without(source.view(), empty().view(), &unavailable, true);
    let keys: Vec<_> = plan.fetch.iter().map(|(key, record)| (key, record.uid.unwrap().get())).collect();
    assert_eq!(keys, [(MessageKey::Unassigned(0), 1), (MessageKey::Unassigned(2), 2)]);
    assert_eq!(plan.changes.uid_next.get(), 3);
}

#[test]
fn an_incomplete_source_removes_nothing() {
    let source = Side::new(Some(1), 4, Some(5), vec![record(1, "a", 5)]);
    let destination = Side::new(Some(1), 4, Some(5), vec![record(1, "a", 5), record(3, "b", 5)]);
    let plan = one_way_without(source.view(), destination.view(), &LeftOut::default(), false);
    assert!(plan.changes.remove.is_empty() && !plan.needed);
    assert_eq!(one_way(source.view(), destination.view()).changes.remove.len(), 1);
}

#[test]
fn when_uids_run_out_the_rest_is_named() {
    let records = vec![record(0, "a", 0), record(0, "b", 0)];
    let source = Side::new(Some(1), 4_294_967_293, Some(5), records);
    let plan = one_way(source.view(), empty().view());
    assert_eq!((plan.fetch.len(), plan.unplaced), (1, vec![MessageKey::Unassigned(1)]));
    let none = Side::new(Some(1), u32::MAX, Some(5), vec![record(0, "a", 0)]);
    assert_eq!(one_way(none.view(), empty().view()).unplaced.len(), 1);
}

#[test]
fn a_given_uid_wins_over_one_that_was_only_provisional() {
    let source = Side::new(Some(1), 3, Some(5), vec![record(1, "a", 5), record(2, "c", 5), record(0, "b", 0)]);
    let destination = Side::new(Some(1), 3, Some(6), vec![record(1, "a", 5), record(2, "b", 6)]);
    let after = destination.after(&one_way(source.view(), destination.view()));
    let uids: Vec<_> = after.messages.records().map(|r| (r.uid.unwrap().get(), r.guid.to_string())).collect();
    assert_eq!(uids, [(1, "a".into()), (2, "c".into()), (3, "b".into())]);
}

#[test]
fn a_change_that_the_source_has_not_counted_gets_a_new_modseq_once() {
    let mut seen = record(1, "a", 0);
    seen.flags = Flags::SEEN;
    let source = Side::new(Some(1), 2, Some(5), vec![seen]);
    let destination = Side::new(Some(1), 2, Some(5), vec![record(1, "a", 5)]);
    let after = destination.after(&one_way(source.view(), destination.view()));
    assert_eq!(after.status.highest_modseq, Some(ModSeq(6)));
    assert!(!one_way(source.view(), after.view()).needed);
}

#[test]
fn a_message_can_be_in_a_mailbox_twice() {
    let source = Side::new(Some(1), 4, Some(5), vec![record(1, "a", 5), record(3, "a", 5)]);
    let destination = Side::new(Some(1), 4, Some(5), vec![record(3, "a", 5)]);
    let plan = one_way(source.view(), destination.view());
    assert_eq!(plan.fetch.len(), 1);
    assert_eq!(destination.after(&plan).messages, source.messages);
}

fn any_record() -> impl Strategy<Value = MessageRecord> {
    let guid = prop::sample::select(vec!["a", "b", "c", "d", "e", "f", "g", "h"]);
    let keywords = prop::sample::subsequence(vec!["k", "l", "m"], 0..3);
    (guid, 0..32u8, keywords, prop::option::weighted(0.8, 1..40u64), prop::option::of(0..3i64)).prop_map(
        |(guid, flags, keywords, modseq, saved)| MessageRecord {
            flags: Flags::from_bits(flags),
            keywords: keywords.iter().filter_map(|name| Keyword::new(name)).collect(),
            modseq: modseq.map(ModSeq),
            saved: saved.map(Timestamp),
            ..record(0, guid, 0)
        },
    )
}

fn any_side(decided: bool) -> impl Strategy<Value = Side> {
    let assigned = prop::collection::btree_map(1..30u32, any_record(), 0..8);
    let unassigned = prop::collection::vec(any_record(), 0..if decided { 1 } else { 4 });
    let identity = prop::option::weighted(0.7, 1..3u8).prop_map(move |id| id.or(decided.then_some(1)));
    let highest = prop::option::weighted(0.7, 40..60u64).prop_map(move |value| value.or(decided.then_some(45)));
    (assigned, unassigned, identity, highest, 30..40u32).prop_map(
        move |(assigned, unassigned, identity, highest, next)| {
            let mut records: Vec<_> = assigned
                .into_iter()
                .map(|(uid, record)| MessageRecord { uid: Uid::new(uid), ..record })
                .chain(unassigned)
                .collect();
            // A store has each GUID without UID once only: it is the name of the file.
            let mut seen = std::collections::HashSet::new();
            records.retain(|record| record.uid.is_some() || seen.insert(record.guid.clone()));
            for record in &mut records {
                if decided {
                    record.modseq = record.modseq.or(Some(ModSeq(1)));
                } else if highest.is_none() {
                    record.modseq = None;
                }
            }
            Side::new(identity, next, highest, records)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_destination_becomes_the_source(source in any_side(true), destination in any_side(false)) {
        let mut destination = destination;
        destination.messages = MessageList::new(
            destination.messages.records()
                .map(|record| MessageRecord { modseq: record.modseq.or(Some(ModSeq(1))), ..record })
                .collect()).unwrap();
        let after = destination.after(&one_way(source.view(), destination.view()));
        prop_assert_eq!(&after.status, &source.status);
        for (here, there) in after.messages.records().zip(source.messages.records()) {
            let mut there = there.clone();
            there.saved = there.saved.or(here.saved);
            prop_assert_eq!(&here, &there);
        }
        prop_assert_eq!(after.messages.len(), source.messages.len());
    }

    #[test]
    fn a_second_run_has_nothing_to_do(source in any_side(false), destination in any_side(false)) {
        let after = destination.after(&one_way(source.view(), destination.view()));
        let plan = one_way(source.view(), after.view());
        prop_assert!(!plan.needed, "{:?}", plan);
    }
}
