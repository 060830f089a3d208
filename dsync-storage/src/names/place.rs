//! The stored name of an original one, among what is there already.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::BTreeMap;

use dsync_core::model::{MailboxName, MailboxTree, NodeKind};

use super::AlternativeCharacter;
use super::rules::{NameRules, short_hash};

/// What is to be put into a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A new mailbox.
    Mailbox,
    /// A level without a mailbox.
    Directory,
    /// A subscription to a name without a mailbox.
    Subscription,
    /// Something that is there under another name.
    Renaming,
}

/// What is there.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// Everything, by its stored name.
    pub stored: &'a MailboxTree,
    /// For which original name each stored one stands, but for levels that are there only because of what is below them.
    pub owners: &'a BTreeMap<MailboxName, MailboxName>,
    /// Original names that the layout can hold and that are about to come, and whether each is that of a mailbox.
    pub expected: &'a BTreeMap<MailboxName, bool>,
}

/// How names are mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// What the layout can hold.
    pub rules: NameRules,
    /// What stands for the rest.
    pub alternative: AlternativeCharacter,
}

/// With this many alternative characters appended a name becomes hard to read; then digits are better.
const MOST_APPENDED: u32 = 8;
/// After so many attempts nothing of the name is kept but a hash.
const MOST_READABLE: u32 = 64;
/// Bytes that the last part of a name needs, to be cut and still be told from others.
const ROOM: usize = 40;

impl Mapping {
    /// Where to put the original name. `former` is where it was before. There is always a place.
    #[must_use]
    pub fn place(
        &self,
        ground: &Ground<'_>,
        original: &MailboxName,
        purpose: Purpose,
        former: Option<&MailboxName>,
    ) -> MailboxName {
        let admits = |candidate: &MailboxName| self.admits(ground, candidate, original, purpose);
        if let Some(known) = [Some(original), former].into_iter().flatten().find(|known| admits(known)) {
            return known.clone();
        }
        let levels = self.rules.repaired(original, self.alternative);
        let kept = self.kept_levels(ground, &levels, purpose);
        let readable = (0..MOST_READABLE).map(|attempt| self.readable(original, &levels, kept, attempt));
        let unreadable = (0..=u32::MAX).map(|attempt| MailboxName::new([self.unreadable(original, attempt)]));
        // The last one cannot happen: four thousand million names would have to be taken.
        readable.chain(unreadable).flatten().find(admits).unwrap_or_else(|| original.clone())
    }

    /// How many levels stay levels; the others are joined.
    fn kept_levels(&self, ground: &Ground<'_>, levels: &[String], purpose: Purpose) -> usize {
        let mut kept = levels.len().saturating_sub(1);
        if !self.rules.mailboxes_have_children() && purpose != Purpose::Subscription {
            let is_file = |count: &usize| {
                let above = levels.get(..*count).and_then(|above| MailboxName::new(above.iter().cloned()));
                above.is_some_and(|above| ground.is_or_becomes_mailbox(&above))
            };
            kept = (1..levels.len()).find(is_file).map_or(kept, |count| count.saturating_sub(1));
        }
        let fits = |kept: usize| {
            let above = levels.get(..kept).unwrap_or_default();
            kept < self.rules.most_levels()
                && self.rules.stored_length(above).saturating_add(ROOM) <= self.rules.longest_name()
        };
        while kept > 0 && !fits(kept) {
            kept = kept.saturating_sub(1);
        }
        kept
    }

    fn readable(&self, original: &MailboxName, levels: &[String], kept: usize, attempt: u32) -> Option<MailboxName> {
        let character = self.alternative.get();
        let (above, rest) = levels.split_at_checked(kept)?;
        let joined = rest.join(&character.to_string());
        let suffix = match attempt {
            appended @ 0..=MOST_APPENDED => character.to_string().repeat(usize::try_from(appended).unwrap_or(0)),
            number => format!("{character}{}", short_hash(original.parts(), number)),
        };
        let taken_up = if above.is_empty() { 0 } else { self.rules.stored_length(above).saturating_add(1) };
        let room = self.rules.longest_part().min(self.rules.longest_name().saturating_sub(taken_up));
        let last = self.rules.fitted(&joined, &suffix, room, original.parts(), self.alternative);
        MailboxName::new(above.iter().cloned().chain([last]))
    }

