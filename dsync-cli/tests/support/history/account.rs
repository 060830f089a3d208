//! Whether the account of a side is right.

use std::collections::{BTreeMap, BTreeSet};

use super::side::{Mailbox, Side};
use super::view::{Flags, SeenMailbox, View};

/// What is in a mailbox: what has a UID that the account knows, and the rest in an order of its own.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    known: BTreeMap<u32, (String, Flags)>,
    rest: Vec<(String, Flags)>,
}

impl Side {
    /// # Panics
    /// If Dovecot sees anything else at this side.
    pub fn assert_is(&self, view: &View) {
        let expected: BTreeMap<_, _> = self.mailboxes.iter().map(|(name, it)| (name, Content::of(it))).collect();
        let known = |name| self.mailboxes.get(name).map(known_uids).unwrap_or_default();
        let seen: BTreeMap<_, _> =
            view.mailboxes.iter().map(|(name, it)| (name, Content::seen(it, &known(name)))).collect();
        assert_eq!(expected, seen, "the account of this side is wrong");
        assert_eq!(self.subscriptions, view.subscriptions, "the account of the subscriptions is wrong");
    }
}

fn known_uids(mailbox: &Mailbox) -> BTreeSet<u32> {
    mailbox.messages.iter().filter_map(|message| message.uid).collect()
}

impl Content {
    fn of(mailbox: &Mailbox) -> Self {
        let facts = |it: &super::side::Message| (it.uid, (it.message_id.clone(), it.flags.clone()));
        Self::sorted(mailbox.messages.iter().map(facts))
    }

    fn seen(mailbox: &SeenMailbox, known: &BTreeSet<u32>) -> Self {
        let messages = mailbox.messages.iter();
        Self::sorted(
            messages
                .map(|(uid, it)| (known.contains(uid).then_some(*uid), (it.message_id.clone(), it.flags.clone()))),
        )
    }

    fn sorted(messages: impl Iterator<Item = (Option<u32>, (String, Flags))>) -> Self {
        let mut content = Self { known: BTreeMap::new(), rest: Vec::new() };
        for (uid, facts) in messages {
            match uid {
                Some(uid) => {
                    content.known.insert(uid, facts);
                }
                None => content.rest.push(facts),
            }
        }
        content.rest.sort();
        content
    }
}
