//! What a run is asked to do.

use crate::model::MailboxSelection;

/// What a run is asked to do. The default is everything there is, as fast as it can be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncOptions {
    /// Look into every mailbox, also into those that both sides show to be the same.
    pub full: bool,
    /// Which mailboxes take part.
    pub mailboxes: MailboxSelection,
}