    fn unreadable(&self, original: &MailboxName, attempt: u32) -> String {
        format!("{}{}", self.alternative.get(), short_hash(original.parts(), attempt))
    }

    /// Whether the original name can be stored as `candidate`.
    fn admits(&self, ground: &Ground<'_>, candidate: &MailboxName, original: &MailboxName, purpose: Purpose) -> bool {
        let is_own = candidate == original;
        let owner = ground.owners.get(candidate);
        let below_inbox = |name: &MailboxName| name.parts().first().is_some_and(|first| first == "INBOX");
        if !self.rules.holds(candidate)
            || candidate.is_inbox() && !is_own
            || below_inbox(candidate) && !below_inbox(original)
            || owner.is_some_and(|owner| owner != original)
            || !is_own && ground.expected.contains_key(candidate)
        {
            return false;
        }
        let nested = self.rules.mailboxes_have_children();
        let there = ground.stored.get(candidate).map(|node| &node.kind);
        let is_free = match (there, purpose) {
            (None | Some(NodeKind::Absent), Purpose::Renaming) => !ground.holds_below(candidate),
            (None | Some(NodeKind::Absent), _) | (_, Purpose::Subscription) => true,
            (Some(NodeKind::Directory), Purpose::Mailbox) if nested => true,
            // It gives way.
            (Some(NodeKind::Directory), Purpose::Mailbox) => owner.is_some() && !ground.holds_below(candidate),
            (Some(NodeKind::Directory), _) => owner.is_some() && purpose == Purpose::Directory,
            (Some(NodeKind::Mailbox { .. } | NodeKind::Unreadable(_)), _) => false,
        };
        if !is_free || nested || purpose == Purpose::Subscription || candidate.is_inbox() {
            return is_free;
        }
        let becomes_file = matches!(purpose, Purpose::Mailbox | Purpose::Renaming);
        let is_below_file = ancestors(candidate).any(|above| ground.is_or_becomes_mailbox(&above));
        let is_above_others =
            ground.holds_below(candidate) || !is_own && below(ground.expected, candidate).next().is_some();
        !(is_below_file || becomes_file && is_above_others)
    }
}

impl Ground<'_> {
    /// Whether there is a mailbox at this stored name, other than INBOX, or is about to be.
    fn is_or_becomes_mailbox(&self, name: &MailboxName) -> bool {
        if name.is_inbox() {
            // Its file lies elsewhere.
            return false;
        }
        let is_directory = || self.holds_below(name);
        match self.stored.get(name) {
            Some(node) if node.is_mailbox() => true,
            _ => self.expected.get(name) == Some(&true) && !is_directory(),
        }
    }

    /// Whether there is a mailbox or a level below this stored name.
    fn holds_below(&self, name: &MailboxName) -> bool {
        below(self.stored, name).any(|(_, node)| node.kind != NodeKind::Absent)
    }
}

/// What a map has for the names below a name. They follow it immediately.
pub(super) fn below<'a, V>(
    map: &'a BTreeMap<MailboxName, V>,
    name: &'a MailboxName,
) -> impl Iterator<Item = (&'a MailboxName, &'a V)> {
    map.range(name..).skip_while(move |(other, _)| *other == name).take_while(move |(other, _)| other.is_below(name))
}

/// The names above a name, the nearest first.
pub(super) fn ancestors(name: &MailboxName) -> impl Iterator<Item = MailboxName> {
    std::iter::successors(name.parent(), MailboxName::parent)
}
