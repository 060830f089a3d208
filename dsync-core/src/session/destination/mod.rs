//! The side that becomes a copy.

mod restoring;
mod transfer;

use std::collections::VecDeque;

use transfer::{Comparison, Transfer};

use super::agreeing::{self, Agreeing, Aim, Found};
use super::all_mail::AllMail;
use super::receiving::{Receiving, Tries};
use super::reporting::Reporter;
use super::{
    Difference, Greeting, ListedNote, MailboxSummary, Message, Session, SessionError, SyncOptions, opening,
    tree_changes,
};
use crate::merge::{LeftOut, MailboxPlan, explain_one_way};
use crate::model::{Glance, KeptFields, MailboxName, MailboxTree, MessageList};
use crate::report::{Event, Observer, Problem, Report};
use crate::store::{ErrorKind, MailStore, Mailbox, MessageBody, StoreError};

/// Makes a store equal to the one that a [`SourceSession`](super::SourceSession) sends.
pub struct DestinationSession<'a> {
    store: &'a mut dyn MailStore,
    options: SyncOptions,
    source: Option<Greeting>,
    reporter: Reporter<'a>,
    source_tree: MailboxTree,
    outbox: VecDeque<Message>,
    state: State,
    tries: Tries,
    /// The mailbox of which no common moment is to be believed.
    disproved: Option<MailboxName>,
    all_mail: Option<AllMail>,
    agreeing: Agreeing,
}

enum State {
    AwaitHello,
    AwaitTree,
    AwaitOffer,
    AwaitRecords(Box<Transfer>),
    AwaitNotes(Box<Transfer>, Noting),
    AwaitBodies(Box<Saving>),
    Finished,
}

/// The messages of the source, of which more may be said.
struct Noting {
    messages: MessageList,
    /// Of how many of them it was.
    noted: usize,
}

impl Noting {
    fn take(&mut self, transfer: &mut Transfer, notes: &[ListedNote]) {
        for note in notes {
            transfer.comparison.note(self.noted, note.content);
            if !note.selected {
                transfer.left_out.unselected.extend(self.messages.key_of(self.noted));
            }
            self.noted = self.noted.saturating_add(1);
        }
    }
}

/// A mailbox whose bodies are on their way.
struct Saving {
    transfer: Box<Transfer>,
    /// The messages of the source.
    messages: MessageList,
    plan: MailboxPlan,
    receiving: Receiving,
}

impl State {
    fn description(&self) -> &'static str {
        match self {
            Self::AwaitHello => "the greeting was due",
            Self::AwaitTree => "the tree was being received",
            Self::AwaitOffer => "an offer of a mailbox was due",
            Self::AwaitRecords(_) | Self::AwaitNotes(..) => "messages were being listed",
            Self::AwaitBodies(_) => "bodies were being received",
            Self::Finished => "nothing more was due",
        }
    }
}

impl<'a> DestinationSession<'a> {
    /// A session that will change `store`. The source says what else is asked for.
    pub fn new(store: &'a mut dyn MailStore, observer: &'a mut dyn Observer) -> Self {
        let reporter = Reporter::new(observer, store.location());
        Self {
            store,
            options: SyncOptions::default(),
            source: None,
            reporter,
            source_tree: MailboxTree::new(),
            outbox: VecDeque::new(),
            state: State::AwaitHello,
            tries: Tries::default(),
            disproved: None,
            all_mail: None,
            agreeing: Agreeing::default(),
        }
    }

    /// What was done. Complete once the session [is finished](Session::is_finished).
    #[must_use]
    pub fn into_report(self) -> Report {
        self.reporter.report
    }

    /// What the source keeps of a message.
    fn source_keeps(&self) -> KeptFields {
        self.source.as_ref().map_or(KeptFields::ALL, |source| source.capabilities.keeps)
    }

    /// What both sides keep of a message.
    fn fields(&self) -> KeptFields {
        self.source_keeps().common(self.store.capabilities().keeps)
    }

    fn store_error(&self, error: StoreError) -> SessionError {
        SessionError::of_store(self.store, error)
    }

    fn problem(&mut self, mailbox: Option<&MailboxName>, reason: impl Into<String>) {
        self.reporter.problem(mailbox, reason);
    }

