//! The side that is copied. It only ever reads.

use std::collections::VecDeque;

use super::content::content;
use super::opening;
use super::{
    Difference, Greeting, ListedContent, ListedNote, MailboxSummary, Message, Session, SessionError, SyncOptions,
    agreeing::{self, Look},
    selecting,
};
use crate::model::{KeptFields, MailboxName, MailboxNode, MailboxTree, MessageKey, MessageSelection, NodeKind, Uid};
use crate::report::Problem;
use crate::store::{MailStore, Mailbox, StoreError};

/// How many notes go into one message: enough to be cheap, few enough to be small.
const NOTES_PER_MESSAGE: usize = 1000;

/// Sends a store to a [`DestinationSession`](super::DestinationSession).
pub struct SourceSession<'a> {
    store: &'a mut dyn MailStore,
    options: SyncOptions,
    /// What both sides keep of a message.
    fields: KeptFields,
    tree: MailboxTree,
    mailboxes: VecDeque<MailboxName>,
    state: State,
    problems: Vec<Problem>,
    /// How the next mailbox is shown.
    look: Look,
}

enum State {
    Start,
    AwaitHello,
    SendTree(VecDeque<MailboxName>),
    SendOffer,
    /// A glance was sent.
    AwaitLook(MailboxName),
    AwaitAnswer(OpenMailbox),
    SendRecords(OpenMailbox, Listing),
    AwaitRequest(OpenMailbox),
    SendBodies(OpenMailbox, VecDeque<MessageKey>),
    AwaitDone(MailboxName),
    AwaitFinish,
    Finished,
}

/// How far the messages of a mailbox were listed.
struct Listing {
    is_list_sent: bool,
    /// How many messages were noted.
    noted: usize,
    /// From which UID on it has to be said what is in a message.
    contents_from: Option<Uid>,
}

impl Listing {
    /// The next message to the destination.
    fn next(&mut self, mailbox: &mut dyn Mailbox, selection: &MessageSelection) -> Message {
        if !self.is_list_sent {
            self.is_list_sent = true;
            return Message::Records(mailbox.messages().clone());
        }
        let notes = match self.contents_from.is_none() && *selection == MessageSelection::default() {
            true => Vec::new(),
            false => self.notes(mailbox, selection),
        };
        if notes.is_empty() { Message::RecordsEnd } else { Message::Notes(notes) }
    }

    /// The next notes.
    fn notes(&mut self, mailbox: &mut dyn Mailbox, selection: &MessageSelection) -> Vec<ListedNote> {
        let end = mailbox.messages().len().min(self.noted.saturating_add(NOTES_PER_MESSAGE));
        let mut notes = Vec::with_capacity(end.saturating_sub(self.noted));
        for place in self.noted..end {
            let messages = mailbox.messages();
            let (Some(key), Some(record)) = (messages.key_of(place), messages.at(place)) else { continue };
            let is_asked = self.contents_from.is_some_and(|from| record.uid.is_none_or(|uid| uid >= from));
            let content = match is_asked {
                true => mailbox.body(key).ok().and_then(content).map_or(ListedContent::Unreadable, ListedContent::Is),
                false => ListedContent::Unasked,
            };
            let selected = selecting::is_selected(mailbox, (key, &record), selection, true);
            notes.push(ListedNote { content, selected });
        }
        self.noted = end;
        notes
    }
}

struct OpenMailbox {
    name: MailboxName,
    mailbox: Box<dyn Mailbox>,
}

impl State {
    fn description(&self) -> &'static str {
        match self {
            Self::Start | Self::AwaitHello => "the greeting was due",
            Self::SendTree(_) => "the tree was being sent",
            Self::SendOffer | Self::AwaitLook(_) | Self::AwaitAnswer(_) => "a mailbox was being offered",
            Self::SendRecords(..) | Self::AwaitRequest(_) => "messages were being listed",
            Self::SendBodies(..) => "bodies were being sent",
            Self::AwaitDone(_) => "the end of a mailbox was due",
            Self::AwaitFinish | Self::Finished => "the end was due",
        }
    }
}

impl<'a> SourceSession<'a> {
    /// A session that will send what is selected of `store`.
    pub fn new(store: &'a mut dyn MailStore, options: SyncOptions) -> Self {
        Self {
            store,
            options,
            fields: KeptFields::ALL,
            tree: MailboxTree::new(),
            mailboxes: VecDeque::new(),
            state: State::Start,
            problems: Vec::new(),
            look: Look::default(),
        }
    }

    fn store_error(&self, error: StoreError) -> SessionError {
        SessionError::Store { location: self.store.location(), error }
    }

    /// Lists what is selected. Whether there is any mailbox at all.
    fn load_tree(&mut self) -> Result<bool, SessionError> {
        self.tree = self.store.tree().map_err(|error| self.store_error(error))?;
        let holds_mailboxes = self.tree.values().any(MailboxNode::is_mailbox);
        self.tree = self.options.mailboxes.part_of(&self.tree, &|_, _| false);
        for (name, node) in &self.tree {
            match &node.kind {
                NodeKind::Mailbox { .. } if self.options.tree_only => {}
                NodeKind::Mailbox { .. } => self.mailboxes.push_back(name.clone()),
                NodeKind::Unreadable(reason) => {
                    self.problems.push(Problem { mailbox: Some(name.clone()), reason: reason.clone() });
                }
                NodeKind::Absent | NodeKind::Directory => {}
            }
        }
        Ok(holds_mailboxes)
    }

