use super::*;
use crate::memory::MemoryStore;
use crate::model::{
    Flags, Keyword, Keywords, MailboxGuid, MailboxIdentity, MessageGuid, MessageRecord, ModSeq, Timestamp, Uid,
    UidValidity,
};
use crate::report::Unobserved;
use crate::session::SyncOptions;
use crate::store::{MailboxChanges, Origin};
use crate::sync::backup;

/// Writes down what is found; wants the end after so many events.
#[derive(Default)]
struct Listener {
    found: Vec<String>,
    events: usize,
    patience: Option<usize>,
}

impl Observer for Listener {
    fn event(&mut self, _: &str, event: Event<'_>) {
        self.events += 1;
        match event {
            Event::Difference(difference) => self.found.push(difference.to_string()),
            Event::Problem(problem) => self.found.push(format!("problem: {problem}")),
            _ => {}
        }
    }

    fn is_to_stop(&self) -> bool {
        self.patience.is_some_and(|patience| self.events >= patience)
    }
}

fn work() -> MailboxName {
    MailboxName::parse("Work", '/').unwrap()
}

fn pair() -> [MemoryStore; 2] {
    let mut first = MemoryStore::with_seed(1);
    for number in 0..3 {
        first.deliver(&MailboxName::inbox(), format!("Subject: {number}\n\ntext\n").as_bytes());
    }
    first.deliver(&work(), b"Subject: work\n\n");
    let mut second = MemoryStore::with_seed(2);
    backup(&mut first, &mut second, &SyncOptions::default(), &mut Unobserved).unwrap();
    [first, second]
}

fn differences([first, second]: &mut [MemoryStore; 2]) -> Vec<String> {
    let mut listener = Listener::default();
    let outcome = verify(first, second, &VerifyOptions::default(), &mut listener).unwrap();
    assert_eq!(outcome.differences, listener.found.len() as u64);
    assert_eq!(outcome.exit_status(), u8::from(outcome.differences > 0));
    listener.found
}

/// Changes the counters and the record of the message with UID 2 in the INBOX.
fn alter(store: &mut MemoryStore, change: impl FnOnce(&mut MailboxChanges, &mut MessageRecord)) {
    let mut inbox = store.open(&MailboxName::inbox()).unwrap();
    let mut record = inbox.messages().get(Uid::new(2).unwrap()).unwrap();
    let status = inbox.status();
    let mut changes = MailboxChanges {
        uid_next: status.uid_next,
        highest_modseq: status.highest_modseq.unwrap(),
        first_recent_uid: status.first_recent_uid.unwrap(),
        ..MailboxChanges::empty(Origin::Local)
    };
    change(&mut changes, &mut record);
    changes.update.push(record);
    inbox.commit(changes).unwrap();
}

#[test]
fn stores_are_the_same_after_a_backup() {
    let mut stores = pair();
    let [first, second] = &mut stores;
    let outcome = verify(first, second, &VerifyOptions::default(), &mut Unobserved).unwrap();
    assert!(outcome.is_equal());
    assert_eq!((outcome.mailboxes, outcome.messages, outcome.undecided), (2, 4, 0));
    // With CRLF at the end of each line.
    assert_eq!(outcome.bytes, 3 * 20 + 17);
}

#[test]
fn each_fact_of_a_message_is_compared() {
    let keyword = |name| Keyword::new(name).unwrap();
    let expect = |change: &dyn Fn(&mut MessageRecord), expected: &str| {
        let mut stores = pair();
        alter(&mut stores[0], |_, record| change(record));
        let found = differences(&mut stores);
        assert_eq!(found, [format!("INBOX: message with UID 2: {expected}")]);
    };
    expect(&|record| record.flags = Flags::SEEN, "flags: \\Seen at the first, nothing at the second");
    expect(
        &|record| record.keywords = [keyword("a"), keyword("b")].into_iter().collect(),
        "keywords: a b at the first, nothing at the second",
    );
    expect(&|record| record.modseq = Some(ModSeq(1)), "MODSEQ: 1 at the first, 3 at the second");
    expect(&|record| record.received = Timestamp(7), "received date: 7 at the first, 2 at the second");
    expect(&|record| record.saved = Some(Timestamp(8)), "saved date: 8 at the first, 2 at the second");
    expect(&|record| record.pop3_uidl = Some("x\ty".into()), "POP3 UIDL: x\ty at the first, nothing at the second");
    expect(&|record| record.pop3_order = Some(3), "POP3 order: 3 at the first, nothing at the second");
    let mut stores = pair();
    alter(&mut stores[0], |_, record| record.keywords = Keywords::from_iter([keyword("Work")]));
    alter(&mut stores[1], |_, record| record.keywords = Keywords::from_iter([keyword("WORK")]));
    assert!(differences(&mut stores).is_empty(), "keywords are the same in any case");
}

#[test]
fn the_bytes_and_the_identity_of_a_message_are_compared() {
    let mut stores = pair();
    let guid = stores[1].open(&MailboxName::inbox()).unwrap().messages().guid_at(1).unwrap();
    stores[1].replace_message(&MailboxName::inbox(), Uid::new(2).unwrap(), guid, b"Subject: 1\n\ntexts\n");
    assert_eq!(
        differences(&mut stores),
        [
            "INBOX: message with UID 2: size: 20 at the first, 21 at the second",
            "INBOX: message with UID 2: bytes from 18 on: \"\\r\\n\" at the first, \"s\\r\\n\" at the second"
        ]
    );
    let options = VerifyOptions { bodies: false, ..VerifyOptions::default() };
    let [first, second] = &mut stores;
    assert!(verify(first, second, &options, &mut Unobserved).unwrap().is_equal());
    let other = MessageGuid::new(b"other").unwrap();
    stores[1].replace_message(&MailboxName::inbox(), Uid::new(2).unwrap(), other, b"Subject: 1\n\ntext\n");
    let found = differences(&mut stores);
    assert!(found.len() == 1 && found[0].ends_with(" at the first, other at the second"), "{found:?}");
}

