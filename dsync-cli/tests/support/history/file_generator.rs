//! Chooses what a program does to a file next, from what is there at that moment.

use super::file_operation::{FileOperation, LETTERS};
use super::generator::any_mailbox;
use super::operation::How;
use super::random::Random;
use super::side::{Mailbox, Side};

#[derive(Clone, Copy, Debug)]
enum Kind {
    Deliver,
    Flag,
    Remove,
    Move,
    Copy,
}

const KINDS: [(usize, Kind); 5] =
    [(28, Kind::Deliver), (32, Kind::Flag), (16, Kind::Remove), (16, Kind::Move), (8, Kind::Copy)];

/// Chooses an operation on the files of `side`. `new_id` is the Message-ID of the message that it may add.
pub fn next(random: &mut Random, side: &Side, new_id: &str) -> FileOperation {
    let kind = random.weighted(&KINDS);
    choose(random, side, kind, new_id).unwrap_or_else(|| deliver(random, side, new_id))
}

/// Nothing if there is nothing to work on, or if something shall be delivered.
fn choose(random: &mut Random, side: &Side, kind: Kind, new_id: &str) -> Option<FileOperation> {
    if matches!(kind, Kind::Deliver) {
        return None;
    }
    let (mailbox, message_id) = message(random, side)?;
    Some(match kind {
        Kind::Deliver => unreachable!("that was the first question"),
        Kind::Flag => {
            let how = random.weighted(&[(5, How::Add), (3, How::Remove), (2, How::Replace)]);
            let count = random.weighted(&[(1, 0), (6, 1), (3, 2)]);
            // To replace all flags by none means something else than to leave them.
            let how = if count == 0 { How::Add } else { how };
            FileOperation::Flag { mailbox, message_id, how, flags: flags(random, count) }
        }
        Kind::Remove => FileOperation::Remove { mailbox, message_id },
        Kind::Move => {
            // Where it is already, it could be a file of the same name.
            let lacks_it = |(_, it): &(&String, &Mailbox)| it.count(&message_id) == 0;
            let names: Vec<_> = side.mailboxes.iter().filter(lacks_it).map(|(name, _)| name).collect();
            let to = (*random.pick(&names)?).clone();
            FileOperation::Move { mailbox, message_id, to }
        }
        Kind::Copy => {
            let to = any_mailbox(random, side);
            FileOperation::Copy { mailbox, message_id, to, new_id: new_id.to_owned() }
        }
    })
}

/// All that programs do to an mbox: they append a message.
pub fn plain_delivery(random: &mut Random, side: &Side, new_id: &str) -> FileOperation {
    FileOperation::Deliver { mailbox: any_mailbox(random, side), message_id: new_id.to_owned(), flags: Vec::new() }
}

fn deliver(random: &mut Random, side: &Side, new_id: &str) -> FileOperation {
    let count = random.weighted(&[(4, 0), (1, 1), (1, 2)]);
    let flags = flags(random, count);
    FileOperation::Deliver { mailbox: any_mailbox(random, side), message_id: new_id.to_owned(), flags }
}

fn flags(random: &mut Random, count: usize) -> Vec<&'static str> {
    random.sample(&LETTERS, count).into_iter().map(|(flag, _)| flag).collect()
}

/// A message that is only once in its mailbox, and this mailbox.
fn message(random: &mut Random, side: &Side) -> Option<(String, String)> {
    let filled: Vec<_> = side.mailboxes.iter().filter(|(_, mailbox)| !single(mailbox).is_empty()).collect();
    let (name, mailbox) = random.pick(&filled)?;
    let message_id = random.pick(&single(mailbox))?.clone();
    Some(((*name).clone(), message_id))
}

fn single(mailbox: &Mailbox) -> Vec<String> {
    let ids = mailbox.messages.iter().map(|message| &message.message_id);
    let mut single: Vec<_> = ids.filter(|id| mailbox.count(id) == 1).cloned().collect();
    single.sort();
    single
}
