//! Messages that the other side wants.

use std::collections::HashSet;

use super::Said;
use super::exchange::Exchange;
use crate::model::{MessageGuid, MessageKey, Uid};
use crate::report::Event;
use crate::session::SessionError;
use crate::session::reporting::Reporter;
use crate::store::ErrorKind;
use crate::wire::{Item, Mail, MailRequest};

/// A message that the other side wants.
pub(super) struct Wanted {
    pub(super) key: MessageKey,
    pub(super) uid: Uid,
    /// By what it was asked for: its UID if there is none.
    pub(super) guid: Option<MessageGuid>,
}

impl Exchange {
    /// A peer that does not ask for messages gets all of them: once for each GUID.
    pub(super) fn want_all(&mut self) {
        let mut seen = HashSet::new();
        for record in self.own.messages().records() {
            let Some(uid) = record.uid else { continue };
            let guid = (!self.by_hash).then(|| self.own.guid_of(&record));
            if guid.as_ref().is_none_or(|guid| seen.insert(guid.clone())) {
                self.wanted.push_back(Wanted { key: self.own.key(uid), uid, guid });
            }
        }
    }

    pub(super) fn mail(&mut self, wanted: &Wanted, reporter: &mut Reporter<'_>) -> Said {
        let record = self.own.messages().get(wanted.uid);
        let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
        let mut mail = Mail {
            guid: wanted.guid.clone(),
            uid: wanted.guid.is_none().then_some(wanted.uid),
            pop3_uidl: Some(Vec::new()),
            pop3_order: 0,
            received: 0,
            saved: None,
            stream: false,
        };
        let Some(record) = record else { return Said::Item(Item::Mail(mail)) };
        mail.pop3_uidl = Some(record.pop3_uidl.as_deref().unwrap_or_default().as_bytes().to_vec());
        mail.pop3_order = record.pop3_order.unwrap_or(0);
        mail.received = seconds(record.received.seconds());
        mail.saved = record.saved.map(|time| seconds(time.seconds()));
        match self.own.mailbox.body(wanted.key) {
            Ok(body) => {
                mail.stream = true;
                if reporter.wants_reasons() {
                    let reason = format!("UID {}: given to the other side, which does not have it", wanted.uid);
                    reporter.event(Event::Reason(&self.own.name, &reason));
                }
                let counts = &mut reporter.report.counts;
                counts.messages_sent += 1;
                counts.bytes_sent = counts.bytes_sent.saturating_add(body.size.unwrap_or(0));
                Said::Mail(mail, body)
            }
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    reporter.problem(Some(&self.own.name), format!("{} cannot be copied: {error}", wanted.key));
                }
                self.incomplete = true;
                Said::Item(Item::Mail(mail))
            }
        }
    }

    /// Finds a message that the other side wants.
    pub(super) fn want(&mut self, request: &MailRequest) -> Result<(), SessionError> {
        let messages = self.own.messages();
        if self.wanted.len() >= messages.len() {
            return Err(SessionError::InvalidData("requests for more messages than there are".to_owned()));
        }
        let there = request.uid.and_then(|uid| messages.get(uid));
        let uid = match (&request.guid, there) {
            (None, there) => there.and_then(|record| record.uid),
            (Some(guid), Some(record)) if self.own.guid_of(&record) == *guid => record.uid,
            (Some(guid), _) => self.uid_of(guid),
        };
        // One that is gone by now: that is said when it is its turn.
        let Some(uid) = uid.or(request.uid) else {
            return Err(SessionError::InvalidData("a request for a message that was never listed".to_owned()));
        };
        let key = self.own.key(uid);
        self.wanted.push_back(Wanted { key, uid, guid: request.guid.clone() });
        Ok(())
    }

    fn uid_of(&mut self, guid: &MessageGuid) -> Option<Uid> {
        if self.by_guid.is_none() {
            let records = self.own.messages().records().enumerate();
            self.by_guid = Some(records.map(|(place, record)| (self.own.guid_of(&record), place)).collect());
        }
        let place = self.by_guid.as_ref()?.get(guid)?;
        self.own.messages().uid_at(*place)
    }
}
