//! Mail locations: `driver:root[:KEY=value...]`, as Dovecot 2.3 writes them.
//!
//! A `::` inside a value stands for `:`; one trailing `:`, and one trailing `/` of a path, are ignored. Driver and layout
//! names are matched in any case, keys in their exact one.

mod parse;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::list::layout::{DBOX_MAILS, Layout, MBOX_INBOX, MBOX_INDEXES, Naming, Roots};

pub use parse::LocationError;

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
mod tests;
