//! What all mailboxes of one opened mdbox or sdbox share.

use std::path::PathBuf;

use dsync_core::store::{ErrorKind, StoreError};

use super::storage::Storage;
use crate::list::context::Context;
use crate::location::Driver;

/// Settings of the server that change what is in a store, or how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// No file of an mdbox grows beyond this many bytes, unless a single message is larger (`mdbox_rotate_size`).
    pub rotate_size: u64,
    /// Where attachments are that were stored outside of the messages (`mail_attachment_dir`).
    pub attachments: Option<PathBuf>,
}

impl Default for Settings {
    /// As a server has them that is told nothing: 10 MiB, and all attachments in the messages.
    fn default() -> Self {
        Self { rotate_size: 10 << 20, attachments: None }
    }
}

/// A store that was opened.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) context: Context,
    pub(super) settings: Settings,
    /// The storage of an mdbox; an sdbox has its messages in the mailboxes.
    pub(super) storage: Option<Storage>,
}

impl Shared {
    /// The format.
    pub(super) fn driver(&self) -> Driver {
        if self.storage.is_some() { Driver::Mdbox } else { Driver::Sdbox }
    }

    /// The name of the header that a mailbox has in its index.
    pub(super) fn header_name(&self) -> &'static str {
        match &self.storage {
            Some(_) => super::header::MDBOX_HEADER,
            None => super::header::SDBOX_HEADER,
        }
    }
}

/// What cannot be understood, with the advice that helps.
pub(super) fn corrupt(text: &str) -> StoreError {
    StoreError::new(ErrorKind::Corrupt, format!("{text} (doveadm force-resync makes a server repair it)"))
}
