//! Deciding what a mailbox has left open, by itself.

use super::headroom::headroom;
use super::{LeftOut, MailboxView, one_way};
use crate::store::{MailboxChanges, Origin};

/// The changes after which every message has a UID and a modseq and every counter a value; `None` if that is so already.
/// What no message shows any more (files that are gone) is taken out of the store's indexes by the same changes.
#[must_use]
pub fn settle(view: MailboxView<'_>, complete: bool) -> Option<MailboxChanges> {
    let plan = one_way(view, view, &LeftOut::default(), complete);
    if !plan.needed {
        return None;
    }
    let mut changes = plan.changes;
    changes.origin = Origin::Local;
    // The store goes on counting where it was, so that nothing of its history is lost.
    changes.highest_modseq =
        changes.highest_modseq.plus(headroom(view.messages.records().map(|record| record.keywords)));
    Some(changes)
}
