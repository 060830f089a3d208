//! A mail store in memory: the simplest complete one. For tests, examples and the tests of programs that embed the
//! library; and the proof that the traits ask for nothing that only files can do.

mod mailbox;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{
    Flags, Keywords, MailboxGuid, MailboxIdentity, MailboxName, MailboxNode, MailboxTree, MessageGuid, MessageRecord,
    ModSeq, NodeKind, Timestamp, Uid, UidValidity,
};
use crate::store::{ErrorKind, MailStore, Mailbox, StoreError};

use mailbox::MemoryMailbox;

/// A tree of mailboxes in memory. Clones share the same tree.
///
/// GUIDs and UIDVALIDITYs that it has to choose count up from the seed it was made with, so that runs are
/// repeatable; stores with different seeds never choose the same.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    shared: Arc<Mutex<Contents>>,
}

/// Everything in the store.
#[derive(Debug, Default)]
struct Contents {
    mailboxes: BTreeMap<MailboxName, StoredMailbox>,
    directories: BTreeSet<MailboxName>,
    subscriptions: BTreeSet<MailboxName>,
    seed: u32,
    counter: u32,
}

/// One mailbox as it is stored.
#[derive(Clone, Debug)]
struct StoredMailbox {
    identity: MailboxIdentity,
    uid_next: Uid,
    highest_modseq: ModSeq,
    first_recent_uid: Uid,
    messages: BTreeMap<Uid, StoredMessage>,
}

#[derive(Clone, Debug)]
struct StoredMessage {
    record: MessageRecord,
    bytes: Arc<[u8]>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store, not even with an INBOX.
    #[must_use]
    pub fn new() -> Self {
        Self::with_seed(0)
    }

    /// An empty store that chooses other identities than one with another seed.
    #[must_use]
    pub fn with_seed(seed: u32) -> Self {
        Self { shared: Arc::new(Mutex::new(Contents { seed, ..Contents::default() })) }
    }

    /// Adds a message as a delivery would, making the mailbox if it is missing, and says which UID it got.
    pub fn deliver(&mut self, mailbox: &MailboxName, bytes: &[u8]) -> Uid {
        let mut contents = lock(&self.shared);
        let guid = format!("{:032x}", contents.next_number());
        let identity = contents.new_identity();
        let stored = contents.mailboxes.entry(mailbox.clone()).or_insert_with(|| StoredMailbox::new(identity));
        let uid = stored.uid_next;
        stored.uid_next = uid.next();
        stored.highest_modseq = stored.highest_modseq.plus(1);
        let record = MessageRecord {
            uid: Some(uid),
            guid: MessageGuid::new(guid.as_bytes()).expect("hexadecimal digits are a valid GUID"),
            flags: Flags::NONE,
            keywords: Keywords::none(),
            modseq: Some(stored.highest_modseq),
            received: Timestamp(i64::from(uid.get())),
            saved: Some(Timestamp(i64::from(uid.get()))),
            pop3_uidl: None,
            pop3_order: None,
        };
        stored.messages.insert(uid, StoredMessage { record, bytes: bytes.into() });
        uid
    }

    /// Sets flags and keywords of a message as a client would. Nothing happens if there is no such message.
    pub fn set_flags(&mut self, mailbox: &MailboxName, uid: Uid, flags: Flags, keywords: Keywords) {
        let mut contents = lock(&self.shared);
        if let Some(stored) = contents.mailboxes.get_mut(mailbox)
            && let Some(message) = stored.messages.get_mut(&uid)
        {
            stored.highest_modseq = stored.highest_modseq.plus(1);
            message.record.flags = flags;
            message.record.keywords = keywords;
            message.record.modseq = Some(stored.highest_modseq);
        }
    }

    /// Removes a message as a client would. Nothing happens if there is no such message.
    pub fn expunge(&mut self, mailbox: &MailboxName, uid: Uid) {
        let mut contents = lock(&self.shared);
        if let Some(stored) = contents.mailboxes.get_mut(mailbox)
            && stored.messages.remove(&uid).is_some()
        {
            stored.highest_modseq = stored.highest_modseq.plus(1);
        }
    }
}

impl Contents {
    fn next_number(&mut self) -> u64 {
        self.counter += 1;
        u64::from(self.seed) << 32 | u64::from(self.counter)
    }

    fn new_identity(&mut self) -> MailboxIdentity {
        let number = self.next_number();
        let mut guid = [0xa5; 16];
        guid[..8].copy_from_slice(&number.to_be_bytes());
        MailboxIdentity { guid: MailboxGuid::new(guid), uid_validity: UidValidity::new(self.counter) }
    }

