//! The configuration as it is for one user.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dsync_storage::location::{Driver, Location, LocationError};
use dsync_storage::settings::Settings as StorageSettings;

use super::error::ConfigurationError;
use super::expanded::Expanded;
use super::namespaces::{Namespace, WantedNamespaces};
use super::settings::{Dialect, Settings};
use super::user::UserFields;
use super::{locations, namespaces, storage};

/// The configuration of one user.
#[derive(Clone, Debug)]
pub(crate) struct UserConfiguration {
    pub(super) settings: Settings,
    pub(super) environment: Arc<BTreeMap<String, String>>,
    pub(super) user: UserFields,
    pub(super) home: Option<String>,
    pub(super) warnings: Vec<String>,
    /// Which namespaces are asked for.
    pub(super) wanted: Arc<WantedNamespaces>,
}

/// Where a part of the mail of a user is.
#[derive(Clone, Debug)]
pub(crate) struct MailPlace {
    pub(crate) namespace: Namespace,
    pub(crate) location: Location,
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

    /// The same for other namespaces: a peer may say which.
    pub(crate) fn about_namespaces(self, wanted: WantedNamespaces) -> Self {
        Self { wanted: wanted.into(), ..self }
    }

    /// The same with settings that override others.
    pub(crate) fn overridden<'a>(mut self, settings: impl Iterator<Item = &'a (String, String)>) -> Self {
        for (name, value) in settings {
            if !super::is_known(&self.settings, name.trim_end_matches('+')) {
                self.warnings.push(format!(
                    "-p {name}={value}: there is no setting {name} that is heeded here; is it misspelt?"
                ));
            }
            self.settings.override_with(name, value);
        }
        self
    }

    /// The namespaces whose mail is synchronised, one for each place. That of INBOX is the first if it is among them.
    ///
    /// # Errors
    /// If the namespaces contradict each other, or there is none with a prefix that is asked for.
    pub(crate) fn namespaces(&self) -> Result<Vec<Namespace>, ConfigurationError> {
        let all = namespaces::read(&self.settings())?;
        let chosen = namespaces::chosen(&all, &self.wanted, self.settings.dialect())?;
        Ok(chosen.into_iter().cloned().collect())
    }

    /// The first of them, by which names are understood.
    ///
    /// # Errors
    /// As [`namespaces`](Self::namespaces).
    pub(crate) fn namespace(&self) -> Result<Namespace, ConfigurationError> {
        let first = self.namespaces()?.into_iter().next();
        first.ok_or_else(|| ConfigurationError::setting("namespace", "none takes part that clients see"))
    }

    /// Whether somebody has said which namespaces are meant.
    pub(crate) fn chooses_namespaces(&self) -> bool {
        *self.wanted != WantedNamespaces::Usual
    }

    /// Where the mail of the user is that is synchronised: at least one place. If that is not configured, it is looked for, with the
    /// rights of this process.
    ///
    /// # Errors
    /// If something is nowhere, or at a place that cannot be used.
    pub(crate) fn places(&self) -> Result<Vec<MailPlace>, ConfigurationError> {
        let mut places: Vec<MailPlace> = Vec::new();
        for namespace in self.namespaces()? {
            let location = locations::of_namespace(&self.settings(), &namespace, &self.user.name)?;
            // Two that are at the same place show the same mailboxes.
            if !places.iter().any(|known| known.location == location) {
                places.push(MailPlace { namespace, location });
            }
        }
        Ok(places)
    }

    /// The settings of both stores, and what is to be told about settings that are not heeded.
    ///
    /// # Errors
    /// If one has a value that it cannot have, or cannot be ignored.
    pub(crate) fn storage(&self) -> Result<(StorageSettings, Vec<String>), ConfigurationError> {
        let (mut settings, not_heeded) = storage::read(&self.settings())?;
        let namespace = self.namespace()?;
        let mut warnings = [&*self.warnings, &*not_heeded].concat();
        if self.namespaces()?.len() == 1 {
            warnings.extend(namespace.warning());
        }
        settings.separator = namespace.separator;
        settings.name_prefix = namespace.prefix;
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
    pub(crate) fn second_location(&self, word: &str) -> Result<Location, LocationError> {
        locations::of_word(&self.settings(), word, &self.user.name)
    }
}

/// The home directory of a user.
pub(super) fn home(
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
