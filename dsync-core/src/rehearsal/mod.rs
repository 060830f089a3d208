//! A store that only pretends to change.
//!
//! It wraps another one, shows what that holds, and takes every change to itself: later calls see it, the store inside is only
//! read. So a run between two rehearsals takes the same decisions as the run itself would, and
//! [`changes`](Rehearsal::changes) says what that would do to each store.
//!
//! What only the attempt can tell is not found out: whether a name or a message can be written, whether somebody changes
//! the store meanwhile, and what a store decides with the clock.

mod change;
mod contents;
mod mailbox;
mod tree;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha1::{Digest, Sha1};

use crate::model::{
    MailboxGuid, MailboxIdentity, MailboxName, MailboxNode, MailboxTree, NodeKind, TreeHistory, UidValidity,
};
use crate::store::{Capabilities, ErrorKind, MailStore, Mailbox, StoreError};
use crate::tree::TreeAction;

pub use change::StoreChange;

use mailbox::RehearsedMailbox;
use tree::PretendedTree;

/// A store that is not changed, and looks as if it was.
pub struct Rehearsal {
    inner: Box<dyn MailStore>,
    exists: bool,
    identities: u32,
    pretended: Shared,
}

/// What a rehearsal and its open mailboxes know.
type Shared = Arc<Mutex<Pretended>>;

#[derive(Default)]
struct Pretended {
    tree: PretendedTree,
    changes: Vec<StoreChange>,
}

fn lock(shared: &Shared) -> MutexGuard<'_, Pretended> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rehearsal {
    /// A rehearsal on a store that exists. It need not be more than readable.
    #[must_use]
    pub fn of(inner: Box<dyn MailStore>) -> Self {
        Self { inner, exists: true, identities: 0, pretended: Shared::default() }
    }

    /// A rehearsal on a store that would come into being. `inner` must be one that does so only when it is changed.
    #[must_use]
    pub fn of_missing(inner: Box<dyn MailStore>) -> Self {
        Self { exists: false, ..Self::of(inner) }
    }

    /// Everything that was pretended, in order.
    #[must_use]
    pub fn changes(&self) -> Vec<StoreChange> {
        lock(&self.pretended).changes.clone()
    }

    /// The tree as it would be now. It is read once.
    fn load(&mut self) -> Result<MutexGuard<'_, Pretended>, StoreError> {
        if !lock(&self.pretended).tree.is_loaded() {
            let tree = self.inner.tree()?;
            lock(&self.pretended).tree.load(tree);
        }
        Ok(lock(&self.pretended))
    }

    /// Notes a change of the tree if it can be made.
    fn change_tree(
        &mut self,
        action: TreeAction,
        make: impl FnOnce(&mut PretendedTree) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut pretended = self.load()?;
        make(&mut pretended.tree)?;
        pretended.changes.push(StoreChange::Tree(action));
        Ok(())
    }
}

impl MailStore for Rehearsal {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn id(&mut self) -> Result<String, StoreError> {
        match self.exists {
            true => self.inner.id(),
            false => Ok(format!("a store that would be at {}", self.inner.location())),
        }
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn tree(&mut self) -> Result<MailboxTree, StoreError> {
        Ok(self.load()?.tree.nodes().clone())
    }

    fn tree_history(&mut self) -> Result<TreeHistory, StoreError> {
        self.inner.tree_history()
    }

    fn new_identity(&mut self) -> Result<MailboxIdentity, StoreError> {
        self.identities = self.identities.saturating_add(1);
        let hash = Sha1::digest(format!("{} {}", self.identities, self.inner.location()));
        let guid = hash.first_chunk::<16>().copied().and_then(MailboxGuid::new);
        let number = hash.last_chunk::<4>().copied().map(u32::from_le_bytes).unwrap_or_default();
        Ok(MailboxIdentity { guid, uid_validity: UidValidity::new(number.max(1)) })
    }

    fn open(&mut self, name: &MailboxName) -> Result<Box<dyn Mailbox>, StoreError> {
        let keeps = self.capabilities().keeps;
        let (origin, contents) = self.load()?.tree.find(name)?;
        let inner = match origin {
            Some(origin) => Some(self.inner.open(&origin)?),
            None => None,
        };
        Ok(Box::new(RehearsedMailbox::new(Arc::clone(&self.pretended), name.clone(), inner, contents, keeps)))
    }

    fn create(&mut self, name: &MailboxName, identity: MailboxIdentity) -> Result<Box<dyn Mailbox>, StoreError> {
        if self.load()?.tree.nodes().get(name).is_some_and(MailboxNode::is_mailbox) {
            return Err(StoreError::new(ErrorKind::Exists, format!("mailbox {name} exists already")));
        }
        let keeps = self.capabilities().keeps;
        let identity = match identity.is_decided() {
            true => identity,
            false => identity.or(self.new_identity()?),
        };
        Ok(Box::new(RehearsedMailbox::created(Arc::clone(&self.pretended), name.clone(), identity, keeps)))
    }

    fn delete(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        self.change_tree(TreeAction::Delete(name.clone()), |tree| tree.delete(name))
    }

    fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        let action = TreeAction::Rename { from: from.clone(), to: to.clone() };
        self.change_tree(action, |tree| tree.rename(from, to))
    }

    fn create_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        if !self.capabilities().directories {
            let text = format!("{name}: the store has no levels that are not mailboxes");
            return Err(StoreError::new(ErrorKind::Impossible, text));
        }
        if self.load()?.tree.nodes().get(name).is_some_and(|node| node.kind != NodeKind::Absent) {
            return Ok(());
        }
        self.change_tree(TreeAction::CreateDirectory(name.clone()), |tree| {
            tree.set_kind(name, NodeKind::Directory);
            Ok(())
        })
    }

    fn delete_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        self.change_tree(TreeAction::DeleteDirectory(name.clone()), |tree| tree.delete_directory(name))
    }

    fn set_subscribed(&mut self, name: &MailboxName, subscribed: bool) -> Result<(), StoreError> {
        self.change_tree(TreeAction::Subscribe(name.clone(), subscribed), |tree| {
            tree.set_subscribed(name, subscribed);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
