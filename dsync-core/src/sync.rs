//! A whole run between two stores in one process.

use std::cell::RefCell;
use std::time::Duration;

use crate::model::Role;
use crate::report::{Event, Observer, Problem, Report};
use crate::session::{DestinationSession, MirrorSession, Session, SessionError, SourceSession, SyncOptions};
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
/// use dsync_core::session::SyncOptions;
/// use dsync_core::sync::backup;
///
/// let mut source = MemoryStore::new();
/// source.deliver(&MailboxName::inbox(), b"Subject: hello\n\nworld\n");
/// let mut destination = MemoryStore::new();
/// let report = backup(&mut source, &mut destination, &SyncOptions::default(), &mut Unobserved)?;
/// assert_eq!((report.exit_status(), report.counts.messages_saved), (0, 1));
/// # Ok::<(), dsync_core::session::SessionError>(())
/// ```
pub fn backup(
    source: &mut dyn MailStore,
    destination: &mut dyn MailStore,
    options: &SyncOptions,
    observer: &mut dyn Observer,
) -> Result<Report, SessionError> {
    claim(destination)?;
    let mut sender = SourceSession::new(source, options.clone());
    let shared = RefCell::new(observer);
    let mut receivers = Shared(&shared);
    let mut receiver = DestinationSession::new(destination, &mut receivers);
    drive(&mut sender, &mut receiver, &shared)?;
    Ok(receiver.into_report())
}

/// Makes two stores equal, whatever happened to either since they last were: each takes over what was done at the other,
/// and nothing of it is lost. `first` wins where nothing else decides.
///
/// # Errors
/// As [`backup`].
///
/// ```
/// use dsync_core::memory::MemoryStore;
/// use dsync_core::model::MailboxName;
/// use dsync_core::report::Unobserved;
/// use dsync_core::session::SyncOptions;
/// use dsync_core::sync::mirror;
///
/// let (mut home, mut work) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
/// home.deliver(&MailboxName::inbox(), b"Subject: to home\n\n");
/// work.deliver(&MailboxName::inbox(), b"Subject: to work\n\n");
/// let report = mirror(&mut home, &mut work, &SyncOptions::default(), &mut Unobserved)?;
/// assert_eq!((report.exit_status(), report.counts.messages_saved), (0, 2));
/// # Ok::<(), dsync_core::session::SessionError>(())
/// ```
pub fn mirror(
    first: &mut dyn MailStore,
    second: &mut dyn MailStore,
    options: &SyncOptions,
    observer: &mut dyn Observer,
) -> Result<Report, SessionError> {
    merge_with([first, second], [true, true], options, observer)
}

/// Brings into `destination` what was done at `source`, and keeps what was done at `destination`. Nothing changes at the
/// source.
///
/// # Errors
/// As [`backup`].
pub fn merge_one_way(
    source: &mut dyn MailStore,
    destination: &mut dyn MailStore,
    options: &SyncOptions,
    observer: &mut dyn Observer,
) -> Result<Report, SessionError> {
    merge_with([source, destination], [false, true], options, observer)
}

/// How long another run in the same store is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

fn claim(store: &mut dyn MailStore) -> Result<(), SessionError> {
    store.claim(PATIENCE).map_err(|error| SessionError::of_store(store, error))
}

/// In the order of their names, as every run does.
fn claim_both(first: &mut dyn MailStore, second: &mut dyn MailStore) -> Result<(), SessionError> {
    let id = |store: &mut dyn MailStore| store.id().map_err(|error| SessionError::of_store(store, error));
    if id(first)? <= id(second)? {
        claim(first)?;
        claim(second)
    } else {
        claim(second)?;
        claim(first)
    }
}

