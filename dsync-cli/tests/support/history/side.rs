//! The account of one side: what it holds, and what was touched since both sides were last equal.

use std::collections::{BTreeMap, BTreeSet};

use super::operation::{How, Operation, Target};
use super::view::{Flags, View};

/// One side, by the names of its mailboxes as IMAP writes them.
#[derive(Clone, Debug, Default)]
pub struct Side {
    pub mailboxes: BTreeMap<String, Mailbox>,
    pub subscriptions: BTreeSet<String>,
    /// Names under which mailboxes were renamed or deleted, and names that they were given.
    pub renamed_or_deleted: BTreeSet<String>,
    /// Names that were subscribed or unsubscribed.
    pub subscription_touched: BTreeSet<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Mailbox {
    /// Its GUID, if it was there when the sides were last equal.
    pub shared: Option<String>,
    pub is_renamed: bool,
    pub messages: Vec<Message>,
    /// What was taken out of it, by Message-ID.
    pub removed: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub struct Message {
    /// Programs that work on files do not know which one Dovecot will give.
    pub uid: Option<u32>,
    pub message_id: String,
    pub flags: Flags,
    pub arrival: Arrival,
    /// Whether its flags were stored, be it without effect.
    pub is_touched: bool,
}

/// How a message came into its mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was there when the sides were last equal.
    Shared,
    Appended,
    CopiedOrMoved,
}

impl Side {
    /// A side that is equal to the other one.
    pub fn settled(view: &View) -> Self {
        let mut side = Self { subscriptions: view.subscriptions.clone(), ..Self::default() };
        for (name, seen) in &view.mailboxes {
            let message = |(uid, message): (&u32, &super::view::SeenMessage)| Message {
                uid: Some(*uid),
                message_id: message.message_id.clone(),
                flags: message.flags.clone(),
                arrival: Arrival::Shared,
                is_touched: false,
            };
            let messages = seen.messages.iter().map(message).collect();
            let mailbox =
                Mailbox { shared: Some(seen.guid.clone()), is_renamed: false, messages, removed: BTreeSet::new() };
            side.mailboxes.insert(name.clone(), mailbox);
        }
        side
    }

    /// A side that has nothing but an empty INBOX.
    pub fn fresh() -> Self {
        Self { mailboxes: BTreeMap::from([("INBOX".to_owned(), Mailbox::default())]), ..Self::default() }
    }

    /// A mailbox that was there when the sides were last equal, with its present name.
    pub fn shared(&self, guid: &str) -> Option<(&str, &Mailbox)> {
        let (name, mailbox) = self.mailboxes.iter().find(|(_, it)| it.shared.as_deref() == Some(guid))?;
        Some((name, mailbox))
    }

    /// All mailboxes that came into being since the sides were last equal.
    pub fn new_mailboxes(&self) -> impl Iterator<Item = (&str, &Mailbox)> {
        self.mailboxes.iter().filter(|(_, it)| it.shared.is_none()).map(|(name, it)| (name.as_str(), it))
    }

    pub fn holds(&self, message_id: &str) -> bool {
        self.mailboxes.values().any(|mailbox| mailbox.count(message_id) > 0)
    }

    /// The names below `name`.
    pub fn children(&self, name: &str) -> Vec<String> {
        let prefix = format!("{name}/");
        self.mailboxes.keys().filter(|it| it.starts_with(&prefix)).cloned().collect()
    }

