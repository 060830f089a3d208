//! Chooses what a user does next, from what is there at that moment.

use super::operation::{How, Operation, Target};
use super::random::Random;
use super::side::{Mailbox, Side};

/// So few names that the two sides often mean the same one.
pub(super) const NAMES: [&str; 6] = ["INBOX", "a", "a/b", "b", "c/d", "Entw&APw-rfe"];
const FLAGS: [&str; 9] =
    ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted", "red", "Green", "$Label1", "$Forwarded"];

/// What the work is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// To have something to begin with.
    Building,
    /// What may happen between two runs.
    Living,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Append,
    Store,
    Expunge,
    Copy,
    Move,
    Create,
    Rename,
    Delete,
    Subscribe,
    Unsubscribe,
}

const BUILDING: [(usize, Kind); 6] = [
    (50, Kind::Append),
    (20, Kind::Create),
    (10, Kind::Store),
    (5, Kind::Copy),
    (5, Kind::Expunge),
    (5, Kind::Subscribe),
];
const LIVING: [(usize, Kind); 10] = [
    (22, Kind::Append),
    (24, Kind::Store),
    (10, Kind::Expunge),
    (9, Kind::Copy),
    (10, Kind::Move),
    (7, Kind::Create),
    (7, Kind::Rename),
    (4, Kind::Delete),
    (4, Kind::Subscribe),
    (3, Kind::Unsubscribe),
];

/// Chooses an operation that `side` can carry out. `new_id` is the Message-ID of the message that it may add.
pub fn next(random: &mut Random, side: &Side, phase: Phase, new_id: &str) -> Operation {
    let weights: &[_] = if phase == Phase::Building { &BUILDING } else { &LIVING };
    let kind = random.weighted(weights);
    choose(random, side, kind).unwrap_or_else(|| append(random, side, new_id))
}

/// Nothing if there is nothing to work on, or if something shall be appended.
fn choose(random: &mut Random, side: &Side, kind: Kind) -> Option<Operation> {
    Some(match kind {
        Kind::Append => return None,
        Kind::Store => store(random, side)?,
        Kind::Expunge => {
            let (mailbox, targets) = messages(random, side)?;
            Operation::Expunge { mailbox, targets }
        }
        Kind::Copy => {
            let (mailbox, targets) = messages(random, side)?;
            Operation::Copy { to: any_mailbox(random, side), mailbox, targets }
        }
        Kind::Move => {
            let (mailbox, targets) = messages(random, side)?;
            Operation::Move { to: any_mailbox(random, side), mailbox, targets }
        }
        Kind::Create => {
            let free: Vec<_> = NAMES.iter().filter(|name| !side.mailboxes.contains_key(**name)).collect();
            Operation::Create { mailbox: (**random.pick(&free)?).to_owned() }
        }
        Kind::Rename => rename(random, side)?,
        Kind::Delete => Operation::Delete { mailbox: not_inbox(random, side)? },
        Kind::Subscribe => Operation::Subscribe { mailbox: any_mailbox(random, side) },
        Kind::Unsubscribe => {
            let subscribed: Vec<_> = side.subscriptions.iter().cloned().collect();
            Operation::Unsubscribe { mailbox: random.pick(&subscribed)?.clone() }
        }
    })
}

fn append(random: &mut Random, side: &Side, new_id: &str) -> Operation {
    let count = random.below(3);
    let flags = random.sample(&FLAGS, count);
    let date = match random.below(3) {
        // It takes the time of its arrival.
        0 => String::new(),
        _ => format!(
            "\"{:02}-Mar-2021 {:02}:{:02}:07 +0100\"",
            1 + random.below(28),
            random.below(24),
            random.below(60)
        ),
    };
    Operation::Append { mailbox: any_mailbox(random, side), message_id: new_id.to_owned(), flags, date }
}

fn store(random: &mut Random, side: &Side) -> Option<Operation> {
    let (mailbox, targets) = messages(random, side)?;
    let how = random.weighted(&[(5, How::Add), (3, How::Remove), (2, How::Replace)]);
    let count = 1 + random.below(3);
    let mut flags = random.sample(&FLAGS, count);
    if how == How::Remove {
        // What is not there cannot be removed; mostly something is.
        let present = &side.mailboxes[&mailbox].messages;
        let present = present.iter().filter(|message| message.uid == Some(targets[0].uid)).flat_map(|it| &it.flags);
        flags.extend(present.filter_map(|flag| FLAGS.iter().find(|known| *known == flag)).take(2));
        flags.sort_unstable();
        flags.dedup();
    }
    Some(Operation::Store { mailbox, targets, how, flags })
}

fn rename(random: &mut Random, side: &Side) -> Option<Operation> {
    let mailbox = not_inbox(random, side)?;
    let below = |name: &str, above: &str| name.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
    // Nothing may be at the new names, and no mailbox can move into itself or to where its siblings' parent is.
    let is_free = |name: &&&str| {
        let has_room = !side.mailboxes.contains_key(**name) && side.children(name).is_empty();
        has_room && !below(name, &mailbox) && !below(name, "INBOX")
    };
    let free: Vec<_> = NAMES.iter().filter(is_free).collect();
    let to = (**random.pick(&free)?).to_owned();
    Some(Operation::Rename { mailbox, to })
}

pub(super) fn any_mailbox(random: &mut Random, side: &Side) -> String {
    let names: Vec<_> = side.mailboxes.keys().collect();
    (*random.pick(&names).expect("there is always INBOX")).clone()
}

fn not_inbox(random: &mut Random, side: &Side) -> Option<String> {
    let names: Vec<_> = side.mailboxes.keys().filter(|name| *name != "INBOX").collect();
    random.pick(&names).map(|name| (*name).clone())
}

/// One to three messages of a mailbox that has some.
fn messages(random: &mut Random, side: &Side) -> Option<(String, Vec<Target>)> {
    let targets = side.mailboxes.iter().map(|(name, mailbox)| (name, in_order_of_choice(mailbox)));
    let filled: Vec<_> = targets.filter(|(_, targets)| !targets.is_empty()).collect();
    let (name, targets) = random.pick(&filled)?;
    let count = random.weighted(&[(6, 1), (3, 2), (1, 3)]);
    let mut targets = random.sample(targets, count);
    targets.sort_by_key(|target| target.uid);
    Some(((*name).clone(), targets))
}

/// All whose UID is known, in an order that does not depend on UIDs, which a sync gives out in the order of random GUIDs.
fn in_order_of_choice(mailbox: &Mailbox) -> Vec<Target> {
    let target =
        |message: &super::side::Message| Some(Target { uid: message.uid?, message_id: message.message_id.clone() });
    let mut targets: Vec<_> = mailbox.messages.iter().filter_map(target).collect();
    targets.sort_by(|left, right| (&left.message_id, left.uid).cmp(&(&right.message_id, right.uid)));
    targets
}
