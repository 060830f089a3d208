//! What a side remembers of the other one: moments at which both had the same.

use super::own::OwnMailbox;
use crate::model::KeptFields;
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

/// How another side with this host name is called in sync points: in all, and in those at which both were equal in every counter.
pub(super) fn labels_of(hostname: &[u8]) -> [[u8; 8]; 2] {
    let hostname = String::from_utf8_lossy(hostname);
    ["", "equal "].map(|kind| peer_label(&format!("dsync protocol: {kind}{hostname}")))
}

/// Whether nothing has happened here since both sides were equal in every counter. If the other one still has the same counters,
/// nothing has happened there either.
pub(super) fn is_as_when_equal(own: &OwnMailbox, equal_peer: [u8; 8]) -> bool {
    let fingerprint = MailboxSummary::of(&*own.mailbox, KeptFields::ALL).fingerprint;
    let mut points = own.mailbox.sync_points().iter();
    points.any(|point| point.peer == equal_peer && Some(point.fingerprint) == fingerprint)
}
