//! What happened to the tree, under the original names.

use std::collections::BTreeMap;

use dsync_core::model::{MailboxName, NameHash, TreeChange, TreeEvent, TreeHistory};

/// `history` with the hashes of stored names replaced by those of the original ones that they stand for, or stood for:
/// `names` are pairs of both. An event of a name that stands for several becomes several.
pub(super) fn translated(history: TreeHistory, names: &[(MailboxName, MailboxName)]) -> TreeHistory {
    let mut hashes: BTreeMap<NameHash, Vec<NameHash>> = BTreeMap::new();
    for (stored, original) in names {
        for (stored, original) in history.hashes(stored).zip(history.hashes(original)) {
            let known = hashes.entry(stored).or_default();
            if !known.contains(&original) {
                known.push(original);
            }
        }
    }
    let events = history.events.iter().flat_map(|event| translate(event, &hashes)).collect();
    TreeHistory { events, ..history }
}

fn translate(event: &TreeEvent, hashes: &BTreeMap<NameHash, Vec<NameHash>>) -> Vec<TreeEvent> {
    type Named = fn(NameHash) -> TreeChange;
    let (hash, change): (_, Named) = match event.change {
        TreeChange::MailboxDeleted(_) => return vec![*event],
        TreeChange::DirectoryDeleted(hash) => (hash, TreeChange::DirectoryDeleted),
        TreeChange::Renamed(hash) => (hash, TreeChange::Renamed),
        TreeChange::Subscribed(hash) => (hash, TreeChange::Subscribed),
        TreeChange::Unsubscribed(hash) => (hash, TreeChange::Unsubscribed),
    };
    match hashes.get(&hash) {
        Some(originals) => {
            originals.iter().map(|original| TreeEvent { change: change(*original), ..*event }).collect()
        }
        None => vec![*event],
    }
}

#[cfg(test)]
mod tests {
    use dsync_core::model::Timestamp;

    use super::*;

    #[test]
    fn events_of_stored_names_are_those_of_the_original_ones() {
        let name = |text| MailboxName::parse(text, '/').unwrap();
        let (stored, original, other) = (name("a_b/c"), name("a.b/c"), name("other"));
        let event = |hash| TreeEvent { change: TreeChange::Renamed(hash), time: Timestamp(7) };
        let events = ["a_b.c", "a_b/c", "p.a_b/c", "other"].map(|text| event(NameHash::of(text))).to_vec();
        let (prefix, separators) = ("p.".to_owned(), vec!['.', '/']);
        let history = translated(TreeHistory { prefix, separators, events }, &[(stored, original)]);
        assert_eq!(history.events, ["a.b.c", "a.b/c", "p.a.b/c", "other"].map(|text| event(NameHash::of(text))));
        assert!(history.hashes(&other).any(|hash| event(hash) == history.events[3]));
    }
}
