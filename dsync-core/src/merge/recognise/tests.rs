use super::*;
use crate::model::{
    Flags, Keywords, MailboxGuid, MailboxIdentity, MailboxStatus, MessageRecord, ModSeq, Timestamp, UidValidity,
};

fn record(uid: u32, guid: [u8; 16]) -> MessageRecord {
    MessageRecord {
        uid: Uid::new(uid),
        guid: MessageGuid::from_128(guid),
        flags: Flags::NONE,
        keywords: Keywords::none(),
        modseq: Some(ModSeq(1)),
        received: Timestamp(0),
        saved: Some(Timestamp(i64::from(uid))),
        pop3_uidl: Some("x".into()),
        pop3_order: None,
    }
}

fn list(messages: &[(u32, u8)]) -> MessageList {
    MessageList::new(messages.iter().map(|(uid, guid)| record(*uid, [*guid; 16])).collect()).unwrap()
}

fn contents(contents: &[u8]) -> Contents {
    contents
        .iter()
        .enumerate()
        .filter(|(_, content)| **content != 0)
        .map(|(place, content)| (place, [*content; 16]))
        .collect()
}

/// The places of the destination's messages that the source's turn out to be.
fn recognised(
    (source, source_contents, source_keeps): (&MessageList, &[u8], KeptFields),
    (destination, own_contents, destination_keeps): (&MessageList, &[u8], KeptFields),
    proven: Option<u32>,
) -> (Vec<Option<usize>>, MessageList) {
    let status = MailboxStatus {
        identity: MailboxIdentity { guid: MailboxGuid::new([1; 16]), uid_validity: UidValidity::new(1) },
        uid_next: Uid::new(100).unwrap(),
        message_count: 0,
        highest_modseq: None,
        first_recent_uid: None,
    };
    let (there, here) = (contents(source_contents), contents(own_contents));
    let side = |messages, contents, keeps| RecogniseSide {
        view: MailboxView { status: &status, messages },
        contents,
        keeps,
    };
    let (there, here) = recognise(
        side(source, &there, source_keeps),
        side(destination, &here, destination_keeps),
        proven.and_then(Uid::new),
    );
    let guids: HashSet<MessageGuid> = there.records().map(|record| record.guid).collect();
    assert_eq!(guids.len(), there.len(), "no two messages are the same");
    let place = |record: MessageRecord| here.records().position(|other| other.guid == record.guid);
    (there.records().map(place).collect(), there)
}

const NONE: KeptFields = KeptFields::LEAST;
const ALL: KeptFields = KeptFields::ALL;

#[test]
fn equal_guids_of_a_store_that_keeps_none_prove_nothing() {
    let source = list(&[(1, 7), (2, 7)]);
    let (places, list) = recognised((&source, &[1, 2], NONE), (&self::list(&[]), &[], ALL), None);
    assert_eq!(places, [None, None]);
    let shown = MessageGuid::from_128([7; 16]);
    assert!(list.records().all(|record| record.guid != shown), "another mailbox may show it for another message");
}

#[test]
fn below_the_common_moment_a_uid_is_a_message() {
    let messages = list(&[(1, 7), (2, 7), (5, 7)]);
    let (places, _) = recognised((&messages, &[0, 0, 1], ALL), (&messages, &[0, 0, 2], NONE), Some(5));
    assert_eq!(places, [Some(0), Some(1), None]);
}

#[test]
fn contents_decide_with_the_same_uid_first() {
    let source = list(&[(1, 1), (2, 2), (3, 3)]);
    let destination = list(&[(2, 9), (3, 8), (4, 7)]);
    let (places, _) = recognised((&source, &[5, 5, 6], NONE), (&destination, &[5, 5, 6], ALL), None);
    assert_eq!(places, [Some(1), Some(0), Some(2)]);
    let (places, _) = recognised((&source, &[0, 5, 5], ALL), (&destination, &[0, 5, 0], NONE), None);
    assert_eq!(places, [None, None, Some(1)], "what cannot be read is like nothing");
}

#[test]
fn what_the_destination_does_not_keep_stays_as_it_is() {
    let source = list(&[(1, 1)]);
    let mut there = record(1, [2; 16]);
    (there.saved, there.pop3_uidl) = (None, None);
    let destination = MessageList::new(vec![there]).unwrap();
    let (_, list) = recognised((&source, &[1], ALL), (&destination, &[1], NONE), None);
    let target = list.at(0).unwrap();
    assert_eq!((target.saved, target.pop3_uidl), (Some(Timestamp(1)), None), "a date that is known can be told");
}
