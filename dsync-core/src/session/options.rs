//! What a run is asked to do.

use crate::model::{MailboxName, MailboxSelection, MessageSelection};
use crate::state::SyncState;

/// What a run is asked to do. The default is everything there is, as fast as it can be done.
///
/// There will be more of it, so begin with the default and change what is to be different:
///
/// ```
/// use dsync_core::SyncOptions;
/// use dsync_core::model::MailboxSelection;
///
/// let mut options = SyncOptions::default();
/// options.mailboxes = MailboxSelection::matching("Lists/*");
/// assert!(!options.is_everything());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncOptions {
    /// Look into every mailbox, also into those that both sides show to be the same; default: no.
    pub full: bool,
    /// Which mailboxes take part; default: all.
    pub mailboxes: MailboxSelection,
    /// Which messages are given to a side that does not have them; default: all.
    pub messages: MessageSelection,
    /// Only names and subscriptions are synchronised: mailboxes that are missing are made, and no messages are looked at;
    /// default: no.
    pub tree_only: bool,
    /// A source without any mailbox empties the destination. Otherwise, which is the default, that is
    /// refused: it may not be mounted.
    pub allow_empty_source: bool,
    /// Clients use the store that becomes a copy, and what it becomes a copy of was made of it earlier: a mailbox that has gone on since
    /// gets a new UIDVALIDITY, because UIDs and modseqs that clients have seen will be given again. Only a backup between two stores in
    /// one process heeds it; default: no.
    pub restore: bool,
    /// A mailbox that is likely to hold most messages. What a store has in it, by its GUID, is copied from there and does
    /// not come from the other side; default: none.
    pub all_mailbox: Option<MailboxName>,
    /// What the last run with a peer has left in [`Report::state`](crate::report::Report::state): only what happened since then
    /// is listed. Between two stores in one process it means nothing: what changed is found out from both of them.
    pub state: SyncState,
}

impl SyncOptions {
    /// Whether everything takes part, so that both sides are equal afterwards. After a restoration UIDVALIDITYs may be different.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.mailboxes.is_all() && self.messages.is_all() && !self.tree_only && !self.restore
    }
}
