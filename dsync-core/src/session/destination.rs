//! The side that becomes a copy.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{Difference, Message, Session, SessionError};
use crate::merge::{self, MailboxPlan, MailboxView};
use crate::model::{
    MailboxIdentity, MailboxName, MailboxNode, MailboxStatus, MailboxTree, MessageKey, MessageList, MessageRecord,
    NodeKind,
};
use crate::report::{Event, Observer, Problem, Report};
use crate::store::{ErrorKind, MailStore, Mailbox, MailboxChanges, MessageBody, SavedBody, StoreError};
use crate::tree::{self, TreeAction};

/// How often a mailbox that others keep changing at the destination is tried before the run goes on without it.
const TRIES: u32 = 3;
/// How often the tree is planned again after its actions were carried out.
const TREE_PASSES: usize = 4;

/// Makes a store equal to the one that a [`SourceSession`](super::SourceSession) sends.
pub struct DestinationSession<'a> {
    store: &'a mut dyn MailStore,
    source_location: String,
    observer: &'a mut dyn Observer,
    source_tree: MailboxTree,
    outbox: VecDeque<Message>,
    state: State,
    /// The mailbox that is offered again, and how often it was tried.
    retrying: Option<(MailboxName, u32)>,
    report: Report,
}

enum State {
    AwaitHello,
    AwaitTree,
    AwaitOffer,
    AwaitRecords(Transfer, Vec<MessageRecord>),
    AwaitBodies(Box<Saving>),
    Finished,
}

/// A mailbox whose messages are about to be compared.
struct Transfer {
    name: MailboxName,
    mailbox: Box<dyn Mailbox>,
    /// It is new, so it has to be committed even if nothing is in it.
    created: bool,
    /// Its counters at the source.
    status: MailboxStatus,
    /// Whether the source could read all of it.
    complete: bool,
}

/// A mailbox whose bodies are on their way.
struct Saving {
    transfer: Transfer,
    /// The messages of the source.
    messages: MessageList,
    plan: MailboxPlan,
    awaited: VecDeque<(MessageKey, MessageRecord)>,
    /// Messages whose bytes have come.
    saved: HashMap<MessageKey, SavedBody>,
    /// Messages whose bytes could not be had.
    failed: HashSet<MessageKey>,
    bytes: u64,
}

impl Transfer {
    fn plan(&self, messages: &MessageList, unavailable: &HashSet<MessageKey>) -> MailboxPlan {
        let mut plan = merge::one_way(
            MailboxView { status: &self.status, messages },
            MailboxView { status: self.mailbox.status(), messages: self.mailbox.messages() },
            unavailable,
            self.complete,
        );
        plan.needed |= self.created;
        plan
    }
}

impl State {
    fn description(&self) -> &'static str {
        match self {
            Self::AwaitHello => "the greeting was due",
            Self::AwaitTree => "the tree was being received",
            Self::AwaitOffer => "an offer of a mailbox was due",
            Self::AwaitRecords(..) => "messages were being listed",
            Self::AwaitBodies(_) => "bodies were being received",
            Self::Finished => "nothing more was due",
        }
    }
}

impl<'a> DestinationSession<'a> {
    /// A session that will change `store`. `source_location` names the other side in messages to people.
    pub fn new(
        store: &'a mut dyn MailStore,
        source_location: impl Into<String>,
        observer: &'a mut dyn Observer,
    ) -> Self {
        Self {
            store,
            source_location: source_location.into(),
            observer,
            source_tree: MailboxTree::new(),
            outbox: VecDeque::new(),
            state: State::AwaitHello,
            retrying: None,
            report: Report::default(),
        }
    }

    /// What was done. Complete once the session [is finished](Session::is_finished).
    #[must_use]
    pub fn into_report(self) -> Report {
        self.report
    }

    fn store_error(&self, error: StoreError) -> SessionError {
        SessionError::Store { location: self.store.location(), error }
    }

    fn problem(&mut self, mailbox: Option<&MailboxName>, reason: impl Into<String>) {
        let problem = Problem { mailbox: mailbox.cloned(), reason: reason.into() };
        self.observer.event(Event::Problem(&problem));
        self.report.problems.push(problem);
    }

    fn apply_tree(&mut self) -> Result<(), SessionError> {
        let mut refused = Vec::new();
        for _ in 0..TREE_PASSES {
            let own = self.store.tree().map_err(|error| self.store_error(error))?;
            self.refuse_empty_source(&own)?;
            let mut actions = tree::one_way(&self.source_tree, &own, self.store.holds_directories());
            actions.retain(|action| !refused.contains(action));
            if actions.is_empty() {
                break;
            }
            for action in actions {
                if !self.apply_tree_action(&action)? {
                    refused.push(action);
                }
            }
        }
        if !self.store.holds_directories() {
            self.report_lost_directories();
        }
        Ok(())
    }

    fn refuse_empty_source(&self, own: &MailboxTree) -> Result<(), SessionError> {
        let has_mailbox = |tree: &MailboxTree| tree.values().any(MailboxNode::is_mailbox);
        if has_mailbox(own) && !has_mailbox(&self.source_tree) {
            return Err(SessionError::EmptySource {
                source_location: self.source_location.clone(),
                destination_location: self.store.location(),
            });
        }
        Ok(())
    }

