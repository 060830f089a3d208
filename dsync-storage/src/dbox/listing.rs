//! Which mailboxes an mdbox or sdbox has.

use std::path::Path;

use dsync_core::model::{MailboxIdentity, MailboxTree, NodeKind};
use dsync_core::store::{ErrorKind, StoreError};

use super::shared::Shared;
use super::snapshot;
use crate::fs::{links, read};
use crate::list::layout::{DBOX_MAILS, MailboxPaths};
use crate::list::listing::{self, Walk};
use crate::text::lossy;

/// Who the mailbox in some directories is.
type IdentityOf = fn(&Shared, &MailboxPaths) -> Result<MailboxIdentity, StoreError>;

/// All names of the store.
pub(super) fn tree(shared: &Shared) -> Result<MailboxTree, StoreError> {
    list(shared, snapshot::identity)
}

/// The same; a mailbox that somebody is deleting is one like any other.
pub(super) fn tree_with_deleted(shared: &Shared) -> Result<MailboxTree, StoreError> {
    list(shared, snapshot::identity_though_deleted)
}

fn list(shared: &Shared, identity: IdentityOf) -> Result<MailboxTree, StoreError> {
    let context = &shared.context;
    listing::settled(context, &|| {
        let mut tree = MailboxTree::new();
        let node_of = |paths: &MailboxPaths| node_of(shared, paths, identity);
        Walk::new(context, &[DBOX_MAILS], &[DBOX_MAILS], &node_of).list(&mut tree)?;
        listing::add_subscriptions(context, &mut tree, &|| Ok(Vec::new()))?;
        Ok(tree)
    })
}

/// Whether a mailbox is at the path.
pub(super) fn is_mailbox(mails: &Path) -> bool {
    mails.is_dir()
}

fn node_of(shared: &Shared, paths: &MailboxPaths, identity: IdentityOf) -> NodeKind {
    let looked =
        links::refuse_distrusted(&paths.mails, &paths.root).and_then(|()| read::is_listable(&paths.mails).map(drop));
    if let Err(error) = looked {
        return NodeKind::Unreadable(error.to_string());
    }
    match identity(shared, paths) {
        Ok(MailboxIdentity { guid, uid_validity }) => NodeKind::Mailbox { guid, uid_validity },
        Err(error) if error.kind() == ErrorKind::NotFound && !paths.mails.exists() => NodeKind::Directory,
        Err(error) => NodeKind::Unreadable(format!("{}: {error}", lossy(&paths.mails))),
    }
}
