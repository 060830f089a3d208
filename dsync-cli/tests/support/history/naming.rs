//! Mailboxes that have another name at one side, because an mbox cannot hold their own.

use std::collections::BTreeMap;

use crate::support::snapshot::{Snapshot, assert_equal};
use crate::support::{Driver, Store, mbox, mutf7};

use super::generator::NAMES;
use super::side::Side;
use super::view::View;

/// Whether names may be different at the two sides.
pub fn is_mapped(left: &Store, right: &Store) -> bool {
    (left.driver() == Driver::Mbox) != (right.driver() == Driver::Mbox)
}

/// The names of mailboxes by those under which they are shown.
pub fn originals(shown: &View, base: &View) -> BTreeMap<String, String> {
    let original = |guid: &str| base.by_guid(guid).expect("both sides have the same mailboxes").0.to_owned();
    shown.mailboxes.iter().map(|(name, mailbox)| (name.clone(), original(&mailbox.guid))).collect()
}

/// Turns the account of a side with the names that are shown there into one with those that they stand for.
pub fn use_original_names(side: &mut Side, originals: &BTreeMap<String, String>) {
    // A mailbox that a client makes or renames has the name that it shows.
    let own: Vec<_> = side.mailboxes.iter().filter(|(_, it)| it.shared.is_none() || it.is_renamed).collect();
    let own: Vec<_> = own.into_iter().map(|(name, _)| name.clone()).collect();
    let original = |name: &String| match originals.get(name) {
        _ if own.contains(name) => name.clone(),
        Some(original) => original.clone(),
        // There is no mailbox, so it can only be a subscription.
        None => {
            NAMES.iter().find(|known| plain(known) == plain(name)).map_or(name.clone(), |known| (*known).to_owned())
        }
    };
    side.mailboxes =
        std::mem::take(&mut side.mailboxes).into_iter().map(|(name, it)| (original(&name), it)).collect();
    side.subscriptions = side.subscriptions.iter().map(original).collect();
    side.subscription_touched = side.subscription_touched.iter().map(original).collect();
    // What was renamed or deleted had the one name and the other.
    let former: Vec<_> = side.renamed_or_deleted.iter().filter_map(|name| originals.get(name).cloned()).collect();
    side.renamed_or_deleted.extend(former);
}

/// A name without what mapping may change in it.
fn plain(name: &str) -> String {
    name.replace('/', "_").trim_end_matches('_').to_owned()
}

/// A name as the list of mailboxes has it.
fn as_listed(seen: &Snapshot, name: &str) -> String {
    seen.tree_names("LIST", |_| true).into_iter().find(|listed| mutf7::decode(listed) == name).expect("it is listed")
}

/// # Panics
/// If clients see another difference between an mbox and another store than there has to be.
pub fn assert_same(left: &Store, right: &Store, but: &[&str]) {
    let (mbox, other) = if left.driver() == Driver::Mbox { (left, right) } else { (right, left) };
    let [shown, original] = [mbox, other].map(|store| Snapshot::of(store).without(but));
    let by_guid: BTreeMap<_, _> =
        shown.mailboxes().into_iter().map(|name| (shown.mailbox(&name, "guid").unwrap(), name)).collect();
    let mut names = BTreeMap::new();
    for name in original.mailboxes() {
        let guid = original.mailbox(&name, "guid").unwrap();
        let there = by_guid.get(&guid).unwrap_or_else(|| panic!("there is no mailbox {name} in the mbox")).clone();
        assert!(plain(&there) == plain(&name), "{name} is called {there}");
        // Lists have the names as IMAP writes them.
        names.insert(as_listed(&original, &name), as_listed(&shown, &there));
        names.insert(name, there);
    }
    let expected =
        mbox::as_shown_by_an_mbox(original.clone(), &|name| names.get(name).map_or(name, |it| it).to_owned());
    // Which levels there are depends on where each mailbox was put when it came.
    let compared = |seen: Snapshot| mbox::without_excused(seen).without_levels_and_subscriptions();
    assert_equal(&compared(expected), &compared(shown.clone()));
    let subscriptions = |seen: &Snapshot| {
        let mut names: Vec<_> = seen.tree_names("LSUB", |_| true).iter().map(|name| plain(name)).collect();
        names.sort();
        names
    };
    assert_eq!(subscriptions(&original), subscriptions(&shown), "subscriptions");
}
