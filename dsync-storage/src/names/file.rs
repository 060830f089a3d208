//! Reading and replacing the file of the mapped names.

use std::path::{Path, PathBuf};

use dsync_core::store::{ErrorKind, StoreError};

use super::entries::{self, Entry};
use crate::fs::permissions::Permissions;
use crate::fs::replace::{Durability, replace};
use crate::fs::{FsError, mutation, read};
use crate::list::lock::ListLock;
use crate::text::lossy;

/// What the file is called.
pub const FILE_NAME: &str = "dovecot.dsync-names";
/// No such file is larger.
const LARGEST: u64 = 64 << 20;

/// The file of the mapped names of one store. Without mapped names there is none.
#[derive(Clone, Debug)]
pub struct NamesFile {
    directory: PathBuf,
    root: PathBuf,
    read_only: bool,
}

impl NamesFile {
    /// The one in `directory`, where the lock of the list of mailboxes is too. New files take after `root`, the root of the
    /// mails.
    pub fn new(directory: impl Into<PathBuf>, root: impl Into<PathBuf>, read_only: bool) -> Self {
        Self { directory: directory.into(), root: root.into(), read_only }
    }

    /// What it says.
    ///
    /// # Errors
    /// As the system.
    pub fn read(&self) -> Result<Vec<Entry>, FsError> {
        Ok(read::contents(&self.path(), LARGEST)?.map(|bytes| entries::decode(&bytes)).unwrap_or_default())
    }

    /// Replaces what it says by what `change` makes of it, durably.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`], or as the system; the file is as it was then.
    pub fn update(&self, change: impl FnOnce(Vec<Entry>) -> Vec<Entry>) -> Result<(), StoreError> {
        if self.read_only {
            let text = format!("{} was opened for reading only", lossy(&self.root));
            return Err(StoreError::new(ErrorKind::ReadOnly, text));
        }
        let permissions = Permissions::like(&self.root, &self.root);
        mutation::create_directories(&self.directory, &permissions)?;
        let lock = ListLock::take(&self.directory, &permissions)?;
        let before = self.read()?;
        let after = change(before.clone());
        if after.is_empty() && !before.is_empty() {
            mutation::remove_file(&self.path())?;
            mutation::sync_directory(&self.directory)?;
        } else if after != before {
            let temporary = self.directory.join(format!("{FILE_NAME}.new"));
            replace(&self.path(), &temporary, &entries::encode(&after), &permissions, Durability::Now)?;
        }
        drop(lock);
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.directory.join(Path::new(FILE_NAME))
    }
}

#[cfg(test)]
mod tests {
    use dsync_core::model::MailboxName;

    use super::*;

    fn entry() -> Entry {
        let name = |text| MailboxName::parse(text, '/').unwrap();
        Entry { guid: None, stored: name("a_b"), original: name("a.b") }
    }

    #[test]
    fn without_mapped_names_there_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let file = NamesFile::new(&root, &root, false);
        assert_eq!(file.read().unwrap(), []);
        file.update(|_| vec![entry()]).unwrap();
        assert_eq!(file.read().unwrap(), [entry()]);
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 1, "neither the lock nor anything temporary stays");
        file.update(|_| Vec::new()).unwrap();
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
    }

    #[test]
    fn a_store_that_is_only_read_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = NamesFile::new(dir.path(), dir.path(), true);
        let error = file.update(|_| vec![entry()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReadOnly);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
