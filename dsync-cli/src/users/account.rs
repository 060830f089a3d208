//! The user for whom a process works: settings, rights, and a place to work in.

use std::path::PathBuf;

use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, getegid, geteuid, getgrouplist};

use super::error::UserError;
use super::lookup::Lookup;
use super::options::Selection;
use super::privileges;
use super::record::UserRecord;
use super::rights::{self, Caller, Rights, RightsSettings};
use super::userdb::{gid_of, uid_of};
use crate::configuration::{Configuration, ConfigurationError, Environment, UserConfiguration, UserFields};
use crate::exit::Failure;
use crate::messages;

/// A user, and what it takes to work for them.
#[derive(Debug)]
pub(crate) struct Account {
    configuration: UserConfiguration,
    rights: Rights,
    /// Where to work; `None` is where the process is.
    directory: Option<PathBuf>,
    is_named: bool,
    /// The names of settings that the user database gives to this user, as far as the command line does not say otherwise.
    own_settings: Vec<String>,
}

impl Account {
    /// Finds out who a user is. Nothing is changed in this process but the name in its messages.
    ///
    /// # Errors
    /// If there is no such user, or none that may be served.
    pub(crate) fn find(
        selection: Selection,
        configuration: &Configuration,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let record = match selection {
            Selection::Current | Selection::Several(_) => return Self::current(configuration, environment),
            Selection::One(name) => {
                // The name that was asked for need not be the one that counts.
                let record = Lookup::new(configuration).user(&name).inspect_err(|_| messages::set_user(&name))?;
                messages::set_user(&record.name);
                record
            }
            Selection::NotLookedUp(name) => {
                let name = name.or_else(|| environment.variable("USER").map(str::to_owned));
                let name = name.ok_or(UserError::NoName)?;
                messages::set_user(&name);
                UserRecord { name, ..UserRecord::default() }
            }
        };
        Self::of_record(&record, configuration)
    }

    fn current(configuration: &Configuration, environment: &Environment) -> Result<Self, Failure> {
        let configuration = configuration.for_user(UserFields::current(environment)?)?;
        messages::set_user(&configuration.user().name);
        let settings = rights_settings(&configuration)?;
        let rights = rights::decide(None, None, &settings, caller(), groups_of);
        let name = || configuration.user().name.clone();
        let rights = rights.map_err(|error| UserError::Rights { name: name(), error })?;
        Ok(Self { configuration, rights, directory: None, is_named: false, own_settings: Vec::new() })
    }

    fn of_record(record: &UserRecord, configuration: &Configuration) -> Result<Self, Failure> {
        let refused = |error| UserError::Rights { name: record.name.clone(), error };
        // The settings of the user say where the root directory is, and that says what the home directory is called.
        let first = configuration.for_user(fields(record, record.home.clone(), configuration))?;
        let settings = rights_settings(&first)?;
        let (chroot, home) = rights::chroot_and_home(record, &settings).map_err(refused)?;
        let rights =
            rights::decide(Some(record), chroot.as_deref(), &settings, caller(), groups_of).map_err(refused)?;
        let user = match home == record.home {
            true => first,
            false => configuration.for_user(fields(record, home, configuration))?,
        };
        let directory = record.directory.as_ref().map(PathBuf::from);
        let directory = directory.or_else(|| user.home().map(ToOwned::to_owned));
        let names = record.settings.iter().map(|(name, _)| match name.trim_end_matches('+') {
            "mail" => "mail_location".to_owned(),
            other => other.to_owned(),
        });
        let own_settings = names.filter(|name| !configuration.settings().is_overridden(name)).collect();
        Ok(Self { configuration: user, rights, directory, is_named: true, own_settings })
    }

    /// The configuration of this user.
    pub(crate) fn configuration(&self) -> &UserConfiguration {
        &self.configuration
    }

    /// Puts the blame for a setting that cannot be used on the user database, if that is where it comes from: then the
    /// configuration is in order, and it is this user's mail alone that cannot be reached for now.
    pub(crate) fn blame(&self, failure: Failure) -> Failure {
        let setting = match &failure {
            Failure::Configured(
                ConfigurationError::Setting { name, .. } | ConfigurationError::Location { name, .. },
            ) => name,
            _ => return failure,
        };
        let is_own = self.own_settings.iter().any(|name| name == setting || format!("plugin/{name}") == *setting);
        match failure {
            Failure::Configured(error) if is_own => UserError::Setting(error.to_string()).into(),
            failure => failure,
        }
    }

