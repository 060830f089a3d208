//! What a side remembers of the other one: moments at which both had the same.

use super::own::OwnMailbox;
use super::terms::Terms;
use crate::model::{KeptFields, MailboxGuid, MailboxStatus, ModSeq, SyncPoint, Uid, UidValidity};
use crate::session::reporting::Reporter;
use crate::session::{MailboxSummary, SessionError, peer_label, sync_point};
use crate::store::MailStore;
use crate::wire::{Handshake, MailboxInfo, MailboxState};

/// A mailbox to which this side has done everything.
pub(super) struct AgreedMailbox {
    pub(super) guid: MailboxGuid,
    pub(super) own: OwnMailbox,
    pub(super) agreement: Agreement,
}

/// In what both sides are equal once each of them has done everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    /// Both have the same messages.
    Messages,
    /// And every counter is the same.
    Counters,
}

impl AgreedMailbox {
    /// The other side has done everything too, and says what it has now.
    pub(super) fn remember(
        mut self,
        other: &MailboxState,
        terms: &Terms,
        reporter: &mut Reporter<'_>,
        store: &dyn MailStore,
    ) -> Result<(), SessionError> {
        remember(&mut self.own, terms.peer_of_runs(), reporter, store)?;
        match self.agreement {
            Agreement::Messages if !self.has_counters_of(other) => Ok(()),
            _ => remember(&mut self.own, terms.equal_peer, reporter, store),
        }
    }
}

impl AgreedMailbox {
    fn has_counters_of(&self, other: &MailboxState) -> bool {
        let status = self.own.status();
        other.counters.is_some()
            && other.counters == counters(status)
            && Some(other.uid_validity) == status.identity.uid_validity.map(UidValidity::get)
            && other.message_count == status.message_count
    }
}

/// UIDNEXT, the first recent UID and HIGHESTMODSEQ, if all of them are decided.
pub(super) fn counters(status: &MailboxStatus) -> Option<(u32, u32, u64)> {
    Some((status.uid_next.get(), status.first_recent_uid?.get(), status.highest_modseq?.get()))
}

/// Both sides have the same now. Keeps in mind that the other one has had these messages.
pub(super) fn remember(
    own: &mut OwnMailbox,
    peer: [u8; 8],
    reporter: &mut Reporter<'_>,
    store: &dyn MailStore,
) -> Result<(), SessionError> {
    let fingerprint = MailboxSummary::of(&*own.mailbox, KeptFields::ALL).fingerprint;
    let point = fingerprint.and_then(|fingerprint| sync_point(own.mailbox.status(), fingerprint, peer));
    let Some(point) = point.filter(|point| !own.mailbox.sync_points().contains(point)) else { return Ok(()) };
    own.mailbox.remember(point).or_else(|error| reporter.problem_or_error(store, &own.name, error))
}

/// Keeps in mind what a new mailbox began with: its history reaches back to its beginning although its modseqs do not begin with 1.
pub(super) fn remember_beginning(
    own: &mut OwnMailbox,
    reporter: &mut Reporter<'_>,
    store: &dyn MailStore,
) -> Result<(), SessionError> {
    remember(own, beginning(), reporter, store)
}

/// From where on the history of a mailbox has to be known to tell what happened since `since`: from its beginning, if that was
/// later.
pub(super) fn reachable(own: &OwnMailbox, since: ModSeq) -> ModSeq {
    let points = own.mailbox.sync_points().iter().filter(|point| point.peer == beginning());
    points.map(|point| point.highest_modseq).fold(since, ModSeq::max)
}

fn beginning() -> [u8; 8] {
    peer_label("dsync protocol: the beginning of the mailbox")
}

/// How another side is called in sync points: in those at which both had the same messages, were equal in every counter, and at which
/// only this side had all messages of the other one.
pub(super) fn labels_of(peer: &Handshake) -> [[u8; 8]; 3] {
    let hostname = String::from_utf8_lossy(&peer.hostname);
    // Two stores of one host are two peers: what one has had, the other one has not.
    let store = String::from_utf8_lossy(peer.store.as_deref().unwrap_or_default());
    ["same", "equal", "merged"].map(|kind| peer_label(&format!("dsync protocol: {kind} {hostname} {store}")))
}

/// The last moment at which the other side had taken over everything that was done here.
pub(super) fn last_with(own: &OwnMailbox, peer: [u8; 8]) -> Option<SyncPoint> {
    let points = own.mailbox.sync_points().iter().rev();
    points.copied().find(|point| point.peer == peer && point.can_precede(own.status()))
}

/// Below which UID both sides have had the same messages, as far as either of them remembers: the copy that a backup made does, its source
/// does not.
pub(super) fn common_below(own: &OwnMailbox, other: &MailboxInfo, peer: [u8; 8]) -> Option<Uid> {
    let status = own.status();
    let has_same_uids = status.identity.uid_validity == UidValidity::new(other.uid_validity);
    let others = other.common_below.filter(|next| has_same_uids && *next <= other.uid_next).and_then(Uid::new);
    let own = last_with(own, peer).map(|point| point.uid_next);
    // One that was put back from an older copy gives UIDs again.
    own.max(others.filter(|next| *next <= status.uid_next))
}

/// Whether this side remembers a run after which it had given all UIDs up to `last`. One that was put back from an older copy does not,
/// even if it has given them again since. With whom that was does not matter: a peer has another name when it begins itself.
pub(super) fn reaches(own: &OwnMailbox, last: Uid) -> bool {
    let mut points = own.mailbox.sync_points().iter().filter(|point| point.peer != beginning());
    points.any(|point| point.uid_next > last && point.can_precede(own.status()))
}

/// Up to which HIGHESTMODSEQ this side has taken over changes from others than the other side of this run.
pub(super) fn agreed_with_others(own: &OwnMailbox, terms: &Terms) -> ModSeq {
    let points = own.mailbox.sync_points().iter();
    let known = [terms.peer, terms.equal_peer, terms.merged_peer, beginning()];
    let others = points.filter(|point| !known.contains(&point.peer));
    others.map(|point| point.highest_modseq).max().unwrap_or_default()
}

/// Whether nothing has happened here since the moment that is remembered under this name of the other side. If it is the one for
/// equal counters, and the other side still has them, nothing has happened there either.
pub(super) fn is_as_remembered(own: &OwnMailbox, peer: [u8; 8]) -> bool {
    let fingerprint = MailboxSummary::of(&*own.mailbox, KeptFields::ALL).fingerprint;
    let mut points = own.mailbox.sync_points().iter();
    points.any(|point| point.peer == peer && Some(point.fingerprint) == fingerprint)
}
