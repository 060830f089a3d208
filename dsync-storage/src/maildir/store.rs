//! A tree of Maildirs as a mail store.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dsync_core::model::{
    Agreements, Glance, KeptFields, MailboxGuid, MailboxIdentity, MailboxName, MailboxStatus, MailboxTree,
    TreeHistory,
};
use dsync_core::store::{Capabilities, ErrorKind, MailStore, Mailbox, StoreError};

use super::mailbox::MaildirMailbox;
use super::{listing, snapshot, tree_changes};
use crate::fs::mutation;
use crate::list::build::Build;
use crate::list::claim::Claim;
use crate::list::context::{Context, invalid_name, is_mailbox, refuse_inbox};
use crate::list::hidden::HiddenPlaces;
use crate::list::layout::{Layout, MBOX_INDEXES, MailboxPaths};
use crate::list::{changes, hidden};
use crate::location::{IndexPlace, Location};
use crate::settings::Settings;

/// A Maildir store that was opened.
#[derive(Debug)]
pub struct MaildirStore {
    context: Arc<Context>,
    cleaned: bool,
    claim: Option<Claim>,
}

/// The directory with the indexes of mboxes would be a mailbox, if only an empty one.
fn refuse_mbox(location: &Location) -> Result<(), StoreError> {
    let root = &location.root;
    if root.join("cur").is_dir() || !root.join(MBOX_INDEXES).join("INBOX").is_dir() {
        return Ok(());
    }
    let text = format!("{} is a tree of mbox files, not a Maildir", root.display());
    Err(StoreError::new(ErrorKind::Impossible, text))
}

impl MaildirStore {
    /// Opens a store to read it. Nothing in it will be changed: no file is made, no time moved.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is nothing at the location, [`ErrorKind::Impossible`] if it is no Maildir.
    pub fn open_read_only(location: &Location) -> Result<Self, StoreError> {
        if !location.root.is_dir() {
            let text = format!("there is no Maildir at {}: no such directory", location.root.display());
            return Err(StoreError::new(ErrorKind::NotFound, text));
        }
        refuse_mbox(location)?;
        Ok(Self::new(location, true))
    }

    /// Opens a store to change it. It need not exist yet.
    ///
    /// # Errors
    /// [`ErrorKind::Impossible`] if it is no Maildir, or its indexes would be in memory only: modseqs have no other place.
    pub fn open(location: &Location) -> Result<Self, StoreError> {
        if location.index == Some(IndexPlace::Memory) {
            let text = "INDEX=MEMORY cannot be used for a store that is to be changed: modification sequences and \
                        further keywords would be lost";
            return Err(StoreError::new(ErrorKind::Impossible, text));
        }
        refuse_mbox(location)?;
        Ok(Self::new(location, false))
    }

    /// The same store with what the server's settings say about its names, and how new messages are compressed.
    #[must_use]
    pub fn configured(mut self, settings: &Settings) -> Self {
        if let Some(context) = Arc::get_mut(&mut self.context) {
            context.separators = settings.separators(&context.separators);
            context.prefix.clone_from(&settings.name_prefix);
            context.compression = settings.compression;
        }
        self
    }

    fn new(location: &Location, read_only: bool) -> Self {
        let naming = location.naming();
        // What servers show to clients is the layout's own unless they are told otherwise, and mostly `/` then.
        let separators = Settings::default().separators(&[naming.layout.separator(), '/']);
        let context = Context {
            location: location.to_string(),
            roots: location.roots(),
            naming,
            separators,
            prefix: String::new(),
            subscriptions: location.subscriptions_file(),
            hidden: HiddenPlaces::MAILDIR,
            read_only,
            compression: None,
            telling_devices: OnceLock::new(),
        };
        Self { context: Arc::new(context), cleaned: false, claim: None }
    }

    fn paths(&self, name: &MailboxName) -> Result<MailboxPaths, StoreError> {
        self.context.roots.of_mailbox(self.context.naming, name).map_err(|error| invalid_name(&error))
    }

    /// The paths of a mailbox that exists.
    fn existing(&self, name: &MailboxName) -> Result<MailboxPaths, StoreError> {
        let paths = self.paths(name)?;
        if listing::is_mailbox(self.context.naming.layout, name, &paths.mails) {
            self.refuse_if_elsewhere(&paths)?;
            return Ok(paths);
        }
        Err(self.context.no_mailbox(name))
    }

    fn refuse_if_elsewhere(&self, paths: &MailboxPaths) -> Result<(), StoreError> {
        let roots = &self.context.roots;
        let own = ["cur", "new", "tmp"].map(|own| paths.mails.join(own));
        let index = paths.index.as_ref().zip(roots.index.as_ref());
        // Where INBOX has no directory of its own, it keeps its files with its mails.
        let control = if paths.control == paths.mails { &paths.root } else { &roots.control };
        let index = index.map(|(path, root)| (path, if *path == paths.mails { &paths.root } else { root }));
        let places = [(&paths.mails, &paths.root), (&paths.control, control)].into_iter();
        self.context.refuse_if_elsewhere(places.chain(own.iter().map(|own| (own, &paths.root))).chain(index))
    }

    /// Before the first change: makes the roots, and removes what crashed runs left.
    fn prepare(&mut self) -> Result<(), StoreError> {
        self.context.refuse_if_read_only()?;
        if !self.cleaned {
            self.context.refuse_distrusted_parts()?;
            let permissions = self.context.permissions();
            let roots = &self.context.roots;
            let all: [Option<&PathBuf>; 3] = [Some(&roots.mails), Some(&roots.control), roots.index.as_ref()];
            for root in all.into_iter().flatten() {
                mutation::create_directories(root, &permissions)?;
            }
            hidden::remove_abandoned(&self.context)?;
            self.cleaned = true;
        }
        Ok(())
    }
}