    /// Opens mailboxes until one can be opened.
    fn offer(&mut self) -> (State, Message) {
        while let Some(name) = self.mailboxes.pop_front() {
            if let Some(is_close) = std::mem::take(&mut self.look).is_close()
                && agreeing::is_possible(&self.options)
                && let Some(glance) = self.store.glance(&name, is_close)
            {
                return (State::AwaitLook(name.clone()), Message::Glance(name, glance));
            }
            let opened = self.store.open(&name);
            let possible = opened.and_then(|it| opening::refuse_impossible(&name, it.status()).map(|()| it));
            match possible {
                Ok(mailbox) => {
                    let summary = MailboxSummary::of(&*mailbox, self.fields);
                    let offer = Message::Offer { name: name.clone(), summary };
                    return (State::AwaitAnswer(OpenMailbox { name, mailbox }), offer);
                }
                Err(error) => self.problems.push(Problem { mailbox: Some(name), reason: error.to_string() }),
            }
        }
        (State::AwaitFinish, Message::Finish(std::mem::take(&mut self.problems)))
    }

    /// What the mailbox itself has to complain about; once, also if it is offered again.
    fn note_problems(&mut self, open: &OpenMailbox) {
        for reason in open.mailbox.problems() {
            let problem = Problem { mailbox: Some(open.name.clone()), reason: reason.clone() };
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
    }
}

impl Session for SourceSession<'_> {
    fn receive(&mut self, message: Message) -> Result<(), SessionError> {
        let state = std::mem::replace(&mut self.state, State::Finished);
        let description = state.description();
        self.state = match (state, message) {
            (State::AwaitHello, Message::Hello(greeting)) => {
                self.fields = self.store.capabilities().keeps.common(greeting.capabilities.keeps);
                State::SendTree(self.tree.keys().cloned().collect())
            }
            (State::AwaitLook(_), Message::Answer(Difference::Same)) => State::SendOffer,
            (State::AwaitLook(name), Message::LookCloser) => {
                self.look = Look::Closer;
                self.mailboxes.push_front(name);
                State::SendOffer
            }
            (State::AwaitLook(name), Message::Look) => {
                self.look = Look::Whole;
                self.mailboxes.push_front(name);
                State::SendOffer
            }
            (State::AwaitAnswer(open), Message::Answer(difference)) => {
                self.note_problems(&open);
                match difference {
                    Difference::Same => State::SendOffer,
                    Difference::Different { contents_from } => {
                        State::SendRecords(open, Listing { is_list_sent: false, noted: 0, contents_from })
                    }
                }
            }
            (State::AwaitRequest(open), Message::Request(keys)) if keys.is_empty() => State::AwaitDone(open.name),
            (State::AwaitRequest(open), Message::Request(keys)) => State::SendBodies(open, keys.into()),
            (State::AwaitDone(_), Message::Done) => State::SendOffer,
            (State::AwaitDone(name), Message::Retry) => {
                self.mailboxes.push_front(name);
                State::SendOffer
            }
            (State::AwaitFinish, Message::Finish(_)) => State::Finished,
            (_, message) => {
                return Err(SessionError::UnexpectedMessage { received: message.kind(), state: description });
            }
        };
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Message>, SessionError> {
        let state = std::mem::replace(&mut self.state, State::Finished);
        let (state, message) = match state {
            State::Start => {
                let holds_mailboxes = self.load_tree()?;
                let capabilities = self.store.capabilities();
                let location = self.store.location();
                let id = self.store.id().map_err(|error| self.store_error(error))?;
                let options = self.options.clone();
                let own = Greeting { location, id, options, capabilities, imports: false, holds_mailboxes };
                (State::AwaitHello, Some(Message::Hello(own)))
            }
            State::SendTree(mut names) => match names.pop_front().and_then(|name| self.tree.remove_entry(&name)) {
                Some((name, node)) => (State::SendTree(names), Some(Message::Node(name, node))),
                None => (State::SendOffer, Some(Message::TreeEnd { separators: Vec::new(), prefix: String::new() })),
            },
            State::SendOffer => {
                let (state, message) = self.offer();
                (state, Some(message))
            }
            State::SendRecords(mut open, mut listing) => {
                let message = listing.next(&mut *open.mailbox, &self.options.messages);
                let state = match message {
                    Message::RecordsEnd => State::AwaitRequest(open),
                    _ => State::SendRecords(open, listing),
                };
                (state, Some(message))
            }
            State::SendBodies(mut open, mut keys) => match keys.pop_front() {
                Some(key) => {
                    let body = Message::Body(open.mailbox.body(key).map_err(|error| error.to_string()));
                    let state =
                        if keys.is_empty() { State::AwaitDone(open.name) } else { State::SendBodies(open, keys) };
                    (state, Some(body))
                }
                None => (State::AwaitDone(open.name), None),
            },
            waiting => (waiting, None),
        };
        self.state = state;
        Ok(message)
    }

    fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished)
    }
}
