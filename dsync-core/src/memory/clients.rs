//! What mail clients, deliveries and accidents do to a store in memory.

use super::{LogEntry, LoggedChange, MemoryStore, StoredMailbox, StoredMessage, lock};
use crate::model::{
    Flags, Keyword, Keywords, MailboxIdentity, MailboxName, MessageGuid, MessageRecord, ModSeq, Timestamp, TreeEvent,
    Uid,
};

impl MemoryStore {
    /// Adds a message as a delivery would, making the mailbox if it is missing, and says which UID it got.
    pub fn deliver(&mut self, mailbox: &MailboxName, bytes: &[u8]) -> Uid {
        let guid = format!("{:032x}", lock(&self.shared).next_number());
        let guid = MessageGuid::new(guid.as_bytes()).expect("hexadecimal digits are a valid GUID");
        self.append(mailbox, guid, bytes)
    }

    /// The same, with a GUID of the caller's choice.
    pub fn append(&mut self, mailbox: &MailboxName, guid: MessageGuid, bytes: &[u8]) -> Uid {
        let mut contents = lock(&self.shared);
        contents.clock = Timestamp(contents.clock.seconds().saturating_add(1));
        let now = contents.clock;
        if !contents.mailboxes.contains_key(mailbox) {
            let identity = contents.new_identity();
            contents.mailboxes.insert(mailbox.clone(), StoredMailbox::new(identity));
            contents.directories.remove(mailbox);
        }
        let stored = contents.mailboxes.get_mut(mailbox).expect("it was just made");
        let record = MessageRecord {
            uid: None,
            guid,
            flags: Flags::NONE,
            keywords: Keywords::none(),
            modseq: None,
            received: now,
            saved: Some(now),
            pop3_uidl: None,
            pop3_order: None,
        };
        stored.add(StoredMessage { record, bytes: bytes.into() })
    }

    /// Makes an empty mailbox as a client would, with an identity or one that the store chooses. Nothing happens if
    /// there is one.
    pub fn create_mailbox(&mut self, mailbox: &MailboxName, identity: MailboxIdentity) {
        let mut contents = lock(&self.shared);
        let identity = identity.or(contents.new_identity());
        contents.directories.remove(mailbox);
        contents.mailboxes.entry(mailbox.clone()).or_insert_with(|| StoredMailbox::new(identity));
    }

    /// Replaces flags and keywords of a message as a client would. Nothing happens if there is no such message.
    pub fn set_flags(&mut self, mailbox: &MailboxName, uid: Uid, flags: Flags, keywords: Keywords) {
        self.change(mailbox, uid, |stored| {
            let before = stored.messages.get(&uid).map(|message| message.record.keywords.clone());
            // A server says of all other flags that they are absent, whether or not they were set.
            stored.change_flags(uid, flags, Flags::ALL.without(flags));
            for gone in before.unwrap_or_default().iter().filter(|keyword| !keywords.contains(keyword)) {
                stored.change_keyword(uid, gone, false);
            }
            for keyword in &keywords {
                stored.change_keyword(uid, keyword, true);
            }
        });
    }

    /// Sets some flags of a message and takes others away. Nothing happens if there is no such message.
    pub fn change_flags(&mut self, mailbox: &MailboxName, uid: Uid, added: Flags, removed: Flags) {
        self.change(mailbox, uid, |stored| stored.change_flags(uid, added, removed));
    }

    /// Sets a keyword of a message or takes it away. Nothing happens if there is no such message.
    pub fn change_keyword(&mut self, mailbox: &MailboxName, uid: Uid, keyword: &Keyword, set: bool) {
        self.change(mailbox, uid, |stored| stored.change_keyword(uid, keyword, set));
    }

    /// Removes a message as a client would. Nothing happens if there is no such message.
    pub fn expunge(&mut self, mailbox: &MailboxName, uid: Uid) {
        self.change(mailbox, uid, |stored| drop(stored.expunge(uid)));
    }

    /// Copies a message, with its GUID, flags and keywords, and says which UID the copy got. Nothing happens if
    /// there is no such message or no mailbox `to`.
    pub fn copy(&mut self, mailbox: &MailboxName, uid: Uid, to: &MailboxName) -> Option<Uid> {
        let mut contents = lock(&self.shared);
        let message = contents.mailboxes.get(mailbox)?.messages.get(&uid)?.clone();
        contents.clock = Timestamp(contents.clock.seconds().saturating_add(1));
        let saved = Some(contents.clock);
        let record = MessageRecord { saved, pop3_uidl: None, pop3_order: None, ..message.record };
        Some(contents.mailboxes.get_mut(to)?.add(StoredMessage { record, bytes: message.bytes }))
    }

    /// Moves a message, as a copy whose original is then expunged.
    pub fn move_message(&mut self, mailbox: &MailboxName, uid: Uid, to: &MailboxName) -> Option<Uid> {
        let moved = self.copy(mailbox, uid, to)?;
        self.expunge(mailbox, uid);
        Some(moved)
    }

