//! Settings of the server that shares a store.

use std::path::PathBuf;

use crate::names::AlternativeCharacter;

/// Settings of the server that change what is in a store, or how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// No file of an mdbox grows beyond this many bytes, unless a single message is larger (`mdbox_rotate_size`).
    pub rotate_size: u64,
    /// Where attachments are that were stored outside of the messages (`mail_attachment_dir`).
    pub attachments: Option<PathBuf>,
    /// What takes the place of characters that a name cannot have in a store (`dsync_alt_char`).
    pub alternative_character: AlternativeCharacter,
}

impl Default for Settings {
    /// As a server has them that is told nothing: 10 MiB, all attachments in the messages, `_`.
    fn default() -> Self {
        Self { rotate_size: 10 << 20, attachments: None, alternative_character: AlternativeCharacter::default() }
    }
}
