//! What a sync owes the users of both sides.
//!
//! Only what is certain is promised. Where both sides did contradictory things to a message or a mailbox, only that
//! nothing is lost that one side newly added.

use std::collections::BTreeSet;
use std::fmt;

use super::side::{Arrival, Mailbox, Message, Side};
use super::view::{Flags, SeenMailbox, View};

/// Everything that has to hold at either side after the sync.
#[derive(Clone, Debug)]
pub struct Promises<'a> {
    base: &'a View,
    sides: [&'a Side; 2],
}

/// A kind of promise, and what it means to break it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A message that nobody removed, or that one side added, is nowhere.
    MessageLost,
    /// Such a message is not where it was left.
    MessageElsewhere,
    /// A message that was removed is back.
    MessageBack,
    /// A message is in a mailbox more often than it was put there.
    MessageRepeated,
    /// Flags that only one side changed are not as it left them.
    FlagsLost,
    /// A mailbox that nobody deleted, or that one side made, is gone.
    MailboxLost,
    /// A mailbox does not have the name that one side gave it and the other side left alone.
    NameLost,
    /// A subscription that only one side changed is not as it left it.
    SubscriptionLost,
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Broken {
    pub kind: Kind,
    pub what: String,
}

impl<'a> Promises<'a> {
    /// `base` is what both sides held when they were last equal, `sides` what became of it since.
    pub fn new(base: &'a View, sides: [&'a Side; 2]) -> Self {
        Self { base, sides }
    }

    /// What one side lacks of what was promised.
    pub fn broken_at(&self, outcome: &View) -> Vec<Broken> {
        let mut broken = Vec::new();
        self.check_messages(outcome, &mut broken);
        self.check_counts(outcome, &mut broken);
        self.check_flags(outcome, &mut broken);
        self.check_mailboxes(outcome, &mut broken);
        self.check_subscriptions(outcome, &mut broken);
        broken.sort();
        broken.dedup();
        broken
    }

    /// Each side together with the other one.
    fn pairs(&self) -> [(&'a Side, &'a Side); 2] {
        [(self.sides[0], self.sides[1]), (self.sides[1], self.sides[0])]
    }

    /// The mailboxes that neither side deleted: their GUID and what either side holds in them.
    fn kept_mailboxes(&self) -> impl Iterator<Item = (&'a str, &'a SeenMailbox, [(&'a str, &'a Mailbox); 2])> {
        let sides = self.sides;
        self.base.mailboxes.values().filter_map(move |seen| {
            Some((seen.guid.as_str(), seen, [sides[0].shared(&seen.guid)?, sides[1].shared(&seen.guid)?]))
        })
    }

    fn check_messages(&self, outcome: &View, broken: &mut Vec<Broken>) {
        let mut check = |message_id: &str, guid: Option<&str>| {
            let place = guid.and_then(|guid| outcome.by_guid(guid));
            if !outcome.holds(message_id) {
                broken.push(Kind::MessageLost.of(message_id));
            } else if place.is_some_and(|(_, mailbox)| mailbox.count(message_id) == 0) {
                broken.push(Kind::MessageElsewhere.of(format_args!("{message_id} in {}", place.unwrap().0)));
            }
        };
        for (guid, seen, [(_, left), (_, right)]) in self.kept_mailboxes() {
            for (uid, message) in &seen.messages {
                if left.shared(*uid).is_some() && right.shared(*uid).is_some() {
                    check(&message.message_id, Some(guid));
                }
            }
        }
        for (side, other) in self.pairs() {
            for mailbox in side.mailboxes.values() {
                for message in mailbox.new_messages().filter(|it| self.must_survive(it, mailbox, other)) {
                    let stays = |guid: &&str| other.shared(guid).is_some();
                    check(&message.message_id, mailbox.shared.as_deref().filter(stays));
                }
            }
        }
    }

    /// Whether `message`, which one side put into its `mailbox`, must survive what the `other` side did.
    fn must_survive(&self, message: &Message, mailbox: &Mailbox, other: &Side) -> bool {
        if message.arrival == Arrival::Appended {
            return true;
        }
        let message_id = &message.message_id;
        let is_known = self.base.holds(message_id);
        let removed_here = mailbox.shared.as_deref().is_some_and(|guid| self.removed(guid, message_id, other));
        !removed_here && (!is_known || other.holds(message_id))
    }

    /// Whether `side` took a message, or one of its instances, out of a mailbox.
    fn removed(&self, guid: &str, message_id: &str, side: &Side) -> bool {
        if side.shared(guid).is_some_and(|(_, mailbox)| mailbox.removed.contains(message_id)) {
            return true;
        }
        let Some((_, seen)) = self.base.by_guid(guid) else { return false };
        let kept = |uid: &u32| side.shared(guid).is_some_and(|(_, mailbox)| mailbox.shared(*uid).is_some());
        seen.messages.iter().any(|(uid, message)| message.message_id == message_id && !kept(uid))
    }

    fn check_counts(&self, outcome: &View, broken: &mut Vec<Broken>) {
        for (name, mailbox) in &outcome.mailboxes {
            let ids: BTreeSet<_> = mailbox.messages.values().map(|it| it.message_id.as_str()).collect();
            for message_id in ids {
                let allowed = self.allowed(name, &mailbox.guid, message_id);
                let count = mailbox.count(message_id);
                if count > allowed {
                    let kind = if allowed == 0 { Kind::MessageBack } else { Kind::MessageRepeated };
                    broken.push(kind.of(format_args!("{message_id} {count} times in {name}, not {allowed}")));
                }
            }
        }
    }

    /// How often a message may be in a mailbox after the sync.
    fn allowed(&self, name: &str, guid: &str, message_id: &str) -> usize {
        let is_known = self.base.by_guid(guid).is_some();
        // A new mailbox of its name, or one that came to that name with its parent, may have been merged into it. It may
        // itself be any of the new ones.
        let new = self.sides.iter().flat_map(|side| side.new_mailboxes());
        let joins = |it: &str| !is_known || it == name || self.is_moved_around(it);
        let merged: usize = new.filter(|(it, _)| joins(it)).map(|(_, it)| it.count(message_id)).sum();
        // What one side deleted while the other side worked in it may have been saved anywhere.
        let deleted = self.base.mailboxes.values().filter(|it| self.is_deleted(&it.guid));
        let saved: usize = deleted.map(|it| self.allowed_in_shared(&it.guid, message_id)).sum();
        let own = if self.is_deleted(guid) { 0 } else { self.allowed_in_shared(guid, message_id) };
        merged + saved + own
    }

    fn is_deleted(&self, guid: &str) -> bool {
        self.sides.iter().any(|side| side.shared(guid).is_none())
    }

    fn allowed_in_shared(&self, guid: &str, message_id: &str) -> usize {
        let Some((base_name, seen)) = self.base.by_guid(guid) else { return 0 };
        match self.sides.map(|side| side.shared(guid)) {
            [None, None] => 0,
            [Some((_, left)), Some((_, right))] => {
                let stays = |uid: u32| match (left.shared(uid), right.shared(uid)) {
                    (Some(_), Some(_)) => true,
                    (Some(touched), None) | (None, Some(touched)) => touched.is_touched,
                    (None, None) => false,
                };
                let ids = seen.messages.iter().filter(|(_, message)| message.message_id == message_id);
                let kept = ids.filter(|(uid, _)| stays(**uid)).count();
                kept + left.new_count(message_id) + right.new_count(message_id)
            }
            [Some((name, mailbox)), None] | [None, Some((name, mailbox))] => {
                let is_worked_in = name != base_name
                    || mailbox.is_renamed
                    || mailbox.messages.len() != seen.messages.len()
                    || mailbox.messages.iter().any(|it| it.is_touched || it.arrival != Arrival::Shared);
                if is_worked_in { seen.count(message_id) + mailbox.new_count(message_id) } else { 0 }
            }
        }
    }

    fn check_flags(&self, outcome: &View, broken: &mut Vec<Broken>) {
        for (guid, seen, [(_, left), (_, right)]) in self.kept_mailboxes() {
            let Some((name, mailbox)) = outcome.by_guid(guid) else { continue };
            for (uid, message) in &seen.messages {
                let message_id = &message.message_id;
                let instances = seen.count(message_id) + left.new_count(message_id) + right.new_count(message_id);
                let (Some(left), Some(right)) = (left.shared(*uid), right.shared(*uid)) else { continue };
                if instances > 1 || (left.is_touched && right.is_touched) {
                    continue;
                }
                let expected = if left.is_touched { &left.flags } else { &right.flags };
                check_flags_of(message_id, name, mailbox, expected, broken);
            }
        }
        for side in self.sides {
            let appended = side.mailboxes.values().flat_map(|mailbox| &mailbox.messages);
            let times = |id: &str| side.mailboxes.values().map(|mailbox| mailbox.count(id)).sum::<usize>();
            for message in appended.filter(|it| it.arrival == Arrival::Appended && times(&it.message_id) == 1) {
                for (name, mailbox) in &outcome.mailboxes {
                    check_flags_of(&message.message_id, name, mailbox, &message.flags, broken);
                }
            }
        }
    }

    fn check_mailboxes(&self, outcome: &View, broken: &mut Vec<Broken>) {
        for (guid, _, names) in self.kept_mailboxes() {
            let Some((name, _)) = outcome.by_guid(guid) else {
                broken.push(Kind::MailboxLost.of(names.map(|(name, _)| name).join(" or ")));
                continue;
            };
            if let Some(expected) = self.certain_name(guid, names)
                && name != expected
            {
                broken.push(Kind::NameLost.of(format_args!("{expected}, it is {name}")));
            }
        }
        for (side, other) in self.pairs() {
            for (name, _) in side.new_mailboxes() {
                let is_free = !other.mailboxes.contains_key(name) && !other.renamed_or_deleted.contains(name);
                if is_free && !self.is_moved_around(name) && !outcome.mailboxes.contains_key(name) {
                    broken.push(Kind::MailboxLost.of(name));
                }
            }
        }
    }

    /// The name of a mailbox, if at most one side renamed it, and the other side put nothing in its way.
    fn certain_name(&self, guid: &str, names: [(&'a str, &'a Mailbox); 2]) -> Option<&'a str> {
        let renamed = match names.map(|(_, mailbox)| mailbox.is_renamed) {
            [true, true] => return None,
            [true, false] => 0,
            [false, _] => 1,
        };
        let name = names[renamed].0;
        let other = self.sides[1 - renamed];
        let is_free = other.mailboxes.get(name).is_none_or(|it| it.shared.as_deref() == Some(guid));
        (is_free && !self.is_moved_around(name)).then_some(name)
    }

    /// Whether mailboxes above or below a name were renamed or deleted.
    fn is_moved_around(&self, name: &str) -> bool {
        let is_near = |it: &String| is_below(it, name) || is_below(name, it);
        self.sides.iter().any(|side| side.renamed_or_deleted.iter().any(is_near))
    }

    fn check_subscriptions(&self, outcome: &View, broken: &mut Vec<Broken>) {
        for (side, other) in self.pairs() {
            for name in side.subscription_touched.difference(&other.subscription_touched) {
                let is_renamed = self.sides.iter().any(|side| side.renamed_or_deleted.contains(name));
                if is_renamed || self.is_moved_around(name) {
                    continue;
                }
                if side.subscriptions.contains(name) != outcome.subscriptions.contains(name) {
                    let is_wanted = side.subscriptions.contains(name);
                    broken.push(Kind::SubscriptionLost.of(format_args!("{name}, wanted: {is_wanted}")));
                }
            }
        }
    }
}

fn check_flags_of(message_id: &str, name: &str, mailbox: &SeenMailbox, expected: &Flags, broken: &mut Vec<Broken>) {
    for message in mailbox.instances(message_id).filter(|it| it.flags != *expected) {
        let what = format!("{message_id} in {name}: {:?}, not {expected:?}", message.flags);
        broken.push(Kind::FlagsLost.of(what));
    }
}

fn is_below(name: &str, above: &str) -> bool {
    name.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

impl Kind {
    fn of(self, what: impl fmt::Display) -> Broken {
        Broken { kind: self, what: what.to_string() }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MessageLost => "message lost",
            Self::MessageElsewhere => "message not where it was left",
            Self::MessageBack => "removed message back",
            Self::MessageRepeated => "message repeated",
            Self::FlagsLost => "flags lost",
            Self::MailboxLost => "mailbox lost",
            Self::NameLost => "mailbox not under its name",
            Self::SubscriptionLost => "subscription lost",
        })
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.what)
    }
}
