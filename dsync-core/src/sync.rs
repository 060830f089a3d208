//! A whole run between two stores in one process.

use crate::report::{Observer, Report};
use crate::session::{DestinationSession, Session, SessionError, SourceSession};
use crate::store::MailStore;

/// Makes `destination` look exactly like `source`. Nothing changes at the source; whatever the destination had that
/// the source has not is gone afterwards.
///
/// # Errors
/// If the run could not be carried to its end; what was committed before stays, and running again goes on from
/// there. Things that could not be done although the run went on are in the [`Report`].
///
/// ```
/// use dsync_core::memory::MemoryStore;
/// use dsync_core::model::MailboxName;
/// use dsync_core::report::Unobserved;
/// use dsync_core::sync::backup;
///
/// let mut source = MemoryStore::new();
/// source.deliver(&MailboxName::inbox(), b"Subject: hello\n\nworld\n");
/// let mut destination = MemoryStore::new();
/// let report = backup(&mut source, &mut destination, &mut Unobserved)?;
/// assert_eq!((report.exit_status(), report.counts.messages_saved), (0, 1));
/// # Ok::<(), dsync_core::session::SessionError>(())
/// ```
pub fn backup(
    source: &mut dyn MailStore,
    destination: &mut dyn MailStore,
    observer: &mut dyn Observer,
) -> Result<Report, SessionError> {
    let source_location = source.location();
    let mut sender = SourceSession::new(source);
    let mut receiver = DestinationSession::new(destination, source_location, observer);
    drive(&mut sender, &mut receiver)?;
    Ok(receiver.into_report())
}

/// Passes messages between two sessions, one at a time, until both are finished.
fn drive(first: &mut dyn Session, second: &mut dyn Session) -> Result<(), SessionError> {
    while !(first.is_finished() && second.is_finished()) {
        let mut moved = false;
        while let Some(message) = first.next()? {
            second.receive(message)?;
            moved = true;
        }
        while let Some(message) = second.next()? {
            first.receive(message)?;
            moved = true;
        }
        if !moved {
            return Err(SessionError::Stalled);
        }
    }
    Ok(())
}
