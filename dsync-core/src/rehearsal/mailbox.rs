//! An open mailbox that only pretends to change.

use std::io;
use std::sync::Arc;

use super::contents::{Contents, joined};
use super::{Shared, StoreChange, lock};
use crate::model::{
    HistoryRange, KeptFields, MailboxHistory, MailboxIdentity, MailboxName, MailboxStatus, MessageKey, MessageList,
    MessageRecord, SyncPoint,
};
use crate::store::{BodySource, ErrorKind, Mailbox, MailboxChanges, MessageBody, SavedBody, StoreError};

pub(super) struct RehearsedMailbox {
    shared: Shared,
    name: MailboxName,
    /// The mailbox of the store; `None` if there is none yet.
    inner: Option<Box<dyn Mailbox>>,
    /// What it would hold; `None` if it is what the store has.
    contents: Option<Arc<Contents>>,
    points: Vec<SyncPoint>,
    /// What the store keeps of a message.
    keeps: KeptFields,
    /// It would be made by the first commit.
    is_new: bool,
    /// The sizes of what was saved, as far as they are known.
    saved: Vec<u64>,
}

/// What a mailbox without contents and without a mailbox behind it shows; there is none such.
static NOWHERE: std::sync::LazyLock<Contents> =
    std::sync::LazyLock::new(|| Contents::empty(MailboxIdentity::UNDECIDED));

impl RehearsedMailbox {
    pub(super) fn new(
        shared: Shared,
        name: MailboxName,
        inner: Option<Box<dyn Mailbox>>,
        contents: Option<Arc<Contents>>,
        keeps: KeptFields,
    ) -> Self {
        let renewed = contents.as_ref().is_some_and(|contents| contents.history().is_none());
        let points = inner.as_ref().filter(|_| !renewed).map(|inner| inner.sync_points().to_vec());
        Self {
            shared,
            name,
            inner,
            contents,
            points: points.unwrap_or_default(),
            keeps,
            is_new: false,
            saved: Vec::new(),
        }
    }

    pub(super) fn created(shared: Shared, name: MailboxName, identity: MailboxIdentity, keeps: KeptFields) -> Self {
        let contents = Some(Arc::new(Contents::empty(identity)));
        Self { is_new: true, ..Self::new(shared, name, None, contents, keeps) }
    }

    fn present(&self) -> Contents {
        match (&self.contents, &self.inner) {
            (Some(contents), _) => Contents::clone(contents),
            (None, Some(inner)) => Contents::of(inner.status(), inner.messages()),
            (None, None) => Contents::clone(&NOWHERE),
        }
    }

    fn change(&self, changes: &MailboxChanges) -> StoreChange {
        let uid = |record: &MessageRecord| record.uid;
        let sizes = changes.add.iter().filter_map(|(SavedBody(number), _)| self.saved.get(number));
        StoreChange::Mailbox {
            name: self.name.clone(),
            created: self.is_new,
            origin: changes.origin,
            bytes: sizes.fold(0, |sum, size| sum.saturating_add(*size)),
            added: changes.add.iter().filter_map(|(_, record)| record.uid).collect(),
            updated: changes.update.iter().filter_map(uid).collect(),
            renumbered: changes.renumber.iter().filter_map(|(key, record)| Some((*key, record.uid?))).collect(),
            removed: changes.remove.clone(),
        }
    }
}

impl Mailbox for RehearsedMailbox {
    fn status(&self) -> &MailboxStatus {
        match (&self.contents, &self.inner) {
            (Some(contents), _) => &contents.status,
            (None, Some(inner)) => inner.status(),
            (None, None) => &NOWHERE.status,
        }
    }

    fn messages(&self) -> &MessageList {
        match (&self.contents, &self.inner) {
            (Some(contents), _) => &contents.messages,
            (None, Some(inner)) => inner.messages(),
            (None, None) => &NOWHERE.messages,
        }
    }

    fn problems(&self) -> &[String] {
        self.inner.as_ref().map_or(&[], |inner| inner.problems())
    }

    fn is_settled(&self) -> bool {
        self.contents.is_some() || self.inner.as_ref().is_none_or(|inner| inner.is_settled())
    }

    fn digest(&self) -> Option<[u8; 16]> {
        match (&self.contents, &self.inner) {
            (None, Some(inner)) => inner.digest(),
            _ => self.messages().digest(),
        }
    }

    fn history(&mut self, range: HistoryRange) -> Result<MailboxHistory, StoreError> {
        let later = match self.contents.as_ref().map(|contents| contents.history()) {
            // It began anew.
            Some(None) => return Ok(MailboxHistory::default()),
            Some(later) => later,
            None => None,
        };
        let history = match &mut self.inner {
            Some(inner) => inner.history(range)?,
            None => MailboxHistory::default(),
        };
        Ok(match later {
            Some(later) => joined(history, later),
            None => history,
        })
    }

    fn sync_points(&self) -> &[SyncPoint] {
        &self.points
    }

    fn remember(&mut self, point: SyncPoint) -> Result<(), StoreError> {
        self.points = point.added_to(&self.points);
        Ok(())
    }

    fn body(&mut self, message: MessageKey) -> Result<MessageBody, StoreError> {
        let origin = match &self.contents {
            Some(contents) => contents.origin(message),
            None => Some(message),
        };
        match (origin, &mut self.inner) {
            (Some(origin), Some(inner)) => inner.body(origin),
            _ => Err(StoreError::new(ErrorKind::NotFound, format!("mailbox {} has no {message}", self.name))),
        }
    }

    fn save(&mut self, _: &MessageRecord, body: MessageBody) -> Result<SavedBody, StoreError> {
        let size = body.size.unwrap_or(0);
        // Whether what is compressed is whole only reading tells.
        if let BodySource::Stream(_) = body.source {
            let announced = body.size;
            let mut body = body;
            let read = io::copy(&mut body, &mut io::sink()).and_then(|length| match announced {
                Some(size) if size != length => {
                    Err(io::Error::new(io::ErrorKind::InvalidData, "the message has not the announced length"))
                }
                _ => Ok(()),
            });
            read.map_err(|error| {
                StoreError::with_source(ErrorKind::Source, "reading a message failed".to_owned(), error)
            })?;
        }
        self.saved.push(size);
        Ok(SavedBody(self.saved.len().saturating_sub(1)))
    }

    fn commit(&mut self, changes: MailboxChanges) -> Result<(), StoreError> {
        let contents = Arc::new(self.present().after(&changes, self.keeps)?);
        if contents.history().is_none() {
            self.points.clear();
        }
        let change = self.change(&changes);
        let mut pretended = lock(&self.shared);
        pretended.tree.put(&self.name, Arc::clone(&contents));
        pretended.changes.push(change);
        drop(pretended);
        self.contents = Some(contents);
        self.is_new = false;
        self.saved.clear();
        Ok(())
    }
}
