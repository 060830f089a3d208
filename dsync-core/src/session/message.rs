//! What two sessions say to each other.

use std::collections::BTreeMap;

use super::SyncOptions;
use crate::merge::two_way::{Origins, SideMessages};
use crate::model::{
    Glance, KeptFields, MailboxGuid, MailboxName, MailboxNode, MailboxStatus, MessageKey, MessageList, SyncPoint,
    TreeEvent, Uid,
};
use crate::report::Problem;
use crate::store::{Capabilities, Mailbox, MessageBody};

/// What a side did with its mailboxes once it knew the other tree, before the trees are merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amendments {
    /// Mailboxes that are others now, each with its new GUID.
    pub kept: Vec<(MailboxName, MailboxGuid)>,
    /// Mailboxes that gave way to a new one of the same name.
    pub removed: Vec<MailboxName>,
}

/// Whether a mailbox has to be transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is the same on both sides, or the destination will not have it.
    Same,
    /// The lists of messages are needed.
    Different {
        /// From which UID on messages, and those without one, are to be compared by what is in them. `None` if GUIDs tell
        /// which are the same, or there is nothing to compare with.
        contents_from: Option<Uid>,
    },
}

/// What the source of a backup says about a message beside the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedNote {
    /// What is in it.
    pub content: ListedContent,
    /// Whether it is to be copied if the destination does not have it.
    pub selected: bool,
}

/// What is in a message, whatever its line ends are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListedContent {
    /// Nobody wanted to know.
    Unasked,
    /// It could not be read now, or is gone.
    Unreadable,
    /// A checksum over it.
    Is([u8; 16]),
}

/// How a side introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// What the store is and where, for messages to people.
    pub location: String,
    /// Which store it is: [`MailStore::id`](crate::store::MailStore::id).
    pub id: String,
    /// What the side was asked to do. The master's options count.
    pub options: SyncOptions,
    /// What the store can hold.
    pub capabilities: Capabilities,
    /// Whether the side takes over what the other one did.
    pub imports: bool,
    /// Whether there is any mailbox at all.
    pub holds_mailboxes: bool,
}

/// A mailbox in a few bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxSummary {
    /// The counters.
    pub status: MailboxStatus,
    /// [`MailboxStatus::fingerprint`]: if both sides have the same, so is the mailbox. `None` if something is not
    /// decided yet.
    pub fingerprint: Option<[u8; 16]>,
    /// Whether everything in it could be read; if not, what is missing may be there all the same.
    pub complete: bool,
    /// Moments at which the mailbox was the same as one elsewhere.
    pub points: Vec<SyncPoint>,
    /// What it looks like, if that tells.
    pub glance: Option<Glance>,
}

impl MailboxSummary {
    /// `fields` is what both sides keep of a message, so that it can be compared.
    pub(super) fn of(mailbox: &dyn Mailbox, fields: KeptFields) -> Self {
        let status = mailbox.status().clone();
        let digest = match fields {
            KeptFields::ALL => mailbox.digest(),
            fields => mailbox.messages().digest_of(fields),
        };
        Self {
            fingerprint: digest.and_then(|digest| status.fingerprint(digest)),
            status,
            complete: mailbox.problems().is_empty(),
            points: mailbox.sync_points().to_vec(),
            glance: mailbox.glance(),
        }
    }

    /// Whether both are known to be the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.fingerprint.is_some() && self.fingerprint == other.fingerprint && self.complete && other.complete
    }
}

/// How a side came out of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was done; the fingerprint afterwards.
    Done(Option<[u8; 16]>),
    /// The mailbox changed meanwhile, so nothing was done.
    Changed,
    /// Something could not be done, and was reported.
    Partial,
}

/// One message between two sessions. The order is that of the module documentation.
#[derive(Debug)]
pub enum Message {
    /// Opens the conversation.
    Hello(Greeting),
    /// One name of the source's tree.
    Node(MailboxName, MailboxNode),
    /// Something that happened to the tree.
    TreeEvent(TreeEvent),
    /// The tree is complete.
    TreeEnd {
        /// What may stand between the parts of names in the events.
        separators: Vec<char>,
        /// [`TreeHistory::prefix`](crate::model::TreeHistory::prefix).
        prefix: String,
    },
    /// What a side did about mailboxes that the other side deleted.
    Amendments(Amendments),
    /// What a mailbox of this side looks like: perhaps both sides agreed when it looked like that.
    Glance(MailboxName, Glance),
    /// That depends on more than was looked at.
    LookCloser,
    /// That is not known, so it has to be offered.
    Look,
    /// A mailbox that could be transferred.
    Offer {
        /// The mailbox.
        name: MailboxName,
        /// What it is at this side.
        summary: MailboxSummary,
    },
    /// The same mailbox at the other side of a two-way run.
    Summary(MailboxSummary),
    /// The other side of a two-way run cannot have the mailbox, or does not want it.
    Refused,
    /// Mailboxes about which there is nothing left to do, and what they look like at this side.
    Agreed(Vec<(MailboxName, Glance)>),
    /// The messages of the mailbox with what clients did to them.
    Changes(SideMessages<'static>),
    /// What else happened in it.
    ChangesEnd {
        /// Messages that are gone, with the 128-bit form of their GUID if that is known.
        expunged: BTreeMap<Uid, Option<[u8; 16]>>,
        /// Who brought and removed messages.
        origins: Origins,
        /// Whether all changes since the common moment are known.
        history_complete: bool,
    },
    /// This side of a two-way run keeps the mailbox as it was compared until the other side has said its outcome.
    Held,
    /// A side of a two-way run is done with the mailbox.
    Outcome(Outcome),
    /// The destination's answer to an offer.
    Answer(Difference),
    /// The messages of the offered mailbox.
    Records(MessageList),
    /// What is to be said about the next messages, in the order of the list. Of those behind the last one there is nothing:
    /// nobody asked what is in them, and they are selected.
    Notes(Vec<ListedNote>),
    /// All messages were listed.
    RecordsEnd,
    /// The destination wants the bodies of these messages, in this order. Always sent, also if empty.
    Request(Vec<MessageKey>),
    /// The bytes of the next requested message, or why they cannot be had.
    Body(Result<MessageBody, String>),
    /// The destination is done with the mailbox.
    Done,
    /// The mailbox changed at the destination meanwhile; offer it again.
    Retry,
    /// Nothing more will be said. Problems of this side.
    Finish(Vec<Problem>),
}

impl Message {
    /// The name of the kind of message, for error texts.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Node(..) => "node",
            Self::TreeEvent(_) => "tree event",
            Self::TreeEnd { .. } => "tree end",
            Self::Amendments(_) => "amendments",
            Self::Summary(_) => "summary",
            Self::Refused => "refusal",
            Self::Changes(_) => "changes",
            Self::ChangesEnd { .. } => "changes end",
            Self::Held => "held",
            Self::Outcome(_) => "outcome",
            Self::Glance(..) => "glance",
            Self::LookCloser => "closer look",
            Self::Look => "look",
            Self::Agreed(_) => "agreement",
            Self::Offer { .. } => "offer",
            Self::Answer(_) => "answer",
            Self::Records(_) => "records",
            Self::Notes(_) => "notes",
            Self::RecordsEnd => "records end",
            Self::Request(_) => "request",
            Self::Body(_) => "body",
            Self::Done => "done",
            Self::Retry => "retry",
            Self::Finish(_) => "finish",
        }
    }
}
