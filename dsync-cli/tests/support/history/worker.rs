//! Carries operations out at one side.

use crate::support::imap::{Imap, Response};
use crate::support::{Store, mail};

use super::generator::{self, Phase};
use super::journal::Journal;
use super::operation::{Operation, uids};
use super::random::Random;
use super::side::Side;

/// A user at one side. The name of the side begins the Message-IDs of all that the user adds.
pub struct Worker<'a> {
    pub name: &'a str,
    pub store: &'a Store,
}

struct Session {
    imap: Imap,
    selected: Option<String>,
}

impl Worker<'_> {
    /// Does `count` random things through one IMAP session and enters them in `side`.
    pub fn work(&self, random: &mut Random, phase: Phase, count: usize, side: &mut Side, journal: &mut Journal) {
        let mut session = Session { imap: self.store.imap(), selected: None };
        for number in 1..=count {
            let new_id = format!("<{}.{number}@example.org>", self.name);
            let operation = generator::next(random, side, phase, &new_id);
            match session.perform(&operation) {
                Ok(new_uids) => {
                    journal.note(format_args!("{}: {operation}", self.name));
                    side.apply(&operation, &new_uids);
                }
                Err(answer) => {
                    journal.note(format_args!("{}: {operation} -> {answer}", self.name));
                    assert!(may_be_refused(&operation), "{operation}: {answer}");
                }
            }
        }
        session.imap.logout();
        // Dovecot goes on listing a deleted mailbox that has children until it builds its list anew.
        self.store.forget_list_index();
    }
}

/// Dovecot's list may still hold names that the account does not hold any more.
fn may_be_refused(operation: &Operation) -> bool {
    matches!(operation, Operation::Create { .. } | Operation::Rename { .. } | Operation::Delete { .. })
}

impl Session {
    /// Returns the UIDs that messages got, in the order of the operation's targets, or the refusal.
    fn perform(&mut self, operation: &Operation) -> Result<Vec<u32>, String> {
        if let Some(mailbox) = operation.works_in() {
            self.select(mailbox);
        }
        if operation.unnames() && self.selected.take().is_some() {
            self.imap.command("UNSELECT");
        }
        if operation.copies_onto_itself() {
            self.learn_guids();
        }
        match operation {
            Operation::Append { mailbox, message_id, flags, date } => {
                let attributes = format!("({}) {date}", flags.join(" "));
                Ok(vec![self.imap.append(mailbox, attributes.trim_end(), &message(message_id))])
            }
            Operation::Expunge { targets, .. } => {
                self.imap.expunge(&uids(targets));
                Ok(Vec::new())
            }
            _ => {
                let (result, responses) = self.imap.try_command(operation.command().as_bytes());
                if !result.starts_with("OK") {
                    return Err(result);
                }
                let untagged = responses.iter().map(|Response { line, .. }| line.as_str());
                Ok(untagged.chain([result.as_str()]).find_map(copied_uids).unwrap_or_default())
            }
        }
    }

    /// Lets Dovecot learn the GUIDs of all messages of the selected mailbox.
    ///
    /// In an mbox it knows them from when they were asked for. If one that it copies came later, it reads the file to learn
    /// it, takes the copies that it has just written for a delivery, and breaks its index when it adds them itself
    /// (Dovecot 2.3.19, without any other program: `UID FETCH 1:* X-GUID`, then in a new session `APPEND`, and `UID MOVE`
    /// of an old message and this one into the same mailbox).
    fn learn_guids(&mut self) {
        self.imap.command("UID FETCH 1:* X-GUID");
    }

    fn select(&mut self, mailbox: &str) {
        if self.selected.as_deref() != Some(mailbox) {
            self.imap.select(mailbox);
            self.selected = Some(mailbox.to_owned());
        }
    }
}

/// The new UIDs that a response code COPYUID tells.
fn copied_uids(line: &str) -> Option<Vec<u32>> {
    let (_, code) = line.split_once("[COPYUID ")?;
    let (code, _) = code.split_once(']')?;
    let set = code.split(' ').nth(2)?;
    let mut uids = Vec::new();
    for range in set.split(',') {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        uids.extend(first.parse::<u32>().unwrap()..=last.parse().unwrap());
    }
    Some(uids)
}

pub(super) fn message(message_id: &str) -> Vec<u8> {
    let text = mail::plain(message_id);
    let lines = "A line to make it longer.\r\n".repeat(message_id.bytes().map(usize::from).sum::<usize>() % 17);
    [format!("Message-ID: {message_id}\r\n").as_bytes(), &text, lines.as_bytes()].concat()
}
