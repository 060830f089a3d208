//! Messages on their way from a peer: in any order, each with dates that its list did not say.

use std::collections::{HashMap, HashSet};

use crate::merge::{Fetch, MailboxPlan};
use crate::model::{MailboxName, MessageGuid, MessageKey, MessageRecord, OutOfOrder, Timestamp, Uid};
use crate::report::Event;
use crate::session::reporting::Reporter;
use crate::session::{SessionError, receiving};
use crate::store::{ErrorKind, MailStore, Mailbox, MessageBody, NewMessages, SavedBody, StoreError};
use crate::wire::{Mail, MailRequest};

/// The messages that a plan needs from the other side.
pub(super) struct Arrivals {
    fetch: Fetch,
    /// Their places in `fetch`, by the UID at the other side.
    places: HashMap<Uid, usize>,
    /// By place.
    arrived: HashMap<usize, Arrived>,
    bytes: u64,
}

/// A message that has come.
struct Arrived {
    body: SavedBody,
    facts: Facts,
}

/// What is said with the bytes of a message.
#[derive(Clone)]
struct Facts {
    received: Option<Timestamp>,
    saved: Option<Timestamp>,
    pop3_uidl: Option<String>,
    pop3_order: Option<u32>,
}

impl Facts {
    fn of(mail: &Mail) -> Self {
        let time = |seconds: u64| i64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Timestamp);
        let uidl = mail.pop3_uidl.as_ref().and_then(|uidl| String::from_utf8(uidl.clone()).ok());
        // RFC 1939, 7; a server could not show others.
        let is_shown = |uidl: &String| !uidl.is_empty() && uidl.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        Self {
            received: time(mail.received),
            saved: mail.saved.and_then(time),
            pop3_uidl: uidl.filter(is_shown),
            pop3_order: Some(mail.pop3_order).filter(|order| *order > 0),
        }
    }

    fn complete(&self, record: &mut MessageRecord) {
        record.received = self.received.unwrap_or(record.received);
        record.saved = self.saved;
        record.pop3_uidl = self.pop3_uidl.as_deref().map(Into::into);
        record.pop3_order = self.pop3_order;
    }
}

impl Arrivals {
    /// Takes them out of the plan.
    pub(super) fn of(plan: &mut MailboxPlan) -> Self {
        let fetch = std::mem::take(&mut plan.fetch);
        let uid = |key: &MessageKey| match key {
            MessageKey::Uid(uid) => Some(*uid),
            MessageKey::Unassigned(_) => None,
        };
        let places = fetch.keys().enumerate().filter_map(|(place, key)| Some((uid(&key)?, place))).collect();
        Self { fetch, places, arrived: HashMap::new(), bytes: 0 }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.fetch.len()
    }

    /// The request for the message at a place.
    pub(super) fn request(&self, place: usize) -> Option<MailRequest> {
        match self.fetch.key(place)? {
            // Two messages with one GUID need not be the same.
            MessageKey::Uid(uid) => Some(MailRequest { guid: None, uid: Some(uid) }),
            MessageKey::Unassigned(_) => None,
        }
    }

    /// Takes a message. What was not asked for is left alone.
    pub(super) fn take(
        &mut self,
        name: &MailboxName,
        mailbox: &mut dyn Mailbox,
        mail: &Mail,
        body: Option<MessageBody>,
        reporter: &mut Reporter<'_>,
        store: &dyn MailStore,
    ) -> Result<(), SessionError> {
        let Some((place, mut record)) = self.find(mail) else { return Ok(()) };
        // Without a body it is gone by now.
        let Some(body) = body else { return Ok(()) };
        let facts = Facts::of(mail);
        facts.complete(&mut record);
        match mailbox.save(&record, body) {
            Ok(body) => {
                reporter.event(Event::MessageSaved(name, None));
                self.arrived.insert(place, Arrived { body, facts });
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Source => {
                let key = MessageKey::Uid(record.uid.unwrap_or(Uid::FIRST));
                reporter.problem(Some(name), format!("{key} cannot be copied: {error}"));
                Ok(())
            }
            Err(error) => Err(SessionError::of_store(store, error.in_mailbox(name))),
        }
    }

    /// Notes how many bytes a message had.
    pub(super) fn count(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn find(&self, mail: &Mail) -> Option<(usize, MessageRecord)> {
        let place = match (mail.uid, &mail.guid) {
            (Some(uid), _) => *self.places.get(&uid)?,
            (None, Some(guid)) => self.with_guid(guid)?,
            (None, None) => return None,
        };
        let (_, record) = self.fetch.get(place)?;
        (!self.arrived.contains_key(&place)).then_some((place, record))
    }

    /// The place of a message with this GUID that has not come yet.
    fn with_guid(&self, guid: &MessageGuid) -> Option<usize> {
        let is_it = |place: &usize| self.fetch.get(*place).is_some_and(|(_, record)| record.guid == *guid);
        (0..self.fetch.len()).filter(|place| !self.arrived.contains_key(place)).find(is_it)
    }

    /// Those that have not come.
    pub(super) fn missing(&self) -> HashSet<MessageKey> {
        let keys = self.fetch.keys().enumerate();
        keys.filter(|(place, _)| !self.arrived.contains_key(place)).map(|(_, key)| key).collect()
    }

    /// Carries the plan out with the messages that have come. It is another one if some have not.
    pub(super) fn commit(
        self,
        name: &MailboxName,
        mailbox: &mut dyn Mailbox,
        plan: MailboxPlan,
        reporter: &mut Reporter<'_>,
    ) -> Result<(), StoreError> {
        let MailboxPlan { mut changes, fetch, .. } = plan;
        let bytes = self.bytes;
        let add = self.into_new(&fetch);
        changes.add = add.map_err(|error| StoreError::new(ErrorKind::Impossible, error.to_string()))?;
        receiving::commit(name, mailbox, changes, bytes, reporter)
    }

    /// What is to be added: that of `left` if not everything has come.
    fn into_new(self, left: &Fetch) -> Result<NewMessages, OutOfOrder> {
        let mut new = NewMessages::default();
        let wanted = if self.arrived.len() == self.fetch.len() { &self.fetch } else { left };
        for (key, mut record) in wanted.iter() {
            let MessageKey::Uid(uid) = key else { continue };
            if let Some(arrived) = self.places.get(&uid).and_then(|place| self.arrived.get(place)) {
                arrived.facts.complete(&mut record);
                new.push(arrived.body, &record)?;
            }
        }
        Ok(new)
    }
}
