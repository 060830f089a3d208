//! Numbers that count or name something: UID, UIDVALIDITY, modification sequence, time.

use std::fmt;
use std::num::NonZeroU32;

/// The unique identifier of a message in its mailbox (RFC 3501, 2.3.1.1): 1 to 4294967295.
///
/// The same type holds a UIDNEXT, the UID that the next message will get at the earliest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(NonZeroU32);

impl Uid {
    /// The first UID of every mailbox.
    pub const FIRST: Self = Self(NonZeroU32::MIN);
    /// The greatest number that fits; as a UIDNEXT it means that no further message can be added.
    pub const MAX: Self = Self(NonZeroU32::MAX);

    /// A UID, or `None` for 0.
    #[must_use]
    pub const fn new(value: u32) -> Option<Self> {
        match NonZeroU32::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The UID after this one; stays at [`Uid::MAX`] there.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uid({})", self.0)
    }
}

/// The UIDVALIDITY of a mailbox: as long as it stays the same, a UID names the same message for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UidValidity(NonZeroU32);

impl UidValidity {
    /// A UIDVALIDITY, or `None` for 0.
    #[must_use]
    pub const fn new(value: u32) -> Option<Self> {
        match NonZeroU32::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for UidValidity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for UidValidity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UidValidity({})", self.0)
    }
}

/// A modification sequence (RFC 7162): grows with every change in a mailbox; 0 means "none yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModSeq(pub u64);

impl ModSeq {
    /// The lowest value that a client may see.
    pub const FIRST: Self = Self(1);

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The value `count` changes later; stays at the maximum there.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

impl fmt::Display for ModSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A moment in whole seconds since 1970-01-01 00:00:00 UTC; may lie before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Seconds since 1970.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// The value as the unsigned 32 bits that the index files store; clamped at both ends.
    #[must_use]
    pub fn as_u32(self) -> u32 {
        u32::try_from(self.0.max(0)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_no_uid() {
        assert_eq!(Uid::new(0), None);
        assert_eq!(UidValidity::new(0), None);
        assert_eq!(Uid::new(7).map(Uid::get), Some(7));
    }

    #[test]
    fn the_last_uid_has_no_successor() {
        assert_eq!(Uid::MAX.next(), Uid::MAX);
        assert_eq!(Uid::FIRST.next().get(), 2);
    }

    #[test]
    fn timestamps_clamp_to_what_an_index_can_store() {
        assert_eq!(Timestamp(-5).as_u32(), 0);
        assert_eq!(Timestamp(1 << 40).as_u32(), u32::MAX);
    }
}
