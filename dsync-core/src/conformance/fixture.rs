//! Values that the checks share.

use crate::model::{
    Flags, Keyword, Keywords, MailboxGuid, MailboxIdentity, MailboxName, MessageGuid, MessageKey, MessageRecord,
    ModSeq, Timestamp, Uid, UidValidity,
};
use crate::store::{Capabilities, MailStore, Mailbox, MailboxChanges, MessageBody, NewMessages, Origin, SavedBody};

pub(super) fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '/').expect("the checks use valid names")
}

pub(super) fn uid(number: u32) -> Uid {
    Uid::new(number).expect("the checks use valid UIDs")
}

pub(super) fn identity(number: u8) -> MailboxIdentity {
    let guid = MailboxGuid::new([number; 16]).expect("the checks use valid GUIDs");
    MailboxIdentity::new(guid, UidValidity::new(1000 + u32::from(number)).expect("not zero"))
}

pub(super) fn record(number: u32, modseq: u64) -> MessageRecord {
    MessageRecord {
        uid: Some(uid(number)),
        guid: MessageGuid::new(format!("{number:032x}").as_bytes()).expect("hexadecimal digits are valid"),
        flags: Flags::NONE,
        keywords: Keywords::none(),
        modseq: Some(ModSeq(modseq)),
        received: Timestamp(1_600_000_000 + i64::from(number)),
        saved: Some(Timestamp(1_700_000_000 + i64::from(number))),
        pop3_uidl: None,
        pop3_order: None,
    }
}

pub(super) fn keywords(names: &[&str]) -> Keywords {
    names.iter().filter_map(|name| Keyword::new(name)).collect()
}

/// Different for each number, and awkward in other ways for each.
pub(super) fn bytes(number: u32) -> Vec<u8> {
    let body = match number % 4 {
        0 => "\n",
        1 => "no line end",
        2 => "From me\r\nand CRLF\r\n",
        _ => ".\n..\nline\n",
    };
    format!("Subject: message {number}\nX-Number: {number}\n\n{body}").into_bytes()
}

pub(super) fn no_changes(uid_next: u32, highest: u64, recent: u32) -> MailboxChanges {
    MailboxChanges {
        uid_next: uid(uid_next),
        highest_modseq: ModSeq(highest),
        first_recent_uid: uid(recent),
        ..MailboxChanges::empty(Origin::Mirrored)
    }
}

pub(super) fn save(mailbox: &mut dyn Mailbox, record: &MessageRecord) -> (SavedBody, MessageRecord) {
    let number = record.uid.expect("the checks save with UIDs").get();
    let saved = mailbox.save(record, MessageBody::from_bytes(bytes(number))).expect("a message can be saved");
    (saved, record.clone())
}

/// What a commit is to add.
pub(super) fn new(messages: Vec<(SavedBody, MessageRecord)>) -> NewMessages {
    messages.try_into().expect("each message has a UID of its own")
}

/// A mailbox with messages 3, 7 and 8, modseqs 10, 30, 20, UIDNEXT 12, HIGHESTMODSEQ 40, recent from 8.
pub(super) fn create_three(store: &mut dyn MailStore, mailbox: &MailboxName) -> Vec<MessageRecord> {
    let mut records = vec![record(3, 10), record(7, 30), record(8, 20)];
    records[0].flags = Flags::ALL;
    records[1].keywords = keywords(&["$Forwarded", "work"]);
    records[2].pop3_uidl = Some("uidl-8".into());
    records[2].pop3_order = Some(2);
    let mut open = match store.open(mailbox) {
        Ok(open) => open,
        Err(_) => store.create(mailbox, identity(1)).expect("a mailbox can be created"),
    };
    // In another order than they are added.
    let mut added: Vec<_> = records.iter().rev().map(|record| save(&mut *open, record)).collect();
    added.reverse();
    let mut changes = no_changes(12, 40, 8);
    changes.identity = identity(1);
    changes.add = new(added);
    open.commit(changes).expect("messages can be committed");
    records
}

/// The mailbox holds exactly these messages, with their bytes.
pub(super) fn expect(store: &mut dyn MailStore, mailbox: &MailboxName, expected: &[(MessageRecord, u32)]) {
    let Capabilities { keeps, line_ends, .. } = store.capabilities();
    let mut open = store.open(mailbox).expect("the mailbox can be opened");
    let messages = open.messages().clone();
    assert_eq!(open.problems(), [] as [String; 0], "a sound mailbox has no problems");
    assert_eq!(messages.len(), open.status().message_count as usize, "the count is that of the list");
    let uids: Vec<_> = messages.records().map(|record| record.uid).collect();
    let expected_uids: Vec<_> = expected.iter().map(|(record, _)| record.uid).collect();
    assert_eq!(uids, expected_uids, "the messages are those that were committed");
    for (found, (record, _)) in messages.records().zip(expected) {
        assert_eq!(found, keeps.applied(record.clone(), &found), "a message is as it was committed");
    }
    for (record, number) in expected {
        let body = open
            .body(MessageKey::Uid(record.uid.expect("the checks expect UIDs")))
            .expect("a listed message has a body");
        let size = body.size;
        let read = body.read_all().expect("a body can be read");
        match line_ends {
            true => assert_eq!(read, bytes(*number), "the bytes are those that were saved"),
            false => assert_eq!(with_lf(&read), with_lf(&bytes(*number)), "the bytes are those that were saved"),
        }
        assert!(size.is_none_or(|size| size == read.len() as u64), "an announced size is right");
    }
}

/// The bytes with LF for CRLF.
fn with_lf(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", "\n")
}

pub(super) fn key(number: u32) -> MessageKey {
    MessageKey::Uid(uid(number))
}
