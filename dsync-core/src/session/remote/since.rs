//! From where an exchange goes on, if the master remembers an earlier run: only what happened since then is listed.
//!
//! The other side's list is then this side's own, with what the other one says has changed. So a side goes on from there only if
//! it can prove that the moment was one of its own: its counters have not gone back, and its history reaches there. Otherwise the
//! mailbox is listed as a whole, or, if it is too late to say so, nothing is done about it in this run.

use super::own::OwnMailbox;
use super::points;
use super::rows::Knowledge;
use super::terms::Terms;
use crate::model::{HistoryRange, MailboxHistory, MessageRecord, ModSeq, SyncPoint, Uid, UidValidity};
use crate::store::StoreError;
use crate::wire::{MailboxInfo, MailboxState};

/// A moment at which both sides had the same messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Since {
    uid_validity: UidValidity,
    /// The last UID of that moment.
    pub(super) last: Uid,
    /// What changed later has a greater modseq, on either side.
    modseq: ModSeq,
    /// How many messages the side had that remembers it.
    message_count: u32,
}

/// How a mailbox is listed.
pub(super) enum Extent {
    /// As a whole.
    Whole,
    /// What happened since then, and at this side that is this.
    Since(Since, MailboxHistory),
    /// As nothing: the master remembers a moment that this side does not.
    Lost,
}

impl Since {
    /// `None` if there were no messages, so that all of them are new.
    ///
    /// # Errors
    /// If that is no moment to go on from.
    fn of(state: &MailboxState) -> Result<Option<Self>, NoMoment> {
        let Some(last) = Uid::new(state.common_uid) else { return Ok(None) };
        match UidValidity::new(state.uid_validity) {
            Some(uid_validity) if state.common_modseq > 0 => Ok(Some(Self {
                uid_validity,
                last,
                modseq: ModSeq(state.common_modseq),
                message_count: state.message_count,
            })),
            _ => Err(NoMoment),
        }
    }

    /// Whether a message of this side has to be told of. What a client did is in `known`; where nothing but clients changes
    /// messages, everything that was counted since then was done by them.
    pub(super) fn has_changed(self, record: &MessageRecord, is_known: bool, imports: bool) -> bool {
        is_known || record.modseq.is_none() || !imports && record.modseq > Some(self.modseq)
    }

    /// Whether a mailbox with these counters can have gone on from this moment.
    pub(super) fn can_precede(self, other: &MailboxInfo) -> bool {
        other.uid_validity == self.uid_validity.get()
            && other.uid_next > self.last.get()
            && other.highest_modseq >= self.modseq.get()
    }

    /// The last message that is left of that moment. A side that remembers nothing of it always lists that one: if the mailbox was put
    /// back from an older copy and used since, the other side has another message there.
    pub(super) fn last_of(self, own: &OwnMailbox) -> Option<Uid> {
        let is_old = |uid: &Uid| *uid <= self.last;
        (0..own.messages().assigned()).rev().filter_map(|place| own.messages().uid_at(place)).find(is_old)
    }

    /// The moment as the merge knows it.
    pub(super) fn point(self, peer: [u8; 8]) -> SyncPoint {
        SyncPoint {
            fingerprint: [0; 16],
            uid_validity: self.uid_validity,
            uid_next: self.last.next(),
            highest_modseq: self.modseq,
            peer,
        }
    }
}

/// A state says nothing of a mailbox.
#[derive(Debug)]
struct NoMoment;

