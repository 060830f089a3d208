//! What lies in `new` and `cur`: which files are messages, by their base names.
//!
//! A message is one file; its base name is everything before the first `:` and joins it with the uidlist. What a
//! server would not take for a message, or would rename first, is left alone and reported.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::file_name::base_of;
use super::files::{FileAt, FileNames, FoundFile, MessageFiles, Subdirectory, path_of};
use super::uidlist::UidList;
use crate::fs::read::{self, EntryKind};
use crate::fs::{FsError, links};
use crate::text::lossy;

/// All message files of a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    pub(super) names: FileNames,
    /// By ascending base name, each once.
    pub(super) files: Vec<Scanned>,
    /// What is there but is no message, a sentence each.
    pub(super) problems: Vec<String>,
    /// By the base names of those.
    pub(super) no_messages: BTreeMap<Vec<u8>, String>,
}

/// One of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scanned {
    pub(super) at: FileAt,
    pub(super) inode: u64,
}

/// Reads `new`, then `cur`, so that a file which a server moves meanwhile is seen at least once. A directory that is
/// missing counts as empty.
///
/// Links to files below `root` are messages, those to others are not.
///
/// # Errors
/// If a directory is there but cannot be read.
pub(super) fn scan(mailbox: &Path, root: &Path) -> Result<Scan, FsError> {
    let mut found = Scan::default();
    let mut others = Vec::new();
    for subdirectory in [Subdirectory::New, Subdirectory::Cur] {
        read::for_each_entry(&mailbox.join(subdirectory.name()), &mut |name, kind, inode| {
            if name.starts_with(b".") {
                return;
            }
            let path = || path_of(mailbox, subdirectory, name);
            match complaint(&path, root, name, kind) {
                Some(complaint) => others.push((subdirectory, name.to_vec(), complaint)),
                None => found.files.push(Scanned { at: found.names.add(subdirectory, name), inode }),
            }
        })?;
    }
    others.sort_unstable();
    for (subdirectory, name, complaint) in others {
        let problem = format!("{} {complaint}", lossy(&path_of(mailbox, subdirectory, &name)));
        found.problems.push(problem.clone());
        found.no_messages.insert(base_of(&name).to_vec(), problem);
    }
    found.keep_one_of_each_base(mailbox);
    Ok(found)
}

/// Why an entry is no message.
fn complaint(path: &dyn Fn() -> PathBuf, root: &Path, name: &[u8], kind: EntryKind) -> Option<&'static str> {
    match kind {
        EntryKind::Directory => Some("is a directory, not a message"),
        EntryKind::Other => Some("is no plain file"),
        // One that leads nowhere is a message that cannot be read just now.
        EntryKind::Link if path().exists() && !links::leads_inside(&path(), root) => {
            Some("is a symbolic link that leads out of the store, so it is not followed")
        }
        _ if name.iter().any(|byte| matches!(byte, b'\n' | b'\r')) => {
            Some("has a line break in its name, so servers ignore it; rename it to have it copied")
        }
        _ if base_of(name).is_empty() => Some("has no name before the colon; rename it to have it copied"),
        _ => None,
    }
}

impl Scan {
    /// Sorts the files. The order of a directory is arbitrary; which of two conflicting files counts must not be: the first
    /// by name, and one in `cur` before one in `new`.
    fn keep_one_of_each_base(&mut self, mailbox: &Path) {
        let Self { names, files, problems, .. } = self;
        files.sort_unstable_by(|first, second| {
            let key = |scanned: &Scanned| {
                let file = names.get(scanned.at);
                (file.base(), std::cmp::Reverse(file.subdirectory), file.name)
            };
            key(first).cmp(&key(second))
        });
        files.dedup_by(|hidden, kept| {
            let (hidden_file, kept_file) = (names.get(hidden.at), names.get(kept.at));
            if hidden_file.base() != kept_file.base() {
                return false;
            }
            // Two links to one file, as a mover leaves them for a moment, are one message.
            if hidden.inode != kept.inode {
                problems.push(format!(
                    "{} has the same name before the colon as {}, which hides it; rename it to have it copied",
                    lossy(&hidden_file.path(mailbox)),
                    lossy(&kept_file.path(mailbox))
                ));
            }
            true
        });
    }

    /// Leaves out what is in `new`, but was not there earlier, and is not listed. Whether there was any of it.
    #[must_use]
    pub(super) fn forget_deliveries(&mut self, earlier: &MessageFiles, uidlist: &UidList) -> bool {
        let Self { names, files, .. } = self;
        let is_new = |file: &FoundFile<'_>| file.subdirectory == Subdirectory::New;
        let found = files.iter().map(|scanned| names.get(scanned.at));
        let mut delivered: HashSet<&[u8]> = found.filter(is_new).map(|file| file.base()).collect();
        if delivered.is_empty() {
            return false;
        }
        for file in earlier.iter().chain(earlier.doomed()) {
            delivered.remove(file.base());
        }
        for entry in uidlist.entries.iter() {
            delivered.remove(entry.base());
        }
        files.retain(|scanned| !delivered.contains(names.get(scanned.at).base()));
        !delivered.is_empty()
    }

