//! Carries out the work of clients, and says what it did.

use dsync_core::memory::MemoryStore;
use dsync_core::model::{
    Flags, Keyword, Keywords, MailboxIdentity, MailboxName, MessageKey, MessageRecord, NodeKind, Uid,
};
use dsync_core::store::MailStore;

use crate::generate::{KEYWORDS, NAMES, Work};

/// The number that is in the body of every message.
pub(crate) type Content = u32;

/// What a client did, as far as promises are concerned.
#[derive(Clone, Debug)]
pub(crate) enum Done {
    Nothing,
    Delivered(Content),
    /// Flags or a keyword were changed: each with its new state.
    Changed(Content, Vec<(String, bool)>),
    Copied(Content),
    Moved(Content),
    /// The messages are gone because a client wanted it.
    Expunged(Vec<Content>),
    /// What is remembered about these messages is not complete any more.
    Forgot(Vec<Content>),
}

pub(crate) fn name(index: usize) -> MailboxName {
    MailboxName::parse(NAMES[index], '/').unwrap()
}

pub(crate) fn flag_names(flags: Flags, set: bool) -> Vec<(String, bool)> {
    Flags::EACH.into_iter().filter(|flag| flags.contains(*flag)).map(|flag| (flag.to_string(), set)).collect()
}

/// All messages of a mailbox with their contents; empty if there is no such mailbox.
pub(crate) fn messages(store: &mut MemoryStore, mailbox: &MailboxName) -> Vec<(MessageRecord, Content)> {
    let Ok(mut open) = store.open(mailbox) else { return Vec::new() };
    let records = open.messages().records().collect::<Vec<_>>();
    let content = |record: MessageRecord| {
        let body = open.body(MessageKey::Uid(record.uid.unwrap())).unwrap().read_all().unwrap();
        let number = std::str::from_utf8(&body).unwrap().trim_start_matches("Subject: ").trim().parse().unwrap();
        (record, number)
    };
    records.into_iter().map(content).collect()
}

/// The mailboxes of a store.
pub(crate) fn mailboxes(store: &mut MemoryStore) -> Vec<MailboxName> {
    let tree = store.tree().unwrap();
    tree.into_iter().filter(|(_, node)| matches!(node.kind, NodeKind::Mailbox { .. })).map(|(name, _)| name).collect()
}

fn pick(store: &mut MemoryStore, mailbox: usize, message: usize) -> Option<(MailboxName, MessageRecord, Content)> {
    let name = name(mailbox);
    let messages = messages(store, &name);
    let index = message.checked_rem(messages.len())?;
    let (record, content) = messages[index].clone();
    Some((name, record, content))
}

fn uid(record: &MessageRecord) -> Uid {
    record.uid.unwrap()
}

pub(crate) fn carry_out(store: &mut MemoryStore, work: &Work, next_content: &mut Content) -> Done {
    try_carry_out(store, work, next_content).unwrap_or(Done::Nothing)
}

fn try_carry_out(store: &mut MemoryStore, work: &Work, next_content: &mut Content) -> Option<Done> {
    match *work {
        Work::Deliver { mailbox } => {
            *next_content += 1;
            store.deliver(&name(mailbox), format!("Subject: {next_content}\n\n").as_bytes());
            Some(Done::Delivered(*next_content))
        }
        Work::Flags { mailbox, message, added, removed } => {
            let (mailbox, record, content) = pick(store, mailbox, message)?;
            store.change_flags(&mailbox, uid(&record), added, removed);
            let changed = [flag_names(added, true), flag_names(removed, false)].concat();
            Some(Done::Changed(content, changed))
        }
        Work::Replace { mailbox, message, flags, keyword } => {
            let (mailbox, record, content) = pick(store, mailbox, message)?;
            let keywords: Keywords = keyword.and_then(|index| Keyword::new(KEYWORDS[index])).into_iter().collect();
            store.set_flags(&mailbox, uid(&record), flags, keywords.clone());
            let mut changed = [flag_names(flags, true), flag_names(Flags::ALL.without(flags), false)].concat();
            changed.extend(keywords.iter().map(|keyword| (keyword.to_string(), true)));
            let gone = record.keywords.iter().filter(|keyword| !keywords.contains(keyword));
            changed.extend(gone.map(|keyword| (keyword.to_string(), false)));
            Some(Done::Changed(content, changed))
        }
        Work::Keyword { mailbox, message, keyword, set } => {
            let (mailbox, record, content) = pick(store, mailbox, message)?;
            let keyword = Keyword::new(KEYWORDS[keyword])?;
            store.change_keyword(&mailbox, uid(&record), &keyword, set);
            Some(Done::Changed(content, vec![(keyword.to_string(), set)]))
        }
        Work::Expunge { mailbox, message } => {
            let (mailbox, record, content) = pick(store, mailbox, message)?;
            store.expunge(&mailbox, uid(&record));
            Some(Done::Expunged(vec![content]))
        }
        Work::Copy { mailbox, message, to } => {
            let (mailbox, record, content) = pick(store, mailbox, message)?;
            store.copy(&mailbox, uid(&record), &name(to))?;
            Some(Done::Copied(content))
        }
        Work::Move { mailbox, message, to } => {
            let (mailbox, record, content) = pick(store, mailbox, message)?;
            store.move_message(&mailbox, uid(&record), &name(to))?;
            Some(Done::Moved(content))
        }
        Work::Create { name: index } => {
            store.create_mailbox(&name(index), MailboxIdentity::UNDECIDED);
            None
        }
        Work::Delete { name: index } => {
            let gone = messages(store, &name(index)).into_iter().map(|(_, content)| content).collect();
            store.delete(&name(index)).ok()?;
            Some(Done::Expunged(gone))
        }
        Work::Rename { from, to } => {
            store.rename(&name(from), &name(to)).ok()?;
            None
        }
        Work::Subscribe { name: index, subscribed } => {
            store.set_subscribed(&name(index), subscribed).unwrap();
            None
        }
        Work::MakeDirectory { name: index } if index > 0 => {
            store.create_directory(&name(index)).unwrap();
            None
        }
        Work::MakeDirectory { .. } => None,
        Work::RemoveDirectory { name: index } => {
            store.delete_directory(&name(index)).ok()?;
            None
        }
        Work::Rotate { mailbox } => {
            store.rotate_history(&name(mailbox));
            Some(Done::Forgot(messages(store, &name(mailbox)).into_iter().map(|(_, content)| content).collect()))
        }
        Work::LoseIndex { mailbox } => {
            store.lose_history(&name(mailbox));
            Some(Done::Forgot(messages(store, &name(mailbox)).into_iter().map(|(_, content)| content).collect()))
        }
        Work::LoseTreeHistory => {
            store.lose_tree_history();
            None
        }
    }
}
