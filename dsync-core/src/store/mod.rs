//! The interface of a mail store: what the synchronisation asks of storage, and all it ever asks.
//!
//! Implement [`MailStore`] and [`Mailbox`] to synchronise a storage of your own.

mod body;
mod error;
mod new_messages;

pub use body::{BodySource, FileRange, MessageBody};
pub use error::{ErrorKind, StoreError};
pub use new_messages::{NewMessages, SavedBodies};

use std::time::Duration;

use crate::model::{
    Agreements, Glance, HistoryRange, KeptFields, MailboxGuid, MailboxHistory, MailboxIdentity, MailboxName,
    MailboxStatus, MailboxTree, MessageKey, MessageList, MessageRecord, ModSeq, SyncPoint, TreeHistory, Uid,
};

/// A tree of mailboxes.
///
/// # Invariants
///
/// * A store that was opened for reading only changes nothing, whatever is called on it; the changing methods then
///   return an error of kind [`ErrorKind::ReadOnly`].
/// * A change that was acknowledged with `Ok` survives a power cut. One that was not leaves the store as it was, or
///   in a state from which calling the method again completes it.
/// * `INBOX` can neither be deleted nor renamed.
pub trait MailStore: Send {
    /// What the store is and where, for messages to people: `maildir:/home/u/Maildir`.
    fn location(&self) -> String;

    /// A name that no other store in the world has, and that stays the same: by it others remember when they agreed with
    /// this one.
    ///
    /// A store that may be changed comes into being for this if it is not there yet.
    ///
    /// # Errors
    /// If it cannot be found out.
    fn id(&mut self) -> Result<String, StoreError>;

    /// Keeps other synchronisations from changing the store as long as it is open, and waits for them as long as `patience`.
    /// Servers and mail programs are not kept out. Whoever claims several stores does so in the order of their
    /// [names](Self::id).
    ///
    /// A store that is not changed, or not by several processes, need not implement this. One that is not there yet does not come
    /// into being for it.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] if another one is still at work in it then.
    fn claim(&mut self, patience: Duration) -> Result<(), StoreError> {
        let _ = patience;
        Ok(())
    }

    /// What the store can hold.
    fn capabilities(&self) -> Capabilities;

    /// Says which names the store is about to be asked for, before the first of them. A store that finds other places for
    /// names that it cannot hold can then keep those free that it can. Nothing need come of it.
    fn expect(&mut self, wanted: &MailboxTree) {
        let _ = wanted;
    }

    /// Names that the store has found another place for since it was last asked: each with the name under which others see
    /// it there. A store that holds every name as it is, or refuses it, need not implement this.
    fn replaced_names(&mut self) -> Vec<ReplacedName> {
        Vec::new()
    }

    /// Lists all mailboxes, directories and subscriptions.
    ///
    /// # Errors
    /// If the tree cannot be read as a whole. A single mailbox that cannot be read is listed as
    /// [`NodeKind::Unreadable`](crate::model::NodeKind::Unreadable) instead.
    fn tree(&mut self) -> Result<MailboxTree, StoreError>;

    /// What happened to the tree. [`delete`](Self::delete), [`rename`](Self::rename),
    /// [`delete_directory`](Self::delete_directory) and [`set_subscribed`](Self::set_subscribed) add to it.
    ///
    /// A store that keeps no history need not implement this; mailboxes that were deleted then come back from the
    /// other side of a two-way run.
    ///
    /// # Errors
    /// If it is there and cannot be read. One that cannot be understood counts as empty.
    fn tree_history(&mut self) -> Result<TreeHistory, StoreError> {
        Ok(TreeHistory::default())
    }

    /// Adds to the history of the tree that the mailbox with this GUID is no more: it has become another one. A store
    /// that keeps no history need not implement this.
    ///
    /// # Errors
    /// If it cannot be written.
    fn note_deleted(&mut self, guid: MailboxGuid) -> Result<(), StoreError> {
        let _ = guid;
        Ok(())
    }

