//! The contents of a mirror: what a mailbox that both sides may have changed becomes.
//!
//! Both sides compute the same from the same data: the state that the mailbox has afterwards on both of them
//! ([`merge`]). What a side has to do to get there follows from that ([`MergedMailbox::plan`]).
//!
//! 1. `common`: up to which UID both sides hold the same messages, and which of those are gone.
//! 2. `sequence`: what is above that is new on one side or both; each message keeps its UID if the other side has
//!    never given that UID, and gets a fresh one otherwise, on both sides.
//! 3. `message`: flags, keywords and the rest of what both sides have.
//!
//! [`explain`] says afterwards which rule decided what.

mod common;
mod explain;
mod merged_messages;
mod message;
mod plan;
mod sequence;
mod side_messages;

use std::collections::{BTreeMap, BTreeSet};

use super::LAST_UID;
use super::headroom::headroom;
use crate::model::{
    FlagHistory, KeptFields, MailboxIdentity, MailboxStatus, MessageGuid, MessageKey, MessageRecord, ModSeq, Role,
    SyncPoint, Uid, UidValidity,
};

pub use explain::explain;
pub use merged_messages::{MergedMessage, MergedMessages};
pub use side_messages::{MessageNotes, SideMessages};

use common::CommonPart;
use sequence::{Instance, Placed};

/// A message as one side lists it for a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideMessage {
    /// The message.
    pub record: MessageRecord,
    /// What clients did to it, if anything is known.
    pub history: Option<FlagHistory>,
    /// A checksum of the bytes, where the GUIDs of a side prove nothing. Two messages are the same then if their
    /// checksums are.
    pub content: Option<[u8; 16]>,
    /// Whether it is to be given to a side that does not have it.
    pub selected: bool,
}

/// By what messages are put into order: the checksum of their bytes, or their GUID.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum SortKey {
    Content([u8; 16]),
    Guid(MessageGuid),
}

impl SideMessage {
    /// Whether both are the same message.
    fn is_same(&self, other: &Self) -> bool {
        match (self.content, other.content) {
            (Some(own), Some(others)) => own == others,
            _ => self.record.guid == other.record.guid,
        }
    }

    /// By what new messages are put into an order that both sides agree on.
    fn sort_key(&self) -> SortKey {
        match self.content {
            Some(content) => SortKey::Content(content),
            None => SortKey::Guid(self.record.guid.clone()),
        }
    }

    /// When it last changed. What the store has not counted yet has only just changed.
    fn modseq(&self) -> ModSeq {
        self.record.modseq.unwrap_or(ModSeq(u64::MAX))
    }
}

/// What one side knows about a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeSide<'a> {
    /// The counters.
    pub status: MailboxStatus,
    /// All messages.
    pub messages: SideMessages<'a>,
    /// Messages that are known to have been expunged, with the 128-bit form of their GUID if known.
    pub expunged: BTreeMap<Uid, Option<[u8; 16]>>,
    /// Whether these were messages that both sides had: without GUIDs a UID alone does not tell which one was expunged.
    pub expunged_were_common: bool,
    /// What is known of those who brought and removed messages.
    pub origins: Origins,
    /// Whether the histories of messages tell everything since the common [`SyncPoint`].
    pub history_complete: bool,
    /// Whether the side could read everything in the mailbox. If not, what it does not list may be there.
    pub complete: bool,
    /// What the store keeps of a message.
    pub keeps: KeptFields,
    /// Whether the side takes over what the other one did. If not, nothing changes there.
    pub imports: bool,
}

/// Messages of a side, by the 128-bit forms of their GUIDs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// Those that are there and came by a synchronisation.
    pub brought: BTreeSet<[u8; 16]>,
    /// Those that clients have expunged, and that are not there.
    pub expunged_by_clients: BTreeSet<[u8; 16]>,
}

impl MergeSide<'_> {
    fn key(&self, index: usize) -> Option<MessageKey> {
        self.messages.key_of(index)
    }

    fn highest_modseq(&self) -> ModSeq {
        self.status.highest_modseq.unwrap_or(ModSeq::FIRST)
    }
}

/// What a mailbox becomes on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedMailbox {
    /// Who it is.
    pub identity: MailboxIdentity,
    /// UIDNEXT; not less than either side's.
    pub uid_next: Uid,
    /// HIGHESTMODSEQ; not less than either side's, and so far above that every store can count what it changes.
    pub highest_modseq: ModSeq,
    /// First recent UID.
    pub first_recent_uid: Uid,
    /// The messages.
    pub messages: MergedMessages,
}