    /// Enters an operation that was carried out, and the UIDs that the messages got by it.
    pub fn apply(&mut self, operation: &Operation, new_uids: &[u32]) {
        match operation {
            Operation::Append { mailbox, message_id, flags, .. } => {
                let message = Message {
                    uid: Some(new_uids[0]),
                    message_id: message_id.clone(),
                    flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
                    arrival: Arrival::Appended,
                    is_touched: false,
                };
                self.mailbox(mailbox).messages.push(message);
            }
            Operation::Store { mailbox, targets, how, flags } => {
                for message in self.mailbox(mailbox).find(targets) {
                    message.store(*how, flags);
                }
            }
            Operation::Expunge { mailbox, targets } => self.mailbox(mailbox).remove(targets),
            Operation::Copy { mailbox, targets, to } => self.copy(mailbox, targets, to, new_uids),
            Operation::Move { mailbox, targets, to } => {
                self.copy(mailbox, targets, to, new_uids);
                self.mailbox(mailbox).remove(targets);
            }
            Operation::Create { mailbox } => {
                self.mailboxes.insert(mailbox.clone(), Mailbox::default());
            }
            Operation::Rename { mailbox, to } => {
                self.rename(mailbox, to);
                for child in self.children(mailbox) {
                    self.rename(&child, &format!("{to}{}", &child[mailbox.len()..]));
                }
            }
            Operation::Delete { mailbox } => {
                self.mailboxes.remove(mailbox);
                self.renamed_or_deleted.insert(mailbox.clone());
            }
            Operation::Subscribe { mailbox } => {
                self.subscriptions.insert(mailbox.clone());
                self.subscription_touched.insert(mailbox.clone());
            }
            Operation::Unsubscribe { mailbox } => {
                self.subscriptions.remove(mailbox);
                self.subscription_touched.insert(mailbox.clone());
            }
        }
    }

    pub(super) fn mailbox(&mut self, name: &str) -> &mut Mailbox {
        self.mailboxes.get_mut(name).expect("operations work on what is there")
    }

    fn copy(&mut self, from: &str, targets: &[Target], to: &str, new_uids: &[u32]) {
        assert_eq!(targets.len(), new_uids.len(), "each message gets a new UID");
        let originals: Vec<_> = self.mailbox(from).find(targets).map(|message| message.clone()).collect();
        let copies = originals.into_iter().zip(new_uids).map(|(message, uid)| Message {
            uid: Some(*uid),
            arrival: Arrival::CopiedOrMoved,
            is_touched: false,
            ..message
        });
        self.mailbox(to).messages.extend(copies.collect::<Vec<_>>());
    }

    fn rename(&mut self, from: &str, to: &str) {
        let mut mailbox = self.mailboxes.remove(from).expect("operations work on what is there");
        mailbox.is_renamed = true;
        self.mailboxes.insert(to.to_owned(), mailbox);
        self.renamed_or_deleted.extend([from.to_owned(), to.to_owned()]);
    }
}

impl Mailbox {
    pub fn count(&self, message_id: &str) -> usize {
        self.messages.iter().filter(|message| message.message_id == message_id).count()
    }

    /// How many instances of a message came into it since the sides were last equal.
    pub fn new_count(&self, message_id: &str) -> usize {
        self.new_messages().filter(|message| message.message_id == message_id).count()
    }

    pub fn new_messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| message.arrival != Arrival::Shared)
    }

    /// A message that was there when the sides were last equal.
    pub fn shared(&self, uid: u32) -> Option<&Message> {
        self.messages.iter().find(|message| message.uid == Some(uid) && message.arrival == Arrival::Shared)
    }

    fn find<'a>(&'a mut self, targets: &'a [Target]) -> impl Iterator<Item = &'a mut Message> {
        self.messages.iter_mut().filter(|message| targets.iter().any(|target| message.uid == Some(target.uid)))
    }

    fn remove(&mut self, targets: &[Target]) {
        let (kept, removed): (Vec<_>, Vec<_>) = std::mem::take(&mut self.messages)
            .into_iter()
            .partition(|message| targets.iter().all(|target| message.uid != Some(target.uid)));
        self.messages = kept;
        self.removed.extend(removed.into_iter().map(|message| message.message_id));
    }
}

impl Message {
    pub(super) fn store(&mut self, how: How, flags: &[&'static str]) {
        let flags = flags.iter().map(|flag| (*flag).to_owned());
        match how {
            How::Add => self.flags.extend(flags),
            How::Remove => flags.for_each(|flag| {
                self.flags.remove(&flag);
            }),
            How::Replace => self.flags = flags.collect(),
        }
        self.is_touched = true;
    }
}
