//! Mail locations: `driver:root[:KEY=value...]`, as Dovecot 2.3 writes them.
//!
//! A `::` inside a value stands for `:`; one trailing `:`, and one trailing `/` of a path, are ignored. Driver and layout
//! names are matched in any case, keys in their exact one.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::list::layout::{DBOX_MAILS, Layout, MBOX_INBOX, MBOX_INDEXES, Naming, Roots};

/// Where a store is and how it is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The format.
    pub driver: Driver,
    /// Where the mails are.
    pub root: PathBuf,
    /// Where INBOX is, if not in its usual place.
    pub inbox: Option<PathBuf>,
    /// Where the indexes are, if not with the mails.
    pub index: Option<IndexPlace>,
    /// Where the control files are, if not with the mails.
    pub control: Option<PathBuf>,
    /// How names become directories, if not as usual for the format.
    pub layout: Option<Layout>,
    /// Name of the subscriptions file, if not the usual one.
    pub subscriptions: Option<String>,
    /// Names on disk are UTF-8.
    pub utf8: bool,
    /// A second place for mails; of mdbox and sdbox only.
    pub alt: Option<PathBuf>,
    /// Separate indexes are in directories of the same name as the mails, as 2.4 has them; of mdbox and sdbox only.
    pub full_names: bool,
}

/// The formats that can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Maildir: one file a message, everything about it in its name.
    Maildir,
    /// sdbox: one file a message, everything about it in an index.
    Sdbox,
    /// mdbox: many messages a file, everything about them in indexes.
    Mdbox,
    /// mbox: one file a mailbox.
    Mbox,
}

/// Every driver, by the name that locations give it.
const DRIVERS: [(&str, Driver); 5] = [
    ("maildir", Driver::Maildir),
    ("sdbox", Driver::Sdbox),
    ("mdbox", Driver::Mdbox),
    ("mbox", Driver::Mbox),
    // As old servers called it.
    ("dbox", Driver::Sdbox),
];

impl Driver {
    /// Its name in a location.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Maildir => "maildir",
            Self::Sdbox => "sdbox",
            Self::Mdbox => "mdbox",
            Self::Mbox => "mbox",
        }
    }

    /// Whether it is one of the two dbox formats.
    #[must_use]
    pub const fn is_dbox(self) -> bool {
        matches!(self, Self::Sdbox | Self::Mdbox)
    }

    /// What is at a path whose format nobody told: an mdbox has a storage, an sdbox only the tree of mailboxes, a Maildir
    /// the directory of its INBOX, an mbox that of indexes or the file of INBOX. `None` if it is none of them.
    #[must_use]
    pub fn detect(root: &Path) -> Option<Self> {
        let has = |name: &str| root.join(name).is_dir();
        match () {
            () if has("storage") => Some(Self::Mdbox),
            () if has("mailboxes") => Some(Self::Sdbox),
            () if has("cur") => Some(Self::Maildir),
            () if has(MBOX_INDEXES) || root.join(MBOX_INBOX).is_file() => Some(Self::Mbox),
            () => None,
        }
    }
}

