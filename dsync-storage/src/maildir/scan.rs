//! What lies in `new` and `cur`: which files are messages, by their base names.
//!
//! A message is one file; its base name is everything before the first `:` and joins it with the uidlist. What a
//! server would not take for a message, or would rename first, is left alone and reported.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::file_name::base_of;
use crate::fs::FsError;
use crate::fs::read::{self, Entry, EntryKind};
use crate::text::lossy;

/// One of the two directories that hold messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subdirectory {
    /// Delivered, not yet seen by a server session.
    New,
    /// Everything else.
    Cur,
}

impl Subdirectory {
    /// Its name on disk.
    #[must_use]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Cur => "cur",
        }
    }
}

/// One message file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundFile {
    /// Its whole name, with flags.
    pub(super) name: Vec<u8>,
    /// Where it lies.
    pub(super) subdirectory: Subdirectory,
    inode: u64,
}

impl FoundFile {
    /// The path of the file, given that of its mailbox.
    #[must_use]
    pub(super) fn path(&self, mailbox: &Path) -> PathBuf {
        path_of(mailbox, self.subdirectory, &self.name)
    }
}

/// The path of a message file.
#[must_use]
pub(super) fn path_of(mailbox: &Path, subdirectory: Subdirectory, name: &[u8]) -> PathBuf {
    mailbox.join(subdirectory.name()).join(std::ffi::OsString::from_vec(name.to_vec()))
}

/// All message files of a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// By base name.
    pub(super) files: BTreeMap<Vec<u8>, FoundFile>,
    /// What is there but is no message, a sentence each.
    pub(super) problems: Vec<String>,
}

/// Reads `new`, then `cur`, so that a file which a server moves meanwhile is seen at least once. A directory that is
/// missing counts as empty.
///
/// # Errors
/// If a directory is there but cannot be read.
pub(super) fn scan(mailbox: &Path) -> Result<Scan, FsError> {
    let mut found = Scan::default();
    for subdirectory in [Subdirectory::New, Subdirectory::Cur] {
        let path = mailbox.join(subdirectory.name());
        let mut entries = read::directory(&path)?.unwrap_or_default();
        // The order of a directory is arbitrary; which of two conflicting files counts must not be.
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for entry in entries {
            found.add(mailbox, subdirectory, entry);
        }
    }
    Ok(found)
}

impl Scan {
    fn add(&mut self, mailbox: &Path, subdirectory: Subdirectory, entry: Entry) {
        let name = entry.name.into_vec();
        if name.starts_with(b".") {
            return;
        }
        let path = path_of(mailbox, subdirectory, &name);
        let complaint = match entry.kind {
            EntryKind::Directory => Some("is a directory, not a message"),
            EntryKind::Other if !path.is_file() => Some("is no plain file"),
            _ if name.iter().any(|byte| matches!(byte, b'\n' | b'\r')) => {
                Some("has a line break in its name, so servers ignore it; rename it to have it copied")
            }
            _ if base_of(&name).is_empty() => Some("has no name before the colon; rename it to have it copied"),
            _ => None,
        };
        if let Some(complaint) = complaint {
            self.problems.push(format!("{} {complaint}", lossy(&path)));
            return;
        }
        let base = base_of(&name).to_vec();
        let file = FoundFile { name, subdirectory, inode: entry.inode };
        match self.files.entry(base) {
            Slot::Vacant(slot) => {
                slot.insert(file);
            }
            Slot::Occupied(mut slot) => {
                let present = slot.get();
                let (hidden, kept) = match (present.subdirectory, subdirectory) {
                    (Subdirectory::New, Subdirectory::Cur) => (std::mem::replace(slot.get_mut(), file), slot.get()),
                    _ => (file, slot.get()),
                };
                // Two links to one file, as a mover leaves them for a moment, are one message.
                if hidden.inode != kept.inode {
                    self.problems.push(format!(
                        "{} has the same name before the colon as {}, which hides it; rename it to have it copied",
                        lossy(&hidden.path(mailbox)),
                        lossy(&kept.path(mailbox))
                    ));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn maildir(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for subdirectory in ["cur", "new", "tmp"] {
            fs::create_dir(dir.path().join(subdirectory)).unwrap();
        }
        for file in files {
            fs::write(dir.path().join(file), file).unwrap();
        }
        dir
    }

    #[test]
    fn files_in_both_directories_are_messages() {
        let dir = maildir(&["new/a", "cur/b:2,S", "new/c:2,F", "tmp/d", "cur/.hidden"]);
        let scan = scan(dir.path()).unwrap();
        let bases: Vec<_> = scan.files.keys().map(|base| String::from_utf8_lossy(base).into_owned()).collect();
        assert_eq!(bases, ["a", "b", "c"]);
        assert!(scan.problems.is_empty());
    }

    #[test]
    fn what_is_no_message_is_named() {
        let dir = maildir(&["cur/:2,S", "cur/a\nb", "cur/ok"]);
        fs::create_dir(dir.path().join("cur/dir")).unwrap();
        nix::unistd::mkfifo(&dir.path().join("new/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let scan = scan(dir.path()).unwrap();
        assert_eq!(scan.files.len(), 1);
        assert_eq!(scan.problems.len(), 4, "{:?}", scan.problems);
    }

    #[test]
    fn of_two_files_with_one_base_the_one_in_cur_counts() {
        let dir = maildir(&["new/a", "cur/a:2,S", "cur/b:2,", "cur/b:2,S"]);
        let scan = scan(dir.path()).unwrap();
        assert_eq!(scan.files[&b"a"[..]].subdirectory, Subdirectory::Cur);
        assert_eq!(scan.files[&b"b"[..]].name, b"b:2,");
        assert_eq!(scan.problems.len(), 2);
    }

    #[test]
    fn two_links_to_one_file_are_one_message() {
        let dir = maildir(&["new/a"]);
        fs::hard_link(dir.path().join("new/a"), dir.path().join("cur/a:2,")).unwrap();
        let scan = scan(dir.path()).unwrap();
        assert_eq!((scan.files.len(), scan.problems.len()), (1, 0));
    }

    #[test]
    fn missing_directories_are_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(scan(dir.path()).unwrap(), Scan::default());
    }
}
