//! The mailbox of the own store that holds all messages: what is in it need not come from the other side.

use std::collections::HashMap;

use crate::model::{MailboxName, MessageGuid, MessageKey, MessageRecord};
use crate::store::{MailStore, Mailbox, MessageBody};

/// Opened when it is first needed. One that cannot be opened is as good as empty.
pub(super) struct AllMail {
    name: MailboxName,
    open: Option<Open>,
}

struct Open {
    mailbox: Option<Box<dyn Mailbox>>,
    keys: HashMap<MessageGuid, MessageKey>,
}

impl AllMail {
    pub(super) fn new(name: MailboxName) -> Self {
        Self { name, open: None }
    }

    /// Whether a mailbox can be filled from it.
    pub(super) fn can_fill(&self, name: &MailboxName, store: &dyn MailStore) -> bool {
        // Where GUIDs prove nothing the message may be another one.
        *name != self.name && store.capabilities().keeps.guids
    }

    /// The bytes of a message, if it is there.
    pub(super) fn body(&mut self, store: &mut dyn MailStore, message: &MessageRecord) -> Option<MessageBody> {
        let name = &self.name;
        let open = self.open.get_or_insert_with(|| {
            let mailbox = store.open(name).ok();
            let messages = mailbox.iter().flat_map(|mailbox| mailbox.messages().keyed());
            let keys = messages.map(|(key, record)| (record.guid, key)).collect();
            Open { mailbox, keys }
        });
        let key = *open.keys.get(&message.guid)?;
        open.mailbox.as_mut()?.body(key).ok()
    }
}
