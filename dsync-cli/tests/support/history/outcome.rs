//! Compares what two programs made of the same two sides.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::view::{Flags, SeenMailbox, View};

/// What one outcome has and another has not, the names of mailboxes and of messages being all that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    MailboxOnlyLeft,
    MailboxOnlyRight,
    MessageOnlyLeft,
    MessageOnlyRight,
    Flags,
    Subscriptions,
}

/// In what two outcomes differ.
pub fn differences(left: &View, right: &View) -> Vec<(Kind, String)> {
    let mut differences = Vec::new();
    let names: BTreeSet<_> = left.mailboxes.keys().chain(right.mailboxes.keys()).collect();
    for name in names {
        match (left.mailboxes.get(name), right.mailboxes.get(name)) {
            (Some(mailbox), None) => differences.push((Kind::MailboxOnlyLeft, described(name, mailbox))),
            (None, Some(mailbox)) => differences.push((Kind::MailboxOnlyRight, described(name, mailbox))),
            (Some(left), Some(right)) => compare_messages(name, left, right, &mut differences),
            (None, None) => {}
        }
    }
    for name in left.subscriptions.symmetric_difference(&right.subscriptions) {
        let is_left = left.subscriptions.contains(name);
        differences.push((Kind::Subscriptions, format!("{name}, subscribed: {is_left} / {}", !is_left)));
    }
    differences
}

fn compare_messages(name: &str, left: &SeenMailbox, right: &SeenMailbox, differences: &mut Vec<(Kind, String)>) {
    let (left, right) = (by_message_id(left), by_message_id(right));
    let ids: BTreeSet<_> = left.keys().chain(right.keys()).copied().collect();
    for id in ids {
        let nothing = Vec::new();
        let (left, right) = (left.get(id).unwrap_or(&nothing), right.get(id).unwrap_or(&nothing));
        let kind = match left.len().cmp(&right.len()) {
            std::cmp::Ordering::Greater => Kind::MessageOnlyLeft,
            std::cmp::Ordering::Less => Kind::MessageOnlyRight,
            std::cmp::Ordering::Equal if left != right => Kind::Flags,
            std::cmp::Ordering::Equal => continue,
        };
        differences.push((kind, format!("{name}: {id} {left:?} / {right:?}")));
    }
}

/// The flags of all instances of each message, in an order that does not depend on UIDs.
fn by_message_id(mailbox: &SeenMailbox) -> BTreeMap<&str, Vec<&Flags>> {
    let mut found: BTreeMap<&str, Vec<&Flags>> = BTreeMap::new();
    for message in mailbox.messages.values() {
        found.entry(&message.message_id).or_default().push(&message.flags);
    }
    found.values_mut().for_each(|flags| flags.sort());
    found
}

fn described(name: &str, mailbox: &SeenMailbox) -> String {
    let ids: Vec<_> = mailbox.messages.values().map(|message| message.message_id.as_str()).collect();
    format!("{name} [{}]", ids.join(" "))
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MailboxOnlyLeft => "mailbox only here",
            Self::MailboxOnlyRight => "mailbox only there",
            Self::MessageOnlyLeft => "message only here, or more often",
            Self::MessageOnlyRight => "message only there, or more often",
            Self::Flags => "flags",
            Self::Subscriptions => "subscription",
        })
    }
}
