//! An open mailbox whose name is mapped.

use dsync_core::model::{
    Glance, HistoryRange, MailboxHistory, MailboxName, MailboxStatus, MessageKey, MessageList, MessageRecord,
    SyncPoint,
};
use dsync_core::store::{Mailbox, MailboxChanges, MessageBody, SavedBody, StoreError};

use super::entries::Entry;
use super::file::NamesFile;

/// The mailbox itself; but when it gets another GUID, its original name follows.
pub(super) struct NamedMailbox {
    pub(super) inner: Box<dyn Mailbox>,
    pub(super) file: NamesFile,
    pub(super) stored: MailboxName,
    pub(super) original: MailboxName,
}

impl Mailbox for NamedMailbox {
    fn status(&self) -> &MailboxStatus {
        self.inner.status()
    }

    fn messages(&self) -> &MessageList {
        self.inner.messages()
    }

    fn problems(&self) -> &[String] {
        self.inner.problems()
    }

    fn glance(&self) -> Option<Glance> {
        self.inner.glance()
    }

    fn is_settled(&self) -> bool {
        self.inner.is_settled()
    }

    fn digest(&self) -> Option<[u8; 16]> {
        self.inner.digest()
    }

    fn history(&mut self, range: HistoryRange) -> Result<MailboxHistory, StoreError> {
        self.inner.history(range)
    }

    fn sync_points(&self) -> &[SyncPoint] {
        self.inner.sync_points()
    }

    fn remember(&mut self, point: SyncPoint) -> Result<(), StoreError> {
        self.inner.remember(point)
    }

    fn hold(&mut self) -> Result<(), StoreError> {
        self.inner.hold()
    }

    fn release(&mut self) {
        self.inner.release();
    }

    fn body(&mut self, message: MessageKey) -> Result<MessageBody, StoreError> {
        self.inner.body(message)
    }

    fn save(&mut self, message: &MessageRecord, body: MessageBody) -> Result<SavedBody, StoreError> {
        self.inner.save(message, body)
    }

    fn commit(&mut self, changes: MailboxChanges) -> Result<(), StoreError> {
        let new = changes.identity.guid.filter(|guid| self.inner.status().identity.guid != Some(*guid));
        if let Some(guid) = new {
            let entry = Entry { guid: Some(guid), stored: self.stored.clone(), original: self.original.clone() };
            self.file.update(|mut entries| {
                if !entries.contains(&entry) {
                    entries.push(entry);
                }
                entries
            })?;
        }
        self.inner.commit(changes)
    }
}
