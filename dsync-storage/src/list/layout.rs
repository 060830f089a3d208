//! Where a mailbox of a given name lies, and which name a directory stands for.
//!
//! | layout | INBOX | `Work/Reports` |
//! |---|---|---|
//! | `maildir++` | the root | `.Work.Reports` in the root: flat, parents are implied |
//! | `fs` | the root | `Work/Reports` below the root: a directory without mails is a name that cannot be selected |
//! | dbox | as any other | `mailboxes/Work/Reports/dbox-Mails`; a directory without `dbox-Mails` cannot be selected |
//! | mbox | `inbox` in the root | the file `Work/Reports` below the root: a directory cannot be selected |
//!
//! Each part of a name is spelled in modified UTF-7 (or UTF-8 if so configured). Separate roots for control and index
//! files have the same tree, but INBOX is `.INBOX` or `INBOX` there. Source: observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use dsync_core::model::MailboxName;
use thiserror::Error;

use super::mutf7;
use crate::text::lossy_bytes;

/// How names become directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Maildir++: all mailboxes side by side in the root.
    MaildirPlusPlus,
    /// Nested directories.
    Fs,
    /// Nested directories of their own, away from what else is in the root: that of mdbox and sdbox.
    Dbox,
    /// Nested directories of files, each a mailbox, with the indexes of a directory in `.imap` inside it.
    Mbox,
}

/// The directory that holds the indexes of the mbox files beside it.
pub const MBOX_INDEXES: &str = ".imap";
/// The name of the file of INBOX in an mbox root.
pub const MBOX_INBOX: &str = "inbox";
/// How the names of dotlocks end; servers take no mailbox for such a name.
pub(crate) const DOTLOCK_SUFFIX: &str = ".lock";
/// No level of a name is longer than this in an mbox, because the name of its dotlock has to fit.
pub(crate) const LONGEST_MBOX_PART: usize = 250;

/// The directory that holds a mailbox in the layout of mdbox and sdbox.
pub const DBOX_MAILS: &str = "dbox-Mails";
/// The directory below a root that holds the tree of mailboxes of mdbox and sdbox.
const DBOX_TREE: &str = "mailboxes";

impl Layout {
    /// The character that separates the levels of a name on disk, and by default for clients.
    #[must_use]
    pub const fn separator(self) -> char {
        match self {
            Self::MaildirPlusPlus => '.',
            Self::Fs | Self::Dbox | Self::Mbox => '/',
        }
    }

    /// The directory below a root in which servers keep what they know about the tree.
    #[must_use]
    pub fn list_files(self, root: &Path) -> PathBuf {
        // Any file beside the mailboxes would be one.
        if self == Self::Mbox { root.join(MBOX_INDEXES) } else { root.to_owned() }
    }

    /// The tree of mailboxes below a root.
    #[must_use]
    pub fn tree(self, root: &Path) -> PathBuf {
        if self == Self::Dbox { root.join(DBOX_TREE) } else { root.to_owned() }
    }
}

/// A name that a layout cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a mailbox cannot be called {name:?} here: {reason}; rename it at the other side, or exclude it")]
pub struct InvalidName {
    /// The name.
    pub name: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The spelling of names on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Naming {
    /// The layout.
    pub layout: Layout,
    /// Names are stored as UTF-8 instead of modified UTF-7.
    pub utf8: bool,
}

impl Naming {
    /// The parts of the name as they are stored.
    #[must_use]
    pub fn stored_parts(&self, name: &MailboxName) -> Vec<String> {
        let spell = |part: &String| if self.utf8 { part.clone() } else { mutf7::encode(part) };
        name.parts().iter().map(spell).collect()
    }

    /// The name that stored parts stand for; `None` if they are no valid name.
    #[must_use]
    pub fn name_of_stored<B: AsRef<[u8]>>(&self, parts: &[B]) -> Option<MailboxName> {
        let read = |part: &B| {
            if self.utf8 { String::from_utf8(part.as_ref().to_vec()).ok() } else { mutf7::decode(part.as_ref()) }
        };
        MailboxName::new(parts.iter().map(read).collect::<Option<Vec<_>>>()?)
    }

