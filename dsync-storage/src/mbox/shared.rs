//! What all mailboxes of one opened tree of mbox files share.

use crate::list::context::Context;
use crate::settings::Settings;

/// A store that was opened.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) context: Context,
    pub(super) settings: Settings,
}
