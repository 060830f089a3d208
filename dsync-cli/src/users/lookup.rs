//! Who users are: asked of the auth process of a running Dovecot, or of its user databases if none is running.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::auth::{self, AuthError};
use super::error::UserError;
use super::mask;
use super::record::UserRecord;
use super::rights::valid_uids;
use super::userdb::{self, Userdb};
use crate::configuration::{Configuration, Dialect, Settings, UserFields};

/// Where to look users up.
pub(crate) struct Lookup<'a> {
    configuration: &'a Configuration,
    socket: PathBuf,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(configuration: &'a Configuration) -> Self {
        Self { configuration, socket: socket(configuration.settings()) }
    }

    /// One user.
    ///
    /// # Errors
    /// If there is none of this name, or nobody can say.
    pub(crate) fn user(&self, name: &str) -> Result<UserRecord, UserError> {
        let found = match auth::look_up(&self.socket, name, auth::PATIENCE) {
            Err(AuthError::NoServer(server)) => self.user_in_files(name, server),
            answer => answer.map_err(|error| UserError::Lookup {
                name: name.to_owned(),
                socket: self.socket.clone(),
                error,
            }),
        };
        found?.ok_or_else(|| UserError::Unknown(name.to_owned()))
    }

    fn user_in_files(&self, name: &str, server: Errno) -> Result<Option<UserRecord>, UserError> {
        let socket = self.socket.clone();
        let name = self.canonical(name);
        let failed = |error| UserError::LookupInstead { name: name.clone(), socket, server, error };
        userdb::look_up(&self.userdbs(), &name, &|text| self.expand(text, &name)).map_err(failed)
    }

    /// The names of all users that fit a mask, each once.
    ///
    /// # Errors
    /// If nobody knows them all, or none fits.
    pub(crate) fn names(&self, mask: &str) -> Result<Vec<String>, UserError> {
        let all = match auth::list(&self.socket, mask, auth::PATIENCE) {
            Err(AuthError::NoServer(server)) => {
                userdb::list(&self.userdbs(), valid_uids(self.configuration.settings()))
                    .map_err(|error| UserError::ListInstead { socket: self.socket.clone(), server, error })
            }
            answer => answer.map_err(|error| UserError::List { socket: self.socket.clone(), error }),
        }?;
        // A server takes the mask for a hint.
        let fitting = self.once(all.into_iter().filter(|name| mask::matches(mask, name)));
        if fitting.is_empty() { Err(UserError::NobodyFits(mask.to_owned())) } else { Ok(fitting) }
    }

    /// Each user once, under the first of several names that mean the same user.
    pub(crate) fn once(&self, names: impl Iterator<Item = String>) -> Vec<String> {
        let mut seen = BTreeSet::new();
        names.filter(|name| seen.insert(self.canonical(name))).collect()
    }

    /// The name as user databases are asked for it. One that cannot be brought into that form stays as it is.
    fn canonical(&self, name: &str) -> String {
        let format = self.configuration.settings().text("auth_username_format").unwrap_or("%Lu");
        self.expand(format, name).unwrap_or_else(|_| name.to_owned())
    }

    fn expand(&self, text: &str, name: &str) -> Result<String, String> {
        let user = UserFields {
            name: name.to_owned(),
            home: None,
            usual_home: None,
            uid: None,
            gid: None,
            extra: Vec::new(),
            looked_up: true,
        };
        let user = self.configuration.for_user(user).map_err(|error| error.to_string())?;
        user.settings().expand(text).map_err(|error| error.to_string())
    }

    fn userdbs(&self) -> Vec<Userdb> {
        let settings = self.configuration.settings();
        // Without any server the system knows who users are.
        if !settings.is_written("base_dir") {
            return vec![Userdb::system()];
        }
        settings.sections("userdb").iter().map(|id| userdb_of(settings, id)).collect()
    }
}

fn userdb_of(settings: &Settings, id: &str) -> Userdb {
    let text = |name: &str| settings.text(&format!("userdb/{id}/{name}")).map(str::to_owned);
    // Since 2.4 the name of a block is its driver if nothing else is.
    let name = || text("name").filter(|_| settings.dialect() == Dialect::Since24);
    Userdb {
        driver: text("driver").or_else(name).unwrap_or_default(),
        args: text("args").or_else(|| text("passwd_file_path")).unwrap_or_default(),
        default_fields: text("default_fields").unwrap_or_default(),
        override_fields: text("override_fields").unwrap_or_default(),
    }
}

fn socket(settings: &Settings) -> PathBuf {
    let base = settings.text("base_dir").unwrap_or("/run/dovecot");
    // An absolute path replaces the base.
    Path::new(base).join(settings.text("auth_socket_path").unwrap_or("auth-userdb"))
}