    /// The directory of a mailbox relative to a root, for every mailbox but INBOX in the mail root.
    ///
    /// The result never leaves the root: it has no `..`, no `.`, and is not absolute.
    ///
    /// # Errors
    /// If the layout cannot hold the name, or a server would refuse it.
    pub fn directory(&self, name: &MailboxName) -> Result<PathBuf, InvalidName> {
        let parts = self.stored_parts(name);
        let refuse = |reason| Err(InvalidName { name: name.to_string(), reason });
        if let Some(reason) = parts.iter().find_map(|part| self.complaint_about_part(part)) {
            return refuse(reason);
        }
        let first = parts.first().map(String::as_str).unwrap_or_default();
        if first.starts_with('~') {
            return refuse("it begins with ~");
        }
        match self.layout {
            Layout::MaildirPlusPlus => {
                let joined = format!(".{}", parts.join("."));
                if joined.len() > 255 {
                    return refuse("all its levels together are longer than 254 bytes");
                }
                Ok(PathBuf::from(joined))
            }
            Layout::Fs => {
                // These lie beside INBOX's own files, which servers do not protect.
                let own = first.starts_with("dovecot")
                    || matches!(first, "subscriptions" | "maildirfolder" | "maildirsize" | "mailboxes.lock");
                if own {
                    return refuse("the first level is the name of a file that servers keep in the same directory");
                }
                Ok(parts.iter().collect())
            }
            Layout::Dbox => Ok(parts.iter().collect()),
            Layout::Mbox => {
                if name.parts().iter().any(|part| part.chars().any(char::is_control)) {
                    return refuse("one of its levels holds a control character");
                }
                // Beside these lie files that servers keep, or INBOX.
                let own = ["dovecot-uidvalidity", "dovecot.list.index", "dovecot.mailbox.log", "dovecot.dsync-names"];
                if own.iter().any(|own| first.starts_with(own)) {
                    return refuse("the first level is the name of a file that servers keep in the same directory");
                }
                if parts.len() == 1 && first == MBOX_INBOX && !name.is_inbox() {
                    return refuse("it is the file of INBOX");
                }
                Ok(parts.iter().collect())
            }
        }
    }

    fn complaint_about_part(&self, part: &str) -> Option<&'static str> {
        if part.len() > 255 {
            return Some("one of its levels is longer than 255 bytes on disk");
        }
        if part.contains('/') {
            return Some("one of its levels holds a slash");
        }
        match self.layout {
            Layout::MaildirPlusPlus => part.contains('.').then_some("one of its levels holds a dot"),
            Layout::Fs => match part {
                "." | ".." => Some("one of its levels is . or .."),
                "cur" | "new" | "tmp" => Some("one of its levels is cur, new or tmp"),
                _ => None,
            },
            Layout::Dbox => match part {
                "." | ".." => Some("one of its levels is . or .."),
                DBOX_MAILS => Some("one of its levels is dbox-Mails"),
                _ => None,
            },
            Layout::Mbox => match part {
                "." | ".." => Some("one of its levels is . or .."),
                MBOX_INDEXES => Some("one of its levels is .imap"),
                part if part.ends_with(DOTLOCK_SUFFIX) => Some("one of its levels ends with .lock"),
                part if part.len() > LONGEST_MBOX_PART => Some("one of its levels is longer than 250 bytes on disk"),
                _ => None,
            },
        }
    }

    /// The name that a directory stands for, given the stored parts that its path is made of.
    ///
    /// # Errors
    /// If no client could open it under any name: it is not spelled as this layout spells it.
    pub fn name_of_directory<B: AsRef<[u8]>>(&self, parts: &[B]) -> Result<MailboxName, InvalidName> {
        let shown = parts.iter().map(|part| lossy_bytes(part.as_ref())).collect::<Vec<_>>().join("/");
        let invalid = |reason| InvalidName { name: shown.clone(), reason };
        let name = self.name_of_stored(parts).ok_or_else(|| {
            invalid(if self.utf8 { "it is not valid UTF-8" } else { "it is not valid modified UTF-7" })
        })?;
        let again = self.stored_parts(&name);
        let same = again.iter().map(String::as_bytes).eq(parts.iter().map(AsRef::as_ref));
        if !same {
            return Err(invalid("servers spell this name differently, so they cannot open it"));
        }
        self.directory(&name).map(|_| name)
    }
}

/// The roots of a store's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// Where the mails are.
    pub mails: PathBuf,
    /// Where uidlists, keywords and subscriptions are; the same as `mails` unless configured.
    pub control: PathBuf,
    /// Where indexes are; the same as `mails` unless configured, `None` if they are kept in memory only.
    pub index: Option<PathBuf>,
    /// Where INBOX is, if not in the mail root.
    pub inbox: Option<PathBuf>,
    /// A second place for mails, of mdbox and sdbox.
    pub alt: Option<PathBuf>,
    /// Whether [`DBOX_MAILS`] is part of the directories below a separate `index`, as 2.4 has it.
    pub full_names: bool,
}

