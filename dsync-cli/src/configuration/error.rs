//! Why a configuration cannot be used.

use std::path::PathBuf;

use dsync_storage::location::LocationError;
use thiserror::Error;

use super::bounded_command::CommandError;
use super::reader::ReadError;
use super::variables::VariableError;

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ConfigurationError {
    /// The program that reads the configuration of the server could not be run to its end.
    #[error("{program} should read the configuration, but {error}; try {program} -n by hand", program = .program.display())]
    Doveconf { program: PathBuf, error: CommandError },
    /// It refused the configuration.
    #[error("{program} cannot read the configuration: {said}", program = .program.display())]
    Refused { program: PathBuf, said: String },
    /// What it says is not understood.
    #[error("what {program} says about the configuration is not understood: {said:?}; please report it", program = .program.display())]
    NotUnderstood { program: PathBuf, said: String },
    /// There is no such program, and what is read instead cannot be read.
    #[error("{0}")]
    File(#[from] ReadError),
    /// A setting has a value that it cannot have, or one that cannot be heeded.
    #[error("{name}: {problem}")]
    Setting { name: String, problem: String },
    /// A setting cannot be expanded.
    #[error("{name}: {text:?} cannot be expanded: {error}; correct it, or override it with -o")]
    Variable { name: String, text: String, error: VariableError },
    /// A setting is no location.
    #[error("{name}: {error}")]
    Location { name: String, error: LocationError },
    /// A namespace was asked for that there is not.
    #[error("-n {prefix:?}: no namespace has that prefix; those of the configuration are {known}")]
    NoNamespace { prefix: String, known: String },
    /// There is no mail store.
    #[error(
        "mail_location is not set, and there is no mail store in {home} (looked for: sdbox, mdbox, Maildir, mail, Mail); \
         set it in the configuration or use -o mail_location=..."
    )]
    NothingFound { home: String },
    /// There is no mail store, and no place to look for one.
    #[error(
        "mail_location is not set, and no home directory is known to look for a mail store; set HOME or mail_home, or use -o \
         mail_location=..."
    )]
    NoHome,
    /// Nobody knows whose mail it is.
    #[error("the name of the user is not known: set USER, or name the user with -u")]
    NoUser,
}

impl ConfigurationError {
    /// A setting with a value that cannot be used.
    pub(crate) fn setting(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Setting { name: name.into(), problem: problem.into() }
    }
}
