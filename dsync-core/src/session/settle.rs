//! Deciding what a store has left open, before its mailboxes are compared with others.
//!
//! Files that a delivery or another mail program left have no UID yet; a mailbox that no server has seen has no GUID.
//! A server decides that when it opens the mailbox, and so do we. It is the store's own change, not the other side's.

use super::SessionError;
use super::reporting::Reporter;
use crate::merge::{self, MailboxView};
use crate::model::{MailboxName, MailboxNode, MailboxSelection, MailboxStatus, MailboxTree, ModSeq, NodeKind, Uid};
use crate::store::{ErrorKind, MailStore, Mailbox, MailboxChanges, Origin, StoreError};

/// How far HIGHESTMODSEQ is raised for a store that has to write down what is gone.
const HEADROOM: u64 = 4;
/// How often a mailbox that others keep changing is tried.
const TRIES: u32 = 20;
/// How often one that is to be held is looked at, until nobody has changed it between look and lock.
const TRIES_TO_HOLD: u32 = 10;

/// The tree of the store, of which `tree` is the one so far, in which every mailbox that takes part has its identity.
pub(super) fn settled_tree(
    store: &mut dyn MailStore,
    tree: MailboxTree,
    selection: &MailboxSelection,
    reporter: &mut Reporter<'_>,
) -> Result<MailboxTree, SessionError> {
    let undecided = |name: &MailboxName, node: &MailboxNode| {
        let NodeKind::Mailbox { guid, uid_validity } = node.kind else { return false };
        (guid.is_none() || uid_validity.is_none()) && selection.contains(name, guid)
    };
    let names: Vec<_> =
        tree.iter().filter(|(name, node)| undecided(name, node)).map(|(name, _)| name.clone()).collect();
    for name in &names {
        if let Err(error) = open_settled(store, name) {
            reporter.problem_or_error(store, name, error)?;
        }
    }
    if names.is_empty() {
        return Ok(tree);
    }
    store.tree().map_err(|error| SessionError::of_store(store, error))
}

/// Opens a mailbox in which everything is decided.
pub(super) fn open_settled(store: &mut dyn MailStore, name: &MailboxName) -> Result<Box<dyn Mailbox>, StoreError> {
    let mut tries = 0;
    loop {
        let mut mailbox = store.open(name)?;
        tries += 1;
        match settle(&mut *mailbox) {
            Err(error) if error.kind() == ErrorKind::Changed && tries < TRIES => {}
            Err(error) => return Err(error),
            // What was pending is part of the history only once it is read again.
            Ok(true) => return store.open(name),
            Ok(false) => return Ok(mailbox),
        }
    }
}

/// The same, and keeps others from changing it. If they never rest between look and lock, the commit tells.
pub(super) fn open_held(store: &mut dyn MailStore, name: &MailboxName) -> Result<Box<dyn Mailbox>, StoreError> {
    let mut tries = 0;
    loop {
        let mut mailbox = open_settled(store, name)?;
        tries += 1;
        match mailbox.hold() {
            Err(error) if error.kind() == ErrorKind::Changed && tries < TRIES_TO_HOLD => {}
            Err(error) if error.kind() != ErrorKind::Changed => return Err(error),
            _ => return Ok(mailbox),
        }
    }
}

/// Makes a new mailbox visible as it is.
pub(super) fn publish(mailbox: &mut dyn Mailbox) -> Result<(), StoreError> {
    let changes = unchanged(mailbox.status());
    mailbox.commit(changes)
}

/// Whether anything was open.
fn settle(mailbox: &mut dyn Mailbox) -> Result<bool, StoreError> {
    let view = MailboxView { status: mailbox.status(), messages: mailbox.messages() };
    let changes = match merge::settle(view, mailbox.problems().is_empty()) {
        Some(changes) => changes,
        None if mailbox.is_settled() => return Ok(false),
        None => {
            let changes = unchanged(mailbox.status());
            // An expunge counts, and so may what is found on the way.
            MailboxChanges { origin: Origin::Local, highest_modseq: changes.highest_modseq.plus(HEADROOM), ..changes }
        }
    };
    mailbox.commit(changes)?;
    Ok(true)
}

/// Changes that change nothing.
fn unchanged(status: &MailboxStatus) -> MailboxChanges {
    MailboxChanges {
        identity: status.identity,
        uid_next: status.uid_next,
        highest_modseq: status.highest_modseq.unwrap_or(ModSeq::FIRST),
        first_recent_uid: status.first_recent_uid.unwrap_or(Uid::FIRST),
        ..MailboxChanges::empty(Origin::Mirrored)
    }
}
