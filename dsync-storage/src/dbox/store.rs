//! A tree of mailboxes in mdbox or sdbox format as a mail store.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dsync_core::model::{
    Agreements, Glance, KeptFields, MailboxGuid, MailboxIdentity, MailboxName, MailboxStatus, MailboxTree,
    TreeHistory,
};
use dsync_core::store::{Capabilities, ErrorKind, MailStore, Mailbox, StoreError};

use super::commit::lock_map;
use super::mailbox::DboxMailbox;
use super::purge::{self, PurgeReport};
use super::shared::Shared;
use super::storage::Storage;
use super::{listing, marks, removal, snapshot};
use crate::fs::{FsError, links, mutation};
use crate::index::reading::{is_carried_out, read_index};
use crate::list::build::Build;
use crate::list::changes;
use crate::list::claim::Claim;
use crate::list::context::{Context, invalid_name, is_mailbox, refuse_inbox};
use crate::list::hidden::{self, HiddenPlaces};
use crate::list::layout::{Layout, MailboxPaths};
use crate::location::{Driver, IndexPlace, Location};
use crate::settings::Settings;

/// An mdbox or sdbox that was opened.
#[derive(Debug)]
pub struct DboxStore {
    shared: Arc<Shared>,
    cleaned: bool,
    claim: Option<Claim>,
}

impl DboxStore {
    /// Opens a store to read it. Nothing in it will be changed: no file is made, no time moved.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is nothing at the location, [`ErrorKind::Impossible`] if it is no dbox or its indexes
    /// are in memory only: they are all that is known about the messages.
    pub fn open_read_only(location: &Location, settings: Settings) -> Result<Self, StoreError> {
        if !location.root.is_dir() {
            let text = format!("there is no {location}: no such directory");
            return Err(StoreError::new(ErrorKind::NotFound, text));
        }
        Self::new(location, settings, true)
    }

    /// Opens a store to change it. It need not exist yet.
    ///
    /// # Errors
    /// [`ErrorKind::Impossible`] if it is no dbox or its indexes would be in memory only.
    pub fn open(location: &Location, settings: Settings) -> Result<Self, StoreError> {
        Self::new(location, settings, false)
    }

    fn new(location: &Location, settings: Settings, read_only: bool) -> Result<Self, StoreError> {
        let impossible = |text: String| Err(StoreError::new(ErrorKind::Impossible, text));
        if location.index == Some(IndexPlace::Memory) {
            return impossible(format!(
                "INDEX=MEMORY cannot be used with {}: its indexes are all that is known about the messages",
                location.driver.name()
            ));
        }
        let roots = location.roots();
        let storage = match location.driver {
            Driver::Mdbox => Some(Storage::new(&roots)),
            Driver::Sdbox => None,
            Driver::Maildir | Driver::Mbox => return impossible(format!("{location} is no dbox")),
        };
        let naming = location.naming();
        let context = Context {
            location: location.to_string(),
            roots,
            naming,
            // Servers may be told to show a dot instead.
            separators: settings.separators(&[Layout::Dbox.separator(), '.']),
            prefix: settings.name_prefix.clone(),
            subscriptions: location.subscriptions_file(),
            hidden: HiddenPlaces::DBOX,
            read_only,
            compression: settings.compression,
            telling_devices: OnceLock::new(),
        };
        Ok(Self { shared: Arc::new(Shared::new(context, settings, storage)), cleaned: false, claim: None })
    }

    /// Frees the space of messages that no mailbox refers to any more. Only an mdbox keeps such; in an sdbox there is nothing
    /// to do. Everything else stays as it is.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`], [`ErrorKind::Corrupt`] if a mailbox cannot be read so that it is not known what it uses, or as
    /// the system. A file that is damaged or in use is left as it is, which the report says.
    pub fn purge(&mut self) -> Result<PurgeReport, StoreError> {
        self.prepare()?;
        match &self.shared.storage {
            Some(storage) => purge::purge(&self.shared, storage),
            None => Ok(PurgeReport::default()),
        }
    }

    fn context(&self) -> &Context {
        &self.shared.context
    }

