//! A mail store in memory: the simplest complete one. For tests, examples and the tests of programs that embed the
//! library; and the proof that the traits ask for nothing that only files can do.

mod clients;
mod mailbox;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha1::{Digest, Sha1};

use crate::model::{
    Agreements, Flags, Glance, HistoryRange, KeptFields, Keyword, MailboxGuid, MailboxHistory, MailboxIdentity,
    MailboxName, MailboxNode, MailboxTree, MessageRecord, ModSeq, NameHash, NodeKind, SyncPoint, Timestamp,
    TreeChange, TreeEvent, TreeHistory, Uid, UidValidity,
};
use crate::store::{Capabilities, ErrorKind, MailStore, Mailbox, StoreError};

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
#[derive(Clone, Debug, Default)]
struct Contents {
    mailboxes: BTreeMap<MailboxName, StoredMailbox>,
    directories: BTreeSet<MailboxName>,
    /// There are none.
    without_directories: bool,
    subscriptions: BTreeSet<MailboxName>,
    events: Vec<TreeEvent>,
    clock: Timestamp,
    without_guids: bool,
    seed: u32,
    counter: u32,
    agreements: BTreeMap<[u8; 8], Agreements>,
}

/// One mailbox as it is stored.
#[derive(Clone, Debug)]
struct StoredMailbox {
    identity: MailboxIdentity,
    uid_next: Uid,
    highest_modseq: ModSeq,
    first_recent_uid: Uid,
    messages: BTreeMap<Uid, StoredMessage>,
    log: Vec<LogEntry>,
    /// HIGHESTMODSEQ before the first entry.
    log_start: ModSeq,
    points: Vec<SyncPoint>,
}

/// One change of one message.
#[derive(Clone, Debug)]
struct LogEntry {
    /// HIGHESTMODSEQ after it.
    modseq: ModSeq,
    uid: Uid,
    change: LoggedChange,
    /// It came from another store.
    mirrored: bool,
}

#[derive(Clone, Debug)]
enum LoggedChange {
    Flags { added: Flags, removed: Flags },
    Keyword(Keyword, bool),
    Expunged([u8; 16]),
}

#[derive(Clone, Debug)]
struct StoredMessage {
    record: MessageRecord,
    bytes: Arc<[u8]>,
}

impl StoredMailbox {
    /// Nothing but the number of messages shows from outside.
    fn glance(&self) -> Glance {
        let hash = |text: String| Sha1::digest(text).first_chunk().copied().unwrap_or_default();
        Glance { outside: hash(self.messages.len().to_string()), inside: Some(hash(format!("{self:?}"))) }
    }
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

    /// An empty store that, like an mbox, does not keep the GUIDs that messages are saved with.
    #[must_use]
    pub fn without_guids(seed: u32) -> Self {
        Self { shared: Arc::new(Mutex::new(Contents { seed, without_guids: true, ..Contents::default() })) }
    }

    /// An empty store that, like a Maildir++, holds no levels that are not mailboxes.
    #[must_use]
    pub fn without_directories(seed: u32) -> Self {
        Self { shared: Arc::new(Mutex::new(Contents { seed, without_directories: true, ..Contents::default() })) }
    }

    /// A copy that shares nothing with this one.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { shared: Arc::new(Mutex::new(lock(&self.shared).clone())) }
    }

    /// An empty store that chooses other identities than one with another seed.
    #[must_use]
    pub fn with_seed(seed: u32) -> Self {
        Self { shared: Arc::new(Mutex::new(Contents { seed, ..Contents::default() })) }
    }
}

impl Contents {
    fn next_number(&mut self) -> u64 {
        self.counter += 1;
        u64::from(self.seed) << 32 | u64::from(self.counter)
    }

    fn new_identity(&mut self) -> MailboxIdentity {
        let number = self.next_number();
        // Other stores choose others, as far as 32 bits go.
        let validity = self.seed.wrapping_mul(1 << 20).wrapping_add(self.counter);
        let mut guid = [0xa5; 16];
        guid[..8].copy_from_slice(&number.to_be_bytes());
        MailboxIdentity { guid: MailboxGuid::new(guid), uid_validity: UidValidity::new(validity) }
    }

    /// Writes an event of the tree down, a second after the one before.
    fn note(&mut self, change: TreeChange) {
        self.clock = Timestamp(self.clock.seconds().saturating_add(1));
        self.events.push(TreeEvent { change, time: self.clock });
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
            log: Vec::new(),
            log_start: ModSeq::FIRST,
            points: Vec::new(),
        }
    }

    fn history(&self, range: HistoryRange) -> MailboxHistory {
        let HistoryRange { since, mirrored_until } = range;
        let complete = since.is_some_and(|since| since >= self.log_start && since <= self.highest_modseq);
        let mut history = MailboxHistory { complete, ..MailboxHistory::default() };
        let since = since.unwrap_or_default();
        for entry in self.log.iter().filter(|entry| entry.modseq > since) {
            let told = !entry.mirrored || entry.modseq <= mirrored_until;
            match &entry.change {
                LoggedChange::Expunged(guid) => {
                    history.flags.remove(&entry.uid);
                    history.expunged.insert(entry.uid, Some(*guid));
                }
                LoggedChange::Flags { added, removed } if told => {
                    history.flags.entry(entry.uid).or_default().change_flags(*added, *removed);
                }
                LoggedChange::Keyword(keyword, set) if told => {
                    history.flags.entry(entry.uid).or_default().change_keyword(keyword.clone(), *set);
                }
                LoggedChange::Flags { .. } | LoggedChange::Keyword(..) => {}
            }
        }
        history
    }
}

