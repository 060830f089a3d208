//! Carrying out what was decided about a tree.

use std::collections::BTreeMap;

use super::reporting::Reporter;
use super::{SessionError, settle};
use crate::model::{
    MailboxGuid, MailboxIdentity, MailboxName, MailboxNode, MailboxSelection, MailboxStatus, MailboxTree, ModSeq,
    NodeKind, Uid,
};
use crate::report::Event;
use crate::store::{ErrorKind, MailStore, MailboxChanges, Origin, StoreError};
use crate::tree::{self, TreeAction};

/// How often the tree is planned again after its actions were carried out.
const PASSES: usize = 4;

/// Plans and carries out until nothing is left to do. What cannot be done is a problem of the report. If `deletable` is
/// given, only mailboxes that are in it are deleted, and only while they are as it says.
pub(super) fn carry_out(
    store: &mut dyn MailStore,
    reporter: &mut Reporter<'_>,
    deletable: Option<&BTreeMap<MailboxGuid, MailboxStatus>>,
    mut plan: impl FnMut(&MailboxTree) -> Result<Vec<TreeAction>, SessionError>,
) -> Result<(), SessionError> {
    let mut refused = Vec::new();
    for _ in 0..PASSES {
        let own = store.tree().map_err(|error| SessionError::of_store(store, error))?;
        let mut actions = plan(&own)?;
        actions.retain(|action| !refused.contains(action));
        if actions.is_empty() {
            break;
        }
        for action in actions {
            if !apply(store, reporter, deletable, &action)? {
                refused.push(action);
            }
        }
    }
    Ok(())
}

/// The part of `own` that a run looks at: what was selected, and mailboxes that are selected under the name that `wanted`
/// has for them. A level that is there for mailboxes which take no part is left out, unless `wanted` has it too.
pub(super) fn taking_part(own: &MailboxTree, wanted: &MailboxTree, selection: &MailboxSelection) -> MailboxTree {
    let mut part = selection.part_of(own, &|_, node| wanted.values().any(|other| other.guid() == node.guid()));
    let is_left_out = |part: &MailboxTree, name: &MailboxName, node: &MailboxNode| {
        node.is_mailbox() && !part.get(name).is_some_and(MailboxNode::is_mailbox)
    };
    let left_out: Vec<_> = own.iter().filter(|(name, node)| is_left_out(&part, name, node)).map(|(n, _)| n).collect();
    if left_out.is_empty() {
        return part;
    }
    part.retain(|name, node| {
        let is_wanted = || wanted.get(name).is_some_and(|node| node.kind == NodeKind::Directory);
        let is_for_others = || left_out.iter().any(|other| other.is_below(name));
        node.kind != NodeKind::Directory || node.subscribed || is_wanted() || !is_for_others()
    });
    part
}

/// Makes the mailboxes of `wanted` that are not `here`, and leaves them empty.
pub(super) fn create_missing(
    store: &mut dyn MailStore,
    reporter: &mut Reporter<'_>,
    wanted: &MailboxTree,
    here: &MailboxTree,
) -> Result<(), SessionError> {
    for (name, node) in wanted {
        let NodeKind::Mailbox { guid, uid_validity } = node.kind else { continue };
        let is_here = |(other, own): (&MailboxName, &MailboxNode)| {
            own.is_mailbox() && (other == name || guid.is_some() && own.guid() == guid)
        };
        if here.iter().any(is_here) {
            continue;
        }
        let created = store.create(name, MailboxIdentity { guid, uid_validity });
        match created.and_then(|mut mailbox| settle::publish(&mut *mailbox)) {
            Ok(()) => {
                reporter.report.counts.mailboxes += 1;
                reporter.report.counts.mailboxes_changed += 1;
                reporter.event(Event::MailboxCommitted(name));
            }
            Err(error) => reporter.problem_or_error(store, name, error)?,
        }
        reporter.replaced_names(store);
    }
    Ok(())
}

