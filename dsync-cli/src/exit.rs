//! Exit statuses, as dsync(1) and sysexits(3) define them.

use dsync_core::session::SessionError;
use dsync_core::store::{ErrorKind, StoreError};
use dsync_core::wire::WireError;
use dsync_storage::fs::FsError;
use thiserror::Error;

use crate::configuration::ConfigurationError;
use crate::users::UserError;

/// Everything was done.
pub(crate) const SUCCESS: u8 = 0;
/// The stores that were compared are different.
pub(crate) const DIFFERENT: u8 = 1;
/// Done, but for some things that were named.
pub(crate) const INCOMPLETE: u8 = 2;
/// The command line is wrong (EX_USAGE).
pub(crate) const USAGE: u8 = 64;
/// An operation is not possible with what is stored (EX_DATAERR).
pub(crate) const DATA: u8 = 65;
/// A file that was named cannot be read (EX_NOINPUT).
pub(crate) const NO_INPUT: u8 = 66;
/// There is no such user (EX_NOUSER).
pub(crate) const NO_USER: u8 = 67;
/// Something named does not exist (EX_NOHOST, as the original uses it).
const NOT_FOUND: u8 = 68;
/// There is a mistake in this program (EX_SOFTWARE).
pub(crate) const INTERNAL: u8 = 70;
/// There is no room for what was to be written (EX_CANTCREAT).
const CANNOT_CREATE: u8 = 73;
/// It may work another time (EX_TEMPFAIL).
pub(crate) const TEMPORARY: u8 = 75;
/// Access was refused (EX_NOPERM).
pub(crate) const PERMISSION: u8 = 77;
/// The configuration names something that cannot be used (EX_CONFIG).
const CONFIGURATION: u8 = 78;

/// Why a run failed.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The command line cannot be understood.
    #[error("{0}")]
    Usage(String),
    /// The locations cannot be used as they are.
    #[error("{0}")]
    Configuration(String),
    /// Something that was asked for does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The configuration cannot be used.
    #[error("{0}")]
    Configured(#[from] ConfigurationError),
    /// A user cannot be served.
    #[error("{0}")]
    User(#[from] UserError),
    /// Another run has the lock of the user.
    #[error("{0}; another synchronisation of this user may be at work: wait for it, or give a longer time with -l")]
    Locked(FsError),
    /// What was asked for cannot be printed.
    #[error("writing to stdout failed: {0}; what was to be printed is not complete")]
    Output(std::io::Error),
    /// A store cannot be opened.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The other side cannot be reached.
    #[error("{0}")]
    OtherSide(String),
    /// The run itself failed.
    #[error("{0}{advice}", advice = advice(.0))]
    Session(#[from] SessionError),
}

/// What to do about it, where the error cannot know that.
fn advice(error: &SessionError) -> &'static str {
    match error {
        SessionError::Connection { .. } => "; what was committed before stays, and another run goes on from there",
        SessionError::Silent(_) => "; look whether it is still at work, or wait longer with -T SECONDS",
        SessionError::Wire(WireError::NotDsync(_)) => "",
        SessionError::Wire(WireError::Version(_)) => "; install a Dovecot since 2.2 there, or this program",
        SessionError::Wire(_) | SessionError::InvalidData(_) | SessionError::UnexpectedMessage { .. } => {
            "; run again, and if it happens again, look into the log of the other side, and let -r FILE write down what is said"
        }
        SessionError::Unsupported(_) => "; leave that out at the other side, or update this program",
        SessionError::Stalled => "; please report it",
        _ => "",
    }
}

impl Failure {
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Configured(ConfigurationError::NoUser) => USAGE,
            Self::NotFound(_) | Self::Configured(ConfigurationError::NoNamespace { .. }) => NOT_FOUND,
            // What starts programs may have run out of something.
            Self::Configured(ConfigurationError::Doveconf { .. }) => TEMPORARY,
            Self::Configured(_) | Self::Configuration(_) | Self::Session(SessionError::EmptySource { .. }) => {
                CONFIGURATION
            }
            Self::User(error) => error.exit_status(),
            Self::Store(error) | Self::Session(SessionError::Store { error, .. }) => status_of(error.kind()),
            Self::Session(SessionError::Inexpressible(_)) => USAGE,
            Self::Session(SessionError::UnreadableSource { .. }) => DATA,
            Self::Session(SessionError::Remote { code, .. }) => status_of_remote(*code),
            Self::OtherSide(_) | Self::Session(_) | Self::Locked(_) | Self::Output(_) => TEMPORARY,
        }
    }
}

/// What the other side says went wrong, in Dovecot's numbers.
fn status_of_remote(code: Option<u32>) -> u8 {
    match code {
        Some(3 | 8 | 10..=13) => DATA,
        Some(4) => USAGE,
        Some(5) => PERMISSION,
        Some(6) => CANNOT_CREATE,
        Some(7) => NOT_FOUND,
        _ => TEMPORARY,
    }
}

fn status_of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::NotFound => NOT_FOUND,
        ErrorKind::Permission => PERMISSION,
        ErrorKind::NoRoom => CANNOT_CREATE,
        ErrorKind::Exists | ErrorKind::InvalidName | ErrorKind::Impossible | ErrorKind::Corrupt => DATA,
        _ => TEMPORARY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_says_has_a_status_of_its_own() {
        for (kind, status) in [
            (std::io::ErrorKind::StorageFull, 73),
            (std::io::ErrorKind::QuotaExceeded, 73),
            (std::io::ErrorKind::PermissionDenied, 77),
            (std::io::ErrorKind::AlreadyExists, 65),
            (std::io::ErrorKind::NotFound, 68),
            (std::io::ErrorKind::TimedOut, 75),
            (std::io::ErrorKind::Other, 75),
        ] {
            let error = StoreError::from(FsError::new("write", "/mail".as_ref(), kind.into()));
            let location = "maildir:/mail".to_owned();
            assert_eq!(Failure::Session(SessionError::Store { location, error }).exit_status(), status, "{kind:?}");
        }
    }

    #[test]
    fn who_hears_of_a_failure_hears_what_to_do() {
        for (error, advice) in [
            (SessionError::Silent(600), "-T SECONDS"),
            (SessionError::Wire(WireError::Version("1".to_owned())), "install"),
            (SessionError::Wire(WireError::NotDsync("login:".to_owned())), "Check the command"),
            (SessionError::Wire(WireError::TooLong(9)), "-r FILE"),
            (SessionError::InvalidData("a row".to_owned()), "run again"),
            (SessionError::Stalled, "report"),
        ] {
            let text = Failure::Session(error).to_string();
            assert!(text.contains(advice), "{text}");
        }
    }

    #[test]
    fn what_the_other_side_says_has_the_same_status() {
        for (code, status) in [(3, 65), (4, 64), (5, 77), (6, 73), (7, 68), (8, 65), (1, 75)] {
            let error = SessionError::Remote { text: "no".to_owned(), code: Some(code) };
            assert_eq!(Failure::Session(error).exit_status(), status, "{code}");
        }
    }
}
