//! An open mailbox of the store in memory.

use std::sync::{Arc, Mutex};

use super::{Contents, LogEntry, LoggedChange, StoredMailbox, StoredMessage, lock, not_found};
use crate::model::{
    Glance, HistoryRange, Keyword, MailboxHistory, MailboxName, MailboxStatus, MessageGuid, MessageKey, MessageList,
    MessageRecord, SyncPoint, Uid,
};
use crate::store::{ErrorKind, Mailbox, MailboxChanges, MessageBody, Origin, SavedBody, StoreError};

pub(super) struct MemoryMailbox {
    shared: Arc<Mutex<Contents>>,
    name: MailboxName,
    /// What the mailbox was when the view was taken.
    stored: StoredMailbox,
    /// The store keeps no GUIDs.
    without_guids: bool,
    /// Whether others can see it; not before the first commit of a new one.
    published: bool,
    status: MailboxStatus,
    messages: MessageList,
    saved: Vec<Arc<[u8]>>,
}

impl MemoryMailbox {
    pub(super) fn new(
        shared: Arc<Mutex<Contents>>,
        name: MailboxName,
        stored: StoredMailbox,
        without_guids: bool,
        published: bool,
    ) -> Self {
        let (status, messages) = view_of(&stored, without_guids);
        Self { shared, name, stored, without_guids, published, status, messages, saved: Vec::new() }
    }

    fn uid_of(&self, key: MessageKey) -> Result<Uid, StoreError> {
        match key {
            MessageKey::Uid(uid) if self.stored.messages.contains_key(&uid) => Ok(uid),
            _ => Err(StoreError::new(ErrorKind::NotFound, format!("mailbox {} has no {key}", self.name))),
        }
    }

    fn refuse_if_changed(&self, contents: &Contents) -> Result<(), StoreError> {
        let unchanged = match contents.mailboxes.get(&self.name) {
            Some(now) => {
                self.published && view_of(now, self.without_guids) == (self.status.clone(), self.messages.clone())
            }
            None if self.published => return Err(not_found(&self.name)),
            None => true,
        };
        if unchanged {
            return Ok(());
        }
        Err(StoreError::new(ErrorKind::Changed, format!("mailbox {} was changed meanwhile", self.name)))
    }

    fn changed(&self, changes: MailboxChanges) -> Result<StoredMailbox, StoreError> {
        let mut stored = self.stored.clone();
        let gone = changes.remove.iter().chain(changes.renumber.iter().map(|(key, _)| key));
        let mirrored = changes.origin == Origin::Mirrored;
        let mut logged = Vec::new();
        for key in gone {
            let uid = self.uid_of(*key)?;
            if let Some(message) = stored.messages.get(&uid) {
                let change = LoggedChange::Expunged(message.record.guid.to_128());
                logged.push(LogEntry { modseq: changes.highest_modseq, uid, change, mirrored });
            }
        }
        let mut take = |key: MessageKey| {
            let uid = self.uid_of(key)?;
            stored.messages.remove(&uid).ok_or_else(|| {
                StoreError::new(ErrorKind::NotFound, format!("mailbox {} has no message {uid}", self.name))
            })
        };
        for key in &changes.remove {
            take(*key)?;
        }
        let mut placed = Vec::new();
        for (key, record) in changes.renumber {
            placed.push(StoredMessage { record, bytes: take(key)?.bytes });
        }
        for record in changes.update {
            let uid = record.uid.ok_or_else(without_uid)?;
            let before = take(MessageKey::Uid(uid))?;
            logged.extend(changes_of(&before.record, &record).into_iter().map(|change| LogEntry {
                modseq: changes.highest_modseq,
                uid,
                change,
                mirrored,
            }));
            placed.push(StoredMessage { record, bytes: before.bytes });
        }
        for (SavedBody(number), record) in changes.add.iter() {
            let bytes = self.saved.get(number).map(Arc::clone).ok_or_else(|| {
                StoreError::new(ErrorKind::Impossible, "a message is added whose bytes were not saved".to_owned())
            })?;
            placed.push(StoredMessage { record, bytes });
        }
        for message in placed {
            let uid = message.record.uid.ok_or_else(without_uid)?;
            stored.messages.insert(uid, message);
        }
        let renewed = changes.identity.uid_validity.is_some_and(|new| Some(new) != stored.identity.uid_validity);
        if renewed || changes.highest_modseq < stored.highest_modseq {
            // The history starts anew.
            stored.log.clear();
            stored.points.clear();
            stored.log_start = changes.highest_modseq;
        } else {
            stored.log.extend(logged);
        }
        stored.identity = changes.identity.or(stored.identity);
        stored.uid_next = changes.uid_next;
        stored.highest_modseq = changes.highest_modseq;
        stored.first_recent_uid = changes.first_recent_uid;
        Ok(stored)
    }
}

