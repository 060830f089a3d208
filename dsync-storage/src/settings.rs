//! Settings of the server that shares a store.

use std::path::PathBuf;

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
