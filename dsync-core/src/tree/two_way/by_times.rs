//! The names of mailboxes where the renamings of both sides go round in circles: for each mailbox by itself, the later one
//! counts. What then finds its name taken gets one made from its GUID.

use std::collections::BTreeMap;

use super::Forest;
use super::forest::{Existence, NodeId};
use crate::model::{MailboxGuid, MailboxName, MailboxNode, MailboxTree, NodeKind, UidValidity};

/// Where a mailbox is, and when it came there.
type Place = (i64, std::cmp::Reverse<Vec<String>>);

/// `forests` are both trees with their deletions applied.
pub(super) fn merge(mut forests: [Forest; 2]) -> MailboxTree {
    forests.iter_mut().for_each(Forest::spread_rename_times);
    let mut tree = MailboxTree::new();
    let mut taken: BTreeMap<MailboxName, (MailboxGuid, bool)> = BTreeMap::new();
    for (guid, (place, on_both, uid_validity)) in places(&forests) {
        let Some(name) = MailboxName::new(place.1.0) else { continue };
        let name = match taken.get_mut(&name) {
            None => name,
            // Two that know nothing of each other become one, with the greater GUID.
            Some((known, both)) if (!*both && !on_both) || name.is_inbox() => {
                *known = guid;
                name
            }
            Some(_) => beside(&name, guid),
        };
        taken.insert(name.clone(), (guid, on_both));
        let kind = NodeKind::Mailbox { guid: Some(guid), uid_validity };
        tree.insert(name, MailboxNode { kind, subscribed: false });
    }
    for forest in &forests {
        for path in forest.paths() {
            let is_directory = forest.find(&path).is_some_and(|id| {
                let node = &forest[id];
                node.existence == Existence::Present && node.guid.is_none() && !node.selectable
            });
            let Some(name) = MailboxName::new(path).filter(|_| is_directory) else { continue };
            let directory = MailboxNode { kind: NodeKind::Directory, subscribed: false };
            tree.entry(name).or_insert(directory);
        }
    }
    tree
}

/// Every mailbox, by ascending GUID: its place, whether both sides have it, and its UIDVALIDITY.
fn places(forests: &[Forest; 2]) -> BTreeMap<MailboxGuid, (Place, bool, Option<UidValidity>)> {
    let mut places: BTreeMap<MailboxGuid, (Place, bool, Option<UidValidity>)> = BTreeMap::new();
    for forest in forests {
        for (guid, id) in forest.mailboxes() {
            let place = place_of(forest, id);
            let uid_validity = forest[id].uid_validity;
            places
                .entry(guid)
                .and_modify(|(known, on_both, known_validity)| {
                    *known = known.clone().max(place.clone());
                    *on_both = true;
                    *known_validity = (*known_validity).max(uid_validity);
                })
                .or_insert((place, false, uid_validity));
        }
    }
    places
}

fn place_of(forest: &Forest, id: NodeId) -> Place {
    let path = forest.path(id);
    // INBOX is never renamed.
    let time = if path == ["INBOX"] { i64::MAX } else { forest[id].renamed };
    (time, std::cmp::Reverse(path))
}

fn beside(name: &MailboxName, guid: MailboxGuid) -> MailboxName {
    let mut parts = name.parts().to_vec();
    if let Some(last) = parts.last_mut() {
        last.push_str(&format!("-temp-{guid}"));
    }
    MailboxName::new(parts).unwrap_or_else(|| name.clone())
}