/// Where indexes are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexPlace {
    /// Below a directory of their own.
    Directory(PathBuf),
    /// Nowhere on disk.
    Memory,
}

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
    /// A location with nothing but a driver and a root.
    #[must_use]
    pub fn new(driver: Driver, root: impl Into<PathBuf>) -> Self {
        Self {
            driver,
            root: root.into(),
            inbox: None,
            index: None,
            control: None,
            layout: None,
            subscriptions: None,
            utf8: false,
            alt: None,
            full_names: false,
        }
    }

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

    /// Lets relative paths begin at the current directory of the process as it is now.
    pub fn make_absolute(&mut self) {
        let index = match &mut self.index {
            Some(IndexPlace::Directory(path)) => Some(path),
            _ => None,
        };
        let beside = [&mut self.inbox, &mut self.control, &mut self.alt].into_iter().flatten();
        for path in beside.chain(index).chain([&mut self.root]) {
            if let Ok(absolute) = std::path::absolute(&*path) {
                *path = absolute;
            }
        }
    }

    /// Whether there is a store. The first mail that is delivered to an mbox makes its INBOX, nothing else.
    #[must_use]
    pub fn exists(&self) -> bool {
        let delivered = || self.inbox.as_ref().is_some_and(|inbox| inbox.is_file());
        self.root.is_dir() || (self.driver == Driver::Mbox && !self.root.exists() && delivered())
    }

    /// How names are spelled on disk.
    #[must_use]
    pub fn naming(&self) -> Naming {
        let usual = match self.driver {
            Driver::Sdbox | Driver::Mdbox => Layout::Dbox,
            Driver::Mbox => Layout::Mbox,
            Driver::Maildir => Layout::MaildirPlusPlus,
        };
        Naming { layout: self.layout.unwrap_or(usual), utf8: self.utf8 }
    }

    /// The name of the file that lists the subscriptions.
    #[must_use]
    pub fn subscriptions_name(&self) -> &str {
        let usual = if self.driver == Driver::Mbox { ".subscriptions" } else { "subscriptions" };
        self.subscriptions.as_deref().unwrap_or(usual)
    }

    /// The file that lists the subscriptions.
    #[must_use]
    pub fn subscriptions_file(&self) -> PathBuf {
        self.control.as_ref().unwrap_or(&self.root).join(self.subscriptions_name())
    }

    /// The roots of its tree.
    #[must_use]
    pub fn roots(&self) -> Roots {
        Roots {
            mails: self.root.clone(),
            control: self.control.clone().unwrap_or_else(|| self.naming().layout.list_files(&self.root)),
            index: match &self.index {
                None => Some(self.root.clone()),
                Some(IndexPlace::Directory(path)) => Some(path.clone()),
                Some(IndexPlace::Memory) => None,
            },
            inbox: self.inbox.clone(),
            alt: self.alt.clone(),
            full_names: self.full_names,
        }
    }

    /// The directory that both stores would use, if any: the same one, or one inside the other. Links are followed as
    /// far as the paths exist.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> Option<PathBuf> {
        let theirs: Vec<_> = other.directories().map(resolve).collect();
        self.directories()
            .map(resolve)
            .find(|path| theirs.iter().any(|other| path.starts_with(other) || other.starts_with(path)))
    }

    fn directories(&self) -> impl Iterator<Item = &Path> {
        let index = match &self.index {
            Some(IndexPlace::Directory(path)) => Some(path),
            _ => None,
        };
        [Some(&self.root), self.inbox.as_ref(), index, self.control.as_ref(), self.alt.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.driver.name(), escape(&self.root))?;
        if let Some(inbox) = &self.inbox {
            write!(f, ":INBOX={}", escape(inbox))?;
        }
        match &self.index {
            Some(IndexPlace::Directory(path)) => write!(f, ":INDEX={}", escape(path))?,
            Some(IndexPlace::Memory) => f.write_str(":INDEX=MEMORY")?,
            None => {}
        }
        if let Some(control) = &self.control {
            write!(f, ":CONTROL={}", escape(control))?;
        }
        match self.layout {
            Some(Layout::MaildirPlusPlus) => f.write_str(":LAYOUT=maildir++")?,
            Some(Layout::Fs | Layout::Dbox | Layout::Mbox) => f.write_str(":LAYOUT=fs")?,
            None => {}
        }
        if let Some(alt) = &self.alt {
            write!(f, ":ALT={}", escape(alt))?;
        }
        if self.full_names {
            write!(f, ":FULLDIRNAME={DBOX_MAILS}")?;
        }
        if let Some(subscriptions) = &self.subscriptions {
            write!(f, ":SUBSCRIPTIONS={}", subscriptions.replace(':', "::"))?;
        }
        if self.utf8 {
            f.write_str(":UTF-8")?;
        }
        Ok(())
    }
}

