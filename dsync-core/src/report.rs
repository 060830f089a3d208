//! What a run did, what it could not do, and the exit status that it means.

use std::fmt;

use crate::model::MailboxName;
use crate::state::SyncState;
use crate::store::ReplacedName;

/// One thing that could not be done although the run as a whole went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The mailbox concerned; `None` if it is about the store as a whole.
    pub mailbox: Option<MailboxName>,
    /// What could not be done and why, as a sentence that names the path or message.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mailbox {
            Some(mailbox) => write!(f, "mailbox {mailbox}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

/// Counts of what was done at one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Mailboxes looked at.
    pub mailboxes: u64,
    /// Mailboxes in which something was changed.
    pub mailboxes_changed: u64,
    /// Mailboxes renamed.
    pub mailboxes_renamed: u64,
    /// Mailboxes deleted.
    pub mailboxes_deleted: u64,
    /// Messages whose bytes were transferred.
    pub messages_saved: u64,
    /// Bytes of those messages, as far as their sizes were known.
    pub bytes_saved: u64,
    /// Messages whose bytes were given to a peer on another host. What it did with them, it alone knows.
    pub messages_sent: u64,
    /// Bytes of those messages, as far as their sizes were known.
    pub bytes_sent: u64,
    /// Messages removed.
    pub messages_removed: u64,
    /// Messages whose flags, keywords, UID or other data were changed.
    pub messages_changed: u64,
}

/// The outcome of a run that was carried through to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What was done.
    pub counts: Counts,
    /// What could not be done; empty if the sides are equal now.
    pub problems: Vec<Problem>,
    /// Mailboxes that are known to be the same on both sides now; after a merge in one direction, those of which everything
    /// was taken over.
    pub state: SyncState,
}

impl Report {
    /// What both sides of a run did. Mailboxes that both looked at count once.
    #[must_use]
    pub fn joined(mut self, other: Self) -> Self {
        let (own, others) = (&mut self.counts, other.counts);
        own.mailboxes = own.mailboxes.max(others.mailboxes);
        own.mailboxes_changed += others.mailboxes_changed;
        own.mailboxes_renamed += others.mailboxes_renamed;
        own.mailboxes_deleted += others.mailboxes_deleted;
        own.messages_saved += others.messages_saved;
        own.bytes_saved = own.bytes_saved.saturating_add(others.bytes_saved);
        own.messages_sent += others.messages_sent;
        own.bytes_sent = own.bytes_sent.saturating_add(others.bytes_sent);
        own.messages_removed += others.messages_removed;
        own.messages_changed += others.messages_changed;
        self.state.extend(other.state);
        for problem in other.problems {
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
        self
    }

    /// Whether no mailbox took part on either side.
    #[must_use]
    pub fn found_nothing(&self) -> bool {
        let Counts { mailboxes, mailboxes_renamed, mailboxes_deleted, .. } = self.counts;
        mailboxes == 0 && mailboxes_renamed == 0 && mailboxes_deleted == 0 && self.problems.is_empty()
    }

    /// 0 if everything was done, 2 if not (dsync(1), EXIT STATUS).
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        if self.problems.is_empty() { 0 } else { 2 }
    }
}

/// Something that happened during a run, for those who watch it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The tree of the store is about to be changed.
    TreeAction(&'a crate::tree::TreeAction),
    /// The store cannot hold a name as it is, so others see another one there. Said once, when it comes to be.
    NameReplaced(&'a ReplacedName),
    /// A mailbox is the same on both sides already.
    MailboxUnchanged(&'a MailboxName),
    /// A mailbox differs, and this is what will be done about it in the store.
    MailboxPlanned(&'a MailboxName, &'a crate::merge::MailboxPlan),
    /// Why something about a mailbox is decided as it is, as a sentence. Only for those who [want to
    /// know](Observer::wants_reasons).
    Reason(&'a MailboxName, &'a str),
    /// The bytes of one message have arrived; the size, if known.
    MessageSaved(&'a MailboxName, Option<u64>),
    /// The changes of a mailbox are durable.
    MailboxCommitted(&'a MailboxName),
    /// Something could not be done.
    Problem(&'a Problem),
    /// So many more messages of a mailbox are about to be [compared](crate::verify::verify).
    Comparing(&'a MailboxName, usize),
    /// A message was compared; the size of its body, if that was.
    MessageCompared(&'a MailboxName, Option<u64>),
    /// Everything in a mailbox was compared.
    MailboxCompared(&'a MailboxName),
    /// Something is different at two stores that were compared.
    Difference(&'a crate::verify::Difference),
}

/// Watches a run. All methods are called from the thread that drives the session.
pub trait Observer {
    /// Called as things happen, with the [location](crate::store::MailStore::location) of the store that they happen to.
    fn event(&mut self, store: &str, event: Event<'_>);

    /// Whether [`Event::Reason`] is of interest; it costs time.
    fn wants_reasons(&self) -> bool {
        false
    }

    /// Whether the run is to end before it is through, with [`Stopped`](crate::session::SessionError::Stopped): asked between
    /// two steps, none of which is left half done.
    fn is_to_stop(&self) -> bool {
        false
    }
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn event(&mut self, _: &str, _: Event<'_>) {}
}
