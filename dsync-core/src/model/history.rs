//! What happened to a mailbox, as far as its store still knows.

use std::collections::{BTreeMap, BTreeSet};

use super::{Flags, Keyword, MailboxStatus, ModSeq, Uid, UidValidity};

/// How the flags and keywords of one message were changed, by clients of the store itself.
///
/// # Invariants
/// `added` and `removed` have no flag in common, nor have the keywords; the later change counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagHistory {
    /// Flags that were set.
    pub added: Flags,
    /// Flags that were taken away, or said to be absent.
    pub removed: Flags,
    /// Keywords: `true` if it was set, `false` if it was taken away.
    pub keywords: BTreeMap<Keyword, bool>,
    /// All keywords were taken away, before those in `keywords` were set.
    pub cleared_keywords: bool,
}

impl FlagHistory {
    /// Notes a later change of flags.
    pub fn change_flags(&mut self, added: Flags, removed: Flags) {
        self.added = (self.added | added).without(removed);
        self.removed = self.removed.without(added) | removed;
    }

    /// Notes a later change of one keyword.
    pub fn change_keyword(&mut self, keyword: Keyword, set: bool) {
        self.keywords.retain(|known, _| !known.same_name(keyword.as_str()));
        self.keywords.insert(keyword, set);
    }

    /// Notes that all keywords were taken away.
    pub fn clear_keywords(&mut self) {
        self.keywords.clear();
        self.cleared_keywords = true;
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.keywords.is_empty() && !self.cleared_keywords
    }
}

/// Which part of a history is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryRange {
    /// HIGHESTMODSEQ at its beginning; `None` for everything that is still known.
    pub since: Option<ModSeq>,
    /// Up to which HIGHESTMODSEQ changes that a synchronisation carried over from other stores count as well: to the
    /// store that the history is told to, they are news. After that only what clients did.
    pub mirrored_until: ModSeq,
}

/// What was done in a mailbox since some moment.
///
/// A store that keeps no history gives the default: nothing is known. Deletions are then never concluded from
/// the absence of a message, so they come back from the other side unless a [`SyncPoint`] proves them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxHistory {
    /// Whether it reaches back to the moment that was asked for. If not, changes are missing from it. Never if
    /// everything was asked for.
    pub complete: bool,
    /// Changes of flags and keywords, by message.
    pub flags: BTreeMap<Uid, FlagHistory>,
    /// Messages that are gone, with the [128-bit form](super::MessageGuid::to_128) of their GUID if that is known.
    pub expunged: BTreeMap<Uid, Option<[u8; 16]>>,
    /// What synchronisations did, and clients did not.
    pub runs: RunTraces,
}

/// What a log tells synchronisations and clients apart by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunTraces {
    /// Ranges of UIDs, with both ends, that synchronisations gave to messages, ascending. Some of them may be gone.
    pub given: Vec<(Uid, Uid)>,
    /// The lowest UID under which a synchronisation removed a message, by the 128-bit form of its GUID. If it is there, it was
    /// given another UID.
    pub removed: BTreeMap<[u8; 16], Uid>,
    /// Messages that clients expunged, by the 128-bit forms of their GUIDs.
    pub expunged_by_clients: BTreeSet<[u8; 16]>,
}

impl RunTraces {
    /// Whether a message came to the mailbox by a synchronisation, and not by a client whose message got another UID later.
    #[must_use]
    pub fn brought(&self, uid: Uid, guid: [u8; 16]) -> bool {
        let first = self.removed.get(&guid).map_or(uid, |earlier| uid.min(*earlier));
        let place = self.given.partition_point(|(_, last)| *last < first);
        self.given.get(place).is_some_and(|(start, _)| *start <= first)
    }
}

/// A moment at which two stores are known to have held the same in a mailbox. Each side keeps it; two sides that
/// find the same one can tell what either did since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncPoint {
    /// [`MailboxStatus::fingerprint`](super::MailboxStatus::fingerprint) at that moment: what makes the moments of
    /// both sides the same one.
    pub fingerprint: [u8; 16],
    /// UIDVALIDITY then; under another one the point says nothing.
    pub uid_validity: UidValidity,
    /// UIDNEXT then: all messages below it were known to both sides.
    pub uid_next: Uid,
    /// HIGHESTMODSEQ then: whatever changed later has a greater one.
    pub highest_modseq: ModSeq,
    /// With whom: a short name that the other side gives itself.
    pub peer: [u8; 8],
}

impl SyncPoint {
    /// Whether a mailbox that now has these counters can have gone on from this moment.
    #[must_use]
    pub fn can_precede(&self, status: &MailboxStatus) -> bool {
        status.identity.uid_validity == Some(self.uid_validity)
            && status.uid_next >= self.uid_next
            && status.highest_modseq >= Some(self.highest_modseq)
    }

    /// How many points a store needs to keep for one mailbox; the oldest goes first.
    pub const KEPT: usize = 8;

    /// `points` with `point` as the newest: at the end, in place of the one with the same peer.
    #[must_use]
    pub fn added_to(self, points: &[Self]) -> Vec<Self> {
        let mut kept: Vec<_> = points.iter().filter(|known| known.peer != self.peer).copied().collect();
        kept.push(self);
        let surplus = kept.len().saturating_sub(Self::KEPT);
        kept.split_off(surplus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_change_counts() {
        let mut history = FlagHistory::default();
        history.change_flags(Flags::SEEN, Flags::NONE);
        history.change_flags(Flags::FLAGGED, Flags::SEEN | Flags::DRAFT);
        assert_eq!((history.added, history.removed), (Flags::FLAGGED, Flags::SEEN | Flags::DRAFT));
        history.change_flags(Flags::SEEN, Flags::NONE);
        assert_eq!((history.added, history.removed), (Flags::SEEN | Flags::FLAGGED, Flags::DRAFT));
        for (name, set) in [("Work", true), ("work", false)] {
            history.change_keyword(Keyword::new(name).unwrap(), set);
        }
        assert_eq!(
            history.keywords.values().collect::<Vec<_>>(),
            [&false],
            "keywords differ in case only by spelling"
        );
    }

    #[test]
    fn one_point_is_kept_for_each_peer_and_the_oldest_goes() {
        let point = |peer: u8, modseq| SyncPoint {
            fingerprint: [0; 16],
            uid_validity: UidValidity::new(1).unwrap(),
            uid_next: Uid::FIRST,
            highest_modseq: ModSeq(modseq),
            peer: [peer; 8],
        };
        let mut points = Vec::new();
        for peer in 0..10 {
            points = point(peer, 1).added_to(&points);
        }
        points = point(5, 2).added_to(&points);
        assert_eq!(points.iter().map(|point| point.peer[0]).collect::<Vec<_>>(), [2, 3, 4, 6, 7, 8, 9, 5]);
        assert_eq!(points.last().map(|point| point.highest_modseq), Some(ModSeq(2)));
    }
}
