//! A tree of mbox files as a mail store.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dsync_core::model::{
    Agreements, Glance, KeptFields, MailboxGuid, MailboxIdentity, MailboxName, MailboxStatus, MailboxTree,
    TreeHistory,
};
use dsync_core::store::{Capabilities, ErrorKind, MailStore, Mailbox, StoreError};

use super::mailbox::MboxMailbox;
use super::shared::Shared;
use super::{listing, outside, removal};
use crate::fs::mutation;
use crate::fs::permissions::Permissions;
use crate::list::build::Build;
use crate::list::claim::Claim;
use crate::list::context::{Context, invalid_name, is_mailbox, refuse_inbox};
use crate::list::hidden::HiddenPlaces;
use crate::list::layout::{Layout, MailboxPaths};
use crate::list::{changes, hidden};
use crate::location::{Driver, IndexPlace, Location};
use crate::settings::Settings;

/// A tree of mbox files that was opened.
#[derive(Debug)]
pub struct MboxStore {
    shared: Arc<Shared>,
    cleaned: bool,
    claim: Option<Claim>,
}

impl MboxStore {
    /// Opens a store to read it. Nothing in it will be changed: no file is made, no time moved. Mailboxes are locked for
    /// reading while they are read.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is nothing at the location, [`ErrorKind::Impossible`] if it is no tree of mbox files.
    pub fn open_read_only(location: &Location, settings: Settings) -> Result<Self, StoreError> {
        if !location.exists() {
            let text = format!("there is no {location}: no such directory");
            return Err(StoreError::new(ErrorKind::NotFound, text));
        }
        Self::new(location, settings, true)
    }

    /// Opens a store to change it. It need not exist yet.
    ///
    /// # Errors
    /// [`ErrorKind::Impossible`] if its indexes would be in memory only: the identity of a mailbox and modseqs have no other
    /// place.
    pub fn open(location: &Location, settings: Settings) -> Result<Self, StoreError> {
        if location.index == Some(IndexPlace::Memory) {
            let text = "INDEX=MEMORY cannot be used for a store that is to be changed: modification sequences and the GUIDs of \
                        mailboxes would be lost";
            return Err(StoreError::new(ErrorKind::Impossible, text));
        }
        Self::new(location, settings, false)
    }

    fn new(location: &Location, settings: Settings, read_only: bool) -> Result<Self, StoreError> {
        if location.driver != Driver::Mbox {
            return Err(StoreError::new(ErrorKind::Impossible, format!("{location} is no tree of mbox files")));
        }
        // Any file would be a mailbox, if only an empty one.
        if let Some(other) = other_format(&location.root) {
            let text = format!("{} is {other}, not a tree of mbox files", location.root.display());
            return Err(StoreError::new(ErrorKind::Impossible, text));
        }
        let context = Context {
            location: location.to_string(),
            roots: location.roots(),
            naming: location.naming(),
            // Servers may be told to show a dot instead.
            separators: settings.separators(&[Layout::Mbox.separator(), '.']),
            prefix: settings.name_prefix.clone(),
            subscriptions: location.subscriptions_file(),
            hidden: HiddenPlaces::MBOX,
            read_only,
            compression: None,
            telling_devices: OnceLock::new(),
        };
        Ok(Self { shared: Arc::new(Shared { context, settings }), cleaned: false, claim: None })
    }

    fn context(&self) -> &Context {
        &self.shared.context
    }

    fn paths(&self, name: &MailboxName) -> Result<MailboxPaths, StoreError> {
        let context = self.context();
        let paths = context.roots.of_mailbox(context.naming, name).map_err(|error| invalid_name(&error))?;
        if paths.mails == context.subscriptions {
            let text =
                format!("a mailbox cannot be called {name} in {}: it is the subscriptions file", context.location);
            return Err(StoreError::new(ErrorKind::InvalidName, text));
        }
        Ok(paths)
    }

    /// The directory of a name, for changes.
    fn level(&self, name: &MailboxName) -> Result<PathBuf, StoreError> {
        let roots = &self.context().roots;
        let level = roots.level(self.context().naming, name).map_err(|error| invalid_name(&error))?;
        self.context().refuse_if_elsewhere([(&level, &roots.mails)])?;
        Ok(level)
    }

    /// The paths of a mailbox that exists.
    fn existing(&self, name: &MailboxName) -> Result<MailboxPaths, StoreError> {
        let paths = self.paths(name)?;
        if listing::is_mailbox(&paths.mails) {
            self.refuse_if_elsewhere(name, &paths)?;
            return Ok(paths);
        }
        Err(self.context().no_mailbox(name))
    }

    fn refuse_if_elsewhere(&self, name: &MailboxName, paths: &MailboxPaths) -> Result<(), StoreError> {
        let roots = &self.context().roots;
        let mails = Some((&paths.mails, &roots.mails)).filter(|_| !(name.is_inbox() && roots.inbox.is_some()));
        let index = paths.index.as_ref().zip(roots.index.as_ref());
        self.context().refuse_if_elsewhere(mails.into_iter().chain(index))
    }

    /// Before the first change: makes the roots, and removes what crashed runs left.
    fn prepare(&mut self) -> Result<(), StoreError> {
        self.context().refuse_if_read_only()?;
        if self.cleaned {
            return Ok(());
        }
        self.context().refuse_distrusted_parts()?;
        let permissions = self.context().permissions();
        let roots = &self.context().roots;
        let all = [Some(&roots.mails), Some(&roots.control), roots.index.as_ref()];
        for root in all.into_iter().flatten().chain([&self.context().list_root()]) {
            mutation::create_directories(root, &permissions)?;
        }
        hidden::remove_abandoned(self.context())?;
        self.cleaned = true;
        Ok(())
    }
}