    /// A GUID and a UIDVALIDITY that no mailbox has had.
    ///
    /// # Errors
    /// If the store cannot keep in mind that they are taken.
    fn new_identity(&mut self) -> Result<MailboxIdentity, StoreError>;

    /// Opens an existing mailbox and takes a consistent view of it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none; others if it cannot be read.
    fn open(&mut self, name: &MailboxName) -> Result<Box<dyn Mailbox>, StoreError>;

    /// What a mailbox looks like without being opened. `None` if it is not there, or if the store cannot be sure to notice
    /// every change in that way. Only if it shall be a `close` one it may cost by messages.
    fn glance(&mut self, name: &MailboxName, close: bool) -> Option<Glance> {
        let _ = (name, close);
        None
    }

    /// The agreements that were last [kept](Self::keep_agreements) with the store that is called `peer`.
    ///
    /// # Errors
    /// If they are there and cannot be read. What cannot be understood counts as not there.
    fn agreements(&mut self, peer: [u8; 8]) -> Result<Agreements, StoreError> {
        let _ = peer;
        Ok(Agreements::new())
    }

    /// Keeps agreements with the store that is called `peer` in place of all others with it. They only save work, so they
    /// need not be durable, and a store that has no place for them does nothing.
    ///
    /// # Errors
    /// If they cannot be written.
    fn keep_agreements(&mut self, peer: [u8; 8], agreements: &Agreements) -> Result<(), StoreError> {
        let _ = (peer, agreements);
        Ok(())
    }

    /// Makes a new, empty mailbox with the given identity; the store chooses what that leaves undecided. It may stay
    /// invisible to others until its first [`Mailbox::commit`]; if it is dropped before, nothing of it remains.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] if the name is taken, [`ErrorKind::InvalidName`] if the store cannot hold it under any name.
    fn create(&mut self, name: &MailboxName, identity: MailboxIdentity) -> Result<Box<dyn Mailbox>, StoreError>;

    /// Deletes a mailbox with all its messages. Mailboxes below it stay, and so does its subscription.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none, [`ErrorKind::Impossible`] for `INBOX`.
    fn delete(&mut self, name: &MailboxName) -> Result<(), StoreError>;

    /// The same, unless the mailbox is no longer what `expected` says: somebody may just have put a message into it. What is
    /// [not counted yet](MessageList::is_decided) came after it, too, so the mailbox has to be settled before.
    ///
    /// A store that can should see to it that nothing comes in between.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`] if it is another; else as [`delete`](Self::delete).
    fn delete_unchanged(&mut self, name: &MailboxName, expected: &MailboxStatus) -> Result<(), StoreError> {
        let mailbox = self.open(name)?;
        if mailbox.status() != expected || !mailbox.messages().is_decided() {
            return Err(StoreError::new(
                ErrorKind::Changed,
                format!("mailbox {name} was changed meanwhile; it stays"),
            ));
        }
        drop(mailbox);
        self.delete(name)
    }

    /// Renames a mailbox or directory and everything below it. Parents of `to` come into being as needed.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Exists`], [`ErrorKind::InvalidName`], or [`ErrorKind::Impossible`] for
    /// `INBOX`.
    fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError>;

    /// Makes a level of the hierarchy that cannot be selected. One that exists already is fine.
    ///
    /// # Errors
    /// [`ErrorKind::Impossible`] if the store has no such thing ([`Capabilities::directories`]).
    fn create_directory(&mut self, name: &MailboxName) -> Result<(), StoreError>;

    /// Removes a level that cannot be selected and has nothing below it. One that is missing already is fine.
    ///
    /// # Errors
    /// [`ErrorKind::Impossible`] if it is a mailbox or not empty.
    fn delete_directory(&mut self, name: &MailboxName) -> Result<(), StoreError>;

