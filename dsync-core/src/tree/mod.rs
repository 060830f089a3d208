//! What has to happen to a tree of mailboxes. Pure functions from two trees to a list of actions; no I/O.

mod one_way;
pub mod two_way;

pub use one_way::one_way;

use crate::model::MailboxName;

/// One step that changes a tree. Steps are carried out in their order; each finds the tree as the steps before it
/// left it. Mailboxes that are missing are not created here but when their contents are transferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeAction {
    /// Delete the mailbox, not what is below it.
    Delete(MailboxName),
    /// Rename the mailbox or directory with everything below it.
    Rename {
        /// Its name so far.
        from: MailboxName,
        /// Its name afterwards.
        to: MailboxName,
    },
    /// Make a level that cannot be selected.
    CreateDirectory(MailboxName),
    /// Remove a level that cannot be selected.
    DeleteDirectory(MailboxName),
    /// Subscribe to the name, or cancel the subscription.
    Subscribe(MailboxName, bool),
}
