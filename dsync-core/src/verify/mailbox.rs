//! The comparison of one mailbox.

use super::{Difference, Field, Findings, VerifyOptions, body, matching, record};
use crate::model::{KeptFields, MailboxName, MailboxStatus, MessageKey, MessageList};
use crate::report::Event;
use crate::session::{SessionError, content};
use crate::store::{MailStore, Mailbox};

/// Compares a mailbox that is at both stores.
pub(super) fn compare(
    name: &MailboxName,
    [first, second]: [&mut dyn MailStore; 2],
    options: &VerifyOptions,
    findings: &mut Findings<'_>,
) -> Result<(), SessionError> {
    let first = open(name, first, 0, findings);
    let second = open(name, second, 1, findings);
    let (Some(first), Some(second)) = (first, second) else { return Ok(()) };
    let mut pair =
        Pair { name, mailboxes: [first, second], keeps: findings.outcome.compared, bodies: options.bodies };
    pair.counters(findings);
    pair.messages(findings)?;
    findings.outcome.mailboxes += 1;
    findings.tell(Event::MailboxCompared(name));
    Ok(())
}

fn open(
    name: &MailboxName,
    store: &mut dyn MailStore,
    side: usize,
    findings: &mut Findings<'_>,
) -> Option<Box<dyn Mailbox>> {
    let mailbox = store.open(name).map_err(|error| findings.problem(name, side, &error.to_string())).ok()?;
    for problem in mailbox.problems() {
        findings.problem(name, side, problem);
    }
    Some(mailbox)
}

struct Pair<'a> {
    name: &'a MailboxName,
    mailboxes: [Box<dyn Mailbox>; 2],
    keeps: KeptFields,
    bodies: bool,
}

impl Pair<'_> {
    fn counters(&self, findings: &mut Findings<'_>) {
        let values = self.mailboxes.each_ref().map(|mailbox| counters(mailbox.status(), mailbox.messages()));
        let [first, second] = values;
        for ((field, first), (_, second)) in first.into_iter().zip(second) {
            match (first, second) {
                (Some(first), Some(second)) if first == second => {}
                (Some(first), Some(second)) => {
                    findings.of_mailbox(self.name, field, [Some(first), Some(second)]);
                }
                _ => findings.undecided(),
            }
        }
    }

    fn messages(&mut self, findings: &mut Findings<'_>) -> Result<(), SessionError> {
        let mut matched = matching::by_uid(self.lists());
        findings.tell(Event::Comparing(self.name, matched.same.len()));
        for places in matched.same {
            self.message(places, findings)?;
        }
        let same = matching::by_key(&mut matched.rest, &mut |side, place| self.key(side, place));
        findings.tell(Event::Comparing(self.name, same.len()));
        for places in same {
            self.message(places, findings)?;
        }
        for (side, rest) in matched.rest.iter().enumerate() {
            for place in rest {
                self.only_at(side, *place, findings);
            }
        }
        Ok(())
    }

    fn lists(&self) -> [&MessageList; 2] {
        self.mailboxes.each_ref().map(|mailbox| mailbox.messages())
    }

    /// By what a message is recognised whose UID does not tell.
    fn key(&mut self, side: usize, place: usize) -> Option<[u8; 16]> {
        let mailbox = self.mailboxes.get_mut(side)?;
        let key = mailbox.messages().key_of(place)?;
        match self.keeps.guids {
            true => mailbox.messages().guid_at(place).map(|guid| guid.to_128()),
            false => content(mailbox.body(key).ok()?),
        }
    }

    /// Compares a message that is at both stores.
    fn message(&mut self, places: [usize; 2], findings: &mut Findings<'_>) -> Result<(), SessionError> {
        findings.check_stop()?;
        let [first, second] = self.lists();
        let (Some(left), Some(right)) = (first.at(places[0]), second.at(places[1])) else { return Ok(()) };
        let (Some(left_key), Some(right_key)) = (first.key_of(places[0]), second.key_of(places[1])) else {
            return Ok(());
        };
        let key = if left.uid.is_some() { left_key } else { right_key };
        let (found, undecided) = record::differences([&left, &right], self.keeps);
        findings.outcome.undecided += undecided;
        for (field, values) in found {
            findings.of_message(self.name, key, field, values);
        }
        let size = if self.bodies { self.bodies(key, [left_key, right_key], findings) } else { None };
        findings.outcome.messages += 1;
        findings.tell(Event::MessageCompared(self.name, size));
        Ok(())
    }

    /// Compares the bytes of a message. How many there are at the first store, if they could be read.
    fn bodies(&mut self, key: MessageKey, keys: [MessageKey; 2], findings: &mut Findings<'_>) -> Option<u64> {
        let [first, second] = &mut self.mailboxes;
        let opened = [first.body(keys[0]), second.body(keys[1])];
        let [Ok(first), Ok(second)] = opened else {
            for (side, error) in
                opened.iter().enumerate().filter_map(|(side, body)| Some((side, body.as_ref().err()?)))
            {
                findings.problem(self.name, side, &format!("{key}: {error}"));
            }
            return None;
        };
        match body::compare([first, second]) {
            Err((side, error)) => {
                findings.problem(self.name, side, &format!("{key} cannot be read: {error}"));
                None
            }
            Ok(comparison) => {
                let sizes = comparison.sizes;
                if sizes[0] != sizes[1] {
                    findings.of_message(self.name, key, Field::Size, sizes.map(|size| Some(size.to_string())));
                }
                if let Some((offset, excerpts)) = comparison.different {
                    let values = excerpts.map(|bytes| (!bytes.is_empty()).then(|| text(&bytes)));
                    findings.of_message(self.name, key, Field::Body { offset }, values);
                }
                findings.outcome.bytes = findings.outcome.bytes.saturating_add(sizes[0]);
                Some(sizes[0])
            }
        }
    }

    /// A message is at one store only.
    fn only_at(&self, side: usize, place: usize, findings: &mut Findings<'_>) {
        let Some(list) = self.mailboxes.get(side).map(|mailbox| mailbox.messages()) else { return };
        let (Some(key), Some(guid)) = (list.key_of(place), list.guid_at(place)) else { return };
        let value = Some(guid.to_string());
        let (first, second) = if side == 0 { (value, None) } else { (None, value) };
        let (mailbox, message) = (self.name.clone(), Some(key));
        findings.difference(&Difference { mailbox, message, field: Field::Message, first, second });
    }
}

/// The counters as text; `None` for those that are not decided, or would not be once the store is opened by a server.
fn counters(status: &MailboxStatus, messages: &MessageList) -> [(Field, Option<String>); 5] {
    let identity = status.identity;
    let is_numbered = identity.uid_validity.is_some() && messages.assigned() == messages.len();
    let is_counted = messages.records().all(|record| record.modseq.is_some());
    let uid_next = is_numbered.then(|| status.uid_next.to_string());
    let highest = status.highest_modseq.filter(|_| is_counted);
    [
        (Field::MailboxGuid, identity.guid.map(|guid| guid.to_string())),
        (Field::UidValidity, identity.uid_validity.map(|validity| validity.to_string())),
        (Field::UidNext, uid_next),
        (Field::HighestModSeq, highest.map(|modseq| modseq.to_string())),
        (Field::FirstRecentUid, status.first_recent_uid.map(|uid| uid.to_string())),
    ]
}

/// Bytes as text on one line.
fn text(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}