#[test]
fn each_fact_of_a_mailbox_is_compared() {
    let expect = |change: &dyn Fn(&mut MailboxChanges), expected: &str| {
        let mut stores = pair();
        alter(&mut stores[1], |changes, _| change(changes));
        assert_eq!(differences(&mut stores), [format!("INBOX: {expected}")]);
    };
    let [mut first, _] = pair();
    let identity = first.open(&MailboxName::inbox()).unwrap().status().identity;
    let (guid, validity) = (identity.guid.unwrap(), identity.uid_validity.unwrap());
    let other = MailboxGuid::new([7; 16]).unwrap();
    expect(
        &|changes| changes.identity = MailboxIdentity::new(other, validity),
        &format!("GUID: {guid} at the first, {other} at the second"),
    );
    expect(
        &|changes| changes.identity = MailboxIdentity::new(guid, UidValidity::new(5).unwrap()),
        &format!("UIDVALIDITY: {validity} at the first, 5 at the second"),
    );
    expect(&|changes| changes.uid_next = Uid::new(9).unwrap(), "UIDNEXT: 4 at the first, 9 at the second");
    expect(&|changes| changes.highest_modseq = ModSeq(99), "HIGHESTMODSEQ: 4 at the first, 99 at the second");
    expect(
        &|changes| changes.first_recent_uid = Uid::new(3).unwrap(),
        "first recent UID: 1 at the first, 3 at the second",
    );
}

#[test]
fn names_and_what_is_there_are_compared() {
    let name = |text| MailboxName::parse(text, '/').unwrap();
    let mut stores = pair();
    stores[0].set_subscribed(&name("Work"), true).unwrap();
    stores[1].set_subscribed(&name("gone"), true).unwrap();
    stores[0].create_mailbox(&name("here"), MailboxIdentity::UNDECIDED);
    stores[1].create_directory(&name("level")).unwrap();
    stores[1].lose_message(&MailboxName::inbox(), Uid::new(1).unwrap());
    let found = differences(&mut stores);
    assert!(
        found[0].starts_with("INBOX: message with UID 1: message: ")
            && found[0].ends_with(" at the first, nothing at the second")
    );
    assert_eq!(
        found[1..],
        [
            "Work: subscribed: yes at the first, no at the second",
            "gone: subscribed: no at the first, yes at the second",
            "here: there is: mailbox at the first, nothing at the second",
            "level: there is: nothing at the first, directory at the second",
        ]
    );
    let [first, second] = &mut stores;
    let options = VerifyOptions { mailboxes: MailboxSelection::named([name("level")]), ..VerifyOptions::default() };
    assert_eq!(verify(first, second, &options, &mut Unobserved).unwrap().differences, 1);
}

#[test]
fn a_level_above_a_mailbox_is_there_whether_it_is_kept_or_not() {
    let name = |text| MailboxName::parse(text, '/').unwrap();
    let mut stores = pair();
    stores[0].create_directory(&name("level")).unwrap();
    for store in &mut stores {
        let identity = MailboxIdentity::new(MailboxGuid::new([9; 16]).unwrap(), UidValidity::new(9).unwrap());
        store.create_mailbox(&name("level/below"), identity);
    }
    assert!(differences(&mut stores).is_empty());
}

#[test]
fn a_message_under_another_uid_is_recognised() {
    let mut stores = pair();
    let moved = stores[1].copy(&MailboxName::inbox(), Uid::new(2).unwrap(), &MailboxName::inbox()).unwrap();
    stores[1].lose_message(&MailboxName::inbox(), Uid::new(2).unwrap());
    let found = differences(&mut stores);
    assert!(
        found.contains(&format!("INBOX: message with UID 2: UID: 2 at the first, {moved} at the second")),
        "{found:?}"
    );
    assert!(!found.iter().any(|line| line.contains("message: ") && line.contains("nothing")), "{found:?}");
}

#[test]
fn without_guids_messages_are_recognised_by_what_is_in_them() {
    let [mut first, _] = pair();
    let mut second = MemoryStore::without_guids(5);
    backup(&mut first, &mut second, &SyncOptions::default(), &mut Unobserved).unwrap();
    let outcome = verify(&mut first, &mut second, &VerifyOptions::default(), &mut Unobserved).unwrap();
    assert!(outcome.is_equal() && !outcome.compared.guids);
    second.lose_message(&MailboxName::inbox(), Uid::new(3).unwrap());
    second.deliver(&MailboxName::inbox(), b"Subject: 2\r\n\r\ntext\r\n");
    let mut stores = [first, second];
    let found = differences(&mut stores);
    assert!(
        found.contains(&"INBOX: message with UID 3: UID: 3 at the first, 4 at the second".to_owned()),
        "{found:?}"
    );
}

#[test]
fn it_ends_when_the_observer_wants_it() {
    let [mut first, mut second] = pair();
    let mut impatient = Listener { patience: Some(2), ..Listener::default() };
    let stopped = verify(&mut first, &mut second, &VerifyOptions::default(), &mut impatient);
    assert!(matches!(stopped, Err(SessionError::Stopped)));
    assert_eq!(impatient.events, 2);
}