impl Extent {
    /// How the mailbox is to be listed, of which the master remembers `state`.
    ///
    /// # Errors
    /// If the history of the mailbox cannot be read.
    pub(super) fn of(own: &mut OwnMailbox, state: Option<&MailboxState>, terms: &Terms) -> Result<Self, StoreError> {
        let Some(state) = state else { return Ok(Self::Whole) };
        let since = match Since::of(state) {
            Ok(Some(since)) => since,
            Ok(None) => return Ok(Self::Whole),
            Err(NoMoment) => return Ok(Self::Lost),
        };
        let status = own.status();
        let can_precede = status.identity.uid_validity == Some(since.uid_validity)
            && status.uid_next > since.last
            && status.highest_modseq >= Some(since.modseq);
        // A side that is not changed remembers nothing.
        let is_own_moment = !terms.part.imports() || points::reaches(own, since.last);
        if !can_precede || !is_own_moment || own.created || !own.is_whole() {
            return Ok(Self::Lost);
        }
        let range = HistoryRange {
            since: Some(points::reachable(own, since.modseq)),
            mirrored_until: points::agreed_with_others(own, terms),
        };
        let mut history = own.mailbox.history(range)?;
        history.expunged.retain(|uid, _| *uid <= since.last);
        // The master remembers the counters that both sides had before they took over what the other one did.
        if let Some(last) = points::last_with(own, terms.peer).filter(|last| last.highest_modseq > since.modseq) {
            history = with_flags_since(own, history, last, terms)?;
        }
        let is_known = match (terms.part.exports(), terms.part.imports()) {
            // It is overwritten with what the other side says, and has to be what that was.
            (false, true) if terms.part.is_copying() => {
                let is_untouched = history.complete
                    && own.mailbox.is_settled()
                    && history.flags.is_empty()
                    && history.expunged.is_empty();
                is_untouched || points::is_as_remembered(own, terms.peer_of_runs())
            }
            (_, true) => history.complete,
            (_, false) => {
                let is_exact = own.mailbox.is_settled() && !terms.part.is_copying();
                history.complete && (is_exact || since.accounts_for_all(own, &history))
            }
        };
        Ok(if is_known { Self::Since(since, history) } else { Self::Lost })
    }
}

/// The history, with only those changes of flags that the other side has not taken over yet. What it has taken over may have been
/// undone there since, and must not be done again.
pub(super) fn with_flags_since(
    own: &mut OwnMailbox,
    history: MailboxHistory,
    last: SyncPoint,
    terms: &Terms,
) -> Result<MailboxHistory, StoreError> {
    let since = Some(points::reachable(own, last.highest_modseq));
    let mirrored_until = points::agreed_with_others(own, terms);
    let MailboxHistory { flags, .. } = own.mailbox.history(HistoryRange { since, mirrored_until })?;
    Ok(MailboxHistory { flags, ..history })
}

impl Since {
    /// Whether every message that is gone from a mailbox, which must not be changed, is known to be. What other programs removed
    /// is in no history before a server has seen it.
    fn accounts_for_all(self, own: &OwnMailbox, history: &MailboxHistory) -> bool {
        let is_old = |place: &usize| own.messages().uid_at(*place).is_some_and(|uid| uid <= self.last);
        let here = (0..own.messages().assigned()).take_while(is_old).count();
        let gone = history.expunged.keys().filter(|uid| !own.messages().contains(**uid)).count();
        u32::try_from(here.saturating_add(gone)) == Ok(self.message_count)
    }
}

/// What both sides remember of a mailbox after it was exchanged: the less of what they say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Remembered {
    own: Option<MailboxState>,
    other: Option<MailboxState>,
}

impl Remembered {
    /// What both say at once.
    pub(super) fn agreed(state: MailboxState) -> Self {
        Self { own: Some(state), other: Some(state) }
    }

    pub(super) fn own(&mut self, state: MailboxState) {
        self.own = Some(state);
    }

    pub(super) fn other(&mut self, state: MailboxState) {
        self.other = Some(state);
    }

    /// What the other side says, if it has said it.
    pub(super) fn others(&self) -> Option<&MailboxState> {
        self.other.as_ref()
    }

    /// What both say, the own first, once they have.
    pub(super) fn both(&self) -> Option<[MailboxState; 2]> {
        Some([self.own?, self.other?])
    }

    /// `None` if the sides do not agree on anything.
    pub(super) fn state(&self) -> Option<crate::state::MailboxState> {
        let (own, other) = (self.own?, self.other?);
        (own.uid_validity > 0 && own.uid_validity == other.uid_validity).then(|| crate::state::MailboxState {
            uid_validity: own.uid_validity,
            last_uid: own.common_uid.min(other.common_uid),
            highest_modseq: own.common_modseq.min(other.common_modseq),
            private_modseq: own.common_private_modseq.min(other.common_private_modseq),
            message_count: own.message_count,
        })
    }
}

/// What is left of what a side knows, if it tells only what happened to messages up to `since`.
pub(super) fn up_to(since: Since, known: &mut Knowledge) {
    known.expunged.retain(|uid, _| *uid <= since.last);
}
