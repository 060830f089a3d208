//! Whose mail it is.

use nix::unistd::{User, getegid, geteuid};

use super::error::ConfigurationError;
use super::source::Environment;

/// What is known about a user before the configuration is read for that user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserFields {
    /// The full name, as a user database knows it.
    pub(crate) name: String,
    /// The home directory, if something besides the configuration says where it is.
    pub(crate) home: Option<String>,
    /// Where it is if nothing else says so.
    pub(crate) usual_home: Option<String>,
    /// As whom mail is read and written.
    pub(crate) uid: Option<u32>,
    /// With which group.
    pub(crate) gid: Option<u32>,
    /// Everything else that a user database said, in any order: settings that override those of the configuration.
    pub(crate) extra: Vec<(String, String)>,
    /// A user database was asked; else the user is the one who runs the program.
    pub(crate) looked_up: bool,
}

impl UserFields {
    /// The one who runs the program: `USER` and `HOME`, or what the system knows about the effective user id.
    pub(crate) fn current(environment: &Environment) -> Result<Self, ConfigurationError> {
        let known = User::from_uid(geteuid()).ok().flatten();
        let name = environment.variable("USER").map(str::to_owned).or(known.as_ref().map(|user| user.name.clone()));
        Ok(Self {
            name: name.ok_or(ConfigurationError::NoUser)?,
            home: environment.variable("HOME").map(str::to_owned),
            usual_home: known.and_then(|user| user.dir.into_os_string().into_string().ok()),
            uid: Some(geteuid().as_raw()),
            gid: Some(getegid().as_raw()),
            extra: Vec::new(),
            looked_up: false,
        })
    }

    /// A name that cannot lead out of a directory in which it is used as the name of a file.
    pub(super) fn check_name(&self) -> Result<(), ConfigurationError> {
        let parts = || self.name.split(['/', '@']);
        if self.name.is_empty()
            || self.name.chars().any(char::is_control)
            || parts().any(|part| matches!(part, "." | ".."))
        {
            return Err(ConfigurationError::setting("user", format!("{:?} cannot be the name of a user", self.name)));
        }
        Ok(())
    }
}

/// The home directory of a system user.
pub(super) fn home_of(name: &str) -> Option<std::path::PathBuf> {
    User::from_name(name).ok().flatten().map(|user| user.dir)
}