    fn apply_tree(&mut self) -> Result<(), SessionError> {
        let (source, selection) = (&self.source_tree, &self.options.mailboxes);
        let empty = self.source.as_ref().filter(|greeting| !greeting.holds_mailboxes);
        let refused = empty.filter(|_| !self.options.allow_empty_source);
        let refused = refused.map(|greeting| &*greeting.location);
        tree_changes::take_over(self.store, &mut self.reporter, source, selection, refused)?;
        if empty.is_some() && self.options.mailboxes.contains(&MailboxName::inbox(), None) && !self.options.tree_only
        {
            tree_changes::empty_inbox(self.store, &mut self.reporter)?;
        }
        if self.options.tree_only {
            let here = self.store.tree().map_err(|error| self.store_error(error))?;
            tree_changes::create_missing(self.store, &mut self.reporter, &self.source_tree, &here)?;
        }
        // Of what is left out nobody knows whether it is below.
        if !self.store.capabilities().directories && self.options.mailboxes.is_all() {
            tree_changes::report_lost_directories(&mut self.reporter, &self.source_tree);
        }
        Ok(())
    }

    fn accept_glance(&mut self, name: &MailboxName, glance: Glance) -> State {
        let status = match self.agreeing.find(self.store, name, glance) {
            Found::Agreement(status) => status,
            Found::More => {
                self.outbox.push_back(Message::LookCloser);
                return State::AwaitOffer;
            }
            Found::Nothing => {
                self.outbox.push_back(Message::Look);
                return State::AwaitOffer;
            }
        };
        self.count(name);
        self.reporter.report.state.note(&status);
        self.reporter.event(Event::MailboxUnchanged(name));
        self.outbox.push_back(Message::Answer(Difference::Same));
        State::AwaitOffer
    }

    /// Counts a mailbox, once.
    fn count(&mut self, name: &MailboxName) {
        if self.tries.of(name) == 0 && self.disproved.as_ref() != Some(name) {
            self.reporter.report.counts.mailboxes += 1;
        }
    }

    fn accept_offer(&mut self, name: MailboxName, mut summary: MailboxSummary) -> Result<State, SessionError> {
        self.count(&name);
        let opened = opening::open_or_create(self.store, &name, summary.status.identity);
        self.reporter.replaced_names(self.store);
        let possible = |(mailbox, created): (Box<dyn Mailbox>, bool)| {
            opening::refuse_impossible(&name, mailbox.status()).map(|()| (mailbox, created))
        };
        let (mut mailbox, created) = match opened.and_then(possible) {
            Ok(opened) => opened,
            Err(error) => {
                self.reporter.cannot_be_had(self.store, &name, error)?;
                self.outbox.push_back(Message::Answer(Difference::Same));
                return Ok(State::AwaitOffer);
            }
        };
        if self.options.restore && !created {
            let fresh = || self.store.new_identity().map(|identity| identity.uid_validity);
            let kept = restoring::uid_validity(mailbox.status(), &summary.status, fresh);
            if let Some(uid_validity) = kept.map_err(|error| self.store_error(error.in_mailbox(&name)))? {
                summary.status.identity.uid_validity = Some(uid_validity);
                // It was made of the other one.
                summary.fingerprint = None;
            }
        }
        let MailboxSummary { status, complete, .. } = &summary;
        self.tries.weigh([mailbox.status().message_count, status.message_count]);
        let fields = self.fields();
        let own = if created { None } else { MailboxSummary::of(&*mailbox, fields).fingerprint };
        // Without GUIDs equal counters prove little, unless the messages have been compared once.
        let is_proof = |fingerprint: &[u8; 16]| {
            fields.guids || mailbox.sync_points().iter().any(|point| point.fingerprint == *fingerprint)
        };
        let same = own.filter(|own| !self.options.full && Some(*own) == summary.fingerprint && is_proof(own));
        if let Some(fingerprint) = same {
            self.reporter.report.state.note(mailbox.status());
            if self.remember(&name, &mut *mailbox, fingerprint)? {
                self.agreeing.note(&name, &*mailbox, agreeing::glance_of(&summary));
            }
            self.reporter.event(Event::MailboxUnchanged(&name));
            self.outbox.push_back(Message::Answer(Difference::Same));
            return Ok(State::AwaitOffer);
        }
        let keeps = [self.source_keeps(), self.store.capabilities().keeps];
        let peer = super::peer_label(self.source.as_ref().map_or("", |source| &source.id));
        let is_believed = !self.options.full && self.disproved.as_ref() != Some(&name);
        let comparison = Comparison::start(&mut *mailbox, &summary, keeps, Some(peer).filter(|_| is_believed));
        let contents_from = comparison.contents_from(mailbox.messages(), status);
        self.outbox.push_back(Message::Answer(Difference::Different { contents_from }));
        Ok(State::AwaitRecords(Box::new(Transfer {
            name,
            mailbox,
            created,
            status: status.clone(),
            fingerprint: summary.fingerprint,
            complete: *complete,
            glance: agreeing::glance_of(&summary),
            comparison,
            left_out: LeftOut::default(),
        })))
    }