/// What has to be written down when a message changes.
fn changes_of(before: &MessageRecord, after: &MessageRecord) -> Vec<LoggedChange> {
    let (added, removed) = (after.flags.without(before.flags), before.flags.without(after.flags));
    let mut changes = Vec::new();
    if !(added.is_empty() && removed.is_empty()) {
        changes.push(LoggedChange::Flags { added, removed });
    }
    let missing = |from: &MessageRecord, keyword: &Keyword| !from.keywords.contains(keyword);
    let set = after.keywords.iter().filter(|keyword| missing(before, keyword));
    let gone = before.keywords.iter().filter(|keyword| missing(after, keyword));
    changes.extend(gone.map(|keyword| LoggedChange::Keyword(keyword.clone(), false)));
    changes.extend(set.map(|keyword| LoggedChange::Keyword(keyword.clone(), true)));
    changes
}

fn without_uid() -> StoreError {
    StoreError::new(ErrorKind::Impossible, "a message without a UID cannot be stored".to_owned())
}

fn view_of(stored: &StoredMailbox, without_guids: bool) -> (MailboxStatus, MessageList) {
    let mut records: Vec<_> = stored.messages.values().map(|message| message.record.clone()).collect();
    if without_guids {
        for record in &mut records {
            record.pop3_uidl = None;
            record.pop3_order = None;
            record.saved = None;
            // Something that is far from unique.
            let uid = record.uid.map_or(0, Uid::get);
            record.guid = MessageGuid::new(format!("message-{uid}").as_bytes()).expect("a number is a valid GUID");
        }
    }
    let status = MailboxStatus {
        identity: stored.identity,
        uid_next: stored.uid_next,
        message_count: u32::try_from(records.len()).unwrap_or(u32::MAX),
        highest_modseq: Some(stored.highest_modseq),
        first_recent_uid: Some(stored.first_recent_uid),
    };
    let messages = MessageList::new(records).expect("a map keyed by UID is in order");
    (status, messages)
}

impl Mailbox for MemoryMailbox {
    fn status(&self) -> &MailboxStatus {
        &self.status
    }

    fn messages(&self) -> &MessageList {
        &self.messages
    }

    fn problems(&self) -> &[String] {
        &[]
    }

    fn glance(&self) -> Option<Glance> {
        Some(self.stored.glance()).filter(|_| self.published)
    }

    fn history(&mut self, range: HistoryRange) -> Result<MailboxHistory, StoreError> {
        Ok(self.stored.history(range))
    }

    fn sync_points(&self) -> &[SyncPoint] {
        &self.stored.points
    }

    fn remember(&mut self, point: SyncPoint) -> Result<(), StoreError> {
        self.stored.points = point.added_to(&self.stored.points);
        let mut contents = lock(&self.shared);
        let stored = contents.mailboxes.get_mut(&self.name).ok_or_else(|| not_found(&self.name))?;
        stored.points = point.added_to(&stored.points);
        Ok(())
    }

    /// Nobody is kept away, but who was there is noticed.
    fn hold(&mut self) -> Result<(), StoreError> {
        let contents = lock(&self.shared);
        self.refuse_if_changed(&contents)
    }

    fn body(&mut self, message: MessageKey) -> Result<MessageBody, StoreError> {
        let uid = self.uid_of(message)?;
        let message = self.stored.messages.get(&uid).map(|message| message.bytes.to_vec());
        message.map(MessageBody::from_bytes).ok_or_else(|| not_found(&self.name))
    }

    fn save(&mut self, _: &MessageRecord, body: MessageBody) -> Result<SavedBody, StoreError> {
        let bytes = body.read_all().map_err(|error| {
            StoreError::with_source(ErrorKind::Source, "reading a message failed".to_owned(), error)
        })?;
        self.saved.push(bytes.into());
        Ok(SavedBody(self.saved.len().saturating_sub(1)))
    }

    fn commit(&mut self, changes: MailboxChanges) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let mut contents = lock(&shared);
        self.refuse_if_changed(&contents)?;
        let stored = self.changed(changes)?;
        contents.directories.remove(&self.name);
        contents.mailboxes.insert(self.name.clone(), stored.clone());
        (self.status, self.messages) = view_of(&stored, self.without_guids);
        self.stored = stored;
        self.published = true;
        self.saved.clear();
        Ok(())
    }
}
