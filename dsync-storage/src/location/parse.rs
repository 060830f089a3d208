//! Reading a location.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Driver, IndexPlace, Location};
use crate::list::layout::{DBOX_MAILS, Layout};

/// Every driver, by the name that locations give it.
const DRIVERS: [(&str, Driver); 5] = [
    ("maildir", Driver::Maildir),
    ("sdbox", Driver::Sdbox),
    ("mdbox", Driver::Mdbox),
    ("mbox", Driver::Mbox),
    // As old servers called it.
    ("dbox", Driver::Sdbox),
];

/// Why a text is no location, or not one that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LocationError {
    /// There is no driver.
    #[error(
        "{0:?} does not say which format it is: write driver:path, for example maildir:{0} (known drivers: maildir, mbox, mdbox, sdbox)"
    )]
    NoDriver(String),
    /// The driver is not known.
    #[error("unknown mail storage driver {0:?} (known drivers: maildir, mbox, mdbox, sdbox)")]
    UnknownDriver(String),
    /// There is no path.
    #[error("the location {0:?} has no path: write driver:path, for example maildir:~/Maildir")]
    NoRoot(String),
    /// A key is not known.
    #[error(
        "unknown parameter {0:?} in a mail location (known: INBOX, INDEX, CONTROL, ALT, LAYOUT, SUBSCRIPTIONS, UTF-8)"
    )]
    UnknownKey(String),
    /// A parameter is known to servers but changes the store in a way that is not supported here.
    #[error("the parameter {0} of a mail location is not supported; without it the wrong files would be read")]
    Unsupported(String),
    /// A value is not possible.
    #[error("{value:?} is no valid value of {key} in a mail location")]
    InvalidValue {
        /// The parameter.
        key: String,
        /// Its value.
        value: String,
    },
    /// A parameter that is a path has none.
    #[error("{0}= in a mail location has no path behind it: write one, or leave {0}= out")]
    NoPath(String),
    /// A path begins with `~` but no home directory is known.
    #[error("{0:?} needs a home directory, but none is known: give the whole path")]
    NoHome(String),
}

/// Parameters that are paths.
const PATHS: [&str; 4] = ["INBOX", "INDEX", "CONTROL", "ALT"];
/// Parameters that servers know but that lead to other files than we would read.
const UNSUPPORTED: [&str; 8] =
    ["INDEXPVT", "INDEXCACHE", "DIRNAME", "MAILBOXDIR", "LISTINDEX", "BROKENCHAR", "ITERINDEX", "NO-FS-VALIDATION"];
/// Parameters that change nothing that we do.
const WITHOUT_EFFECT: [&str; 3] = ["VOLATILEDIR", "NO-NOSELECT", "ALTNOCHECK"];

impl Location {
    /// Reads a location. `home` is what `~` stands for.
    ///
    /// ```
    /// use std::path::Path;
    /// use dsync_storage::location::Location;
    /// let location = Location::parse("maildir:~/Maildir:LAYOUT=fs", Some(Path::new("/home/u")))?;
    /// assert_eq!(location.root, Path::new("/home/u/Maildir"));
    /// # Ok::<(), dsync_storage::location::LocationError>(())
    /// ```
    ///
    /// # Errors
    /// If it is no location, or one that cannot be used.
    pub fn parse(text: &str, home: Option<&Path>) -> Result<Self, LocationError> {
        Self::parse_with(text, &|user| home.filter(|_| user.is_empty()).map(Path::to_owned))
    }

