//! What a store would be asked to change.

use crate::model::{MailboxName, MessageKey, Uid};
use crate::store::Origin;
use crate::tree::TreeAction;

/// One change of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChange {
    /// A change of the tree.
    Tree(TreeAction),
    /// A mailbox is changed, or made.
    Mailbox {
        /// Its name.
        name: MailboxName,
        /// It comes into being.
        created: bool,
        /// Who wants the change: [`Origin::Local`] if the store only numbers what has no number yet.
        origin: Origin,
        /// The UIDs of messages that are added.
        added: Vec<Uid>,
        /// The bytes of those, as far as their sizes are known.
        bytes: u64,
        /// Messages whose flags, keywords or other data change.
        updated: Vec<Uid>,
        /// Messages that get another UID, or their first.
        renumbered: Vec<(MessageKey, Uid)>,
        /// Messages that go.
        removed: Vec<MessageKey>,
    },
}
