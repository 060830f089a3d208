//! What a side remembers of the other one: moments at which both had the same.

use super::exchange::Terms;
use super::own::OwnMailbox;
use crate::model::{KeptFields, ModSeq};
use crate::session::reporting::Reporter;
use crate::session::{MailboxSummary, SessionError, peer_label, sync_point};
use crate::store::MailStore;

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

/// How another side with this host name is called in sync points: in all, and in those at which both were equal in every counter.
pub(super) fn labels_of(hostname: &[u8]) -> [[u8; 8]; 2] {
    let hostname = String::from_utf8_lossy(hostname);
    ["", "equal "].map(|kind| peer_label(&format!("dsync protocol: {kind}{hostname}")))
}

/// Up to which HIGHESTMODSEQ this side has taken over changes from others than the other side of this run.
pub(super) fn agreed_with_others(own: &OwnMailbox, terms: &Terms) -> ModSeq {
    let points = own.mailbox.sync_points().iter();
    let others = points.filter(|point| ![terms.peer, terms.equal_peer, beginning()].contains(&point.peer));
    others.map(|point| point.highest_modseq).max().unwrap_or_default()
}

/// Whether nothing has happened here since the moment that is remembered under this name of the other side. If it is the one for
/// equal counters, and the other side still has them, nothing has happened there either.
pub(super) fn is_as_remembered(own: &OwnMailbox, peer: [u8; 8]) -> bool {
    let fingerprint = MailboxSummary::of(&*own.mailbox, KeptFields::ALL).fingerprint;
    let mut points = own.mailbox.sync_points().iter();
    points.any(|point| point.peer == peer && Some(point.fingerprint) == fingerprint)
}