/// Gives the destination of a one-way run the names of its source. `empty` says where a source without mailboxes is that
/// must not empty a destination that has some.
pub(super) fn take_over(
    store: &mut dyn MailStore,
    reporter: &mut Reporter<'_>,
    source: &MailboxTree,
    selection: &MailboxSelection,
    empty: Option<&str>,
) -> Result<(), SessionError> {
    let directories = store.capabilities().directories;
    let destination_location = store.location();
    store.expect(source);
    carry_out(store, reporter, None, |own| {
        if let Some(empty) = empty.filter(|_| own.values().any(MailboxNode::is_mailbox)) {
            return Err(SessionError::EmptySource {
                source_location: empty.to_owned(),
                destination_location: destination_location.clone(),
            });
        }
        Ok(tree::one_way(source, &taking_part(own, source, selection), directories))
    })
}

/// Removes all messages of INBOX: no store can be without one, so that of a store without any mailbox is empty.
pub(super) fn empty_inbox(store: &mut dyn MailStore, reporter: &mut Reporter<'_>) -> Result<(), SessionError> {
    let name = MailboxName::inbox();
    let emptied = store.open(&name).and_then(|mut mailbox| {
        let status = mailbox.status().clone();
        let remove: Vec<_> = mailbox.messages().keyed().map(|(key, _)| key).collect();
        let removed = remove.len();
        if removed > 0 {
            mailbox.commit(MailboxChanges {
                identity: status.identity,
                remove,
                uid_next: status.uid_next,
                highest_modseq: status.highest_modseq.unwrap_or(ModSeq::FIRST).plus(1),
                first_recent_uid: status.first_recent_uid.unwrap_or(Uid::FIRST),
                ..MailboxChanges::empty(Origin::Mirrored)
            })?;
        }
        Ok(removed)
    });
    match emptied {
        Ok(removed) => {
            let counts = &mut reporter.report.counts;
            counts.mailboxes_changed += u64::from(removed > 0);
            counts.messages_removed += removed as u64;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => reporter.problem_or_error(store, &name, error)?,
    }
    Ok(())
}

/// Whether it was done.
fn apply(
    store: &mut dyn MailStore,
    reporter: &mut Reporter<'_>,
    deletable: Option<&BTreeMap<MailboxGuid, MailboxStatus>>,
    action: &TreeAction,
) -> Result<bool, SessionError> {
    reporter.event(Event::TreeAction(action));
    let (name, result) = match action {
        TreeAction::Delete(name) => (name, delete(store, deletable, name)),
        TreeAction::Rename { from, to } => (to, store.rename(from, to)),
        TreeAction::CreateDirectory(name) => (name, store.create_directory(name)),
        TreeAction::DeleteDirectory(name) => (name, store.delete_directory(name)),
        TreeAction::Subscribe(name, subscribed) => (name, store.set_subscribed(name, *subscribed)),
    };
    reporter.replaced_names(store);
    match result {
        Ok(()) => {
            let counts = &mut reporter.report.counts;
            match action {
                TreeAction::Delete(_) => counts.mailboxes_deleted += 1,
                TreeAction::Rename { .. } => counts.mailboxes_renamed += 1,
                _ => {}
            }
            Ok(true)
        }
        Err(error) => match error.kind() {
            ErrorKind::NotFound
            | ErrorKind::Exists
            | ErrorKind::Changed
            | ErrorKind::InvalidName
            | ErrorKind::Impossible => {
                reporter.problem(Some(name), error.to_string());
                Ok(false)
            }
            _ => Err(SessionError::of_store(store, error)),
        },
    }
}

fn delete(
    store: &mut dyn MailStore,
    deletable: Option<&BTreeMap<MailboxGuid, MailboxStatus>>,
    name: &MailboxName,
) -> Result<(), StoreError> {
    let Some(deletable) = deletable else { return store.delete(name) };
    let guid = store.open(name)?.status().identity.guid;
    match guid.and_then(|guid| deletable.get(&guid)) {
        Some(expected) => store.delete_unchanged(name, expected),
        None => {
            let text = format!("mailbox {name} could not be looked at before it was to be deleted; it stays");
            Err(StoreError::new(ErrorKind::Changed, text))
        }
    }
}

/// Levels without a mailbox that nothing below implies vanish in a store that cannot keep them.
pub(super) fn report_lost_directories(reporter: &mut Reporter<'_>, wanted: &MailboxTree) {
    for (name, node) in wanted {
        let implied = || wanted.iter().any(|(other, node)| node.is_mailbox() && other.is_below(name));
        if node.kind == NodeKind::Directory && !implied() {
            reporter.problem(
                Some(name),
                "it holds no mail and has no mailboxes below it; the destination cannot keep such a name",
            );
        }
    }
}
