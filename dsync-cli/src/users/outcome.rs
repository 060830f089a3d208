//! What became of several users.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::sys::signal::Signal;

use crate::exit;

/// How the process for one user ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With an exit status.
    Status(u8),
    /// By a signal.
    Signal(i32),
    /// It could not be started, or lost.
    Lost(String),
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Self {
        match (status.code().and_then(|code| u8::try_from(code).ok()), status.signal()) {
            (Some(code), _) => Self::Status(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Lost(status.to_string()),
        }
    }
}

impl Ending {
    fn status(&self) -> u8 {
        match self {
            Self::Status(status) => *status,
            Self::Signal(_) | Self::Lost(_) => exit::TEMPORARY,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Status(status) => format!("status {status}"),
            Self::Signal(signal) => match Signal::try_from(*signal) {
                Ok(signal) => signal.to_string(),
                Err(_) => format!("signal {signal}"),
            },
            Self::Lost(why) => why.clone(),
        }
    }
}

/// What became of all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// How many are perfect.
    pub(super) done: usize,
    /// Whose stores are different.
    different: Vec<String>,
    /// For whom something could not be done.
    incomplete: Vec<String>,
    /// Who was listed, but cannot be looked up.
    unknown: Vec<String>,
    failed: Vec<(String, Ending)>,
    /// The signal that ended it, and how many were not begun.
    pub(super) stopped: Option<(Signal, usize)>,
}

impl Outcome {
    /// Adds a user. `may_be_unknown` says that the user was not named by the one who runs the program, but listed.
    pub(super) fn add(&mut self, name: String, ending: Ending, may_be_unknown: bool) {
        match ending.status() {
            exit::SUCCESS => self.done += 1,
            exit::DIFFERENT => self.different.push(name),
            exit::INCOMPLETE => self.incomplete.push(name),
            exit::NO_USER if may_be_unknown => self.unknown.push(name),
            _ => self.failed.push((name, ending)),
        }
    }

    /// How many users are through.
    pub(super) fn count(&self) -> usize {
        self.done + self.different.len() + self.incomplete.len() + self.unknown.len() + self.failed.len()
    }

    /// What may pass outweighs what will not; otherwise the first failure counts.
    pub(super) fn exit_status(&self) -> u8 {
        let mut failures = self.failed.iter().map(|(_, ending)| ending.status());
        if self.stopped.is_some() || failures.clone().any(|status| status == exit::TEMPORARY) {
            return exit::TEMPORARY;
        }
        match failures.next() {
            Some(first) => first,
            None if !self.incomplete.is_empty() => exit::INCOMPLETE,
            None if !self.different.is_empty() => exit::DIFFERENT,
            None => exit::SUCCESS,
        }
    }

    /// Who failed, and how: nothing if nobody did.
    pub(super) fn failures(&self) -> Option<String> {
        let names = self.failed.iter().map(|(name, ending)| format!("{name} ({})", ending.describe()));
        let said = format!("{} of {} users failed", self.failed.len(), self.count());
        (!self.failed.is_empty()).then(|| format!("{said}: {}", names.collect::<Vec<_>>().join(", ")))
    }

    /// Whose stores are different: nothing if nobody's are.
    pub(super) fn different(&self) -> Option<String> {
        let names = self.different.join(", ");
        (!names.is_empty()).then(|| format!("differences were found for {names}"))
    }

    /// For whom something could not be done: nothing if for nobody.
    pub(super) fn incomplete(&self) -> Option<String> {
        let names = self.incomplete.join(", ");
        (!names.is_empty()).then(|| format!("not everything could be done for {names}; run it again for them"))
    }

    /// How many did what.
    pub(super) fn summary(&self) -> String {
        format!(
            "users: {} done, {} not completely, {} failed, {} unknown",
            self.done,
            self.incomplete.len(),
            self.failed.len(),
            self.unknown.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(endings: &[Ending]) -> Outcome {
        let mut outcome = Outcome::default();
        for (number, ending) in endings.iter().enumerate() {
            outcome.add(format!("user{number}"), ending.clone(), false);
        }
        outcome
    }

    fn statuses(statuses: &[u8]) -> u8 {
        of(&statuses.iter().copied().map(Ending::Status).collect::<Vec<_>>()).exit_status()
    }

    #[test]
    fn the_worst_counts() {
        for (all, one) in [
            (&[][..], 0),
            (&[0, 0], 0),
            (&[0, 2, 0], 2),
            (&[2, 77, 65], 77),
            (&[65, 77], 65),
            (&[77, 75, 2], 75),
            (&[67, 0], 67),
        ] {
            assert_eq!(statuses(all), one, "{all:?}");
        }
        assert_eq!(of(&[Ending::Status(65), Ending::Signal(11)]).exit_status(), 75);
        assert_eq!(of(&[Ending::Lost("no memory".to_owned())]).exit_status(), 75);
        let stopped = Outcome { stopped: Some((Signal::SIGTERM, 0)), ..of(&[Ending::Status(0)]) };
        assert_eq!(stopped.exit_status(), 75);
    }

    #[test]
    fn who_failed_is_named() {
        let outcome = of(&[Ending::Status(0), Ending::Status(77), Ending::Status(2), Ending::Signal(9)]);
        assert_eq!(outcome.failures().unwrap(), "2 of 4 users failed: user1 (status 77), user3 (SIGKILL)");
        assert!(outcome.incomplete().unwrap().contains(" user2;"));
        assert_eq!(outcome.summary(), "users: 1 done, 1 not completely, 2 failed, 0 unknown");
        assert_eq!(of(&[Ending::Status(0)]).failures(), None);
        assert_eq!(of(&[Ending::Status(0)]).incomplete(), None);
    }

    #[test]
    fn who_was_only_listed_may_be_gone() {
        let mut outcome = Outcome::default();
        outcome.add("gone".to_owned(), Ending::Status(67), true);
        assert_eq!((outcome.exit_status(), outcome.count(), outcome.failures()), (0, 1, None));
        outcome.add("misspelt".to_owned(), Ending::Status(67), false);
        assert_eq!(outcome.exit_status(), 67);
    }
}
