//! For tests: a store in memory in which something happens whenever a mailbox was opened or made.

use crate::memory::MemoryStore;
use crate::model::{MailboxIdentity, MailboxName, MailboxTree};
use crate::store::{Capabilities, MailStore, Mailbox, StoreError};

/// What happens: to the store, or to whoever opens the mailbox.
pub(super) type Disturbance = fn(&mut MemoryStore, &MailboxName) -> Result<(), StoreError>;

#[derive(Clone)]
pub(super) struct Disturbed {
    pub(super) store: MemoryStore,
    pub(super) disturbance: Disturbance,
}

impl MailStore for Disturbed {
    fn location(&self) -> String {
        self.store.location()
    }

    fn id(&mut self) -> Result<String, StoreError> {
        self.store.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn tree(&mut self) -> Result<MailboxTree, StoreError> {
        self.store.tree()
    }

    fn new_identity(&mut self) -> Result<MailboxIdentity, StoreError> {
        self.store.new_identity()
    }

    fn open(&mut self, name: &MailboxName) -> Result<Box<dyn Mailbox>, StoreError> {
        let mailbox = self.store.open(name)?;
        (self.disturbance)(&mut self.store, name)?;
        Ok(mailbox)
    }

    fn create(&mut self, name: &MailboxName, identity: MailboxIdentity) -> Result<Box<dyn Mailbox>, StoreError> {
        let mailbox = self.store.create(name, identity)?;
        (self.disturbance)(&mut self.store, name)?;
        Ok(mailbox)
    }

    fn delete(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        self.store.delete(name)
    }

    fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        self.store.rename(from, to)
    }

    fn create_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        self.store.create_directory(name)
    }

    fn delete_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        self.store.delete_directory(name)
    }

    fn set_subscribed(&mut self, name: &MailboxName, subscribed: bool) -> Result<(), StoreError> {
        self.store.set_subscribed(name, subscribed)
    }
}
