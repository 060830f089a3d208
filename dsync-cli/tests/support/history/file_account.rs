//! The account of what programs do to the files of one side.

use std::collections::BTreeSet;

use super::file_operation::FileOperation;
use super::operation::How;
use super::side::{Arrival, Mailbox, Message, Side};
use super::view::Flags;

impl Side {
    /// Enters an operation that was carried out on files.
    pub fn apply_in_files(&mut self, operation: &FileOperation) {
        match operation {
            FileOperation::Deliver { mailbox, message_id, flags } => {
                let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
                self.mailbox(mailbox).arrive(message_id, flags, Arrival::Appended);
            }
            FileOperation::Flag { mailbox, message_id, how, flags } => {
                self.mailbox(mailbox).only(message_id).store_in_name(*how, flags);
            }
            FileOperation::Remove { mailbox, message_id } => self.mailbox(mailbox).remove_only(message_id),
            FileOperation::Move { mailbox, message_id, to } => {
                self.copy_in_files(mailbox, message_id, to);
                self.mailbox(mailbox).remove_only(message_id);
            }
            FileOperation::Copy { mailbox, message_id, to, .. } => self.copy_in_files(mailbox, message_id, to),
        }
    }

    fn copy_in_files(&mut self, mailbox: &str, message_id: &str, to: &str) {
        let (flags, _) = split(&self.mailbox(mailbox).only(message_id).flags);
        self.mailbox(to).arrive(message_id, flags, Arrival::CopiedOrMoved);
    }
}

impl Mailbox {
    fn arrive(&mut self, message_id: &str, flags: Flags, arrival: Arrival) {
        let message_id = message_id.to_owned();
        self.messages.push(Message { uid: None, message_id, flags, arrival, is_touched: false });
    }

    fn only(&mut self, message_id: &str) -> &mut Message {
        let message = self.messages.iter_mut().find(|message| message.message_id == message_id);
        message.expect("operations work on what is there")
    }

    fn remove_only(&mut self, message_id: &str) {
        self.messages.retain(|message| message.message_id != message_id);
        self.removed.insert(message_id.to_owned());
    }
}

impl Message {
    /// A change without effect leaves no trace.
    fn store_in_name(&mut self, how: How, flags: &[&'static str]) {
        let (before, was_touched) = (self.flags.clone(), self.is_touched);
        self.store(how, flags);
        if how == How::Replace {
            self.flags.extend(split(&before).1);
        }
        self.is_touched = was_touched || self.flags != before;
    }
}

/// Flags with a backslash, and keywords.
fn split(flags: &Flags) -> (Flags, BTreeSet<String>) {
    flags.iter().cloned().partition(|flag| flag.starts_with('\\'))
}
