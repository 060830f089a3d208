//! What two sessions say to each other.

use crate::model::{MailboxName, MailboxNode, MailboxStatus, MessageKey, MessageRecord};
use crate::report::Problem;
use crate::store::MessageBody;

/// Whether a mailbox has to be transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is the same on both sides, or the destination will not have it.
    Same,
    /// The lists of messages are needed.
    Different,
}

/// One message between two sessions. The order is that of the module documentation.
#[derive(Debug)]
pub enum Message {
    /// Opens the conversation.
    Hello,
    /// One name of the source's tree.
    Node(MailboxName, MailboxNode),
    /// The tree is complete.
    TreeEnd,
    /// The source's counters of a mailbox and the checksum over its records.
    Offer {
        /// The mailbox.
        name: MailboxName,
        /// Its counters at the source.
        status: MailboxStatus,
        /// [`MessageList::digest`](crate::model::MessageList::digest) at the source.
        digest: Option<[u8; 16]>,
        /// Whether everything in it could be read; if not, what is missing may be there all the same.
        complete: bool,
    },
    /// The destination's answer to an offer.
    Answer(Difference),
    /// Messages of the offered mailbox, in the order of [`MessageList`](crate::model::MessageList).
    Records(Vec<MessageRecord>),
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
            Self::Hello => "hello",
            Self::Node(..) => "node",
            Self::TreeEnd => "tree end",
            Self::Offer { .. } => "offer",
            Self::Answer(_) => "answer",
            Self::Records(_) => "records",
            Self::RecordsEnd => "records end",
            Self::Request(_) => "request",
            Self::Body(_) => "body",
            Self::Done => "done",
            Self::Retry => "retry",
            Self::Finish(_) => "finish",
        }
    }
}
