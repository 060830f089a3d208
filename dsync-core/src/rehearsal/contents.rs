//! What a mailbox would hold.

use std::collections::{BTreeMap, HashMap};

use crate::model::{
    FlagHistory, KeptFields, MailboxHistory, MailboxIdentity, MailboxStatus, MessageKey, MessageList, MessageRecord,
    ModSeq, Uid,
};
use crate::store::{ErrorKind, MailboxChanges, Origin, StoreError};

/// A mailbox as it would be.
#[derive(Clone, Debug)]
pub(super) struct Contents {
    pub(super) status: MailboxStatus,
    pub(super) messages: MessageList,
    /// Where each message is in the store, by its place in the list. `None` for one that would be new.
    origins: Vec<Option<MessageKey>>,
    /// What was done by the store itself. `None` once the history has begun anew.
    done: Option<MailboxHistory>,
}

impl Contents {
    /// An empty mailbox that would be new.
    pub(super) fn empty(identity: MailboxIdentity) -> Self {
        let status = MailboxStatus {
            identity,
            uid_next: Uid::FIRST,
            message_count: 0,
            highest_modseq: Some(ModSeq::FIRST),
            first_recent_uid: Some(Uid::FIRST),
        };
        Self { status, messages: MessageList::default(), origins: Vec::new(), done: Some(MailboxHistory::default()) }
    }

    /// What is in the store.
    pub(super) fn of(status: &MailboxStatus, messages: &MessageList) -> Self {
        Self {
            status: status.clone(),
            messages: messages.clone(),
            origins: messages.keyed().map(|(key, _)| Some(key)).collect(),
            done: Some(MailboxHistory::default()),
        }
    }

    /// Where a message is in the store.
    pub(super) fn origin(&self, key: MessageKey) -> Option<MessageKey> {
        self.origins.get(self.messages.index_of(key)?).copied().flatten()
    }

    /// What is to be added to the history that the store knows; `None` if that is over.
    pub(super) fn history(&self) -> Option<&MailboxHistory> {
        self.done.as_ref()
    }

    /// The mailbox after these changes.
    pub(super) fn after(&self, changes: &MailboxChanges, keeps: KeptFields) -> Result<Self, StoreError> {
        let mut left: BTreeMap<usize, (MessageRecord, Option<MessageKey>)> =
            self.messages.records().zip(self.origins.iter().copied()).enumerate().collect();
        let mut done = self.done.clone();
        let mut take = |key: MessageKey| {
            let place = self.messages.index_of(key);
            let text = || StoreError::new(ErrorKind::NotFound, format!("there is no {key}"));
            place.and_then(|place| left.remove(&place)).ok_or_else(text)
        };
        for key in &changes.remove {
            let (record, _) = take(*key)?;
            if let (Origin::Local, Some(uid), Some(done)) = (changes.origin, record.uid, done.as_mut()) {
                done.expunged.insert(uid, Some(record.guid.to_128()));
            }
        }
        let mut placed = Vec::new();
        for (key, record) in &changes.renumber {
            let (before, origin) = take(*key)?;
            placed.push((keeps.applied(record.clone(), &before), origin));
        }
        for record in &changes.update {
            let (before, origin) = take(MessageKey::Uid(record.uid.unwrap_or(Uid::FIRST)))?;
            if let (Origin::Local, Some(uid), Some(done)) = (changes.origin, record.uid, done.as_mut()) {
                let flags: &mut FlagHistory = done.flags.entry(uid).or_default();
                flags.change_flags(record.flags.without(before.flags), before.flags.without(record.flags));
            }
            placed.push((keeps.applied(record.clone(), &before), origin));
        }
        placed.extend(changes.add.iter().map(|(_, record)| (record, None)));
        placed.extend(left.into_values());
        // Those without a UID stay behind the others, in their order.
        placed.sort_by_key(|(record, _)| (record.uid.is_none(), record.uid));
        let mut messages = MessageList::default();
        for (record, _) in &placed {
            messages.push(record).map_err(|error| StoreError::new(ErrorKind::Impossible, error.to_string()))?;
        }
        let identity = changes.identity.or(self.status.identity);
        let renewed = identity.uid_validity != self.status.identity.uid_validity;
        if renewed && self.status.identity.uid_validity.is_some() {
            done = None;
        }
        Ok(Self {
            status: MailboxStatus {
                identity,
                uid_next: changes.uid_next,
                message_count: u32::try_from(messages.len()).unwrap_or(u32::MAX),
                highest_modseq: Some(changes.highest_modseq),
                first_recent_uid: Some(changes.first_recent_uid),
            },
            messages,
            origins: placed.into_iter().map(|(_, origin)| origin).collect(),
            done,
        })
    }
}

/// Both histories, of which `later` is the later one.
pub(super) fn joined(mut history: MailboxHistory, later: &MailboxHistory) -> MailboxHistory {
    history.expunged.extend(later.expunged.iter().map(|(uid, guid)| (*uid, *guid)));
    let later: HashMap<_, _> = later.flags.iter().collect();
    for (uid, flags) in later {
        history.flags.entry(*uid).or_default().change_flags(flags.added, flags.removed);
    }
    history
}
