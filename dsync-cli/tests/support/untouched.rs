//! Whether anything at all changed below a directory.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Everything that a file system tells about a tree but the access times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    entries: BTreeMap<PathBuf, BTreeMap<&'static str, String>>,
}

impl Fingerprint {
    pub fn of(root: &Path) -> Self {
        let mut entries = BTreeMap::new();
        // Not one in the other: a test may nest directories deeper than any stack.
        let mut paths = vec![root.to_owned()];
        while let Some(path) = paths.pop() {
            paths.extend(collect(root, &path, &mut entries));
        }
        Self { entries }
    }

    /// The same but for what a run notes for itself, beside the mail: what both sides looked like when they were the same.
    pub fn of_mail(root: &Path) -> Self {
        let mut all = Self::of(root);
        let notes: Vec<PathBuf> =
            all.entries.keys().filter(|path| path.ends_with("dovecot.dsync-agreements")).cloned().collect();
        for path in notes {
            all.entries.remove(&path);
            let directory = path.parent().and_then(|parent| all.entries.get_mut(parent)).unwrap();
            directory.retain(|fact, _| !["mtime", "ctime"].contains(fact));
        }
        all
    }

    /// One line for each fact that is another one in `later`.
    pub fn changes(&self, later: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (path, facts) in &self.entries {
            let Some(later_facts) = later.entries.get(path) else {
                changes.push(format!("{}: removed", path.display()));
                continue;
            };
            for (fact, value) in facts {
                let later_value = &later_facts[fact];
                if value != later_value {
                    changes.push(format!("{}: {fact} was {value}, is {later_value}", path.display()));
                }
            }
        }
        for path in later.entries.keys().filter(|path| !self.entries.contains_key(*path)) {
            changes.push(format!("{}: added", path.display()));
        }
        changes
    }

    /// # Panics
    /// If anything below `root` is not as it was when this fingerprint was taken.
    pub fn assert_unchanged(&self, root: &Path) {
        self.assert_same(&Self::of(root), root);
    }

    /// # Panics
    /// If any mail below `root` is not as it was when this fingerprint was taken by [`of_mail`](Self::of_mail).
    pub fn assert_mail_unchanged(&self, root: &Path) {
        self.assert_same(&Self::of_mail(root), root);
    }

    fn assert_same(&self, now: &Self, root: &Path) {
        let changes = self.changes(now);
        assert!(changes.is_empty(), "{} was changed:\n{}", root.display(), changes.join("\n"));
    }
}

/// Takes down what is at a path. What is below it.
fn collect(
    root: &Path,
    path: &Path,
    entries: &mut BTreeMap<PathBuf, BTreeMap<&'static str, String>>,
) -> Vec<PathBuf> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Vec::new() };
    // Of what is far larger than any file in a test there is nothing to read.
    let content = if metadata.is_file() && metadata.len() < 1 << 30 {
        hash(&fs::read(path).unwrap())
    } else if metadata.is_symlink() {
        hash(fs::read_link(path).unwrap().as_os_str().as_encoded_bytes())
    } else {
        0
    };
    let facts = BTreeMap::from([
        ("type", format!("{:?}", metadata.file_type())),
        ("size", metadata.size().to_string()),
        ("content", format!("{content:016x}")),
        ("mtime", format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec())),
        ("ctime", format!("{}.{:09}", metadata.ctime(), metadata.ctime_nsec())),
        ("inode", metadata.ino().to_string()),
        ("mode", format!("{:o}", metadata.mode())),
        ("owner", format!("{}:{}", metadata.uid(), metadata.gid())),
        ("links", metadata.nlink().to_string()),
    ]);
    entries.insert(path.strip_prefix(root).unwrap().to_owned(), facts);
    match metadata.is_dir() {
        true => fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect(),
        false => Vec::new(),
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
