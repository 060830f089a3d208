//! What all parts of one opened store share.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::OnceLock;

use dsync_core::model::{Agreements, Glance, MailboxName, TreeEvent, TreeHistory};
use dsync_core::store::{ErrorKind, StoreError};

use super::agreements;
use super::hidden::HiddenPlaces;
use super::layout::{InvalidName, Naming, Roots};
use crate::content::Compression;
use crate::fs::marks::{Marks, has_exact_times};
use crate::fs::permissions::Permissions;
use crate::fs::{FsError, links};
use crate::text::lossy;

/// A store that was opened: where it is and what may be done to it.
#[derive(Debug)]
pub(crate) struct Context {
    /// As the user wrote it.
    pub(crate) location: String,
    pub(crate) roots: Roots,
    pub(crate) naming: Naming,
    /// Separators that clients of the store may see.
    pub(crate) separators: Vec<char>,
    /// With what the names that clients see begin, except for INBOX.
    pub(crate) prefix: String,
    /// The subscriptions file.
    pub(crate) subscriptions: PathBuf,
    /// Where things are built before they appear.
    pub(crate) hidden: HiddenPlaces,
    pub(crate) read_only: bool,
    /// How new messages are compressed; never those of an mbox.
    pub(crate) compression: Option<Compression>,
    /// The devices of its roots on which every change of a file shows in its marks.
    pub(crate) telling_devices: OnceLock<Vec<u64>>,
}

impl Context {
    /// # Errors
    /// If nothing may be changed.
    pub(crate) fn refuse_if_read_only(&self) -> Result<(), StoreError> {
        if self.read_only {
            let text = format!("{} was opened for reading only", self.location);
            return Err(StoreError::new(ErrorKind::ReadOnly, text));
        }
        Ok(())
    }

    /// Nothing is written through a link that leads out of the store: it may lead into the very source. Nor is anything read
    /// through one that is not to be [trusted](links::distrusted). `places` are those of a mailbox, each with the root that it
    /// has to be in; they need not exist.
    ///
    /// # Errors
    /// [`ErrorKind::Impossible`] if one is elsewhere.
    pub(crate) fn refuse_if_elsewhere<'a>(
        &self,
        places: impl IntoIterator<Item = (&'a PathBuf, &'a PathBuf)>,
    ) -> Result<(), StoreError> {
        for (path, root) in places {
            if self.read_only {
                links::refuse_distrusted(path, root)?;
            } else if !links::stays_inside(path, root) {
                let text = format!(
                    "{} is behind a link that leads out of the store, so nothing is changed there",
                    lossy(path)
                );
                return Err(StoreError::new(ErrorKind::Impossible, text));
            }
        }
        Ok(())
    }

    /// What belongs to no mailbox alone may be elsewhere, if somebody made the link who may.
    ///
    /// # Errors
    /// If there is another one.
    pub(crate) fn refuse_distrusted_parts(&self) -> Result<(), FsError> {
        let roots = &self.roots;
        let layout = self.naming.layout;
        for root in [Some(&roots.mails), Some(&roots.control), roots.index.as_ref()].into_iter().flatten() {
            for part in [layout.tree(root), layout.list_files(root), root.join(self.hidden.directory)] {
                links::refuse_distrusted(&part, root)?;
            }
        }
        Ok(())
    }

    /// There is no mailbox of this name.
    pub(crate) fn no_mailbox(&self, name: &MailboxName) -> StoreError {
        StoreError::new(ErrorKind::NotFound, format!("there is no mailbox {name} in {}", self.location))
    }

    /// What happened to the tree.
    pub(crate) fn history(&self, events: Vec<TreeEvent>) -> TreeHistory {
        TreeHistory { prefix: self.prefix.clone(), separators: self.separators.clone(), events }
    }

    /// A name for the store that stays the same and that no other has.
    pub(crate) fn store_id(&self, driver: &str) -> String {
        // Not the name of the host: in a container it may be another one in every run.
        let root = &self.roots.mails;
        let root = root.canonicalize().unwrap_or_else(|_| root.clone());
        // Of two disks that take turns at one place, each is a store of its own.
        let disk = nix::sys::statvfs::statvfs(&root).map_or(0, |file_system| file_system.filesystem_id());
        let inode = std::fs::metadata(&root).map_or(0, |metadata| metadata.ino());
        format!("{driver} {} {disk} {inode}", root.display())
    }

    /// What a mailbox with these marks looks like, if every change of it shows in them.
    pub(crate) fn glance(&self, marks: &Marks) -> Option<Glance> {
        let glance = marks.glance()?;
        // A mailbox may be a link, or something mounted: of devices that no root is on, nothing is known.
        marks.are_on(self.telling_devices.get_or_init(|| telling_devices(&self.roots))).then_some(glance)
    }

    /// The agreements with another store.
    ///
    /// # Errors
    /// As the system.
    pub(crate) fn agreements(&self, peer: [u8; 8]) -> Result<Agreements, StoreError> {
        match self.list_index_root() {
            Some(root) => Ok(agreements::read(&root, peer)?),
            None => Ok(Agreements::new()),
        }
    }

    /// Keeps agreements with another store.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`], or as the system.
    pub(crate) fn keep_agreements(&self, peer: [u8; 8], agreements: &Agreements) -> Result<(), StoreError> {
        self.refuse_if_read_only()?;
        match self.list_index_root() {
            Some(root) => Ok(agreements::write(&root, peer, agreements, &self.permissions())?),
            None => Ok(()),
        }
    }

    /// The root that holds what servers keep about the tree of mailboxes.
    pub(crate) fn list_root(&self) -> PathBuf {
        let root = self.roots.index.as_ref().unwrap_or(&self.roots.mails);
        self.naming.layout.list_files(root)
    }

    /// The root that holds what servers keep in indexes about the tree; `None` if that is kept in memory only.
    pub(crate) fn list_index_root(&self) -> Option<PathBuf> {
        Some(self.naming.layout.list_files(self.roots.index.as_ref()?))
    }

    /// What new files in the root look like.
    pub(crate) fn permissions(&self) -> Permissions {
        Permissions::like(&self.roots.mails, &self.roots.mails)
    }
}

/// The devices of roots on which every change of a file shows in its marks.
fn telling_devices(roots: &Roots) -> Vec<u64> {
    let roots = [Some(&roots.mails), Some(&roots.control), roots.index.as_ref(), roots.inbox.as_ref()];
    let telling = roots.into_iter().flatten().filter(|root| has_exact_times(root));
    telling.filter_map(|root| std::fs::metadata(root).ok()).map(|metadata| metadata.dev()).collect()
}

/// A name that the store cannot hold.
pub(crate) fn invalid_name(error: &InvalidName) -> StoreError {
    StoreError::new(ErrorKind::InvalidName, error.to_string())
}

/// A mailbox was taken for a level without mails.
pub(crate) fn is_mailbox(name: &MailboxName) -> StoreError {
    let text = format!("{name} is a mailbox, not only a level of the hierarchy");
    StoreError::new(ErrorKind::Impossible, text)
}

/// # Errors
/// If it is INBOX, which stays where it is.
pub(crate) fn refuse_inbox(name: &MailboxName) -> Result<(), StoreError> {
    if name.is_inbox() {
        return Err(StoreError::new(ErrorKind::Impossible, "INBOX can neither be deleted nor renamed"));
    }
    Ok(())
}