    /// The same, where `home_of` knows what `~user` stands for; what `~` stands for, it knows by the empty name.
    ///
    /// # Errors
    /// If it is no location, or one that cannot be used.
    pub fn parse_with(text: &str, home_of: &dyn Fn(&str) -> Option<PathBuf>) -> Result<Self, LocationError> {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        let (driver, rest) = text.split_at(end);
        let Some(rest) = rest.strip_prefix(':').filter(|_| !driver.is_empty()) else {
            return Err(LocationError::NoDriver(text.to_owned()));
        };
        let known = DRIVERS.iter().find(|(name, _)| driver.eq_ignore_ascii_case(name));
        let (_, driver) = *known.ok_or_else(|| LocationError::UnknownDriver(driver.to_owned()))?;
        let mut fields = split_fields(rest).into_iter();
        let root = fields.next().filter(|root| !root.is_empty());
        let root = root.ok_or_else(|| LocationError::NoRoot(text.to_owned()))?;
        if root.starts_with("INBOX=") {
            return Err(LocationError::NoRoot(text.to_owned()));
        }
        let mut location = Self::new(driver, expand(&root, home_of)?);
        for field in fields {
            location.set_parameter(&field, home_of)?;
        }
        Ok(location)
    }

    fn set_parameter(&mut self, field: &str, home_of: &dyn Fn(&str) -> Option<PathBuf>) -> Result<(), LocationError> {
        if field == "UTF-8" {
            self.utf8 = true;
            return Ok(());
        }
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        let invalid = || LocationError::InvalidValue { key: key.to_owned(), value: value.to_owned() };
        let dbox = self.driver.is_dbox();
        let mbox = self.driver == Driver::Mbox;
        if value.is_empty() && PATHS.contains(&key) {
            return Err(LocationError::NoPath(key.to_owned()));
        }
        match key {
            // A dbox keeps it where all others are.
            "INBOX" if dbox => return Err(LocationError::Unsupported(key.to_owned())),
            "ALT" if dbox => self.alt = Some(expand(value, home_of)?),
            "FULLDIRNAME" if dbox && value == DBOX_MAILS => self.full_names = true,
            "ALT" | "FULLDIRNAME" => return Err(LocationError::Unsupported(key.to_owned())),
            "INBOX" => self.inbox = Some(expand(value, home_of)?),
            "INDEX" if value == "MEMORY" => self.index = Some(IndexPlace::Memory),
            "INDEX" => self.index = Some(IndexPlace::Directory(expand(value, home_of)?)),
            "CONTROL" => self.control = Some(expand(value, home_of)?),
            "LAYOUT" => {
                self.layout = Some(match value.to_ascii_lowercase().as_str() {
                    "fs" if dbox => Layout::Dbox,
                    "fs" if mbox => Layout::Mbox,
                    "maildir++" if dbox || mbox => return Err(LocationError::Unsupported(format!("LAYOUT={value}"))),
                    "maildir++" => Layout::MaildirPlusPlus,
                    "fs" => Layout::Fs,
                    "index" | "imapdir" | "none" => {
                        return Err(LocationError::Unsupported(format!("LAYOUT={value}")));
                    }
                    _ => return Err(invalid()),
                });
            }
            "SUBSCRIPTIONS" => {
                if value.is_empty() || value.contains('/') || value == "." || value == ".." {
                    return Err(invalid());
                }
                self.subscriptions = Some(value.to_owned());
            }
            _ if UNSUPPORTED.contains(&key) => return Err(LocationError::Unsupported(key.to_owned())),
            _ if WITHOUT_EFFECT.contains(&key) => {}
            _ => return Err(LocationError::UnknownKey(field.to_owned())),
        }
        Ok(())
    }
}

/// Splits at single colons; a double one is a colon of the field.
fn split_fields(text: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == ':' && characters.next_if_eq(&':').is_none() {
            fields.push(String::new());
        } else if let Some(field) = fields.last_mut() {
            field.push(character);
        }
    }
    if fields.len() > 1 && fields.last().is_some_and(String::is_empty) {
        fields.pop();
    }
    fields
}

fn expand(path: &str, home_of: &dyn Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, LocationError> {
    let path = if path.len() > 1 { path.strip_suffix('/').unwrap_or(path) } else { path };
    let Some(rest) = path.strip_prefix('~') else { return Ok(PathBuf::from(path)) };
    let (user, below) = rest.split_once('/').unwrap_or((rest, ""));
    let home = home_of(user).ok_or_else(|| LocationError::NoHome(path.to_owned()))?;
    Ok(if below.is_empty() { home } else { home.join(below) })
}
