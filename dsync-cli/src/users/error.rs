//! Why users cannot be served.

use std::path::PathBuf;

use nix::errno::Errno;
use thiserror::Error;

use super::auth::AuthError;
use super::names_file::NamesError;
use super::privileges::PrivilegeError;
use super::record::RecordError;
use super::rights::RightsError;
use super::userdb::UserdbError;
use crate::exit;

/// Why a user, or several, cannot be served.
#[derive(Debug, Error)]
pub(crate) enum UserError {
    /// The options contradict each other.
    #[error("{0}")]
    Usage(&'static str),
    /// Nobody is asked for.
    #[error("USER is not set; name the user with -u")]
    NoName,
    /// There is no such user.
    #[error("there is no user {0}; check the name, and the userdb of Dovecot")]
    Unknown(String),
    /// The auth process does not say.
    #[error("looking {name} up at {}: {error}", socket.display())]
    Lookup {
        /// Who was looked for.
        name: String,
        /// The socket of the auth process.
        socket: PathBuf,
        /// What went wrong.
        error: AuthError,
    },
    /// There is no auth process, and its user databases do not say either.
    #[error("looking {name} up: nobody answers at {} ({server}), and {error}", socket.display())]
    LookupInstead {
        /// Who was looked for.
        name: String,
        /// The socket of the auth process.
        socket: PathBuf,
        /// Why there is no answer.
        server: Errno,
        /// What went wrong then.
        error: UserdbError,
    },
    /// The auth process does not say who there is.
    #[error("listing users at {}: {error}", socket.display())]
    List {
        /// The socket of the auth process.
        socket: PathBuf,
        /// What went wrong.
        error: AuthError,
    },
    /// There is no auth process, and its user databases do not say either.
    #[error("listing users: nobody answers at {} ({server}), and {error}", socket.display())]
    ListInstead {
        /// The socket of the auth process.
        socket: PathBuf,
        /// Why there is no answer.
        server: Errno,
        /// What went wrong then.
        error: UserdbError,
    },
    /// The file with the names cannot be used.
    #[error("the list of users {}: {error}", path.display())]
    Names {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: NamesError,
    },
    /// Nobody fits.
    #[error("no user fits {0}; check it, and the userdb of Dovecot")]
    NobodyFits(String),
    /// There are no rights with which the user may be served.
    #[error("{name} cannot be served: {error}")]
    Rights {
        /// Who.
        name: String,
        /// Why.
        error: RightsError,
    },
    /// A setting that the user database gives to the user cannot be used.
    #[error("the user database says something about the user that cannot be used: {0}; correct it there")]
    Setting(String),
    /// The process could not become the user.
    #[error("{0}")]
    Privileges(#[from] PrivilegeError),
    /// The system does not let us wait for other processes.
    #[error("waiting for the processes of users failed: {0}; run dsync again")]
    Waiting(Errno),
}

impl UserError {
    pub(crate) fn exit_status(&self) -> u8 {
        use AuthError::Record;
        match self {
            Self::Usage(_) | Self::NoName => exit::USAGE,
            Self::Unknown(_) | Self::NobodyFits(_) => exit::NO_USER,
            Self::Names { .. } => exit::NO_INPUT,
            Self::Rights { .. }
            | Self::Lookup { error: Record(RecordError::Root), .. }
            | Self::LookupInstead { error: UserdbError::Record(RecordError::Root), .. } => exit::PERMISSION,
            Self::Lookup { .. }
            | Self::LookupInstead { .. }
            | Self::List { .. }
            | Self::ListInstead { .. }
            | Self::Setting(_)
            | Self::Privileges(_)
            | Self::Waiting(_) => exit::TEMPORARY,
        }
    }
}
