//! The messages of the file with what the index knows of them.

use dsync_core::model::{Flags, Keywords, MessageGuid, MessageList, MessageRecord, Timestamp, Uid};
use dsync_core::store::{ErrorKind, StoreError};

use super::contents::can_be_declared;
use super::found::FoundMessages;
use super::scan::ScannedMessage;
use super::uids::{Candidate, UidWalk};
use crate::index::cache::Cache;
use crate::index::mailbox::{IndexedMessage, messages};
use crate::index::view::IndexView;

/// The messages of the file with what the index knows of them.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) messages: MessageList,
    pub(super) found: FoundMessages,
    /// How many messages of the index are among them.
    pub(super) known: usize,
    /// What is behind the last message that a session has seen.
    pub(super) first_recent: Uid,
}

pub(super) struct Joiner<'a> {
    view: Option<&'a IndexView>,
    indexed: std::iter::Peekable<Box<dyn Iterator<Item = (Uid, IndexedMessage)> + 'a>>,
    /// None: no message has a UID.
    uids: Option<UidWalk<'a>>,
    joined: Joined,
}

impl<'a> Joiner<'a> {
    pub(super) fn new(view: Option<&'a IndexView>, cache: Option<&'a Cache<'_>>, uids: Option<UidWalk<'a>>) -> Self {
        let indexed: Box<dyn Iterator<Item = (Uid, IndexedMessage)> + 'a> = match view {
            Some(view) => Box::new(messages(view, cache)),
            None => Box::new(std::iter::empty()),
        };
        let expected = view.map_or(0, |view| view.messages().len());
        let joined = Joined {
            messages: MessageList::default(),
            found: FoundMessages::with_capacity(expected),
            known: 0,
            first_recent: Uid::FIRST,
        };
        Self { view, indexed: indexed.peekable(), uids, joined }
    }

    /// Takes the next message of the file.
    pub(super) fn take(&mut self, message: ScannedMessage, further_uids: &[(usize, u32)]) -> Result<(), StoreError> {
        let candidate = Candidate { uid: message.uid, further: further_uids, md5: message.md5 };
        let uid = self.uids.as_mut().and_then(|uids| uids.uid_of(candidate)).and_then(Uid::new);
        let indexed = uid.and_then(|uid| self.indexed(uid));
        if uid.is_some_and(|uid| self.is_doomed(uid)) {
            return Ok(());
        }
        self.joined.known = self.joined.known.saturating_add(usize::from(indexed.is_some()));
        if let Some(uid) = uid.filter(|_| message.seen_by_session) {
            self.joined.first_recent = uid.next();
        }
        let record = self.record(&message, uid, indexed);
        let pushed = self.joined.messages.push(&record);
        pushed.map_err(|error| StoreError::new(ErrorKind::Corrupt, error.to_string()))?;
        self.joined.found.push(message, &record);
        Ok(())
    }

    pub(super) fn finish(self) -> Joined {
        let mut joined = self.joined;
        joined.found.shrink_to_fit();
        joined
    }

    fn indexed(&mut self, uid: Uid) -> Option<IndexedMessage> {
        while self.indexed.next_if(|(there, _)| *there < uid).is_some() {}
        self.indexed.next_if(|(there, _)| *there == uid).map(|(_, message)| message)
    }

    fn is_doomed(&self, uid: Uid) -> bool {
        self.view.is_some_and(|view| view.pending_expunges().contains(&uid.get()))
    }

    fn record(&self, message: &ScannedMessage, uid: Option<Uid>, indexed: Option<IndexedMessage>) -> MessageRecord {
        let pending = |uid: Uid| self.view.is_some_and(|view| view.pending_changes().contains(&uid.get()));
        let (flags, keywords): (Flags, Keywords) = match (&indexed, uid) {
            (Some(indexed), Some(uid)) if indexed.dirty || pending(uid) => (indexed.flags, indexed.keywords.clone()),
            (Some(indexed), _) => (message.flags, with_undeclarable(&message.keywords, &indexed.keywords)),
            (None, _) => (message.flags, message.keywords.clone()),
        };
        let agreed = indexed.as_ref().filter(|indexed| indexed.flags == flags && indexed.keywords == keywords);
        MessageRecord {
            uid,
            // What servers show.
            guid: MessageGuid::from_128(message.md5),
            modseq: agreed.map(|indexed| indexed.modseq),
            flags,
            keywords,
            received: message.received,
            saved: indexed.and_then(|indexed| Some(Timestamp(indexed.saved?.into()))),
            pop3_uidl: None,
            pop3_order: None,
        }
    }
}

/// Keywords of the file, with those that are in the index alone because no file can hold them.
fn with_undeclarable(file: &Keywords, index: &Keywords) -> Keywords {
    if index.iter().all(|keyword| can_be_declared(keyword.as_str())) {
        return file.clone();
    }
    let only_index = index.iter().filter(|keyword| !can_be_declared(keyword.as_str()));
    file.iter().chain(only_index).cloned().collect()
}
