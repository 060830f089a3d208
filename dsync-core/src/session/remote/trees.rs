//! The first part of a run with a peer: both trees are told, brought together, and changed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::mailboxes::Agreed;
use super::own::derived_identity;
use super::{Part, RemoteSession, Said, State, tree_rows};
use crate::model::{MailboxIdentity, MailboxName, MailboxNode, MailboxTree, NodeKind, Role, Uid};
use crate::session::mirror::amend::{self, Amended};
use crate::session::{SessionError, settle, tree_changes};
use crate::tree::two_way;
use crate::wire::{Item, SyncType};

impl RemoteSession<'_> {
    /// Keeps other runs out of a store that may be changed.
    fn claim(&mut self) -> Result<(), SessionError> {
        let waits: u64 = match self.terms.role {
            Role::Master => 30,
            // Of two runs that began at both ends, and wait for each other, one goes first.
            Role::Slave => 5 + self.store_id.bytes().map(u64::from).sum::<u64>() % 10,
        };
        match self.terms.part.imports() {
            true => self.store.claim(Duration::from_secs(waits)).map_err(|error| self.store_error(error)),
            false => Ok(()),
        }
    }

    /// Says what this side has.
    pub(super) fn tell_tree(&mut self) -> Result<(), SessionError> {
        self.claim()?;
        let mut tree = self.list()?;
        if self.terms.part == Part::Both || self.terms.part == Part::MergeDestination {
            tree = settle::settled_tree(self.store, tree, &self.options.mailboxes, &mut self.reporter)?;
        } else if self.terms.part != Part::Copy {
            decide_identities(&mut tree, &self.store_id);
        }
        self.own.tree = tree;
        self.own.history = self.store.tree_history().map_err(|error| self.store_error(error))?;
        self.refuse_duplicates()?;
        self.refuse_to_empty_the_copy()?;
        if self.terms.role == Role::Master && self.sync_type == SyncType::State {
            self.tell_states()?;
        }
        let mut told = self.own.clone();
        told.tree = self.options.mailboxes.part_of(&self.own.tree, &|_, _| false);
        if self.terms.part == Part::Copy {
            // Nothing follows from it at the source, and what is not decided here cannot be said.
            told.tree.clear();
            told.history.events.clear();
        }
        tree_rows::drop_implied(&mut told.tree);
        let next_uids = self.next_uids(&told.tree)?;
        let nodes = tree_rows::nodes(&told, &next_uids, &self.prefixes[0]).into_iter();
        self.outbox.extend(nodes.map(|node| Said::Item(Item::TreeNode(node))));
        self.outbox.push_back(Said::EndOfList);
        self.deleted = two_way::TreeSide { tree: self.own.tree.clone(), history: told.history };
        Ok(())
    }

    /// Says what was deleted here. `separator` is that of the other side's names, if it has said it.
    pub(super) fn tell_deletions(&mut self, separator: Option<char>) {
        let deleted = std::mem::take(&mut self.deleted);
        self.outbox.push_back(Said::Item(Item::Deletions(tree_rows::deletions(&deleted, separator))));
    }

    fn list(&mut self) -> Result<MailboxTree, SessionError> {
        self.store.tree().map_err(|error| self.store_error(error))
    }

    /// A source that has nothing at all may not be mounted. A copy that hears only of a part of it cannot know that, and no other
    /// program asks.
    fn refuse_to_empty_the_copy(&self) -> Result<(), SessionError> {
        let is_empty = !self.own.tree.values().any(MailboxNode::is_mailbox);
        let copy_decides = self.peer_is_own_kind && self.options.mailboxes.is_all();
        if self.terms.part != Part::Source || !is_empty || copy_decides || self.options.allow_empty_source {
            return Ok(());
        }
        Err(SessionError::EmptySource {
            source_location: self.store.location(),
            destination_location: "the other side".to_owned(),
        })
    }

    /// A peer takes a tree with two mailboxes of one GUID for a broken one.
    fn refuse_duplicates(&self) -> Result<(), SessionError> {
        if self.terms.part == Part::Copy {
            return Ok(());
        }
        let duplicates = amend::duplicates(&self.own, &two_way::TreeSide::default());
        let Some(name) = duplicates.first() else { return Ok(()) };
        Err(SessionError::Inexpressible(format!(
            "another mailbox has the GUID of mailbox {name}, which the other side would not accept: let a server, or a mirror \
             with a local store, give it another one"
        )))
    }

    /// The UIDNEXTs of a source's mailboxes. A server that becomes a copy deletes a mailbox that has a greater one than it is
    /// told.
    fn next_uids(&mut self, told: &MailboxTree) -> Result<BTreeMap<MailboxName, Uid>, SessionError> {
        let mut next_uids = BTreeMap::new();
        if self.terms.part != Part::Source {
            return Ok(next_uids);
        }
        for (name, node) in told {
            let unreadable = |reason: String| SessionError::UnreadableSource { mailbox: name.clone(), reason };
            match &node.kind {
                NodeKind::Mailbox { .. } => {
                    let own = self.open_source(name).map_err(|error| unreadable(error.to_string()))?;
                    next_uids.insert(name.clone(), own.status().uid_next);
                }
                NodeKind::Unreadable(reason) => return Err(unreadable(reason.clone())),
                NodeKind::Absent | NodeKind::Directory => {}
            }
        }
        Ok(next_uids)
    }

    /// Both trees are known.
    pub(super) fn bring_trees_together(&mut self) -> Result<State, SessionError> {
        match self.terms.part {
            Part::Source => {
                let part = self.options.mailboxes.part_of(&self.own.tree, &|_, _| false);
                self.agreed = Agreed::of(&part);
                self.here = self.own.tree.clone();
            }
            Part::Copy => self.become_copy()?,
            Part::MergeSource | Part::MergeDestination | Part::Both => self.merge_trees()?,
        }
        self.reporter.unreadable(&self.own.tree, &self.options.mailboxes);
        if self.terms.role == Role::Slave {
            return Ok(State::AwaitOffer);
        }
        if !self.options.tree_only {
            self.offers = self.agreed.guids().collect();
        }
        Ok(State::Offer)
    }

    fn become_copy(&mut self) -> Result<(), SessionError> {
        let (source, selection) = (&self.other.tree, &self.options.mailboxes);
        // If only some mailboxes are selected, it is not known what else the other side has.
        let is_empty = selection.is_all() && !source.values().any(MailboxNode::is_mailbox);
        let empty = (is_empty && !self.options.allow_empty_source).then_some("the other side");
        tree_changes::take_over(self.store, &mut self.reporter, source, selection, empty)?;
        if is_empty && !self.options.tree_only {
            tree_changes::empty_inbox(self.store, &mut self.reporter)?;
        }
        // Of what is left out nobody knows whether it is below.
        if !self.store.capabilities().directories && selection.is_all() {
            tree_changes::report_lost_directories(&mut self.reporter, &self.other.tree);
        }
        self.agreed = Agreed::of(&self.other.tree);
        self.here = self.list()?;
        if self.options.tree_only {
            tree_changes::create_missing(self.store, &mut self.reporter, &self.other.tree, &self.here)?;
        }
        Ok(())
    }

    fn merge_trees(&mut self) -> Result<(), SessionError> {
        let imports = self.terms.part.imports();
        if imports {
            self.amend()?;
        }
        // Both sides have to decide from the same.
        let [own, other] = [&self.own, &self.other].map(two_way::TreeSide::without_former_names);
        let [master, slave] = match self.terms.role {
            Role::Master => [&own, &other],
            Role::Slave => [&other, &own],
        };
        let mut merged = two_way::merge(master, slave)?.selected([master, slave], &self.options.mailboxes);
        match self.terms.part {
            Part::MergeSource => name_as_source(&mut merged.tree, &self.own.tree),
            Part::MergeDestination => name_as_source(&mut merged.tree, &self.other.tree),
            _ => {}
        }
        self.agreed = Agreed::of(&merged.tree);
        if !imports {
            self.here = self.own.tree.clone();
            return Ok(());
        }
        let directories = self.store.capabilities().directories;
        let selection = &self.options.mailboxes;
        self.store.expect(&merged.tree);
        let mut expected = two_way::ExpectedTree::new(&self.own.tree);
        tree_changes::carry_out(self.store, &mut self.reporter, Some(&self.deletable), |own| {
            let merged = expected.reconcile(&merged, own);
            let own = tree_changes::taking_part(own, &merged.tree, selection);
            let actions = two_way::actions(&merged, &own, directories);
            actions.iter().for_each(|action| expected.apply(action));
            Ok(actions)
        })?;
        self.here = self.list()?;
        if self.options.tree_only {
            tree_changes::create_missing(self.store, &mut self.reporter, &merged.tree, &self.here)?;
        }
        Ok(())
    }

    /// Mailboxes that cannot stay what they are become others. The other side learns of them in the next run.
    fn amend(&mut self) -> Result<(), SessionError> {
        let Amended { amendments, deletable, failed, .. } =
            amend::amend(self.store, &self.own, &self.other, &self.options.mailboxes, self.terms.peer);
        self.deletable = deletable;
        for (name, error) in failed {
            self.reporter.problem_or_error(self.store, &name, error)?;
        }
        for (name, _) in &amendments.kept {
            let text = "the other side deleted it, or has it under another name, but there are messages in it that it never \
                        had; it is another mailbox now, which the next run brings to the other side";
            self.reporter.problem(Some(name), text);
            // A slave has no exit status that anybody looks at.
            self.is_incomplete = true;
        }
        amend::apply(&mut self.own, &amendments);
        Ok(())
    }
}

/// Where both sides have an unrelated mailbox of one name, a source that is not changed speaks of it by its own GUID.
fn name_as_source(merged: &mut MailboxTree, source: &MailboxTree) {
    let placed: BTreeSet<_> = merged.values().filter_map(MailboxNode::guid).collect();
    for (name, node) in merged {
        let guid = source.get(name).and_then(MailboxNode::guid).filter(|guid| !placed.contains(guid));
        if let Some(guid) = guid {
            node.set_guid(guid);
        }
    }
}

/// Gives mailboxes of a store that must not be changed the identities that they will be known by.
fn decide_identities(tree: &mut MailboxTree, store_id: &str) {
    for (name, node) in tree {
        if let NodeKind::Mailbox { guid, uid_validity } = &mut node.kind {
            let own = MailboxIdentity { guid: *guid, uid_validity: *uid_validity };
            MailboxIdentity { guid: *guid, uid_validity: *uid_validity } = own.or(derived_identity(store_id, name));
        }
    }
}
