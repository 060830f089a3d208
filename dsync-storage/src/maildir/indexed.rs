//! What a Maildir keeps in its index: the adapter between the two.

use std::path::Path;

use dsync_core::model::{ModSeq, Uid, UidValidity};

use super::indexed_messages::IndexedMessages;
use super::join::IndexedMailbox;
use crate::index::error::IndexError;
use crate::index::files::IndexFiles;
use crate::index::mailbox::{cache_bytes, cache_of, messages};
use crate::index::points;
use crate::index::reading::{IndexState, read_index};

/// Reads the index in a directory; `None` if there is none.
pub(super) fn read(directory: &Path) -> Result<Option<IndexedMailbox>, IndexError> {
    let files = IndexFiles::of_mailbox(directory);
    let Some(IndexState { view, unfinished, .. }) = read_index(&files)? else { return Ok(None) };
    let bytes = cache_bytes(&files, &view);
    let cache = cache_of(&view, &bytes);
    let mut indexed = IndexedMessages::with_capacity(view.messages().len());
    messages(&view, cache.as_ref()).for_each(|(uid, message)| indexed.push(uid, &message));
    let uids = |uids: &std::collections::BTreeSet<u32>| uids.iter().filter_map(|uid| Uid::new(*uid)).collect();
    Ok(Some(IndexedMailbox {
        uid_validity: UidValidity::new(view.uid_validity()),
        uid_next: Uid::new(view.next_uid()),
        first_recent_uid: Uid::new(view.first_recent_uid()),
        highest_modseq: ModSeq(view.highest_modseq()),
        has_modseqs: view.has_modseqs(),
        messages: indexed,
        pending_expunges: uids(view.pending_expunges()),
        pending_changes: uids(view.pending_changes()),
        points: points::read(&view),
        unfinished,
    }))
}
