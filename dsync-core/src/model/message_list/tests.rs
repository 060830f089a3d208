use super::*;
use crate::model::{Flags, Keyword, Keywords};

fn record(uid: Option<u32>, guid: &str) -> MessageRecord {
    MessageRecord {
        uid: uid.and_then(Uid::new),
        guid: MessageGuid::new(guid.as_bytes()).unwrap(),
        flags: Flags::NONE,
        keywords: Keywords::none(),
        modseq: Some(ModSeq(1)),
        received: Timestamp(0),
        saved: None,
        pop3_uidl: None,
        pop3_order: None,
    }
}

#[test]
fn uids_must_ascend_and_come_first() {
    assert!(MessageList::new(vec![record(Some(2), "a"), record(Some(2), "b")]).is_none());
    assert!(MessageList::new(vec![record(None, "a"), record(Some(2), "b")]).is_none());
    let list = MessageList::new(vec![record(Some(2), "a"), record(Some(9), "b"), record(None, "c")]).unwrap();
    assert_eq!((list.len(), list.assigned()), (3, 2));
    assert_eq!(list.get(Uid::new(9).unwrap()).unwrap().guid.text()[..], b"b"[..]);
    assert_eq!(list.get(Uid::new(3).unwrap()), None);
}

#[test]
fn records_come_out_as_they_went_in() {
    let keywords = |names: &[&str]| names.iter().filter_map(|name| Keyword::new(name)).collect::<Keywords>();
    let hexadecimal = "00112233445566778899aabbccddeeff";
    let mut records = vec![record(Some(2), "a.long,name"), record(Some(3), hexadecimal), record(Some(7), "b")];
    records.extend([record(Some(9), "c"), record(None, &hexadecimal.to_uppercase()), record(None, "d")]);
    records[1].keywords = keywords(&["x", "y"]);
    records[3].keywords = keywords(&["x", "y"]);
    records[4].keywords = keywords(&["z"]);
    records[0].modseq = None;
    records[0].saved = Some(Timestamp(-5));
    records[2].pop3_uidl = Some("uidl".into());
    records[4].pop3_order = Some(3);
    records[5].flags = Flags::ALL;
    records[1].received = Timestamp(i64::MIN);
    records[2].modseq = Some(ModSeq(u64::MAX));
    records[3].saved = Some(Timestamp(1 << 32));
    records[4].received = Timestamp(u32::MAX.into());
    let list = MessageList::new(records.clone()).unwrap();
    assert!(list.records().eq(records.clone()));
    assert!(list.records().rev().eq(records.iter().rev().cloned()));
    assert_eq!(list.columns.keywords.sets.len(), 2);
    for (index, (key, record)) in list.keyed().enumerate() {
        assert_eq!((list.index_of(key), list.key_of(index)), (Some(index), Some(key)));
        assert_eq!(list.guid_at(index), Some(record.guid));
    }
    assert_eq!(list.index_of(MessageKey::Unassigned(2)), None);
}

#[test]
fn a_message_that_is_replaced_is_as_if_it_had_always_been_so() {
    let keywords = |name: &str| Keyword::new(name).into_iter().collect::<Keywords>();
    let mut records: Vec<_> = (1..5000).map(|uid| record(Some(uid), &format!("guid{uid}"))).collect();
    records[4000].keywords = keywords("a");
    records[10].pop3_order = Some(1);
    records[20].received = Timestamp(-1);
    let before = MessageList::new(records.clone()).unwrap();
    let mut list = before.clone();
    type Change = fn(&mut MessageRecord);
    let changes: [(usize, Change); 8] = [
        (4000, |record| record.keywords = Keywords::none()),
        (4998, |record| record.keywords = Keyword::new("b").into_iter().collect()),
        (7, |record| record.keywords = Keyword::new("a").into_iter().collect()),
        (10, |record| record.pop3_order = None),
        (11, |record| record.pop3_uidl = Some("x".into())),
        (11, |record| record.pop3_order = Some(5)),
        (20, |record| record.received = Timestamp(1)),
        (2048, |record| record.modseq = Some(ModSeq(u64::MAX))),
    ];
    for (index, change) in changes {
        change(&mut records[index]);
        list.replace(index, &records[index]).unwrap();
        assert_eq!(list, MessageList::new(records.clone()).unwrap());
        assert_ne!(list, before);
    }
    assert_eq!(list.replace(5, &records[6]), Err(OutOfOrder));
    assert_eq!(list.replace(4999, &records[6]), Err(OutOfOrder));
    assert_eq!(list.get(Uid::new(4999).unwrap()).as_ref(), records.last());
}

#[test]
fn who_knows_when_it_was_saved_keeps_that() {
    let mut records = vec![record(Some(2), "a"), record(Some(3), "b"), record(None, "c")];
    records[1].saved = Some(Timestamp(5));
    records[2].received = Timestamp(-1);
    let before = MessageList::new(records.clone()).unwrap();
    let list = before.clone().saved_by_default(Timestamp(7));
    assert!(before.records().eq(records.clone()));
    records[0].saved = Some(Timestamp(7));
    records[2].saved = Some(Timestamp(7));
    assert!(list.records().eq(records));
    assert_eq!(list.clone().saved_by_default(Timestamp(9)), list);
}

#[test]
fn the_digest_sees_every_field_and_refuses_the_undecided() {
    let base = MessageList::new(vec![record(Some(2), "a")]).unwrap();
    let mut seen = record(Some(2), "a");
    seen.flags = Flags::SEEN;
    let mut uidl = record(Some(2), "a");
    uidl.pop3_uidl = Some("x".into());
    for other in [record(Some(3), "a"), record(Some(2), "b"), seen, uidl] {
        assert_ne!(base.digest(), MessageList::new(vec![other]).unwrap().digest());
    }
    assert_eq!(MessageList::new(vec![record(None, "a")]).unwrap().digest(), None);
}