impl MailStore for MaildirStore {
    fn location(&self) -> String {
        self.context.location.clone()
    }

    fn id(&mut self) -> Result<String, StoreError> {
        if !self.context.read_only {
            self.prepare()?;
        }
        Ok(self.context.store_id("maildir"))
    }

    fn claim(&mut self, patience: Duration) -> Result<(), StoreError> {
        Claim::keep(&mut self.claim, &self.context, patience)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            directories: self.context.naming.layout == Layout::Fs,
            keeps: KeptFields::ALL,
            line_ends: true,
        }
    }

    fn tree(&mut self) -> Result<MailboxTree, StoreError> {
        self.context.refuse_distrusted_parts()?;
        if !self.context.read_only && !self.cleaned {
            hidden::remove_abandoned(&self.context)?;
        }
        listing::tree(&self.context)
    }

    fn tree_history(&mut self) -> Result<TreeHistory, StoreError> {
        changes::history(&self.context, self.context.roots.index.as_deref())
    }

    fn note_deleted(&mut self, guid: MailboxGuid) -> Result<(), StoreError> {
        self.prepare()?;
        changes::note_deleted(&self.context, guid)
    }

    fn new_identity(&mut self) -> Result<MailboxIdentity, StoreError> {
        self.prepare()?;
        changes::new_identity(&self.context)
    }

    fn open(&mut self, name: &MailboxName) -> Result<Box<dyn Mailbox>, StoreError> {
        let paths = self.existing(name)?;
        listing::wait_until_made(&paths);
        Ok(Box::new(MaildirMailbox::open(Arc::clone(&self.context), name.clone(), paths)?))
    }

    fn glance(&mut self, name: &MailboxName, close: bool) -> Option<Glance> {
        let paths = self.paths(name).ok()?;
        let glance = self.context.glance(&snapshot::marks(&paths))?;
        let inside = if close { Some(snapshot::dates_of_files(&paths)?) } else { None };
        Some(Glance { inside, ..glance })
    }

    fn agreements(&mut self, peer: [u8; 8]) -> Result<Agreements, StoreError> {
        self.context.agreements(peer)
    }

    fn keep_agreements(&mut self, peer: [u8; 8], agreements: &Agreements) -> Result<(), StoreError> {
        self.context.keep_agreements(peer, agreements)
    }

    fn create(&mut self, name: &MailboxName, identity: MailboxIdentity) -> Result<Box<dyn Mailbox>, StoreError> {
        let paths = self.paths(name)?;
        if listing::is_mailbox(self.context.naming.layout, name, &paths.mails) || paths.mails.is_symlink() {
            let text = format!("there is a mailbox {name} in {} already", self.context.location);
            return Err(StoreError::new(ErrorKind::Exists, text));
        }
        self.refuse_if_elsewhere(&paths)?;
        self.prepare()?;
        let permissions = changes::permissions_for(&self.context, name);
        let context = Arc::clone(&self.context);
        if name.is_inbox() {
            // INBOX is the root itself, so it cannot be built elsewhere.
            let mailbox = MaildirMailbox::open_new(context, name.clone(), paths, permissions, identity)?;
            return Ok(Box::new(mailbox));
        }
        let build = Build::start(&self.context, paths, identity, &permissions)?;
        Ok(Box::new(MaildirMailbox::building(context, name.clone(), build, permissions)?))
    }

    fn delete(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        refuse_inbox(name)?;
        let paths = self.existing(name)?;
        self.prepare()?;
        let guid = snapshot::identity(&paths.control)?.guid;
        tree_changes::delete(&self.context, name, &paths, guid, None)
    }

    fn delete_unchanged(&mut self, name: &MailboxName, expected: &MailboxStatus) -> Result<(), StoreError> {
        refuse_inbox(name)?;
        let paths = self.existing(name)?;
        self.prepare()?;
        listing::wait_until_made(&paths);
        let mailbox = MaildirMailbox::open(Arc::clone(&self.context), name.clone(), paths.clone())?;
        if mailbox.status() != expected || !mailbox.messages().is_decided() {
            let text = format!("mailbox {name} in {} was changed meanwhile; it stays", self.context.location);
            return Err(StoreError::new(ErrorKind::Changed, text));
        }
        tree_changes::delete(&self.context, name, &paths, expected.identity.guid, Some(mailbox.files()))
    }

    fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        self.prepare()?;
        changes::rename(&self.context, from, to, &|| listing::tree(&self.context))
    }

    fn create_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        if !self.capabilities().directories {
            let text = format!("{} has no levels without a mailbox", self.context.location);
            return Err(StoreError::new(ErrorKind::Impossible, text));
        }
        let paths = self.paths(name)?;
        self.refuse_if_elsewhere(&paths)?;
        self.prepare()?;
        changes::create_directory(&self.context, &paths.mails)
    }

    fn delete_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        let paths = self.paths(name)?;
        self.refuse_if_elsewhere(&paths)?;
        self.prepare()?;
        if self.existing(name).is_ok() {
            return Err(is_mailbox(name));
        }
        tree_changes::delete_directory(&self.context, name, &paths)
    }

    fn set_subscribed(&mut self, name: &MailboxName, subscribed: bool) -> Result<(), StoreError> {
        self.prepare()?;
        changes::set_subscribed(&self.context, name, subscribed)
    }
}
