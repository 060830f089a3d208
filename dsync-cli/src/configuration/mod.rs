//! The configuration: that of the server whose mail this is, and what the command line overrides.
//!
//! [`Configuration::read`] reads it once: with `doveconf` where it is installed, by ourselves elsewhere. Nothing in it is about
//! a user yet; [`Configuration::for_user`] makes it the [`UserConfiguration`] of one. What wins, from the top: `-o`, what a
//! user database says, `HOME` as the home of who runs the program, the configuration, defaults.
//!
//! * [`source`]: where the configuration is.
//! * [`doveconf`]: asking Dovecot's own reader, as a [`bounded_command`].
//! * [`reader`]: reading files, whose lines are [`statement`]s and make up [`blocks`].
//! * [`settings`]: settings by name; [`values`]: what they may be.
//! * [`variables`]: `%u` and `%{user}`; [`expanded`]: settings in which they are replaced.
//! * [`user`]: whose mail it is.
//! * [`namespaces`], [`locations`], [`split_location`], [`detection`]: where it is.
//! * [`storage`]: the settings that stores heed.

mod blocks;
mod bounded_command;
mod detection;
mod doveconf;
mod error;
mod expanded;
mod locations;
mod namespaces;
mod reader;
mod settings;
mod source;
mod split_location;
mod statement;
mod storage;
mod user;
mod user_configuration;
pub(crate) mod values;
mod variables;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub(crate) use error::ConfigurationError;
pub(crate) use namespaces::{Namespace, WantedNamespaces};
pub(crate) use settings::{Dialect, Settings};
pub(crate) use source::{Environment, Source};
pub(crate) use user::UserFields;
pub(crate) use user_configuration::{MailPlace, UserConfiguration};

/// The configuration of this process, before it is known whose mail it is about.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    settings: Settings,
    /// Environment variables that settings may refer to.
    environment: Arc<BTreeMap<String, String>>,
    warnings: Vec<String>,
    /// Which namespaces are asked for.
    wanted: Arc<WantedNamespaces>,
}

/// Settings that matter without a server, whose configuration would name all that exist; besides those that are checked.
const KNOWN: [&str; 37] = [
    "mail_location",
    "mail_driver",
    "mail_path",
    "mail_home",
    "mail_uid",
    "mail_gid",
    "mail_plugins",
    "mail_replica",
    "mail_access_groups",
    "mail_privileged_group",
    "mail_chroot",
    "valid_chroot_dirs",
    "first_valid_uid",
    "last_valid_uid",
    "first_valid_gid",
    "last_valid_gid",
    "base_dir",
    "auth_socket_path",
    "auth_username_format",
    "import_environment",
    "mdbox_rotate_size",
    "mail_attachment_dir",
    "mail_attachment_fs",
    "mail_ext_attachment_path",
    "mail_compress_write_method",
    "compress_gz_level",
    "compress_bz2_block_size_100k",
    "compress_zstd_level",
    "mbox_write_locks",
    "mbox_lock_timeout",
    "mbox_dotlock_change_timeout",
    "mbox_md5",
    "pop3_uidl_format",
    "namespace",
    "dsync_alt_char",
    "dsync_remote_cmd",
    "doveadm_password",
];

/// Lists of settings whose members have names of their own.
const LISTS: [&str; 4] = ["plugin/", "namespace/", "userdb/", "passdb/"];

impl Configuration {
    /// Reads the configuration. `file` is what the user named, `overrides` the settings of the command line in
    /// their order.
    ///
    /// # Errors
    /// If there is one that cannot be read.
    pub(crate) fn read(
        file: Option<&Path>,
        overrides: &[(String, String)],
        environment: &Environment,
    ) -> Result<Self, ConfigurationError> {
        let (settings, warnings) = match Source::find(file, environment) {
            Source::Doveconf { program, file } => doveconf::read(&program, file.as_deref(), environment)?,
            Source::File(path) => (reader::read(&path, environment)?, Vec::new()),
            Source::Nowhere => (Settings::new(Dialect::Before24, BTreeMap::new()), Vec::new()),
        };
        Ok(Self::new(settings, warnings, overrides, environment))
    }

    fn new(
        mut settings: Settings,
        mut warnings: Vec<String>,
        overrides: &[(String, String)],
        environment: &Environment,
    ) -> Self {
        let visible = visible_variables(&settings, environment);
        for (name, value) in overrides {
            if !is_known(&settings, name.trim_end_matches('+')) {
                warnings.push(format!(
                    "-o {name}={value}: there is no setting {name} that is heeded here; is it misspelt?"
                ));
            }
            settings.override_with(name, value);
        }
        Self { settings, environment: Arc::new(visible), warnings, wanted: Arc::default() }
    }

    /// The same for a run about these namespaces.
    pub(crate) fn about_namespaces(self, wanted: WantedNamespaces) -> Self {
        Self { wanted: wanted.into(), ..self }
    }

    /// What is to be told about the configuration as a whole.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The settings as they are written, for what is the same for all users.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The configuration as it is for one user.
    ///
    /// # Errors
    /// If the name of the user or the home directory cannot be used.
    pub(crate) fn for_user(&self, user: UserFields) -> Result<UserConfiguration, ConfigurationError> {
        user.check_name()?;
        let mut settings = self.settings.clone();
        let mut warnings = Vec::new();
        let mut extra: Vec<_> = user.extra.iter().collect();
        extra.sort();
        for (name, value) in extra {
            let plain = name.trim_end_matches('+');
            let before24 = settings.dialect() == Dialect::Before24;
            if NO_SETTINGS.contains(&plain) || self.settings.is_overridden(plain) {
                continue;
            }
            match is_known(&settings, plain) {
                // A server would look elsewhere for the mail.
                _ if !before24 && matches!(plain, "mail" | "mail_location") => {
                    warnings.push(format!("{name}={value} of the user database has no effect since Dovecot 2.4"));
                }
                true => settings.override_with(name, value),
                false if before24 => settings.override_with(&format!("plugin/{name}"), value),
                false => {}
            }
        }
        let home = user_configuration::home(&settings, &user, &self.environment)?;
        let (environment, wanted) = (Arc::clone(&self.environment), Arc::clone(&self.wanted));
        Ok(UserConfiguration { settings, environment, user, home, warnings, wanted })
    }
}

/// What a user database says about a process, not about settings.
const NO_SETTINGS: [&str; 12] = [
    "uid",
    "gid",
    "home",
    "chroot",
    "system_groups_user",
    "chdir",
    "nice",
    "admin",
    "auth_user",
    "auth_mech",
    "auth_token",
    "anonymous",
];

fn is_known(settings: &Settings, name: &str) -> bool {
    let name = if name == "mail" { "mail_location" } else { name };
    settings.is_written(name)
        || KNOWN.contains(&name)
        || storage::is_checked(name)
        || LISTS.iter().any(|list| name.starts_with(list))
}

/// Of all environment variables, those that a server would hand on.
fn visible_variables(settings: &Settings, environment: &Environment) -> BTreeMap<String, String> {
    let named = settings.text("import_environment").unwrap_or("TZ").split_ascii_whitespace();
    let mut visible = BTreeMap::new();
    for word in named.chain(["USER", "HOME"]) {
        match word.split_once('=') {
            Some((name, value)) => visible.insert(name.to_owned(), value.to_owned()),
            None => environment.variable(word).and_then(|value| visible.insert(word.to_owned(), value.to_owned())),
        };
    }
    visible
}

#[cfg(test)]
mod tests;