    /// The place of the file with this base name in `files`.
    pub(super) fn position(&self, base: &[u8]) -> Option<usize> {
        self.files.binary_search_by(|scanned| self.names.get(scanned.at).base().cmp(base)).ok()
    }

    /// The file with this base name.
    pub(super) fn get(&self, base: &[u8]) -> Option<FoundFile<'_>> {
        let scanned = self.files.get(self.position(base)?)?;
        Some(self.names.get(scanned.at))
    }

    /// All base names, ascending.
    pub(super) fn bases(&self) -> impl Iterator<Item = &[u8]> {
        self.files.iter().map(|scanned| self.names.get(scanned.at).base())
    }

    /// How many files there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
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
    fn what_was_delivered_since_can_be_left_out() {
        let dir = maildir(&["new/known", "new/listed", "new/delivered", "cur/elsewhere:2,"]);
        let mut earlier = MessageFiles::default();
        let known = earlier.names.add(Subdirectory::New, b"known");
        earlier.listed.push(known);
        let (uidlist, _) = UidList::decode(b"3 V1 N6 G00112233445566778899aabbccddeeff\n5 :listed\n");
        let mut scan = scan(dir.path(), dir.path()).unwrap();
        assert!(scan.forget_deliveries(&earlier, &uidlist));
        assert_eq!(scan.bases().collect::<Vec<_>>(), [&b"elsewhere"[..], b"known", b"listed"]);
        assert!(!scan.forget_deliveries(&earlier, &uidlist));
        assert!(scan.forget_deliveries(&MessageFiles::default(), &UidList::default()));
        assert_eq!(scan.bases().collect::<Vec<_>>(), [b"elsewhere"]);
    }

    #[test]
    fn files_in_both_directories_are_messages() {
        let dir = maildir(&["new/a", "cur/b:2,S", "new/c:2,F", "tmp/d", "cur/.hidden"]);
        let scan = scan(dir.path(), dir.path()).unwrap();
        let bases: Vec<_> = scan.bases().map(|base| String::from_utf8_lossy(base).into_owned()).collect();
        assert_eq!(bases, ["a", "b", "c"]);
        assert!(scan.problems.is_empty());
    }

    #[test]
    fn what_is_no_message_is_named() {
        let dir = maildir(&["cur/:2,S", "cur/a\nb", "cur/ok"]);
        fs::create_dir(dir.path().join("cur/dir")).unwrap();
        nix::unistd::mkfifo(&dir.path().join("new/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let scan = scan(dir.path(), dir.path()).unwrap();
        assert_eq!(scan.len(), 1);
        assert_eq!(scan.problems.len(), 4, "{:?}", scan.problems);
    }

    #[test]
    fn of_two_files_with_one_base_the_one_in_cur_counts() {
        let dir = maildir(&["new/a", "cur/a:2,S", "cur/b:2,", "cur/b:2,S"]);
        let scan = scan(dir.path(), dir.path()).unwrap();
        assert_eq!(scan.get(b"a").unwrap().subdirectory, Subdirectory::Cur);
        assert_eq!(scan.get(b"b").unwrap().name, b"b:2,");
        assert_eq!(scan.problems.len(), 2);
    }

    #[test]
    fn two_links_to_one_file_are_one_message() {
        let dir = maildir(&["new/a"]);
        fs::hard_link(dir.path().join("new/a"), dir.path().join("cur/a:2,")).unwrap();
        let scan = scan(dir.path(), dir.path()).unwrap();
        assert_eq!((scan.len(), scan.problems.len()), (1, 0));
    }

    #[test]
    fn a_link_out_of_the_store_is_no_message() {
        let dir = maildir(&["cur/a:2,", "tmp/b"]);
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, dir.path().join(name)).unwrap();
        link("../tmp/b", "cur/inside:2,");
        link("/etc/passwd", "cur/outside:2,");
        link("/nonexistent", "cur/dangling:2,");
        let scan = scan(dir.path(), dir.path()).unwrap();
        assert_eq!(scan.bases().collect::<Vec<_>>(), [&b"a"[..], b"dangling", b"inside"]);
        assert!(matches!(&scan.problems[..], [problem] if problem.contains("cur/outside:2,")), "{:?}", scan.problems);
    }

    #[test]
    fn missing_directories_are_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(scan(dir.path(), dir.path()).unwrap(), Scan::default());
    }
}
