//! The tree of a store as it would be.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::contents::Contents;
use crate::model::{MailboxName, MailboxNode, MailboxTree, NodeKind};
use crate::store::{ErrorKind, StoreError};

/// Names, and what is behind them.
#[derive(Default)]
pub(super) struct PretendedTree {
    nodes: Option<MailboxTree>,
    /// What is behind the names of mailboxes; nothing for one that is as it is in the store, under its own name.
    mailboxes: BTreeMap<MailboxName, Behind>,
}

/// What is behind a name.
#[derive(Clone, Default)]
pub(super) struct Behind {
    /// The mailbox of the store, if there is one.
    origin: Option<MailboxName>,
    /// What it holds, if that is pretended.
    contents: Option<Arc<Contents>>,
}

impl PretendedTree {
    pub(super) fn is_loaded(&self) -> bool {
        self.nodes.is_some()
    }

    pub(super) fn load(&mut self, tree: MailboxTree) {
        self.nodes = Some(tree);
    }

    pub(super) fn nodes(&mut self) -> &mut MailboxTree {
        self.nodes.get_or_insert_default()
    }

    /// Where the mailbox is in the store, and what it is pretended to hold.
    pub(super) fn find(
        &mut self,
        name: &MailboxName,
    ) -> Result<(Option<MailboxName>, Option<Arc<Contents>>), StoreError> {
        if !self.nodes().get(name).is_some_and(MailboxNode::is_mailbox) {
            return Err(missing(name));
        }
        Ok(match self.mailboxes.get(name) {
            Some(behind) => (behind.origin.clone(), behind.contents.clone()),
            None => (Some(name.clone()), None),
        })
    }

    /// The mailbox holds this from now on.
    pub(super) fn put(&mut self, name: &MailboxName, contents: Arc<Contents>) {
        let exists = self.nodes().get(name).is_some_and(MailboxNode::is_mailbox);
        let behind = self.mailboxes.entry(name.clone()).or_default();
        if behind.contents.is_none() && behind.origin.is_none() && exists {
            behind.origin = Some(name.clone());
        }
        let identity = contents.status.identity;
        behind.contents = Some(contents);
        self.set_kind(name, NodeKind::Mailbox { guid: identity.guid, uid_validity: identity.uid_validity });
    }

    pub(super) fn delete(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        self.find(name)?;
        if name.is_inbox() {
            return Err(StoreError::new(ErrorKind::Impossible, "INBOX cannot be deleted".to_owned()));
        }
        // A new mailbox of that name would be another one.
        self.mailboxes.insert(name.clone(), Behind::default());
        self.set_kind(name, NodeKind::Absent);
        Ok(())
    }

    pub(super) fn delete_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        let is_empty =
            !self.nodes().iter().any(|(other, node)| node.kind != NodeKind::Absent && other.is_below(name));
        match self.nodes().get(name).map(|node| &node.kind) {
            None | Some(NodeKind::Absent) => Ok(()),
            Some(NodeKind::Directory) if is_empty => {
                self.set_kind(name, NodeKind::Absent);
                Ok(())
            }
            _ => Err(StoreError::new(ErrorKind::Impossible, format!("{name} is a mailbox, or not empty"))),
        }
    }

    pub(super) fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        let holds = |nodes: &MailboxTree, at: &MailboxName| {
            nodes.iter().any(|(name, node)| node.kind != NodeKind::Absent && (name == at || name.is_below(at)))
        };
        if from.is_inbox() || to.is_inbox() {
            return Err(StoreError::new(ErrorKind::Impossible, "INBOX cannot be renamed".to_owned()));
        }
        if !holds(self.nodes(), from) {
            return Err(missing(from));
        }
        if holds(self.nodes(), to) {
            return Err(StoreError::new(ErrorKind::Exists, format!("{to} exists already")));
        }
        let moved: Vec<_> = self
            .nodes()
            .iter()
            .filter(|(_, node)| node.kind != NodeKind::Absent)
            .filter_map(|(name, node)| Some((name.clone(), name.moved(from, to)?, node.kind.clone())))
            .collect();
        let mut behind = Vec::new();
        for (old, new, kind) in moved {
            if let NodeKind::Mailbox { .. } | NodeKind::Unreadable(_) = kind {
                let known = self.mailboxes.insert(old.clone(), Behind::default());
                let here = known.unwrap_or_else(|| Behind { origin: Some(old.clone()), contents: None });
                behind.push((new.clone(), here));
            }
            self.set_kind(&old, NodeKind::Absent);
            self.set_kind(&new, kind);
        }
        self.mailboxes.extend(behind);
        Ok(())
    }

    pub(super) fn set_kind(&mut self, name: &MailboxName, kind: NodeKind) {
        let nodes = self.nodes();
        let subscribed = nodes.get(name).is_some_and(|node| node.subscribed);
        Self::set(nodes, name, MailboxNode { kind, subscribed });
    }

    pub(super) fn set_subscribed(&mut self, name: &MailboxName, subscribed: bool) {
        let nodes = self.nodes();
        let kind = nodes.get(name).map_or(NodeKind::Absent, |node| node.kind.clone());
        Self::set(nodes, name, MailboxNode { kind, subscribed });
    }

    fn set(nodes: &mut MailboxTree, name: &MailboxName, node: MailboxNode) {
        if node.kind == NodeKind::Absent && !node.subscribed {
            nodes.remove(name);
        } else {
            nodes.insert(name.clone(), node);
        }
    }
}

fn missing(name: &MailboxName) -> StoreError {
    StoreError::new(ErrorKind::NotFound, format!("there is no mailbox {name}"))
}