/// The format that a directory has for sure, if it is another one.
fn other_format(root: &Path) -> Option<&'static str> {
    if ["cur", "new", "tmp"].iter().all(|part| root.join(part).is_dir()) {
        return Some("a Maildir");
    }
    let parts = ["mailboxes/INBOX/dbox-Mails", "storage/dovecot.map.index.log"];
    parts.iter().any(|part| root.join(part).exists()).then_some("an mdbox or sdbox")
}

impl MailStore for MboxStore {
    fn location(&self) -> String {
        self.context().location.clone()
    }

    fn id(&mut self) -> Result<String, StoreError> {
        if !self.context().read_only {
            self.prepare()?;
        }
        Ok(self.context().store_id(Driver::Mbox.name()))
    }

    fn claim(&mut self, patience: Duration) -> Result<(), StoreError> {
        Claim::keep(&mut self.claim, &self.shared.context, patience)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { directories: true, keeps: KeptFields::LEAST, line_ends: false }
    }

    fn tree(&mut self) -> Result<MailboxTree, StoreError> {
        self.context().refuse_distrusted_parts()?;
        if !self.context().read_only && !self.cleaned {
            hidden::remove_abandoned(self.context())?;
        }
        listing::tree(&self.shared)
    }

    fn tree_history(&mut self) -> Result<TreeHistory, StoreError> {
        changes::history(self.context(), self.context().list_index_root().as_deref())
    }

    fn note_deleted(&mut self, guid: MailboxGuid) -> Result<(), StoreError> {
        self.prepare()?;
        changes::note_deleted(self.context(), guid)
    }

    fn new_identity(&mut self) -> Result<MailboxIdentity, StoreError> {
        self.prepare()?;
        changes::new_identity(self.context())
    }

    fn open(&mut self, name: &MailboxName) -> Result<Box<dyn Mailbox>, StoreError> {
        let paths = self.existing(name)?;
        Ok(Box::new(MboxMailbox::open(Arc::clone(&self.shared), name.clone(), paths)?))
    }

    fn glance(&mut self, name: &MailboxName, _close: bool) -> Option<Glance> {
        let paths = self.paths(name).ok()?;
        self.context().glance(&outside::marks(&paths))
    }

    fn agreements(&mut self, peer: [u8; 8]) -> Result<Agreements, StoreError> {
        self.context().agreements(peer)
    }

    fn keep_agreements(&mut self, peer: [u8; 8], agreements: &Agreements) -> Result<(), StoreError> {
        self.context().keep_agreements(peer, agreements)
    }

    fn create(&mut self, name: &MailboxName, identity: MailboxIdentity) -> Result<Box<dyn Mailbox>, StoreError> {
        let paths = self.paths(name)?;
        if paths.mails.symlink_metadata().is_ok() {
            let text = format!("there is a mailbox or directory {name} in {} already", self.context().location);
            return Err(StoreError::new(ErrorKind::Exists, text));
        }
        if let Some(above) = paths.mails.ancestors().skip(1).find(|above| above.is_file()) {
            let text = format!(
                "there can be no mailbox {name} in {}: {} is a mailbox, and an mbox holds none below it",
                self.context().location,
                above.display()
            );
            return Err(StoreError::new(ErrorKind::InvalidName, text));
        }
        self.refuse_if_elsewhere(name, &paths)?;
        self.prepare()?;
        let mut permissions = changes::permissions_for(self.context(), name);
        if name.is_inbox() {
            // Its directory is often one in which everybody may look.
            permissions.file_mode = Permissions::PRIVATE.file_mode;
        }
        if name.is_inbox() && self.context().roots.inbox.is_some() {
            // It may lie in another file system, so it cannot be built elsewhere.
            let shared = Arc::clone(&self.shared);
            return Ok(Box::new(MboxMailbox::open_new(shared, name.clone(), paths, permissions, identity)));
        }
        let build = Build::start(self.context(), paths, identity, &permissions)?;
        Ok(Box::new(MboxMailbox::building(Arc::clone(&self.shared), name.clone(), build, permissions)))
    }

    fn delete(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        refuse_inbox(name)?;
        let paths = self.existing(name)?;
        self.prepare()?;
        removal::delete(&self.shared, name, &paths, None)
    }

    fn delete_unchanged(&mut self, name: &MailboxName, expected: &MailboxStatus) -> Result<(), StoreError> {
        refuse_inbox(name)?;
        let paths = self.existing(name)?;
        self.prepare()?;
        removal::delete(&self.shared, name, &paths, Some(expected))
    }

    fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        self.prepare()?;
        changes::rename(self.context(), from, to, &|| listing::tree(&self.shared))
    }

    fn create_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        let level = self.level(name)?;
        self.prepare()?;
        if let Some(file) = level.ancestors().find(|above| above.is_file()) {
            let text =
                format!("{name} cannot be a level of {}: {} is a mailbox", self.context().location, file.display());
            return Err(StoreError::new(ErrorKind::InvalidName, text));
        }
        changes::create_directory(self.context(), &level)
    }

    fn delete_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        let level = self.level(name)?;
        self.prepare()?;
        if self.existing(name).is_ok() {
            return Err(is_mailbox(name));
        }
        removal::delete_directory(&self.shared, name, &level)
    }

    fn set_subscribed(&mut self, name: &MailboxName, subscribed: bool) -> Result<(), StoreError> {
        self.prepare()?;
        changes::set_subscribed(self.context(), name, subscribed)
    }
}