fn merge_with(
    [first, second]: [&mut dyn MailStore; 2],
    [first_imports, second_imports]: [bool; 2],
    options: &SyncOptions,
    observer: &mut dyn Observer,
) -> Result<Report, SessionError> {
    if first_imports && second_imports {
        claim_both(first, second)?;
    } else {
        claim(if first_imports { first } else { second })?;
    }
    let mut observer = Once { observer, problems: Vec::new() };
    let shared = RefCell::new(&mut observer as &mut dyn Observer);
    let (mut firsts, mut seconds) = (Shared(&shared), Shared(&shared));
    let mut master = MirrorSession::new(first, Role::Master, first_imports, options.clone(), &mut firsts);
    let mut slave = MirrorSession::new(second, Role::Slave, second_imports, options.clone(), &mut seconds);
    drive(&mut master, &mut slave, &shared)?;
    Ok(master.into_report().joined(slave.into_report()))
}

/// Passes on what both sessions find out once.
struct Once<'a> {
    observer: &'a mut dyn Observer,
    problems: Vec<Problem>,
}

impl Observer for Once<'_> {
    fn event(&mut self, store: &str, event: Event<'_>) {
        if let Event::Problem(problem) = event {
            if self.problems.contains(problem) {
                return;
            }
            self.problems.push(problem.clone());
        }
        self.observer.event(store, event);
    }

    fn wants_reasons(&self) -> bool {
        self.observer.wants_reasons()
    }

    fn is_to_stop(&self) -> bool {
        self.observer.is_to_stop()
    }
}

/// One observer of two sessions, which take turns.
struct Shared<'a, 'b>(&'a RefCell<&'b mut dyn Observer>);

impl Observer for Shared<'_, '_> {
    fn event(&mut self, store: &str, event: Event<'_>) {
        self.0.borrow_mut().event(store, event);
    }

    fn wants_reasons(&self) -> bool {
        self.0.borrow().wants_reasons()
    }
}

/// Passes messages between two sessions, one at a time, until both are finished or are to stop.
fn drive(
    first: &mut dyn Session,
    second: &mut dyn Session,
    observer: &RefCell<&mut dyn Observer>,
) -> Result<(), SessionError> {
    while !(first.is_finished() && second.is_finished()) {
        let moved = pass_on(first, second, observer)? | pass_on(second, first, observer)?;
        if !moved {
            return Err(SessionError::Stalled);
        }
    }
    Ok(())
}

/// Passes on all that one side has to say. Says whether that was anything.
fn pass_on(
    from: &mut dyn Session,
    to: &mut dyn Session,
    observer: &RefCell<&mut dyn Observer>,
) -> Result<bool, SessionError> {
    let mut moved = false;
    while let Some(message) = from.next()? {
        if observer.borrow().is_to_stop() {
            return Err(SessionError::Stopped);
        }
        to.receive(message)?;
        moved = true;
    }
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryStore;
    use crate::model::MailboxName;
    use crate::report::Unobserved;

    /// Wants the run to end as soon as one mailbox is done.
    #[derive(Default)]
    struct Impatient {
        committed: usize,
    }

    impl Observer for Impatient {
        fn event(&mut self, _: &str, event: Event<'_>) {
            self.committed += usize::from(matches!(event, Event::MailboxCommitted(_)));
        }

        fn is_to_stop(&self) -> bool {
            self.committed > 0
        }
    }

    #[test]
    fn a_run_that_is_stopped_goes_on_the_next_time() {
        let mut source = MemoryStore::new();
        source.deliver(&MailboxName::inbox(), b"Subject: one\n\n");
        source.deliver(&MailboxName::new(["Work"]).unwrap(), b"Subject: two\n\n");
        let mut destination = MemoryStore::with_seed(2);
        let mut impatient = Impatient::default();
        let options = SyncOptions::default();
        let stopped = backup(&mut source, &mut destination, &options, &mut impatient);
        assert!(matches!(stopped, Err(SessionError::Stopped)));
        assert_eq!(impatient.committed, 1);
        let report = backup(&mut source, &mut destination, &options, &mut Unobserved).unwrap();
        assert_eq!((report.exit_status(), report.counts.messages_saved), (0, 1));
    }
}
