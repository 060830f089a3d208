//! What has to change in one mailbox. Pure functions from two lists of messages to a plan; no I/O, no clock.

mod fetch;
mod headroom;
mod one_way;
pub(crate) mod own_guid;
mod recognise;
mod settle;
pub mod two_way;

pub use fetch::Fetch;
pub use one_way::{LeftOut, explain as explain_one_way, one_way};
pub use recognise::{Contents, RecogniseSide, recognise};
pub use settle::settle;

use crate::model::{MailboxStatus, MessageKey, MessageList};
use crate::store::{MailboxChanges, Origin};

/// The greatest UID that is given to a message: servers cannot count on beyond it.
const LAST_UID: u32 = 4_294_967_293;

/// One side's view of a mailbox.
#[derive(Clone, Copy, Debug)]
pub struct MailboxView<'a> {
    /// The counters.
    pub status: &'a MailboxStatus,
    /// The messages.
    pub messages: &'a MessageList,
}

impl MailboxPlan {
    /// The plan that does nothing and is not needed.
    pub(crate) fn nothing() -> Self {
        Self {
            changes: MailboxChanges::empty(Origin::Mirrored),
            fetch: Fetch::default(),
            unplaced: Vec::new(),
            unselected: 0,
            needed: false,
        }
    }
}

/// What to do to a mailbox, and which bodies that needs from the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxPlan {
    /// The changes; [`MailboxChanges::add`] is still empty.
    pub changes: MailboxChanges,
    /// Messages to get from the other side: their key there, and what they become here.
    pub fetch: Fetch,
    /// Messages of the other side that cannot be had here, because all UIDs are used up or, if
    /// both are merged, because a side could not be read as a whole.
    pub unplaced: Vec<MessageKey>,
    /// How many messages stay on one side only because they were not selected.
    pub unselected: usize,
    /// Whether anything would be different afterwards.
    pub needed: bool,
}
