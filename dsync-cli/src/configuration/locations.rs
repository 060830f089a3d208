//! Where the mail of a user is.

use std::path::PathBuf;

use dsync_storage::location::{Location, LocationError};

use super::detection;
use super::error::ConfigurationError;
use super::expanded::Expanded;
use super::namespaces::Namespace;
use super::settings::Dialect;
use super::split_location;

/// The store of a namespace. Looks for it where the configuration does not say where it is, so the process has to have
/// the rights of the user by then.
pub(super) fn of_namespace(
    settings: &Expanded<'_>,
    namespace: &Namespace,
    user: &str,
) -> Result<Location, ConfigurationError> {
    match text(settings, namespace.id.as_deref())? {
        Some((name, text)) => {
            of_text(settings, &text, user).map_err(|error| ConfigurationError::Location { name, error })
        }
        None => in_home(settings, user),
    }
}

/// What says where the store is, and its text. On the command line `mail_location` says it for any server.
fn text(settings: &Expanded<'_>, namespace: Option<&str>) -> Result<Option<(String, String)>, ConfigurationError> {
    const DEFAULT: &str = "mail_location";
    if settings.raw().dialect() == Dialect::Since24 && !settings.raw().is_overridden(DEFAULT) {
        return Ok(split_location::text(settings, namespace)?.map(|text| ("mail_path".to_owned(), text)));
    }
    let own = namespace.map(|id| format!("namespace/{id}/location"));
    for name in own.into_iter().chain([DEFAULT.to_owned()]) {
        if let Some(text) = settings.location(&name)? {
            return Ok(Some((name, text)));
        }
    }
    Ok(None)
}

/// A location as a setting says it: with `auto:` or without a driver, the format is found out.
fn of_text(settings: &Expanded<'_>, text: &str, user: &str) -> Result<Location, LocationError> {
    match text.strip_prefix("auto:") {
        Some(path) => detected(settings, path, user),
        None if text.starts_with(['/', '~']) => detected(settings, text, user),
        None => Location::parse_with(text, &|name| settings.home_of(name)),
    }
}

/// A location as it is written on the command line: variables stand for themselves, and relative paths begin at the
/// current directory.
pub(super) fn of_word(settings: &Expanded<'_>, word: &str, user: &str) -> Result<Location, LocationError> {
    let mut location = match word.strip_prefix("auto:") {
        Some(path) => detected(settings, path, user)?,
        None => Location::parse_with(word, &|name| settings.home_of(name))?,
    };
    location.make_absolute();
    Ok(location)
}

fn detected(settings: &Expanded<'_>, path: &str, user: &str) -> Result<Location, LocationError> {
    let home_of = |name: &str| settings.home_of(name);
    // Whatever the format, the path is written in the same way.
    let Location { root, .. } = Location::parse_with(&format!("maildir:{path}"), &home_of)?;
    detection::at(root, user).ok_or_else(|| LocationError::NoDriver(path.to_owned()))
}

fn in_home(settings: &Expanded<'_>, user: &str) -> Result<Location, ConfigurationError> {
    let home: PathBuf = settings.home_of("").ok_or(ConfigurationError::NoHome)?;
    detection::in_home(&home, user)
        .ok_or_else(|| ConfigurationError::NothingFound { home: home.display().to_string() })
}