    /// Whether anything is at the name or below it.
    fn occupies(&self, name: &MailboxName) -> bool {
        let names = self.mailboxes.keys().chain(&self.directories);
        names.into_iter().any(|other| other == name || other.is_below(name))
    }
}

impl StoredMailbox {
    fn new(identity: MailboxIdentity) -> Self {
        Self {
            identity,
            uid_next: Uid::FIRST,
            highest_modseq: ModSeq::FIRST,
            first_recent_uid: Uid::FIRST,
            messages: BTreeMap::new(),
        }
    }
}

/// A panic of another thread leaves every operation either done or not begun, so the contents stay usable.
fn lock(shared: &Mutex<Contents>) -> MutexGuard<'_, Contents> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn not_found(name: &MailboxName) -> StoreError {
    StoreError::new(ErrorKind::NotFound, format!("there is no mailbox {name}"))
}

fn refuse_inbox(name: &MailboxName) -> Result<(), StoreError> {
    if name.is_inbox() {
        return Err(StoreError::new(ErrorKind::Impossible, "INBOX can neither be deleted nor renamed"));
    }
    Ok(())
}

impl MailStore for MemoryStore {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn holds_directories(&self) -> bool {
        true
    }

    fn tree(&mut self) -> Result<MailboxTree, StoreError> {
        let contents = lock(&self.shared);
        let mut tree = MailboxTree::new();
        for name in &contents.subscriptions {
            tree.insert(name.clone(), MailboxNode { kind: NodeKind::Absent, subscribed: true });
        }
        let mut put = |name: &MailboxName, kind: NodeKind| {
            let subscribed = contents.subscriptions.contains(name);
            tree.insert(name.clone(), MailboxNode { kind, subscribed });
        };
        contents.directories.iter().for_each(|name| put(name, NodeKind::Directory));
        for (name, stored) in &contents.mailboxes {
            let MailboxIdentity { guid, uid_validity } = stored.identity;
            put(name, NodeKind::Mailbox { guid, uid_validity });
        }
        Ok(tree)
    }

    fn open(&mut self, name: &MailboxName) -> Result<Box<dyn Mailbox>, StoreError> {
        let contents = lock(&self.shared);
        let stored = contents.mailboxes.get(name).ok_or_else(|| not_found(name))?.clone();
        Ok(Box::new(MemoryMailbox::new(Arc::clone(&self.shared), name.clone(), stored, true)))
    }

    fn create(&mut self, name: &MailboxName, identity: MailboxIdentity) -> Result<Box<dyn Mailbox>, StoreError> {
        let mut contents = lock(&self.shared);
        if contents.mailboxes.contains_key(name) {
            return Err(StoreError::new(ErrorKind::Exists, format!("there is a mailbox {name} already")));
        }
        let identity = identity.or(contents.new_identity());
        let stored = StoredMailbox::new(identity);
        Ok(Box::new(MemoryMailbox::new(Arc::clone(&self.shared), name.clone(), stored, false)))
    }

    fn delete(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        refuse_inbox(name)?;
        lock(&self.shared).mailboxes.remove(name).map(drop).ok_or_else(|| not_found(name))
    }

    fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        refuse_inbox(from)?;
        let mut contents = lock(&self.shared);
        if !contents.occupies(from) {
            return Err(not_found(from));
        }
        if to.is_below(from) {
            return Err(StoreError::new(ErrorKind::InvalidName, format!("{from} cannot be moved below itself")));
        }
        if to.is_inbox() || contents.occupies(to) {
            return Err(StoreError::new(ErrorKind::Exists, format!("{to} exists already")));
        }
        let moved = |name: MailboxName| name.moved(from, to).unwrap_or(name);
        let mailboxes = std::mem::take(&mut contents.mailboxes);
        contents.mailboxes = mailboxes.into_iter().map(|(name, stored)| (moved(name), stored)).collect();
        let directories = std::mem::take(&mut contents.directories);
        contents.directories = directories.into_iter().map(moved).collect();
        Ok(())
    }

    fn create_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        let mut contents = lock(&self.shared);
        if !contents.mailboxes.contains_key(name) {
            contents.directories.insert(name.clone());
        }
        Ok(())
    }

    fn delete_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        let mut contents = lock(&self.shared);
        contents.directories.remove(name);
        if contents.occupies(name) {
            contents.directories.insert(name.clone());
            return Err(StoreError::new(ErrorKind::Impossible, format!("{name} is not an empty directory")));
        }
        Ok(())
    }

    fn set_subscribed(&mut self, name: &MailboxName, subscribed: bool) -> Result<(), StoreError> {
        let subscriptions = &mut lock(&self.shared).subscriptions;
        if subscribed {
            subscriptions.insert(name.clone());
        } else {
            subscriptions.remove(name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