fn escape(path: &Path) -> String {
    path.to_string_lossy().replace(':', "::")
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

/// The path without links and dots, as far as it exists.
fn resolve(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for ancestor in absolute.ancestors() {
        if let Ok(real) = ancestor.canonicalize() {
            let rest = absolute.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return real.join(rest);
        }
    }
    absolute
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Location, LocationError> {
        Location::parse(text, Some(Path::new("/home/u")))
    }

    #[test]
    fn the_usual_forms() {
        assert_eq!(parse("maildir:/m").unwrap(), Location::new(Driver::Maildir, "/m"));
        assert_eq!(parse("MailDir:/m/:").unwrap().root, Path::new("/m"));
        assert_eq!(parse("maildir:~/Maildir").unwrap().root, Path::new("/home/u/Maildir"));
        assert_eq!(parse("maildir:~").unwrap().root, Path::new("/home/u"));
        assert_eq!(parse("maildir:/m/EE::x").unwrap().root, Path::new("/m/EE:x"));
        let full = parse("maildir:/m:INBOX=/in:INDEX=MEMORY:CONTROL=/c/:LAYOUT=FS:SUBSCRIPTIONS=s:UTF-8").unwrap();
        assert_eq!(full.inbox.as_deref(), Some(Path::new("/in")));
        assert_eq!((full.index, full.layout, full.utf8), (Some(IndexPlace::Memory), Some(Layout::Fs), true));
    }

    #[test]
    fn the_forms_of_a_dbox() {
        let full = parse("MDBOX:~/m:ALT=/slow:INDEX=/i:CONTROL=/c:LAYOUT=fs:FULLDIRNAME=dbox-Mails").unwrap();
        assert_eq!((full.driver, full.alt.as_deref()), (Driver::Mdbox, Some(Path::new("/slow"))));
        assert!(full.full_names);
        assert_eq!(full.naming().layout, Layout::Dbox);
        assert_eq!(parse(&full.to_string()).unwrap(), full);
        assert_eq!(parse("dbox:/m").unwrap().driver, Driver::Sdbox);
        assert_eq!(parse("sdbox:/m").unwrap().to_string(), "sdbox:/m");
    }

    #[test]
    fn a_parameter_without_its_path_is_named() {
        for key in ["INBOX", "INDEX", "CONTROL", "ALT"] {
            for text in [format!("mdbox:/m:{key}="), format!("mdbox:/m:{key}:UTF-8")] {
                assert_eq!(parse(&text), Err(LocationError::NoPath(key.to_owned())), "{text}");
            }
        }
    }

    #[test]
    fn a_format_is_recognised_by_its_directories() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Driver::detect(dir.path()), None);
        for (name, driver) in [("cur", Driver::Maildir), ("mailboxes", Driver::Sdbox), ("storage", Driver::Mdbox)] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            assert_eq!(Driver::detect(dir.path()), Some(driver));
        }
    }

    #[test]
    fn an_mbox_begins_with_its_inbox() {
        let dir = tempfile::tempdir().unwrap();
        let (root, spool) = (dir.path().join("mail"), dir.path().join("spool"));
        let mut location = Location::new(Driver::Mbox, &root);
        location.inbox = Some(spool.clone());
        assert!(!location.exists());
        std::fs::write(&spool, "").unwrap();
        assert!(location.exists());
        assert!(!Location { driver: Driver::Maildir, ..location.clone() }.exists());
        std::fs::write(&root, "").unwrap();
        assert!(!location.exists());
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_a_reason() {
        for (text, part) in [
            ("/srv/Maildir", "maildir:/srv/Maildir"),
            ("~/Maildir", "does not say which format"),
            ("", "does not say"),
            (":/x", "does not say"),
            ("foo:/x", "unknown mail storage driver \"foo\""),
            ("maildir:", "has no path"),
            ("maildir:INBOX=/x", "has no path"),
            ("maildir:/m:UTF-8=yes", "unknown parameter"),
            ("maildir:/m:NONSENSE=1", "unknown parameter"),
            ("maildir:/m:LAYOUT=odd", "no valid value"),
            ("maildir:/m:LAYOUT=index", "not supported"),
            ("maildir:/m:DIRNAME=x", "not supported"),
            ("maildir:/m:ALT=/a", "not supported"),
            ("mdbox:/m:INBOX=/a", "not supported"),
            ("mdbox:/m:LAYOUT=maildir++", "not supported"),
            ("mdbox:/m:LAYOUT=index", "not supported"),
            ("mdbox:/m:FULLDIRNAME=mails", "not supported"),
            ("maildir:/m:SUBSCRIPTIONS=../x", "no valid value"),
            ("maildir:~other/x", "needs a home directory"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(matches!(Location::parse("maildir:~/x", None), Err(LocationError::NoHome(_))));
    }

    #[test]
    fn overlapping_stores_are_found_through_links() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        std::fs::create_dir(&real).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let at = |path: &Path| Location::new(Driver::Maildir, path);
        assert!(at(&real).overlap(&at(&link)).is_some());
        assert!(at(&real).overlap(&at(&link.join("missing/below"))).is_some());
        assert!(at(&real.join("below")).overlap(&at(&link)).is_some());
        assert!(at(&real).overlap(&at(&dir.path().join("real2"))).is_none());
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(root in "/[a-z:/ ]{0,8}[a-z]", index in prop::option::of("/[a-z:]{0,5}[a-z]"), utf8: bool) {
            let mut location = Location::new(Driver::Maildir, root);
            location.index = index.map(|path| IndexPlace::Directory(path.into()));
            location.utf8 = utf8;
            prop_assert_eq!(Location::parse(&location.to_string(), None), Ok(location));
        }

        #[test]
        fn any_text_can_be_read(text in ".{0,40}") {
            let _ = Location::parse(&text, None);
        }
    }
}
