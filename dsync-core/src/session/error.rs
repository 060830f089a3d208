//! Why a run could not go on.

use thiserror::Error;

use crate::store::{MailStore, StoreError};
use crate::tree::two_way::TreeConflict;

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
    /// The source has no mailbox at all but the destination has; it is not emptied on that evidence.
    #[error(
        "{source_location} holds no mailbox, but {destination_location} does: refusing to empty it. Check that the \
         source is the right place and is mounted"
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
    /// Both sides wait for the other.
    #[error("both sides wait for the other one; this is a bug of dsync")]
    Stalled,
}

impl SessionError {
    pub(super) fn of_store(store: &dyn MailStore, error: StoreError) -> Self {
        Self::Store { location: store.location(), error }
    }
}