    /// The mailbox is what it is at the source. Keeps that in mind: a mirror may follow. `false` if that cannot be done, so
    /// that it has to be tried, and said, again.
    fn remember(
        &mut self,
        name: &MailboxName,
        mailbox: &mut dyn Mailbox,
        fingerprint: [u8; 16],
    ) -> Result<bool, SessionError> {
        let peer = super::peer_label(self.source.as_ref().map_or("", |source| &source.id));
        let Some(point) = super::sync_point(mailbox.status(), fingerprint, peer) else { return Ok(true) };
        if mailbox.sync_points().contains(&point) {
            return Ok(true);
        }
        match mailbox.remember(point) {
            Ok(()) => Ok(true),
            Err(error) if is_about_one_mailbox(error.kind()) => {
                self.problem(Some(name), error.to_string());
                Ok(false)
            }
            Err(error) => Err(self.store_error(error.in_mailbox(name))),
        }
    }

    fn plan(&mut self, transfer: Box<Transfer>, messages: MessageList) -> Result<State, SessionError> {
        let name = transfer.name.clone();
        if transfer.comparison.is_disproved(transfer.mailbox.messages(), &messages) {
            self.disproved = Some(name);
            self.outbox.extend([Message::Request(Vec::new()), Message::Retry]);
            return Ok(State::AwaitOffer);
        }
        let mut plan = transfer.plan(&messages);
        if self.reporter.wants_reasons() {
            for reason in explain_one_way(&plan, transfer.mailbox.messages()) {
                self.reporter.event(Event::Reason(&name, &reason));
            }
        }
        self.reporter.event(if plan.needed {
            Event::MailboxPlanned(&name, &plan)
        } else {
            Event::MailboxUnchanged(&name)
        });
        for key in &plan.unplaced {
            self.problem(Some(&name), format!("{key} cannot be copied: all UIDs of the mailbox are used up"));
        }
        let mut receiving = Receiving::of(&mut plan);
        let mut transfer = transfer;
        if let Some(all_mail) = self.all_mail.as_mut().filter(|all_mail| all_mail.can_fill(&name, self.store)) {
            receiving.take_own(&name, &mut *transfer.mailbox, all_mail, &mut self.reporter, self.store)?;
        }
        self.outbox.push_back(Message::Request(receiving.request()));
        self.commit_if_complete(Box::new(Saving { transfer, messages, plan, receiving }))
    }

    fn save(&mut self, mut saving: Box<Saving>, body: Result<MessageBody, String>) -> Result<State, SessionError> {
        let Transfer { name, mailbox, .. } = &mut *saving.transfer;
        saving.receiving.take(name, &mut **mailbox, body, &mut self.reporter, self.store)?;
        self.commit_if_complete(saving)
    }