    /// Who it is, for those who want to know everything. Values of settings may be secrets.
    pub(crate) fn describe(&self) -> String {
        let text = |id: Option<String>| id.unwrap_or_else(|| "unchanged".to_owned());
        let home = self.configuration.home().map_or("unknown".to_owned(), |home| home.display().to_string());
        format!(
            "user {}: uid {}, gid {}, home {home}, settings of its own: {}",
            self.configuration.user().name,
            text(self.rights.uid.map(|uid| uid.to_string())),
            text(self.rights.gid.map(|gid| gid.to_string())),
            if self.own_settings.is_empty() { "none".to_owned() } else { self.own_settings.join(", ") }
        )
    }

    /// Becomes the user. From here on nothing can be done with the rights that the process had before; whatever needs
    /// them comes first. The caller must have no other threads.
    ///
    /// # Errors
    /// If that is not possible; the process must end then.
    pub(crate) fn take_on(&self) -> Result<(), UserError> {
        umask(Mode::from_bits_truncate(0o077));
        privileges::take_on(&self.rights)?;
        if self.is_named {
            privileges::enter_directory(self.directory.as_deref())?;
        }
        Ok(())
    }

    /// Says so if mail is about to be read and written as root, which only who is root and names no user gets.
    pub(crate) fn warn_of_root(&self) {
        if geteuid().is_root() {
            messages::warning(
                "this is done as root, and what is new will belong to root; name the user whose mail it is with -u, or set \
                 mail_uid",
            );
        }
    }
}

/// What the configuration has to know about a user. Variables may ask for the uid before the user's settings are known.
fn fields(record: &UserRecord, home: Option<String>, configuration: &Configuration) -> UserFields {
    let settings = configuration.settings();
    let uid = record.uid.map(Uid::as_raw).or_else(|| uid_of(settings.text("mail_uid")?));
    let gid = record.gid.map(Gid::as_raw).or_else(|| gid_of(settings.text("mail_gid")?));
    UserFields {
        name: record.name.clone(),
        home,
        usual_home: None,
        uid: uid.or_else(|| Some(geteuid().as_raw())),
        gid: gid.or_else(|| Some(getegid().as_raw())),
        extra: record.settings.clone(),
        looked_up: true,
    }
}

fn caller() -> Caller {
    Caller { uid: geteuid(), gid: getegid() }
}

/// The supplementary groups of a system user.
fn groups_of(name: &str, gid: Gid) -> Vec<Gid> {
    let name = std::ffi::CString::new(name).unwrap_or_default();
    getgrouplist(&name, gid).unwrap_or_default()
}

fn rights_settings(configuration: &UserConfiguration) -> Result<RightsSettings, ConfigurationError> {
    const NO_USER: &str = "is no user, neither a number nor a name";
    const NO_GROUP: &str = "is no group, neither a number nor a name";
    let settings = configuration.settings();
    let mut access_groups = Vec::new();
    for word in settings.raw().list("mail_access_groups") {
        match gid_of(&word) {
            Some(gid) => access_groups.push(Gid::from_raw(gid)),
            None => return Err(ConfigurationError::setting("mail_access_groups", format!("{word:?} {NO_GROUP}"))),
        }
    }
    let directories = settings.get("valid_chroot_dirs")?.unwrap_or_default();
    Ok(RightsSettings {
        mail_uid: settings.parsed("mail_uid", uid_of, NO_USER)?.map(Uid::from_raw),
        mail_gid: settings.parsed("mail_gid", gid_of, NO_GROUP)?.map(Gid::from_raw),
        valid_uids: rights::valid_uids(settings.raw()),
        valid_gids: rights::valid_gids(settings.raw()),
        access_groups,
        privileged_group: settings.parsed("mail_privileged_group", gid_of, NO_GROUP)?.map(Gid::from_raw),
        chroot: settings.get("mail_chroot")?,
        chroot_directories: directories.split(':').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
    })
}