/// The merged mailbox. `base` is a moment that both sides remember, if there is one.
#[must_use]
pub fn merge(master: &MergeSide<'_>, slave: &MergeSide<'_>, base: Option<&SyncPoint>) -> MergedMailbox {
    let sides = [master, slave];
    let (base, part) = believed_base(sides, base);
    let sequence = sequence::place(sides, &part.new);
    let merger = message::Merger::new(sides, base);
    let mut placed: Vec<Placed> = part.kept;
    placed.reserve_exact(sequence.placed.len());
    placed.extend(sequence.placed);
    placed.sort_by_key(|placed| placed.uid);
    Counting::new(sides).finish(&placed, &merger, sequence.uid_next)
}

/// The moment, if it can be true, and what both sides have in common.
fn believed_base<'a>(sides: [&MergeSide<'_>; 2], base: Option<&'a SyncPoint>) -> (Option<&'a SyncPoint>, CommonPart) {
    let base = base.filter(|point| sides.iter().all(|side| point.can_precede(&side.status)));
    // Where a UID from before that moment now names two messages, the moment is none that can be trusted.
    match CommonPart::find(sides, base) {
        Some(part) => (base, part),
        None => (None, CommonPart::find(sides, None).unwrap_or_default()),
    }
}

/// Chooses modseqs, so that every client of either side notices every change that it sees.
struct Counting<'a> {
    sides: [&'a MergeSide<'a>; 2],
    /// Greater than everything that was counted on either side.
    fresh: ModSeq,
}

impl<'a> Counting<'a> {
    fn new(sides: [&'a MergeSide<'a>; 2]) -> Self {
        let highest = sides.map(MergeSide::highest_modseq).into_iter().max().unwrap_or(ModSeq::FIRST);
        Self { sides, fresh: highest.plus(1) }
    }

    fn finish(&self, placed: &[Placed], merger: &message::Merger<'_>, uid_next: Uid) -> MergedMailbox {
        let mut messages = MergedMessages::of_sides(self.sides.map(|side| side.messages.list()), placed.len());
        let mut changed = false;
        let mut highest = ModSeq(self.fresh.get().saturating_sub(1));
        for placed in placed {
            let mut record = merger.merged(placed.from());
            record.uid = Some(placed.uid);
            let visible = Role::BOTH.map(|role| self.is_visible(role, placed, &record));
            changed |= visible.contains(&true);
            let modseq = record.modseq.unwrap_or_default().max(ModSeq::FIRST);
            let unnoticed = |role: Role| visible[role.index()] && modseq <= self.sides[role.index()].highest_modseq();
            let modseq = if Role::BOTH.into_iter().any(unnoticed) { self.fresh } else { modseq };
            record.modseq = Some(modseq);
            highest = highest.max(modseq);
            messages.push(MergedMessage { record, from: placed.from(), withheld: placed.withheld });
        }
        for role in Role::BOTH {
            let side = self.sides[role.index()];
            let kept = placed.iter().filter(|placed| placed.from()[role.index()].is_some()).count();
            changed |= side.imports && kept < side.messages.len();
        }
        if changed {
            let listed = self.sides.iter().flat_map(|side| side.messages.records());
            let merged = messages.iter().map(|message| message.record);
            let keywords = listed.chain(merged).map(|record| record.keywords);
            highest = highest.max(self.fresh).plus(headroom(keywords));
        }
        let first_recent = self.sides.map(|side| side.status.first_recent_uid).into_iter().max().flatten();
        MergedMailbox {
            identity: merged_identity(self.sides),
            uid_next,
            highest_modseq: highest,
            first_recent_uid: first_recent.unwrap_or(Uid::FIRST).min(uid_next),
            messages,
        }
    }

    /// Whether a client of this side sees a difference.
    fn is_visible(&self, role: Role, placed: &Placed, record: &MessageRecord) -> bool {
        let side = self.sides[role.index()];
        if placed.withheld == Some(role) || !side.imports {
            return false;
        }
        let here = placed.from()[role.index()].and_then(|index| side.messages.record(index));
        here.is_none_or(|here| {
            here.uid != record.uid || here.flags != record.flags || !here.keywords.same_names(&record.keywords)
        })
    }
}

/// The greater GUID stays, and the UIDVALIDITY of the side with more messages, or else the greater.
fn merged_identity([master, slave]: [&MergeSide<'_>; 2]) -> MailboxIdentity {
    let guid = master.status.identity.guid.max(slave.status.identity.guid);
    let rank = |side: &MergeSide<'_>| -> Option<(u32, UidValidity)> {
        Some((side.status.message_count, side.status.identity.uid_validity?))
    };
    let uid_validity = rank(master).max(rank(slave)).map(|(_, uid_validity)| uid_validity);
    MailboxIdentity { guid, uid_validity }
}

#[cfg(test)]
mod tests;