    fn commit_if_complete(&mut self, saving: Box<Saving>) -> Result<State, SessionError> {
        if !saving.receiving.is_complete() {
            return Ok(State::AwaitBodies(saving));
        }
        let Saving { mut transfer, messages, mut plan, receiving } = *saving;
        if !receiving.failed().is_empty() {
            // No UID is given to a message that is not there.
            transfer.left_out.unavailable.clone_from(receiving.failed());
            plan = transfer.plan(&messages);
        }
        // A commit needs room of its own.
        drop(messages);
        let problems = self.reporter.report.problems.len();
        let is_all = receiving.failed().is_empty() && plan.unplaced.is_empty();
        let mut is_done = is_all && !transfer.comparison.is_partial();
        let is_needed = plan.needed;
        let answer = if plan.needed { self.commit(&mut transfer, plan, receiving)? } else { Message::Done };
        if matches!(answer, Message::Done) {
            self.tries.done();
            let reached = transfer
                .fingerprint
                .filter(|wanted| MailboxSummary::of(&*transfer.mailbox, self.fields()).fingerprint == Some(*wanted));
            if let Some(fingerprint) = reached {
                self.reporter.report.state.note(transfer.mailbox.status());
                is_done &= self.remember(&transfer.name, &mut *transfer.mailbox, fingerprint)?;
            }
            is_done &= reached.is_some() || !is_needed;
            if is_done && self.reporter.report.problems.len() == problems {
                self.agreeing.note(&transfer.name, &*transfer.mailbox, transfer.glance);
            }
        }
        self.outbox.push_back(answer);
        Ok(State::AwaitOffer)
    }

    fn commit(
        &mut self,
        transfer: &mut Transfer,
        plan: MailboxPlan,
        receiving: Receiving,
    ) -> Result<Message, SessionError> {
        let name = &transfer.name;
        match receiving.commit(name, &mut *transfer.mailbox, plan, &mut self.reporter) {
            Ok(()) => Ok(Message::Done),
            Err(error) if error.kind() == ErrorKind::Changed && self.tries.again(name) => Ok(Message::Retry),
            Err(error) => {
                self.reporter.problem_or_error(self.store, name, error)?;
                Ok(Message::Done)
            }
        }
    }

    fn finish(&mut self, problems: Vec<Problem>) -> State {
        problems.into_iter().for_each(|problem| self.reporter.add(problem));
        std::mem::take(&mut self.agreeing).keep(self.store, &self.options);
        self.outbox.push_back(Message::Finish(Vec::new()));
        State::Finished
    }
}

/// Whether the run can go on with the other mailboxes after such a failure.
pub(super) fn is_about_one_mailbox(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::Exists
            | ErrorKind::InvalidName
            | ErrorKind::Impossible
            | ErrorKind::Corrupt
            | ErrorKind::Permission
            | ErrorKind::Source
            | ErrorKind::Locked
    )
}

impl Session for DestinationSession<'_> {
    fn receive(&mut self, message: Message) -> Result<(), SessionError> {
        let state = std::mem::replace(&mut self.state, State::Finished);
        let description = state.description();
        self.state = match (state, message) {
            (State::AwaitHello, Message::Hello(greeting)) => {
                let own = Greeting {
                    location: self.store.location(),
                    // The source remembers nothing.
                    id: String::new(),
                    options: self.options.clone(),
                    capabilities: self.store.capabilities(),
                    imports: true,
                    // Nobody asks the destination.
                    holds_mailboxes: false,
                };
                self.options = greeting.options.clone();
                self.all_mail = self.options.all_mailbox.clone().map(AllMail::new);
                let aim = if self.options.restore { Aim::Restored } else { Aim::Copy };
                self.agreeing = Agreeing::load(self.store, &greeting.id, aim);
                self.source = Some(greeting);
                self.outbox.push_back(Message::Hello(own));
                State::AwaitTree
            }
            (State::AwaitTree, Message::Node(name, node)) => {
                self.source_tree.insert(name, node);
                State::AwaitTree
            }
            (State::AwaitTree, Message::TreeEnd { .. }) => {
                self.apply_tree()?;
                State::AwaitOffer
            }
            (State::AwaitOffer, Message::Glance(name, glance)) => self.accept_glance(&name, glance),
            (State::AwaitOffer, Message::Offer { name, summary }) => self.accept_offer(name, summary)?,
            (State::AwaitRecords(transfer), Message::Records(messages)) => {
                State::AwaitNotes(transfer, Noting { messages, noted: 0 })
            }
            (State::AwaitNotes(mut transfer, mut noting), Message::Notes(notes)) => {
                noting.take(&mut transfer, &notes);
                State::AwaitNotes(transfer, noting)
            }
            (State::AwaitNotes(transfer, noting), Message::RecordsEnd) => self.plan(transfer, noting.messages)?,
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
