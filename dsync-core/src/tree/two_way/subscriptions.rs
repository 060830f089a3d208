//! Subscriptions: for each name, the later change counts, and if neither is later, the subscription stays.

use std::collections::{BTreeMap, BTreeSet};

use super::TreeSide;
use crate::model::{MailboxNode, MailboxTree, NameHash, NodeKind, Timestamp, TreeChange};

pub(super) fn merge(merged: &mut MailboxTree, sides: [&TreeSide; 2]) {
    let times = sides.map(times);
    let names: BTreeSet<_> = sides.iter().flat_map(|side| side.tree.keys()).collect();
    for name in names {
        let [master, slave] = sides.map(|side| side.tree.get(name).is_some_and(|node| node.subscribed));
        let [masters_time, slaves_time] = [0, 1].map(|index: usize| {
            let hashes = sides[index].history.hashes(name);
            hashes.filter_map(|hash| times[index].get(&hash).copied()).max().unwrap_or_default()
        });
        let subscribed = match masters_time.cmp(&slaves_time) {
            _ if master == slave => master,
            std::cmp::Ordering::Greater => master,
            std::cmp::Ordering::Less => slave,
            std::cmp::Ordering::Equal => true,
        };
        if subscribed {
            let absent = MailboxNode { kind: NodeKind::Absent, subscribed };
            merged.entry(name.clone()).or_insert(absent).subscribed = true;
        }
    }
}

/// When each name was last subscribed to or unsubscribed.
fn times(side: &TreeSide) -> BTreeMap<NameHash, Timestamp> {
    let events = side.history.events.iter().filter_map(|event| match event.change {
        TreeChange::Subscribed(hash) | TreeChange::Unsubscribed(hash) => Some((hash, event.time)),
        _ => None,
    });
    events.collect()
}
