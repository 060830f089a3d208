//! The five system flags that a message can keep.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// A set of the system flags of RFC 3501 that are stored with a message.
///
/// `\Recent` is not among them: whether a message is recent follows from the mailbox
/// ([`MailboxStatus::first_recent_uid`](super::MailboxStatus::first_recent_uid)), it is no property of the message.
///
/// ```
/// use dsync_core::model::Flags;
/// let flags = Flags::SEEN | Flags::FLAGGED;
/// assert!(flags.contains(Flags::SEEN));
/// assert_eq!(flags.to_string(), r"\Flagged \Seen");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flags(u8);

impl Flags {
    /// Each flag by itself.
    pub const EACH: [Self; 5] = [Self::ANSWERED, Self::FLAGGED, Self::DELETED, Self::SEEN, Self::DRAFT];
    /// No flag.
    pub const NONE: Self = Self(0);
    /// `\Answered`
    pub const ANSWERED: Self = Self(0x01);
    /// `\Flagged`
    pub const FLAGGED: Self = Self(0x02);
    /// `\Deleted`
    pub const DELETED: Self = Self(0x04);
    /// `\Seen`
    pub const SEEN: Self = Self(0x08);
    /// `\Draft`
    pub const DRAFT: Self = Self(0x10);
    /// All five.
    pub const ALL: Self = Self(0x1f);

    const NAMES: [(Self, &'static str); 5] = [
        (Self::ANSWERED, "\\Answered"),
        (Self::FLAGGED, "\\Flagged"),
        (Self::DELETED, "\\Deleted"),
        (Self::SEEN, "\\Seen"),
        (Self::DRAFT, "\\Draft"),
    ];

    /// The flags among the low five bits, in the numbering that index files and the wire use; other bits are
    /// dropped.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// The bits as index files and the wire use them: 0x01 `\Answered`, 0x02 `\Flagged`, 0x04 `\Deleted`,
    /// 0x08 `\Seen`, 0x10 `\Draft`.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no flag is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These flags without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (flag, name) in Self::NAMES {
            if self.contains(flag) {
                write!(f, "{separator}{name}")?;
                separator = " ";
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({self})")
    }
}