    /// Subscribes to a name or cancels that; the name need not exist.
    ///
    /// # Errors
    /// If the subscriptions cannot be read or written.
    fn set_subscribed(&mut self, name: &MailboxName, subscribed: bool) -> Result<(), StoreError>;
}

/// One mailbox as it was at the moment it was opened, or after the last commit through this handle.
///
/// # Invariants
///
/// * [`status`](Self::status) and [`messages`](Self::messages) describe the same moment.
/// * Messages of [`save`](Self::save) are invisible until [`commit`](Self::commit) and gone if that is never called.
pub trait Mailbox: Send {
    /// The counters.
    fn status(&self) -> &MailboxStatus;

    /// All messages.
    fn messages(&self) -> &MessageList;

    /// What could not be understood while the mailbox was opened although the rest could: broken files, a corrupt
    /// index. One sentence each, naming the path.
    fn problems(&self) -> &[String];

    /// What [`MailStore::glance`] gives, at least if it is a close one, as long as nobody has changed anything since the
    /// moment of this view.
    fn glance(&self) -> Option<Glance> {
        None
    }

    /// Whether everything that other programs did to the mailbox has found its way into the history. If not, a
    /// [`commit`](Self::commit) that changes nothing but raises HIGHESTMODSEQ sees to it.
    fn is_settled(&self) -> bool {
        true
    }

    /// [`MessageList::digest`] of [`messages`](Self::messages); a store may keep it instead of computing it.
    fn digest(&self) -> Option<[u8; 16]> {
        self.messages().digest()
    }

    /// What was done in the given range, as far as it is still known. Expunged messages count whoever expunged them. It
    /// goes at least up to the moment of [`status`](Self::status).
    ///
    /// A store that keeps no history need not implement this.
    ///
    /// # Errors
    /// If it is there and cannot be read. One that cannot be understood is not
    /// [complete](MailboxHistory::complete).
    fn history(&mut self, range: HistoryRange) -> Result<MailboxHistory, StoreError> {
        let _ = range;
        Ok(MailboxHistory::default())
    }

    /// The moments at which the mailbox was the same as one of another store, the latest last.
    fn sync_points(&self) -> &[SyncPoint] {
        &[]
    }

    /// Keeps such a moment ([`SyncPoint::added_to`] says which go for it). Nothing else changes, no counter either. A
    /// store that has no place for it does nothing: it is then compared as a whole.
    ///
    /// The moments must be forgotten when UIDs are given again or HIGHESTMODSEQ goes back. Call it only after the first
    /// [`commit`](Self::commit) of a new mailbox.
    ///
    /// # Errors
    /// If it cannot be written.
    fn remember(&mut self, point: SyncPoint) -> Result<(), StoreError> {
        let _ = point;
        Ok(())
    }

    /// Keeps everybody else from changing the mailbox, until the next [`commit`](Self::commit),
    /// [`remember`](Self::remember) or [`release`](Self::release), or until this is dropped: a commit then finds it as it is.
    /// Others wait meanwhile, so it should not be long; and whoever holds mailboxes of several stores takes them in an order
    /// that all agree on.
    ///
    /// A store that cannot keep others away need not implement this. A mailbox that nobody else can see is held already.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`] if somebody has changed it since the view was taken; others if it cannot be locked.
    fn hold(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Lets others change it again, if it [is held](Self::hold).
    fn release(&mut self) {}

    /// The bytes of a message.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the message is gone by now.
    fn body(&mut self, message: MessageKey) -> Result<MessageBody, StoreError>;

    /// Takes the bytes of a message that a later [`commit`](Self::commit) will add. Nothing is visible yet and
    /// nothing is durable; no lock that others wait for is held.
    ///
    /// What it gives is handed back in [`MailboxChanges::add`], and means something until the next commit.
    ///
    /// # Errors
    /// If they cannot be read from `body` ([`ErrorKind::Source`]) or cannot be written. In the first case nothing
    /// was saved and the mailbox can go on.
    fn save(&mut self, message: &MessageRecord, body: MessageBody) -> Result<SavedBody, StoreError>;

    /// Makes all of `changes` visible and durable.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`] if somebody else has changed the mailbox since the view was taken, in a way that
    /// `changes` does not fit any more: nothing was done, open the mailbox again. Otherwise a failure to write:
    /// whatever was done already is repaired by opening the mailbox again and committing what is then missing.
    fn commit(&mut self, changes: MailboxChanges) -> Result<(), StoreError>;
}

/// What a store can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether [`NodeKind::Directory`](crate::model::NodeKind::Directory) nodes can exist.
    pub directories: bool,
    /// What it keeps of a message.
    pub keeps: KeptFields,
    /// Whether the bytes of a message stay exactly as they are. If not, CRLF may become LF, which clients cannot see.
    pub line_ends: bool,
}

