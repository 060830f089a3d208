//! What a mailbox of an mdbox or sdbox looks like from outside.

use dsync_core::model::MessageList;

use super::shared::Shared;
use crate::fs::marks::Marks;
use crate::index::files::IndexFiles;
use crate::index::mailbox::messages;
use crate::index::view::IndexView;
use crate::list::layout::MailboxPaths;

/// How many of the marks are those of the index.
const FILES_OF_INDEX: usize = 3;

/// By what one can see that somebody changed something. Those of the index come first.
pub(super) fn of(shared: &Shared, paths: &MailboxPaths) -> Marks {
    let files = paths.index.as_deref().map(IndexFiles::of_mailbox);
    let mut watched = files.map(|files| vec![files.log(), files.main(), files.cache()]).unwrap_or_default();
    if shared.storage.is_none() {
        // The messages are files in it.
        watched.push(paths.mails.clone());
    }
    Marks::of(&watched)
}

/// The same after a change of the index, whose lock is held.
pub(super) fn with_new_index(before: Marks, shared: &Shared, paths: &MailboxPaths) -> Marks {
    before.renewed(&of(shared, paths), |place| place < FILES_OF_INDEX)
}

/// Whether a mailbox with this index has just these messages, as they are.
pub(super) fn shows(shared: &Shared, view: &IndexView, list: &MessageList) -> bool {
    let shown = messages(view, None);
    view.messages().len() == list.len()
        && shown.zip(list).all(|((uid, indexed), record)| {
            // In an sdbox the date of a file stands for one that is missing, and others can change it.
            (shared.storage.is_some() || record.saved.is_some())
                && record.uid == Some(uid)
                && record.modseq == Some(indexed.modseq)
                && record.flags == indexed.flags
                && record.keywords == indexed.keywords
        })
}