    /// Sets the counters of a mailbox, which only ever grow, and its identity.
    pub fn raise(
        &mut self,
        mailbox: &MailboxName,
        identity: MailboxIdentity,
        uid_next: Uid,
        highest_modseq: ModSeq,
        first_recent_uid: Uid,
    ) {
        if let Some(stored) = lock(&self.shared).mailboxes.get_mut(mailbox) {
            stored.identity = identity.or(stored.identity);
            stored.uid_next = stored.uid_next.max(uid_next);
            stored.highest_modseq = stored.highest_modseq.max(highest_modseq);
            stored.first_recent_uid = stored.first_recent_uid.max(first_recent_uid);
        }
    }

    /// What an accident does to the index of a mailbox: its history and [sync points](crate::model::SyncPoint) are
    /// lost.
    pub fn lose_history(&mut self, mailbox: &MailboxName) {
        if let Some(stored) = lock(&self.shared).mailboxes.get_mut(mailbox) {
            stored.log.clear();
            stored.log_start = stored.highest_modseq;
            stored.points.clear();
        }
    }

    /// What happens to a mailbox whose index is deleted, in a format that keeps the messages elsewhere: besides
    /// [the history](Self::lose_history) its modseqs are lost, and counting starts anew.
    pub fn lose_index(&mut self, mailbox: &MailboxName) {
        self.lose_history(mailbox);
        if let Some(stored) = lock(&self.shared).mailboxes.get_mut(mailbox) {
            stored.highest_modseq = ModSeq::FIRST;
            stored.log_start = ModSeq::FIRST;
            for message in stored.messages.values_mut() {
                message.record.modseq = Some(ModSeq::FIRST);
            }
        }
    }

    /// Puts another message under the UID of one that there is, without a trace. Nothing happens if there is no such
    /// message.
    pub fn replace_message(&mut self, mailbox: &MailboxName, uid: Uid, guid: MessageGuid, bytes: &[u8]) {
        if let Some(stored) = lock(&self.shared).mailboxes.get_mut(mailbox)
            && let Some(message) = stored.messages.get_mut(&uid)
        {
            message.record.guid = guid;
            message.bytes = bytes.into();
        }
    }

    /// What a rotation does to the log of a mailbox: its history is lost, not its sync points.
    pub fn rotate_history(&mut self, mailbox: &MailboxName) {
        if let Some(stored) = lock(&self.shared).mailboxes.get_mut(mailbox) {
            stored.log.clear();
            stored.log_start = stored.highest_modseq;
        }
    }

    /// A message vanishes without a trace.
    pub fn lose_message(&mut self, mailbox: &MailboxName, uid: Uid) {
        if let Some(stored) = lock(&self.shared).mailboxes.get_mut(mailbox) {
            stored.messages.remove(&uid);
        }
    }

    /// What happened to the tree is forgotten.
    pub fn lose_tree_history(&mut self) {
        lock(&self.shared).events.clear();
    }

    /// Adds an event to what is known to have happened to the tree.
    pub fn note_tree_event(&mut self, event: TreeEvent) {
        lock(&self.shared).events.push(event);
    }

    /// What the clock of the store shows; every change moves it on by a second.
    #[must_use]
    pub fn clock(&self) -> Timestamp {
        lock(&self.shared).clock
    }

    /// Sets the clock of the store.
    pub fn set_clock(&mut self, time: Timestamp) {
        lock(&self.shared).clock = time;
    }

    fn change(&mut self, mailbox: &MailboxName, uid: Uid, change: impl FnOnce(&mut StoredMailbox)) {
        let mut contents = lock(&self.shared);
        if let Some(stored) = contents.mailboxes.get_mut(mailbox)
            && stored.messages.contains_key(&uid)
        {
            change(stored);
        }
    }
}

impl StoredMailbox {
    fn add(&mut self, mut message: StoredMessage) -> Uid {
        let uid = self.uid_next;
        self.uid_next = uid.next();
        self.highest_modseq = self.highest_modseq.plus(1);
        message.record.uid = Some(uid);
        message.record.modseq = Some(self.highest_modseq);
        self.messages.insert(uid, message);
        uid
    }

    fn change_flags(&mut self, uid: Uid, added: Flags, removed: Flags) {
        self.touch(uid, LoggedChange::Flags { added, removed }, |record| {
            record.flags = (record.flags | added).without(removed);
        });
    }

    fn change_keyword(&mut self, uid: Uid, keyword: &Keyword, set: bool) {
        self.touch(uid, LoggedChange::Keyword(keyword.clone(), set), |record| {
            let others = record.keywords.iter().filter(|known| !known.same_name(keyword.as_str())).cloned();
            record.keywords = others.chain(set.then(|| keyword.clone())).collect();
        });
    }

    fn expunge(&mut self, uid: Uid) -> Option<StoredMessage> {
        let gone = self.messages.remove(&uid)?;
        self.highest_modseq = self.highest_modseq.plus(1);
        let change = LoggedChange::Expunged(gone.record.guid.to_128());
        self.log.push(LogEntry { modseq: self.highest_modseq, uid, change, mirrored: false });
        Some(gone)
    }

    fn touch(&mut self, uid: Uid, change: LoggedChange, edit: impl FnOnce(&mut MessageRecord)) {
        if let Some(message) = self.messages.get_mut(&uid) {
            self.highest_modseq = self.highest_modseq.plus(1);
            edit(&mut message.record);
            message.record.modseq = Some(self.highest_modseq);
            self.log.push(LogEntry { modseq: self.highest_modseq, uid, change, mirrored: false });
        }
    }
}
