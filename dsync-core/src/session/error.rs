//! Why a run could not go on.

use thiserror::Error;

use crate::model::MailboxName;
use crate::store::{MailStore, StoreError};
use crate::tree::two_way::TreeConflict;
use crate::wire::WireError;

/// A failure that ends a run. What was committed before it stays; running again goes on from there.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A store failed as a whole.
    #[error("{location}: {error}")]
    Store {
        /// Which store.
        location: String,
        /// What failed.
        #[source]
        error: StoreError,
    },
    /// The source has no mailbox at all but the destination has, or may have; it is not emptied on that evidence.
    #[error(
        "{source_location} holds no mailbox: refusing to empty {destination_location}. Check that the source is the right place \
         and is mounted"
    )]
    EmptySource {
        /// The source.
        source_location: String,
        /// The destination.
        destination_location: String,
    },
    /// The peer broke the order of messages.
    #[error("the other side sent '{received}' while {state}: it speaks another protocol or is broken")]
    UnexpectedMessage {
        /// What it sent.
        received: &'static str,
        /// What was going on.
        state: &'static str,
    },
    /// The peer sent data that contradict themselves.
    #[error("the other side sent {0}: it is broken, nothing of this was stored")]
    InvalidData(String),
    /// The trees of both sides cannot be brought together.
    #[error("the mailboxes of both sides cannot be brought together: {0}")]
    Tree(#[from] TreeConflict),
    /// Whoever watches the run wanted it to end.
    #[error("stopped; what was done until then is kept, and the next run goes on from there")]
    Stopped,
    /// The peer sent bytes that mean nothing.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// The connection failed.
    #[error("the connection to the other side failed while {doing}: {error}")]
    Connection {
        /// What was going on.
        doing: &'static str,
        /// What failed.
        #[source]
        error: std::io::Error,
    },
    /// The peer ended the conversation in the middle of it.
    #[error(
        "the other side ended the conversation before it was done; what it said about that, if anything, stands above. \
         What was committed before stays, and another run goes on from there"
    )]
    Closed,
    /// The peer has been silent for too long.
    #[error("the other side has neither said nor taken anything for {0} seconds")]
    Silent(u64),
    /// The peer failed.
    #[error("the other side failed: {text}")]
    Remote {
        /// What it says.
        text: String,
        /// The class of the failure in Dovecot's numbers, if it says that.
        code: Option<u32>,
    },
    /// The peer asks for something that this side does not know.
    #[error("the other side asks for {0}, which this version cannot do; nothing was changed")]
    Unsupported(String),
    /// Something is wanted that the protocol has no words for.
    #[error("{0}")]
    Inexpressible(String),
    /// The other side would delete its copy of something that cannot be read here.
    #[error(
        "mailbox {mailbox} cannot be read ({reason}), and the other side would take it for deleted: repair it, or leave it \
         out with -x"
    )]
    UnreadableSource {
        /// The mailbox.
        mailbox: MailboxName,
        /// Why it cannot be read.
        reason: String,
    },
    /// Both sides wait for the other.
    #[error("both sides wait for the other one; this is a bug of dsync")]
    Stalled,
}

impl SessionError {
    pub(crate) fn of_store(store: &dyn MailStore, error: StoreError) -> Self {
        Self::Store { location: store.location(), error }
    }
}
