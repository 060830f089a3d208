//! The items of the protocol: what each says, and its row.

mod attribute;
mod change;
mod deletions;
mod finish;
mod handshake;
mod mail;
mod mailbox;
mod mailbox_state;
mod tree_node;

pub use attribute::Attribute;
pub use change::{Change, ChangeKind, HeaderHash, KeywordChange, KeywordChangeKind};
pub use deletions::Deletions;
pub use finish::Finish;
pub use handshake::{Handshake, SyncType};
pub use mail::{Mail, MailRequest};
pub use mailbox::{CacheDecision, CacheField, MailboxInfo};
pub use mailbox_state::MailboxState;
pub use tree_node::{Existence, TreeNode};

use super::item::Column;
use super::row::{Fields, RowWriter};
use super::{ItemKind, WireError};

/// An item that is a row.
pub(super) trait Row: Sized {
    /// Which one.
    const KIND: ItemKind;
    /// Its columns in the order of Dovecot 2.3.
    const COLUMNS: &'static [Column];

    fn read(fields: &Fields<'_>) -> Result<Self, WireError>;
    fn write(&self, row: &mut RowWriter<'_>);
}

#[cfg(test)]
mod tests;
