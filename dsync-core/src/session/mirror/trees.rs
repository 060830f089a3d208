//! The first part of a two-way run: both trees are told, amended, merged and changed.

use super::amend::{self, Amended};
use super::{Message, MirrorSession, State, tree_changes};
use crate::model::{MailboxNode, MailboxTree, NodeKind, Role};
use crate::session::{Amendments, Greeting, SessionError, settle};
use crate::tree::two_way::{self as tree, ExpectedTree, TreeSide};

impl MirrorSession<'_> {
    pub(super) fn hello(&mut self) -> Result<(), SessionError> {
        self.own.tree = self.settled_tree()?;
        self.own.history = self.store.tree_history().map_err(|error| self.store_error(error))?;
        self.own_id = self.store.id().map_err(|error| self.store_error(error))?;
        let greeting = Greeting {
            location: self.store.location(),
            id: self.own_id.clone(),
            options: self.options.clone(),
            capabilities: self.store.capabilities(),
            imports: self.imports,
            holds_mailboxes: self.own.tree.values().any(MailboxNode::is_mailbox),
        };
        self.outbox.push_back(Message::Hello(greeting));
        let nodes = self.own.tree.iter().map(|(name, node)| Message::Node(name.clone(), node.clone()));
        self.outbox.extend(nodes);
        self.outbox.extend(self.own.history.events.iter().map(|event| Message::TreeEvent(*event)));
        let history = &self.own.history;
        let (separators, prefix) = (history.separators.clone(), history.prefix.clone());
        self.outbox.push_back(Message::TreeEnd { separators, prefix });
        Ok(())
    }

    /// The whole tree. In a store that may be changed, every mailbox that takes part has a GUID.
    fn settled_tree(&mut self) -> Result<MailboxTree, SessionError> {
        let mut tree = self.list()?;
        if !self.imports {
            let side = TreeSide { tree, ..TreeSide::default() };
            let duplicates = amend::duplicates(&side, &TreeSide::default());
            tree = side.tree;
            for name in duplicates {
                if let Some(node) = tree.get_mut(&name) {
                    node.kind = NodeKind::Unreadable("another mailbox has the same GUID".to_owned());
                }
            }
            return Ok(tree);
        }
        settle::settled_tree(self.store, tree, &self.options.mailboxes, &mut self.reporter)
    }

    fn list(&mut self) -> Result<MailboxTree, SessionError> {
        self.store.tree().map_err(|error| self.store_error(error))
    }

    /// Both trees are known.
    pub(super) fn amend(&mut self) -> Result<State, SessionError> {
        let peer = self.peer();
        let amended = match self.imports {
            true => amend::amend(self.store, &self.own, &self.other, &self.options.mailboxes, peer),
            false => Amended::default(),
        };
        let Amended { amendments, deletable, duplicates, failed } = amended;
        self.deletable = deletable;
        for name in duplicates {
            self.reporter.problem(Some(&name), "another mailbox had the same GUID; this one has a new one now");
        }
        for (name, error) in failed {
            self.reporter.problem_or_error(self.store, &name, error)?;
        }
        self.outbox.push_back(Message::Amendments(amendments.clone()));
        Ok(State::AwaitAmendments(amendments))
    }

    pub(super) fn merge_trees(&mut self, own: &Amendments, other: &Amendments) -> Result<State, SessionError> {
        amend::apply(&mut self.own, own);
        amend::apply(&mut self.other, other);
        let [master, slave] = match self.role {
            Role::Master => [&self.own, &self.other],
            Role::Slave => [&self.other, &self.own],
        };
        let mut merged = tree::merge(master, slave)?;
        let other_holds = self.greeting.as_ref().is_some_and(|greeting| greeting.capabilities.directories);
        if !(other_holds && self.store.capabilities().directories) {
            // Before anything is left out: a level that others are below holds something.
            merged.make_mailboxes_of_directories();
        }
        self.merged = merged.selected([master, slave], &self.options.mailboxes);
        if self.imports {
            self.change_tree()?;
            self.here = self.list()?;
        }
        self.reporter.unreadable(&self.own.tree, &self.options.mailboxes);
        if self.options.tree_only && self.imports {
            tree_changes::create_missing(self.store, &mut self.reporter, &self.merged.tree, &self.here)?;
        }
        if self.role == Role::Slave {
            return Ok(State::AwaitOffer);
        }
        if self.options.tree_only {
            return Ok(State::Offer);
        }
        let mailboxes = self.merged.tree.iter().filter(|(_, node)| matches!(node.kind, NodeKind::Mailbox { .. }));
        self.offers = mailboxes.map(|(name, _)| name.clone()).collect();
        Ok(State::Offer)
    }

    fn change_tree(&mut self) -> Result<(), SessionError> {
        let directories = self.store.capabilities().directories;
        let (merged, selection) = (&self.merged, &self.options.mailboxes);
        self.store.expect(&merged.tree);
        let mut expected = ExpectedTree::new(&self.own.tree);
        tree_changes::carry_out(self.store, &mut self.reporter, Some(&self.deletable), |own| {
            let merged = expected.reconcile(merged, own);
            let own = tree_changes::taking_part(own, &merged.tree, selection);
            let actions = tree::actions(&merged, &own, directories);
            actions.iter().for_each(|action| expected.apply(action));
            Ok(actions)
        })
    }
}
