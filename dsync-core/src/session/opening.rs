//! What every session looks at when it opens a mailbox.

use crate::model::{MailboxIdentity, MailboxName, MailboxStatus};
use crate::store::{ErrorKind, MailStore, Mailbox, StoreError};

/// Greater modseqs cannot be told to clients (RFC 7162, 7).
const HIGHEST_MODSEQ: u64 = 1 << 63;

/// The mailbox, and whether it had to be made.
pub(super) fn open_or_create(
    store: &mut dyn MailStore,
    name: &MailboxName,
    identity: MailboxIdentity,
) -> Result<(Box<dyn Mailbox>, bool), StoreError> {
    match store.open(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok((store.create(name, identity)?, true)),
        result => Ok((result?, false)),
    }
}

/// Whether clients can be told of this HIGHESTMODSEQ.
pub(super) fn is_possible(highest_modseq: u64) -> bool {
    highest_modseq < HIGHEST_MODSEQ
}

/// A mailbox with counters that no server can have is left alone: nothing could be counted after them.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if it has such.
pub(super) fn refuse_impossible(name: &MailboxName, status: &MailboxStatus) -> Result<(), StoreError> {
    if status.highest_modseq.is_none_or(|modseq| is_possible(modseq.get())) {
        return Ok(());
    }
    let text = format!("mailbox {name} has a HIGHESTMODSEQ that no server can have; let a server rebuild its index");
    Err(StoreError::new(ErrorKind::Corrupt, text))
}