    /// Whether it was done.
    fn apply_tree_action(&mut self, action: &TreeAction) -> Result<bool, SessionError> {
        self.observer.event(Event::TreeAction(action));
        let (name, result) = match action {
            TreeAction::Delete(name) => (name, self.store.delete(name)),
            TreeAction::Rename { from, to } => (to, self.store.rename(from, to)),
            TreeAction::CreateDirectory(name) => (name, self.store.create_directory(name)),
            TreeAction::DeleteDirectory(name) => (name, self.store.delete_directory(name)),
            TreeAction::Subscribe(name, subscribed) => (name, self.store.set_subscribed(name, *subscribed)),
        };
        match result {
            Ok(()) => {
                match action {
                    TreeAction::Delete(_) => self.report.counts.mailboxes_deleted += 1,
                    TreeAction::Rename { .. } => self.report.counts.mailboxes_renamed += 1,
                    _ => {}
                }
                Ok(true)
            }
            Err(error) => match error.kind() {
                ErrorKind::NotFound
                | ErrorKind::Exists
                | ErrorKind::Changed
                | ErrorKind::InvalidName
                | ErrorKind::Impossible => {
                    self.problem(Some(name), error.to_string());
                    Ok(false)
                }
                _ => Err(self.store_error(error)),
            },
        }
    }