    fn paths(&self, name: &MailboxName) -> Result<MailboxPaths, StoreError> {
        self.context().roots.of_mailbox(self.context().naming, name).map_err(|error| invalid_name(&error))
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
            self.refuse_if_elsewhere(&paths)?;
            return Ok(paths);
        }
        Err(self.context().no_mailbox(name))
    }

    fn refuse_if_elsewhere(&self, paths: &MailboxPaths) -> Result<(), StoreError> {
        let roots = &self.context().roots;
        let index = paths.index.as_ref().zip(roots.index.as_ref());
        let alt = paths.alt.as_ref().zip(roots.alt.as_ref());
        let places = [Some((&paths.mails, &roots.mails)), index, alt];
        self.context().refuse_if_elsewhere(places.into_iter().flatten())
    }

    fn refuse_distrusted_parts(&self) -> Result<(), FsError> {
        self.context().refuse_distrusted_parts()?;
        self.shared.storage.iter().try_for_each(|storage| {
            let roots = &self.context().roots;
            links::refuse_distrusted(storage.primary(), &roots.mails)?;
            let map = storage.map_files().directory();
            links::refuse_distrusted(map, roots.index.as_ref().unwrap_or(&roots.mails))
        })
    }

    /// Before the first change: makes the roots, and removes what crashed runs left.
    fn prepare(&mut self) -> Result<(), StoreError> {
        self.context().refuse_if_read_only()?;
        if self.cleaned {
            return Ok(());
        }
        self.refuse_distrusted_parts()?;
        let permissions = self.context().permissions();
        let roots = &self.context().roots;
        let tree = Layout::Dbox.tree(&roots.mails);
        for root in [Some(&tree), Some(&roots.control), roots.index.as_ref()].into_iter().flatten() {
            mutation::create_directories(root, &permissions)?;
        }
        self.remove_abandoned()?;
        if let Some(storage) = &self.shared.storage {
            // By this directory everybody knows that it is an mdbox.
            mutation::create_directories(storage.primary(), &permissions)?;
        }
        self.cleaned = true;
        Ok(())
    }

    /// Removes what crashed runs left, but in the mailboxes of an sdbox, and puts the map right.
    fn remove_abandoned(&self) -> Result<(), StoreError> {
        hidden::remove_abandoned(self.context())?;
        if let Some(storage) = &self.shared.storage {
            for directory in storage.directories() {
                hidden::remove_abandoned_in(directory, HiddenPlaces::DBOX.prefix)?;
            }
        }
        self.settle_map();
        Ok(())
    }
}

impl DboxStore {
    /// Finishes or takes back what somebody was about to do to the map and crashed, also if nothing is to be changed: else a
    /// server finds it out, and rebuilds all. What stands in the way is named when the map is needed.
    fn settle_map(&self) {
        let Some(storage) = &self.shared.storage else { return };
        if is_carried_out(storage.map_files()).unwrap_or(false) {
            return;
        }
        if let Ok(Some(state)) = read_index(storage.map_files())
            && state.log_tail != state.log_end
        {
            let _ = lock_map(&self.shared, storage, &self.context().permissions());
        }
    }
}

impl MailStore for DboxStore {
    fn location(&self) -> String {
        self.context().location.clone()
    }

    fn id(&mut self) -> Result<String, StoreError> {
        if !self.context().read_only {
            self.prepare()?;
        }
        Ok(self.context().store_id(self.shared.driver().name()))
    }

    fn claim(&mut self, patience: Duration) -> Result<(), StoreError> {
        Claim::keep(&mut self.claim, &self.shared.context, patience)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { directories: true, keeps: KeptFields::ALL, line_ends: true }
    }

    fn tree(&mut self) -> Result<MailboxTree, StoreError> {
        self.refuse_distrusted_parts()?;
        if !self.context().read_only && !self.cleaned {
            self.remove_abandoned()?;
        }
        listing::tree(&self.shared)
    }

    fn tree_history(&mut self) -> Result<TreeHistory, StoreError> {
        changes::history(self.context(), Some(&self.context().list_root()))
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
        let mut opened = DboxMailbox::open(Arc::clone(&self.shared), name.clone(), paths.clone());
        if !opened.as_ref().is_ok_and(|mailbox| mailbox.status().identity.is_decided())
            && snapshot::identity(&self.shared, &paths).is_ok_and(|identity| identity.is_decided())
        {
            // Somebody was just making it.
            opened = DboxMailbox::open(Arc::clone(&self.shared), name.clone(), paths);
        }
        Ok(Box::new(opened?))
    }

    fn glance(&mut self, name: &MailboxName, _close: bool) -> Option<Glance> {
        // Indexes elsewhere stay when the mails are gone.
        let paths = self.existing(name).ok()?;
        self.context().glance(&marks::of(&self.shared, &paths))
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
            let text = format!("there is a mailbox {name} in {} already", self.context().location);
            return Err(StoreError::new(ErrorKind::Exists, text));
        }
        self.refuse_if_elsewhere(&paths)?;
        self.prepare()?;
        let permissions = changes::permissions_for(self.context(), name);
        let build = Build::start(self.context(), paths, identity, &permissions)?;
        Ok(Box::new(DboxMailbox::building(Arc::clone(&self.shared), name.clone(), build, permissions)))
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
