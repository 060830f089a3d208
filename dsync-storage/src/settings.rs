//! Settings of the server that shares a store.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

pub use crate::content::{Compression, CompressionMethod, InvalidCompression};
pub use crate::mbox::header::{HeaderDigest, InvalidHeaderDigest};
pub use crate::names::{AlternativeCharacter, InvalidAlternative};

/// Settings of the server that change what is in a store, or how it is written. They have to be those of the server, or its own
/// defaults, which are those of [`Settings::default`]; change its fields.
///
/// ```
/// let mut settings = dsync_storage::Settings::default();
/// settings.rotate_size = 2 << 20;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// No file of an mdbox grows beyond this many bytes, unless a single message is larger (`mdbox_rotate_size`); default:
    /// 10 MiB.
    pub rotate_size: u64,
    /// Where attachments are that were stored outside of the messages (`mail_attachment_dir`); default: none are.
    pub attachments: Option<PathBuf>,
    /// How new messages are compressed, if they are (`zlib_save`, since Dovecot 2.4 `mail_compress_write_method`). Those of an
    /// mbox never are; default: none.
    pub compression: Option<Compression>,
    /// What takes the place of characters that a name cannot have in a store (`dsync_alt_char`); default: `_`.
    pub alternative_character: AlternativeCharacter,
    /// What excludes others from an mbox while it is changed (`mbox_write_locks`); default: `dotlock fcntl`.
    pub mbox_locks: MboxLocks,
    /// Of which headers the checksum is made by which messages of an mbox are recognised (`mbox_md5`); default: `apop3d`.
    pub mbox_digest: HeaderDigest,
    /// With what the names of all mailboxes but INBOX begin that clients see (`prefix` of the namespace); default:
    /// nothing.
    pub name_prefix: String,
    /// What stands between the parts of such names (`separator` of the namespace); `None`, the default, for the usual one.
    pub separator: Option<char>,
}

impl Settings {
    /// What may stand between the parts of names, where without this setting it is one of `usual`.
    pub(crate) fn separators(&self, usual: &[char]) -> Vec<char> {
        let mut separators = Vec::new();
        for separator in self.separator.iter().chain(usual) {
            if !separators.contains(separator) {
                separators.push(*separator);
            }
        }
        separators
    }
}

impl Default for Settings {
    /// As a server has them that is told nothing: 10 MiB, all attachments in the messages, nothing compressed, `_`, and dotlocks and record locks for
    /// an mbox.
    fn default() -> Self {
        Self {
            rotate_size: 10 << 20,
            attachments: None,
            compression: None,
            alternative_character: AlternativeCharacter::default(),
            mbox_locks: MboxLocks::default(),
            mbox_digest: HeaderDigest::default(),
            name_prefix: String::new(),
            separator: None,
        }
    }
}

/// The locks that programs take before they change an mbox. All who change it must take the same.
///
/// Those that are named are all held before anything is changed. None is waited for while another one is held, so their
/// order does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MboxLocks {
    /// A file beside the mbox (`dotlock`); default: always.
    pub dotlock: DotlockUse,
    /// A record lock on the whole file (`fcntl`, and `lockf`, which is the same on this system); default: yes.
    pub fcntl: bool,
    /// A lock of its own kind on the file (`flock`); default: no.
    pub flock: bool,
    /// How long is waited for others (`mbox_lock_timeout`); default: five minutes.
    pub wait: Duration,
    /// Which dotlocks of unknown owners count no more: if neither they nor the mbox changed for this long
    /// (`mbox_dotlock_change_timeout`); default: two minutes.
    pub stale_after: Duration,
    /// A dotlock that this process may not make is made, and removed, with the rights of its saved group ID
    /// (`mail_privileged_group`); default: no.
    pub with_saved_group: bool,
}

/// When a dotlock is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DotlockUse {
    /// Never.
    Never,
    /// If the directory allows it (`dotlock_try`).
    IfPossible,
    /// Always: without it nothing is changed.
    Always,
}

impl Default for MboxLocks {
    /// `dotlock fcntl`; others are waited for five minutes, and their dotlocks count for two.
    fn default() -> Self {
        Self {
            dotlock: DotlockUse::Always,
            fcntl: true,
            flock: false,
            wait: Duration::from_secs(300),
            stale_after: Duration::from_secs(120),
            with_saved_group: false,
        }
    }
}

/// Why a text is no list of locks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no list of locks for an mbox: write any of dotlock, dotlock_try, fcntl, flock and lockf, at least one"
)]
pub struct InvalidMboxLocks(String);

impl FromStr for MboxLocks {
    type Err = InvalidMboxLocks;

    /// Reads the value of the setting: names separated by blanks.
    ///
    /// ```
    /// use dsync_storage::settings::MboxLocks;
    /// assert_eq!("fcntl dotlock".parse::<MboxLocks>().unwrap(), MboxLocks::default());
    /// assert!("paper".parse::<MboxLocks>().is_err());
    /// ```
    fn from_str(text: &str) -> Result<Self, InvalidMboxLocks> {
        let none = Self { dotlock: DotlockUse::Never, fcntl: false, flock: false, ..Self::default() };
        let mut locks = none;
        for name in text.split_whitespace() {
            match name {
                "dotlock" => locks.dotlock = DotlockUse::Always,
                "dotlock_try" => locks.dotlock = DotlockUse::IfPossible,
                "fcntl" | "lockf" => locks.fcntl = true,
                "flock" => locks.flock = true,
                _ => return Err(InvalidMboxLocks(text.to_owned())),
            }
        }
        if locks == none { Err(InvalidMboxLocks(text.to_owned())) } else { Ok(locks) }
    }
}
