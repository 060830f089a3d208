//! The configuration: that of the server whose mail this is, and what the command line overrides.
//!
//! [`Configuration::read`] reads it once: with `doveconf` where it is installed, by ourselves elsewhere. Nothing in it is about a user yet;
//! [`Configuration::for_user`] makes it the [`UserConfiguration`] of one. What wins, from the top: `-o`, what a user
//! database says, `HOME` as the home of who runs the program, the configuration, defaults.
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
pub(crate) mod values;
mod variables;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub(crate) use error::ConfigurationError;
pub(crate) use expanded::Expanded;
pub(crate) use namespaces::Namespace;
pub(crate) use settings::{Dialect, Settings};
pub(crate) use source::{Environment, Source};
pub(crate) use user::UserFields;

use dsync_storage::location::{Driver, Location};
use dsync_storage::settings::Settings as StorageSettings;

/// The configuration of this process, before it is known whose mail it is about.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    settings: Settings,
    /// Environment variables that settings may refer to.
    environment: Arc<BTreeMap<String, String>>,
    warnings: Vec<String>,
}

/// Settings that matter without a server, whose configuration would name all that exist.
const KNOWN: [&str; 18] = [
    "mail_location",
    "mail_driver",
    "mail_path",
    "mail_home",
    "mail_uid",
    "mail_gid",
    "mail_plugins",
    "mdbox_rotate_size",
    "mail_attachment_dir",
    "mail_attachment_fs",
    "mail_ext_attachment_path",
    "mbox_write_locks",
    "mbox_md5",
    "lock_method",
    "mail_nfs_storage",
    "mail_nfs_index",
    "dsync_alt_char",
    "dsync_remote_cmd",
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
        Self { settings, environment: Arc::new(visible), warnings }
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
        let home = home(&settings, &user, &self.environment)?;
        Ok(UserConfiguration { settings, environment: Arc::clone(&self.environment), user, home, warnings })
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
    settings.is_written(name) || KNOWN.contains(&name) || LISTS.iter().any(|list| name.starts_with(list))
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

/// The home directory of a user.
fn home(
    settings: &Settings,
    user: &UserFields,
    environment: &BTreeMap<String, String>,
) -> Result<Option<String>, ConfigurationError> {
    const NAME: &str = "mail_home";
    let configured = || Expanded::new(settings, user, None, environment).get(NAME);
    // Since 2.4 servers do not ask for HOME.
    let told = user.home.clone().filter(|_| user.looked_up || settings.dialect() == Dialect::Before24);
    let home = match told {
        Some(home) if !settings.is_overridden(NAME) => Some(home),
        _ => configured()?.or_else(|| user.usual_home.clone()),
    };
    match home {
        Some(home) if !home.starts_with('/') => {
            Err(ConfigurationError::setting(NAME, format!("the home directory {home:?} is no absolute path")))
        }
        home => Ok(home),
    }
}

/// The configuration of one user.
#[derive(Clone, Debug)]
pub(crate) struct UserConfiguration {
    settings: Settings,
    environment: Arc<BTreeMap<String, String>>,
    user: UserFields,
    home: Option<String>,
    warnings: Vec<String>,
}

impl UserConfiguration {
    /// Whose it is.
    pub(crate) fn user(&self) -> &UserFields {
        &self.user
    }

    /// The home directory, if any is known; an absolute path.
    pub(crate) fn home(&self) -> Option<&Path> {
        self.home.as_deref().map(Path::new)
    }

    /// All settings, for this user.
    pub(crate) fn settings(&self) -> Expanded<'_> {
        Expanded::new(&self.settings, &self.user, self.home.as_deref(), &self.environment)
    }

    /// The namespace whose mail is synchronised.
    ///
    /// # Errors
    /// If the namespaces contradict each other, or their mail is at several places.
    pub(crate) fn namespace(&self) -> Result<Namespace, ConfigurationError> {
        namespaces::main(&namespaces::read(&self.settings())?, self.settings.dialect()).cloned()
    }

    /// The settings of both stores, and what is to be told about settings that are not heeded.
    ///
    /// # Errors
    /// If one has a value that it cannot have, or cannot be ignored.
    pub(crate) fn storage(&self) -> Result<(StorageSettings, Vec<String>), ConfigurationError> {
        let (settings, not_heeded) = storage::read(&self.settings())?;
        let mut warnings = [&*self.warnings, &*not_heeded].concat();
        warnings.extend(self.namespace()?.warning());
        Ok((settings, warnings))
    }

    /// What is to be told if mail goes from one format to another.
    pub(crate) fn about_conversion(&self, from: Driver, to: Driver) -> Option<String> {
        storage::about_conversion(&self.settings(), from, to)
    }

    /// Where the mail of the user is. If that is not configured, it is looked for, with the rights of this process.
    ///
    /// # Errors
    /// If it is nowhere, or at a place that cannot be used.
    pub(crate) fn first_location(&self) -> Result<Location, ConfigurationError> {
        locations::of_namespace(&self.settings(), &self.namespace()?, &self.user.name)
    }

    /// A location as it is written on the command line: `~` is the home of this user, variables stand for themselves,
    /// and a relative path begins at the current directory.
    ///
    /// # Errors
    /// If it is no location.
    pub(crate) fn second_location(&self, word: &str) -> Result<Location, dsync_storage::location::LocationError> {
        locations::of_word(&self.settings(), word, &self.user.name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn environment() -> Environment {
        Environment { variables: BTreeMap::new(), program_directories: Vec::new(), configuration_files: Vec::new() }
    }

    fn anna() -> UserFields {
        UserFields {
            name: "anna".to_owned(),
            home: Some("/home/anna".to_owned()),
            usual_home: None,
            uid: Some(1000),
            gid: Some(1000),
            extra: Vec::new(),
            looked_up: false,
        }
    }

    fn configuration(lines: &[(&str, &str)], overrides: &[(&str, &str)]) -> Configuration {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let settings = Settings::new(Dialect::Before24, lines.iter().map(owned).collect());
        Configuration::new(settings, Vec::new(), &overrides.iter().map(owned).collect::<Vec<_>>(), &environment())
    }

    /// The configuration of anna, by the settings of a file.
    pub(super) fn configured(lines: &[(&str, &str)]) -> Result<UserConfiguration, ConfigurationError> {
        configuration(lines, &[]).for_user(anna())
    }

    /// The settings of anna.
    pub(super) fn with_settings<T>(lines: &[(&str, &str)], look: impl FnOnce(&Expanded<'_>) -> T) -> T {
        let settings = configuration(lines, &[]).settings;
        look(&Expanded::new(&settings, &anna(), Some("/home/anna"), &BTreeMap::new()))
    }

    /// The same with settings as they are since 2.4.
    pub(super) fn configured_since24(lines: &[(&str, &str)]) -> Result<UserConfiguration, ConfigurationError> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let settings = Settings::new(Dialect::Since24, lines.iter().map(owned).collect());
        let user = UserFields { looked_up: true, ..anna() };
        Configuration::new(settings, Vec::new(), &[], &environment()).for_user(user)
    }

    #[test]
    fn the_first_location_comes_from_the_configuration() {
        for (lines, expected) in [
            (
                &[("mail_location", "maildir:/var/mail/%d/%n:INDEX=/i/%u")][..],
                "maildir:/var/mail//anna:INDEX=/i/anna",
            ),
            (&[("mail_location", "maildir:~/Maildir")], "maildir:/home/anna/Maildir"),
            (&[("mail_location", "mdbox:%h/m")], "mdbox:/home/anna/m"),
            (
                &[
                    ("mail_location", "mdbox:/x"),
                    ("namespace", "inbox"),
                    ("namespace/inbox/inbox", "yes"),
                    ("namespace/inbox/location", "sdbox:~/%u"),
                ],
                "sdbox:/home/anna/anna",
            ),
        ] {
            assert_eq!(configured(lines).unwrap().first_location().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn since_24_the_location_has_many_settings() {
        for (lines, expected) in [
            (&[("mail_driver", "maildir"), ("mail_path", "/m/%{user | upper}")][..], "maildir:/m/ANNA"),
            (
                &[("mail_driver", "maildir"), ("mail_inbox_path", "."), ("maildir/mail_control_path", "~/c")],
                "maildir:/home/anna/Maildir:CONTROL=/home/anna/c",
            ),
            (
                &[("mail_driver", "maildir"), ("mailbox_list_layout", "fs"), ("mailbox_list_utf8", "yes")],
                "maildir:/home/anna/Maildir:LAYOUT=fs:UTF-8",
            ),
            (
                &[("mail_driver", "mbox"), ("mail_inbox_path", "in"), ("mail_index_path", "/a:b")],
                "mbox:/home/anna/mail:INBOX=/home/anna/mail/in:INDEX=/a::b",
            ),
            (
                &[
                    ("mail_driver", "mdbox"),
                    ("mail_index_path", "~/i"),
                    ("mailbox_directory_name_legacy", "no"),
                    ("mailbox_root_directory_name", "mailboxes"),
                    ("mailbox_list_index_prefix", "dovecot.list.index"),
                ],
                "mdbox:/home/anna/mdbox:INDEX=/home/anna/i:FULLDIRNAME=dbox-Mails",
            ),
            (
                &[
                    ("mail_driver", "sdbox"),
                    ("namespace", "in"),
                    ("namespace/in/inbox", "yes"),
                    ("namespace/in/mail_path", "/n"),
                    ("mailbox_directory_name_legacy", "yes"),
                    ("mailbox_directory_name", "dbox-Mails"),
                ],
                "sdbox:/n",
            ),
        ] {
            assert_eq!(configured_since24(lines).unwrap().first_location().unwrap().to_string(), expected);
        }
        for (name, part) in
            [("mailbox_root_directory_name", "MAILBOXDIR"), ("mailbox_list_visible_escape_char", "BROKENCHAR")]
        {
            let user = configured_since24(&[("mail_driver", "mdbox"), (name, "x")]).unwrap();
            assert!(user.first_location().unwrap_err().to_string().contains(part), "{name}");
        }
    }

    #[test]
    fn what_is_given_wins_in_its_order() {
        let lines = [("mail_location", "maildir:/file/%u"), ("mail_home", "/written"), ("mail_fsync", "never")];
        let mut user = anna();
        user.extra = [("mail", "maildir:/userdb/%u"), ("quota_rule", "*:1M"), ("mail_fsync", "always"), ("uid", "7")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        let location = |configuration: &Configuration, user: UserFields| {
            configuration.for_user(user).unwrap().first_location().unwrap().to_string()
        };
        assert_eq!(location(&configuration(&lines, &[]), anna()), "maildir:/file/anna");
        assert_eq!(location(&configuration(&lines, &[]), user.clone()), "maildir:/userdb/%u");
        for name in ["mail", "mail_location"] {
            let given = configuration(&lines, &[(name, "maildir:~/%u")]);
            assert_eq!(location(&given, user.clone()), "maildir:/home/anna/%u");
        }
        let both = configuration(&lines, &[("mail_fsync", "optimized")]).for_user(user).unwrap();
        assert_eq!(both.settings().get("plugin/quota_rule").unwrap().as_deref(), Some("*:1M"));
        assert_eq!(both.settings().get("mail_fsync").unwrap().as_deref(), Some("optimized"));
    }

    #[test]
    fn the_home_is_that_of_who_knows_best() {
        let home = |configuration: &Configuration, user| {
            configuration.for_user(user).unwrap().home().map(|home| home.to_string_lossy().into_owned())
        };
        let written = configuration(&[("mail_home", "/written/%u")], &[]);
        assert_eq!(home(&written, anna()).as_deref(), Some("/home/anna"));
        let nowhere = UserFields { home: None, ..anna() };
        assert_eq!(home(&written, nowhere.clone()).as_deref(), Some("/written/anna"));
        assert_eq!(home(&configuration(&[], &[]), nowhere.clone()), None);
        let usual = UserFields { usual_home: Some("/usual".to_owned()), ..nowhere };
        assert_eq!(home(&configuration(&[], &[]), usual).as_deref(), Some("/usual"));
        let given = configuration(&[("mail_home", "/written")], &[("mail_home", "/given/%u")]);
        assert_eq!(home(&given, anna()).as_deref(), Some("/given/%u"));
        let relative = UserFields { home: Some("here".to_owned()), ..anna() };
        assert!(written.for_user(relative).is_err());
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", "..", "../anna", "anna@..", "a\nb", "x/../y"] {
            let user = UserFields { name: name.to_owned(), ..anna() };
            assert!(configuration(&[], &[]).for_user(user).is_err(), "{name:?}");
        }
        let colon = UserFields { name: "a:INDEX=/x".to_owned(), ..anna() };
        let configured = configuration(&[("mail_location", "maildir:/m/%u")], &[]).for_user(colon).unwrap();
        assert!(configured.first_location().unwrap_err().to_string().contains("colon"));
    }

    #[test]
    fn misspelt_settings_are_told() {
        let configuration = configuration(
            &[("mail_fsync", "never")],
            &[
                ("mail_fsnyc", "x"),
                ("mail_fsync", "always"),
                ("plugin/x", "1"),
                ("mail", "maildir:/x"),
                ("mail_plugins+", " a"),
            ],
        );
        assert_eq!(configuration.warnings().len(), 1);
        assert!(configuration.warnings()[0].contains("mail_fsnyc"));
    }

    #[test]
    fn only_some_environment_variables_can_be_seen() {
        let mut around = environment();
        around.variables =
            ["TZ", "SECRET", "USER"].map(|name| (name.to_owned(), "x".to_owned())).into_iter().collect();
        let lines = BTreeMap::from([("import_environment".to_owned(), "TZ A=b".to_owned())]);
        let visible = visible_variables(&Settings::new(Dialect::Before24, lines), &around);
        assert_eq!(visible.keys().collect::<Vec<_>>(), ["A", "TZ", "USER"]);
    }

    proptest! {
        #[test]
        fn any_settings_can_be_looked_at(
            names in prop::collection::vec(r"(mail_location|mail_driver|mail_path|mail_home|namespace|namespace/a/(inbox|prefix|location|separator|type|disabled)|mail_plugins|mbox_write_locks|mail_attachment_dir|mdbox_rotate_size)\+?", 0..6),
            values in prop::collection::vec(r"(a|yes|no|%[uhd]|%\{user\}|~[a/]?|maildir:|auto:|:INDEX=|/nonexistent|.){0,4}", 12),
            since24: bool,
        ) {
            let dialect = if since24 { Dialect::Since24 } else { Dialect::Before24 };
            let mut pairs = names.iter().cloned().zip(values.iter().cloned());
            let written = pairs.by_ref().take(3).collect();
            let overrides: Vec<_> = pairs.collect();
            let configuration = Configuration::new(Settings::new(dialect, written), Vec::new(), &overrides, &environment());
            let extra = names.into_iter().zip(values.into_iter().rev()).collect();
            if let Ok(user) = configuration.for_user(UserFields { extra, looked_up: true, ..anna() }) {
                let _ = (user.namespace(), user.storage(), user.first_location());
            }
        }
    }

    #[test]
    fn the_second_location_is_taken_as_it_is_written() {
        let user = configured(&[]).unwrap();
        let text = |word: &str| user.second_location(word).map(|location| location.to_string());
        assert_eq!(text("maildir:~/%u").unwrap(), "maildir:/home/anna/%u");
        let here = std::env::current_dir().unwrap();
        assert_eq!(text("maildir:copy").unwrap(), format!("maildir:{}/copy", here.display()));
        assert!(text("maildir:~root/x").unwrap().ends_with("/x"));
        assert!(text("maildir:~nobody at all/x").is_err() && text("~/x").is_err());
    }
}