    /// Levels without a mailbox that nothing below implies vanish in a store that cannot keep them.
    fn report_lost_directories(&mut self) {
        let lost: Vec<_> = self
            .source_tree
            .iter()
            .filter(|(name, node)| {
                let implied = || self.source_tree.iter().any(|(n, node)| node.is_mailbox() && n.is_below(name));
                node.kind == NodeKind::Directory && !implied()
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in lost {
            self.problem(
                Some(&name),
                "it holds no mail and has no mailboxes below it; the destination cannot keep such a name",
            );
        }
    }

    fn accept_offer(
        &mut self,
        name: MailboxName,
        status: MailboxStatus,
        digest: Option<[u8; 16]>,
        complete: bool,
    ) -> Result<State, SessionError> {
        if self.tries_of(&name) == 0 {
            self.report.counts.mailboxes += 1;
        }
        let (mailbox, created) = match self.open_or_create(&name, status.identity) {
            Ok(opened) => opened,
            Err(error) if is_about_one_mailbox(error.kind()) => {
                self.problem(Some(&name), error.to_string());
                self.outbox.push_back(Message::Answer(Difference::Same));
                return Ok(State::AwaitOffer);
            }
            Err(error) => return Err(self.store_error(error)),
        };
        let same = !created && digest.is_some() && *mailbox.status() == status && mailbox.digest() == digest;
        if same {
            self.observer.event(Event::MailboxUnchanged(&name));
            self.outbox.push_back(Message::Answer(Difference::Same));
            return Ok(State::AwaitOffer);
        }
        self.outbox.push_back(Message::Answer(Difference::Different));
        Ok(State::AwaitRecords(Transfer { name, mailbox, created, status, complete }, Vec::new()))
    }

    /// How often the mailbox was tried in vain.
    fn tries_of(&self, name: &MailboxName) -> u32 {
        self.retrying.as_ref().filter(|(retried, _)| retried == name).map_or(0, |(_, tries)| *tries)
    }

    fn open_or_create(
        &mut self,
        name: &MailboxName,
        identity: MailboxIdentity,
    ) -> Result<(Box<dyn Mailbox>, bool), StoreError> {
        match self.store.open(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok((self.store.create(name, identity)?, true)),
            result => Ok((result?, false)),
        }
    }

    fn plan(&mut self, transfer: Transfer, records: Vec<MessageRecord>) -> Result<State, SessionError> {
        let name = transfer.name.clone();
        let messages = MessageList::new(records)
            .ok_or_else(|| SessionError::InvalidData(format!("the messages of mailbox {name} in a wrong order")))?;
        let plan = transfer.plan(&messages, &HashSet::new());
        self.observer.event(if plan.needed {
            Event::MailboxPlanned(&name, &plan)
        } else {
            Event::MailboxUnchanged(&name)
        });
        for key in &plan.unplaced {
            self.problem(Some(&name), format!("{key} cannot be copied: all UIDs of the mailbox are used up"));
        }
        self.outbox.push_back(Message::Request(plan.fetch.iter().map(|(key, _)| *key).collect()));
        let awaited = plan.fetch.iter().cloned().collect();
        self.commit_if_complete(Box::new(Saving {
            transfer,
            messages,
            plan,
            awaited,
            saved: HashMap::new(),
            failed: HashSet::new(),
            bytes: 0,
        }))
    }

    fn save(&mut self, mut saving: Box<Saving>, body: Result<MessageBody, String>) -> Result<State, SessionError> {
        let Some((key, record)) = saving.awaited.pop_front() else {
            return Err(SessionError::InvalidData("a body that was not requested".to_owned()));
        };
        let name = &saving.transfer.name;
        let failure = match body {
            Err(reason) => Some(reason),
            Ok(body) => {
                let size = body.size;
                match saving.transfer.mailbox.save(&record, body) {
                    Ok(saved) => {
                        saving.saved.insert(key, saved);
                        saving.bytes = saving.bytes.saturating_add(size.unwrap_or(0));
                        self.observer.event(Event::MessageSaved(name, size));
                        None
                    }
                    Err(error) if error.kind() == ErrorKind::Source => Some(error.to_string()),
                    Err(error) => return Err(self.store_error(error)),
                }
            }
        };
        if let Some(reason) = failure {
            let name = name.clone();
            self.problem(Some(&name), format!("{key} cannot be copied: {reason}"));
            saving.failed.insert(key);
        }
        self.commit_if_complete(saving)
    }

    fn commit_if_complete(&mut self, saving: Box<Saving>) -> Result<State, SessionError> {
        if !saving.awaited.is_empty() {
            return Ok(State::AwaitBodies(saving));
        }
        let Saving { mut transfer, messages, mut plan, mut saved, failed, bytes, .. } = *saving;
        if !failed.is_empty() {
            // No UID is given to a message that is not there.
            plan = transfer.plan(&messages, &failed);
        }
        let MailboxPlan { mut changes, fetch, needed, .. } = plan;
        let add = fetch.into_iter().filter_map(|(key, record)| Some((saved.remove(&key)?, record)));
        changes.add = add.collect();
        let answer = if needed { self.commit(&mut transfer, changes, bytes)? } else { Message::Done };
        self.retrying = match &answer {
            Message::Retry => Some((transfer.name.clone(), self.tries_of(&transfer.name) + 1)),
            _ => None,
        };
        self.outbox.push_back(answer);
        Ok(State::AwaitOffer)
    }

    fn commit(
        &mut self,
        transfer: &mut Transfer,
        changes: MailboxChanges,
        bytes: u64,
    ) -> Result<Message, SessionError> {
        let (saved, removed) = (changes.add.len(), changes.remove.len());
        let changed = changes.update.len().saturating_add(changes.renumber.len());
        let name = &transfer.name;
        match transfer.mailbox.commit(changes) {
            Ok(()) => {
                let counts = &mut self.report.counts;
                counts.mailboxes_changed += 1;
                counts.messages_saved += saved as u64;
                counts.messages_removed += removed as u64;
                counts.messages_changed += changed as u64;
                counts.bytes_saved = counts.bytes_saved.saturating_add(bytes);
                self.observer.event(Event::MailboxCommitted(name));
                Ok(Message::Done)
            }
            Err(error) if error.kind() == ErrorKind::Changed && self.tries_of(name) + 1 < TRIES => Ok(Message::Retry),
            Err(error) if error.kind() == ErrorKind::Changed || is_about_one_mailbox(error.kind()) => {
                self.problem(Some(name), error.to_string());
                Ok(Message::Done)
            }
            Err(error) => Err(self.store_error(error)),
        }
    }

    fn finish(&mut self, problems: Vec<Problem>) -> State {
        for problem in problems {
            self.observer.event(Event::Problem(&problem));
            self.report.problems.push(problem);
        }
        self.outbox.push_back(Message::Finish(Vec::new()));
        State::Finished
    }
}

/// Whether the run can go on with the other mailboxes after such a failure.
fn is_about_one_mailbox(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::Exists
            | ErrorKind::InvalidName
            | ErrorKind::Impossible
            | ErrorKind::Corrupt
            | ErrorKind::Locked
    )
}

impl Session for DestinationSession<'_> {
    fn receive(&mut self, message: Message) -> Result<(), SessionError> {
        let state = std::mem::replace(&mut self.state, State::Finished);
        let description = state.description();
        self.state = match (state, message) {
            (State::AwaitHello, Message::Hello) => {
                self.outbox.push_back(Message::Hello);
                State::AwaitTree
            }
            (State::AwaitTree, Message::Node(name, node)) => {
                self.source_tree.insert(name, node);
                State::AwaitTree
            }
            (State::AwaitTree, Message::TreeEnd) => {
                self.apply_tree()?;
                State::AwaitOffer
            }
            (State::AwaitOffer, Message::Offer { name, status, digest, complete }) => {
                self.accept_offer(name, status, digest, complete)?
            }
            (State::AwaitRecords(transfer, mut records), Message::Records(more)) => {
                records.extend(more);
                State::AwaitRecords(transfer, records)
            }
            (State::AwaitRecords(transfer, records), Message::RecordsEnd) => self.plan(transfer, records)?,
            (State::AwaitBodies(saving), Message::Body(body)) => self.save(saving, body)?,
            (State::AwaitOffer, Message::Finish(problems)) => self.finish(problems),
            (_, message) => {
                return Err(SessionError::UnexpectedMessage { received: message.kind(), state: description });
            }
        };
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Message>, SessionError> {
        Ok(self.outbox.pop_front())
    }

    fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished) && self.outbox.is_empty()
    }
}
