//! What one side holds, as far as promises are about it.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::imap::{Imap, Response, listed};
use crate::support::{Store, mutf7};

/// Flags and keywords, without `\Recent`.
pub type Flags = BTreeSet<String>;

/// The mailboxes by their names as IMAP writes them, and the subscriptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub mailboxes: BTreeMap<String, SeenMailbox>,
    pub subscriptions: BTreeSet<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenMailbox {
    /// In hexadecimal.
    pub guid: String,
    /// By UID.
    pub messages: BTreeMap<u32, SeenMessage>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenMessage {
    pub message_id: String,
    pub flags: Flags,
}

impl View {
    /// Looks at the store itself. Dovecot writes its indexes there while we look, but no message changes.
    pub fn of(store: &Store) -> Self {
        let mut imap = store.imap();
        let mut view = Self::default();
        view.subscriptions.extend(imap.subscriptions());
        for name in selectable(&mut imap) {
            imap.command(&format!("EXAMINE \"{name}\""));
            let responses = imap.command("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])");
            let messages = responses.iter().filter_map(message).collect();
            view.mailboxes.insert(name, SeenMailbox { guid: String::new(), messages });
        }
        imap.logout();
        view.add_guids(store);
        view
    }

    /// Looks at a copy, so that the store stays untouched.
    pub fn of_copy(store: &Store) -> Self {
        let copy = store.copy();
        let view = Self::of(&copy);
        copy.remove();
        view
    }

    fn add_guids(&mut self, store: &Store) {
        let names: Vec<_> = self.mailboxes.keys().map(|name| mutf7::decode(name)).collect();
        let mut arguments = vec!["-f", "tab", "mailbox", "status", "guid"];
        arguments.extend(names.iter().map(String::as_str));
        let table = store.doveadm(&arguments);
        let guids: BTreeMap<_, _> = table.lines().filter_map(|line| line.split_once('\t')).collect();
        for (mailbox, name) in self.mailboxes.values_mut().zip(&names) {
            mailbox.guid = guids[name.as_str()].to_owned();
        }
    }

    /// A mailbox and its name.
    pub fn by_guid(&self, guid: &str) -> Option<(&str, &SeenMailbox)> {
        let (name, mailbox) = self.mailboxes.iter().find(|(_, mailbox)| mailbox.guid == guid)?;
        Some((name, mailbox))
    }

    pub fn holds(&self, message_id: &str) -> bool {
        self.mailboxes.values().any(|mailbox| mailbox.count(message_id) > 0)
    }
}

impl SeenMailbox {
    /// How often a message is in it.
    pub fn count(&self, message_id: &str) -> usize {
        self.instances(message_id).count()
    }

    pub fn instances(&self, message_id: &str) -> impl Iterator<Item = &SeenMessage> {
        self.messages.values().filter(move |message| message.message_id == message_id)
    }
}

fn selectable(imap: &mut Imap) -> Vec<String> {
    let is_mailbox = |attributes: &str| !["\\Noselect", "\\NonExistent"].iter().any(|it| attributes.contains(it));
    let responses = imap.command("LIST \"\" \"*\"");
    let entries = responses.iter().filter_map(|response| listed(&response.line, "LIST"));
    entries.filter(|(attributes, _)| is_mailbox(attributes)).map(|(_, name)| name).collect()
}

fn message(response: &Response) -> Option<(u32, SeenMessage)> {
    let uid = response.value("UID")?.parse().unwrap();
    let header = String::from_utf8_lossy(response.literals.first()?);
    let message_id = header.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default();
    let (_, rest) = response.line.split_once("FLAGS (")?;
    let (flags, _) = rest.split_once(')')?;
    let flags = flags.split_whitespace().filter(|flag| *flag != "\\Recent").map(str::to_owned).collect();
    Some((uid, SeenMessage { message_id, flags }))
}