/// A name that a store cannot hold, and keeps under another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplacedName {
    /// The name.
    pub original: MailboxName,
    /// What it is called for other programs that use the store.
    pub stored: MailboxName,
}

/// Who wants a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// It happened here: the store only writes down what has no number yet, and what other programs did. It is part
    /// of the [history](Mailbox::history).
    Local,
    /// It happened at another store and is carried over. The history tells it apart
    /// ([`HistoryRange::mirrored_until`]).
    Mirrored,
}

/// The bytes of a message that a mailbox has taken but not added yet. The number is the store's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SavedBody(pub usize);

/// What a [`Mailbox::commit`] does, all at once.
///
/// The mailbox that results has exactly the messages it had, less `remove`, with `renumber` and `update` applied,
/// plus `add`, and exactly the given counters.
///
/// # Invariants
/// * No UID occurs twice in the result, and all are below `uid_next`.
/// * `highest_modseq` is at least the modseq of every message of the result.
/// * Every record in `update`, `renumber` and `add` has a UID and a modseq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxChanges {
    /// Who wants them.
    pub origin: Origin,
    /// The identity from now on. What it leaves undecided stays as it is; what is undecided then the store chooses.
    /// Changing the UIDVALIDITY keeps UIDs and messages.
    pub identity: MailboxIdentity,
    /// Messages that go.
    pub remove: Vec<MessageKey>,
    /// Messages that stay under another UID, or get their first: which one, and what it is afterwards. Its GUID
    /// stays.
    pub renumber: Vec<(MessageKey, MessageRecord)>,
    /// Messages that stay under their UID with other flags, keywords, modseq, dates or POP3 data. Their GUID stays.
    pub update: Vec<MessageRecord>,
    /// New messages, each with its bytes.
    pub add: NewMessages,
    /// UIDNEXT afterwards.
    pub uid_next: Uid,
    /// HIGHESTMODSEQ afterwards. A store whose own counting has passed this value reaches it all the same, by
    /// starting its history anew.
    pub highest_modseq: ModSeq,
    /// First recent UID afterwards.
    pub first_recent_uid: Uid,
}

impl MailboxChanges {
    /// Removes, changes and adds no message, and leaves the identity undecided; all counters are the lowest. What is to change is
    /// put in its place.
    ///
    /// ```
    /// use dsync_core::model::{ModSeq, Uid};
    /// use dsync_core::store::{MailboxChanges, Origin};
    ///
    /// let uid_next = Uid::FIRST.next();
    /// let changes = MailboxChanges { uid_next, highest_modseq: ModSeq(9), ..MailboxChanges::empty(Origin::Local) };
    /// assert!(changes.remove.is_empty() && changes.add.is_empty());
    /// ```
    #[must_use]
    pub fn empty(origin: Origin) -> Self {
        Self {
            origin,
            identity: MailboxIdentity::UNDECIDED,
            remove: Vec::new(),
            renumber: Vec::new(),
            update: Vec::new(),
            add: NewMessages::default(),
            uid_next: Uid::FIRST,
            highest_modseq: ModSeq::FIRST,
            first_recent_uid: Uid::FIRST,
        }
    }
}