/// The hash under which the log of the tree knows a name.
fn hash(name: &MailboxName) -> NameHash {
    NameHash::of(&name.join('/'))
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
        format!("memory:{}", lock(&self.shared).seed)
    }

    fn id(&mut self) -> Result<String, StoreError> {
        Ok(self.location())
    }

    fn capabilities(&self) -> Capabilities {
        let contents = lock(&self.shared);
        let keeps = if contents.without_guids { KeptFields::LEAST } else { KeptFields::ALL };
        Capabilities { directories: !contents.without_directories, keeps, line_ends: true }
    }

    fn tree_history(&mut self) -> Result<TreeHistory, StoreError> {
        Ok(TreeHistory { events: lock(&self.shared).events.clone(), ..TreeHistory::default() })
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

    fn note_deleted(&mut self, guid: MailboxGuid) -> Result<(), StoreError> {
        lock(&self.shared).note(TreeChange::MailboxDeleted(guid));
        Ok(())
    }

    fn new_identity(&mut self) -> Result<MailboxIdentity, StoreError> {
        Ok(lock(&self.shared).new_identity())
    }

    fn open(&mut self, name: &MailboxName) -> Result<Box<dyn Mailbox>, StoreError> {
        let contents = lock(&self.shared);
        let stored = contents.mailboxes.get(name).ok_or_else(|| not_found(name))?.clone();
        Ok(Box::new(MemoryMailbox::new(Arc::clone(&self.shared), name.clone(), stored, contents.without_guids, true)))
    }

    fn glance(&mut self, name: &MailboxName, close: bool) -> Option<Glance> {
        let glance = lock(&self.shared).mailboxes.get(name).map(StoredMailbox::glance)?;
        Some(Glance { inside: glance.inside.filter(|_| close), ..glance })
    }

    fn agreements(&mut self, peer: [u8; 8]) -> Result<Agreements, StoreError> {
        Ok(lock(&self.shared).agreements.get(&peer).cloned().unwrap_or_default())
    }

    fn keep_agreements(&mut self, peer: [u8; 8], agreements: &Agreements) -> Result<(), StoreError> {
        lock(&self.shared).agreements.insert(peer, agreements.clone());
        Ok(())
    }

    fn create(&mut self, name: &MailboxName, identity: MailboxIdentity) -> Result<Box<dyn Mailbox>, StoreError> {
        let mut contents = lock(&self.shared);
        if contents.mailboxes.contains_key(name) {
            return Err(StoreError::new(ErrorKind::Exists, format!("there is a mailbox {name} already")));
        }
        let identity = identity.or(contents.new_identity());
        let stored = StoredMailbox::new(identity);
        Ok(Box::new(MemoryMailbox::new(
            Arc::clone(&self.shared),
            name.clone(),
            stored,
            contents.without_guids,
            false,
        )))
    }

    fn delete(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        refuse_inbox(name)?;
        let mut contents = lock(&self.shared);
        let deleted = contents.mailboxes.remove(name).ok_or_else(|| not_found(name))?;
        if let Some(guid) = deleted.identity.guid {
            contents.note(TreeChange::MailboxDeleted(guid));
        }
        Ok(())
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
        contents.note(TreeChange::Renamed(hash(to)));
        Ok(())
    }

    fn create_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        let mut contents = lock(&self.shared);
        if contents.without_directories {
            let text = format!("{name}: there are no levels that are not mailboxes here");
            return Err(StoreError::new(ErrorKind::Impossible, text));
        }
        if !contents.mailboxes.contains_key(name) {
            contents.directories.insert(name.clone());
        }
        Ok(())
    }

    fn delete_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        let mut contents = lock(&self.shared);
        let was_there = contents.directories.remove(name);
        if contents.occupies(name) {
            if was_there {
                contents.directories.insert(name.clone());
            }
            return Err(StoreError::new(ErrorKind::Impossible, format!("{name} is not an empty directory")));
        }
        if was_there {
            contents.note(TreeChange::DirectoryDeleted(hash(name)));
        }
        Ok(())
    }

    fn set_subscribed(&mut self, name: &MailboxName, subscribed: bool) -> Result<(), StoreError> {
        let mut contents = lock(&self.shared);
        let changed = if subscribed {
            contents.subscriptions.insert(name.clone())
        } else {
            contents.subscriptions.remove(name)
        };
        if changed {
            let hash = hash(name);
            contents.note(if subscribed { TreeChange::Subscribed(hash) } else { TreeChange::Unsubscribed(hash) });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
