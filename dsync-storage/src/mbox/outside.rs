//! What a mailbox that is an mbox looks like from outside.

use super::snapshot::{FileMark, Mark, Snapshot, index_files};
use crate::fs::marks::Marks;
use crate::index::reading::{IndexMark, read_index};
use crate::list::layout::MailboxPaths;

/// By what one can see that somebody changed something. Those of the index come last.
pub(super) fn marks(paths: &MailboxPaths) -> Marks {
    let mut files = vec![paths.mails.clone()];
    files.extend(index_files(paths).into_iter().flat_map(|files| [files.log(), files.main(), files.cache()]));
    Marks::of(&files)
}

/// The same after a change of the index, whose lock is held.
pub(super) fn with_new_index(before: Marks, paths: &MailboxPaths) -> Marks {
    before.renewed(&marks(paths), |place| place > 0)
}

impl Snapshot {
    /// Notes what the mailbox looks like now, if it is still what this shows.
    pub(super) fn look_from_outside(&mut self, paths: &MailboxPaths) {
        let marks = marks(paths);
        let file = std::fs::metadata(&paths.mails).ok().as_ref().map(FileMark::of);
        let index = index_files(paths).and_then(|files| read_index(&files).ok().flatten());
        let now = file.map(|file| Mark::new(file, index.as_ref().map(IndexMark::of)));
        self.marks = Some(marks).filter(|_| now.is_some() && now == self.mark);
    }
}