/// The directory that holds the index of the mbox file at a path.
pub(crate) fn index_beside(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default();
    file.with_file_name(MBOX_INDEXES).join(name)
}

/// The directories of one mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxPaths {
    /// Holds the mails; of an mbox, the file.
    pub mails: PathBuf,
    /// Holds uidlist and keywords.
    pub control: PathBuf,
    /// Holds the index; `None` if it is kept in memory only.
    pub index: Option<PathBuf>,
    /// May hold some of the mails.
    pub alt: Option<PathBuf>,
    /// The root that the mails are in. Links among these that lead out of it are not followed.
    pub root: PathBuf,
}

impl Roots {
    /// Everything below one directory.
    #[must_use]
    pub fn all_in(root: &Path) -> Self {
        Self {
            mails: root.to_owned(),
            control: root.to_owned(),
            index: Some(root.to_owned()),
            inbox: None,
            alt: None,
            full_names: false,
        }
    }

    /// Where the files of a mailbox are.
    ///
    /// # Errors
    /// If the layout cannot hold the name.
    pub fn of_mailbox(&self, naming: Naming, name: &MailboxName) -> Result<MailboxPaths, InvalidName> {
        let directory = naming.directory(name)?;
        match naming.layout {
            Layout::Dbox => return Ok(self.of_dbox(&directory)),
            Layout::Mbox => return Ok(self.of_mbox(&directory, name)),
            Layout::MaildirPlusPlus | Layout::Fs => {}
        }
        let mails = match (&self.inbox, name.is_inbox()) {
            (Some(inbox), true) => inbox.clone(),
            (None, true) => self.mails.clone(),
            (_, false) => self.mails.join(&directory),
        };
        let beside = |root: &PathBuf| if *root == self.mails { mails.clone() } else { root.join(&directory) };
        let (control, index) = (beside(&self.control), self.index.as_ref().map(beside));
        // An INBOX elsewhere is a root of its own.
        let root = if mails.starts_with(&self.mails) { self.mails.clone() } else { mails.clone() };
        Ok(MailboxPaths { mails, control, index, alt: None, root })
    }

    fn of_mbox(&self, directory: &Path, name: &MailboxName) -> MailboxPaths {
        let mails = match (&self.inbox, name.is_inbox()) {
            (Some(inbox), true) => inbox.clone(),
            (None, true) => self.mails.join(MBOX_INBOX),
            (_, false) => self.mails.join(directory),
        };
        let index = self.index.as_ref().map(|root| index_beside(&root.join(directory)));
        MailboxPaths { mails, control: self.control.clone(), index, alt: None, root: self.mails.clone() }
    }

    fn of_dbox(&self, directory: &Path) -> MailboxPaths {
        let in_tree = |root: &Path| Layout::Dbox.tree(root).join(directory);
        let mails = in_tree(&self.mails).join(DBOX_MAILS);
        let beside = |root: &PathBuf| match *root == self.mails {
            true => mails.clone(),
            false if self.full_names => in_tree(root).join(DBOX_MAILS),
            false => in_tree(root),
        };
        MailboxPaths {
            control: mails.clone(),
            index: self.index.as_ref().map(beside),
            alt: self.alt.as_ref().map(|alt| in_tree(alt).join(DBOX_MAILS)),
            mails,
            root: self.mails.clone(),
        }
    }

    /// The directory of a name in the tree below the mail root, whether it is a mailbox or not.
    ///
    /// # Errors
    /// If the layout cannot hold the name.
    pub fn level(&self, naming: Naming, name: &MailboxName) -> Result<PathBuf, InvalidName> {
        Ok(naming.layout.tree(&self.mails).join(naming.directory(name)?))
    }

    /// The trees in which a mailbox has a directory, that of the mails first.
    #[must_use]
    pub fn trees(&self, layout: Layout) -> Vec<PathBuf> {
        let has_control = matches!(layout, Layout::MaildirPlusPlus | Layout::Fs);
        let control = has_control.then_some(&self.control);
        let mut trees: Vec<PathBuf> = Vec::new();
        for root in [Some(&self.mails), control, self.index.as_ref(), self.alt.as_ref()].into_iter().flatten() {
            let tree = layout.tree(root);
            if !trees.contains(&tree) {
                trees.push(tree);
            }
        }
        trees
    }
}

#[cfg(test)]
mod tests;
