//! The side that becomes a copy.

use std::collections::VecDeque;

use super::all_mail::AllMail;
use super::content::content;
use super::receiving::{Receiving, Tries};
use super::reporting::Reporter;
use super::{
    Difference, Greeting, ListedContent, ListedMessage, MailboxSummary, Message, Session, SessionError, SyncOptions,
    tree_changes,
};
use crate::merge::{self, Contents, LeftOut, MailboxPlan, MailboxView, RecogniseSide};
use crate::model::{
    KeptFields, MailboxIdentity, MailboxName, MailboxNode, MailboxStatus, MailboxTree, MessageKey, MessageList,
    ModSeq, Uid,
};
use crate::report::{Event, Observer, Problem, Report};
use crate::store::{ErrorKind, MailStore, Mailbox, MailboxChanges, MessageBody, Origin, StoreError};
use crate::tree;

/// For how many messages memory is reserved on the word of the source alone.
const MOST_RESERVED: usize = 1 << 20;

/// So many messages below the last common moment are compared nevertheless.
const SAMPLES: usize = 4;

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
}

enum State {
    AwaitHello,
    AwaitTree,
    AwaitOffer,
    AwaitRecords(Box<Transfer>, MessageList),
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
    /// Its fingerprint there.
    fingerprint: Option<[u8; 16]>,
    /// Whether the source could read all of it.
    complete: bool,
    comparison: Comparison,
    /// Messages of the source that do not come.
    left_out: LeftOut,
}

/// How messages are recognised.
enum Comparison {
    /// By their GUIDs, which both sides keep.
    Guids,
    /// By what is in them.
    Contents {
        /// Below it a UID means the same message on both sides.
        proven: Option<Uid>,
        /// What is in the messages here.
        own: Contents,
        /// What is in those of the source.
        source: Contents,
        /// Some message could not be read, on either side: what it is like is not known.
        is_partial: bool,
        /// What the sides keep of a message, the source first.
        keeps: [KeptFields; 2],
    },
}

/// A mailbox whose bodies are on their way.
struct Saving {
    transfer: Box<Transfer>,
    /// The messages of the source.
    messages: MessageList,
    plan: MailboxPlan,
    receiving: Receiving,
}

impl Transfer {
    fn plan(&self, messages: &MessageList) -> MailboxPlan {
        let source = MailboxView { status: &self.status, messages };
        let own = MailboxView { status: self.mailbox.status(), messages: self.mailbox.messages() };
        let mut plan = match &self.comparison {
            Comparison::Guids => merge::one_way(source, own, &self.left_out, self.complete),
            Comparison::Contents { proven, own: contents, source: source_contents, is_partial, keeps } => {
                let there = RecogniseSide { view: source, contents: source_contents, keeps: keeps[0] };
                let here = RecogniseSide { view: own, contents, keeps: keeps[1] };
                let (there, here) = merge::recognise(there, here, *proven);
                let source = MailboxView { messages: &there, ..source };
                // A message that could not be compared may be the one that would go.
                let complete = self.complete && !is_partial;
                merge::one_way(source, MailboxView { messages: &here, ..own }, &self.left_out, complete)
            }
        };
        plan.needed |= self.created;
        plan
    }
}

impl Comparison {
    /// How the messages of a mailbox are recognised that is `summary` at the source, whose messages up to the last moment that
    /// is common with this `peer` are known to be the same. Without a peer no moment is believed.
    fn start(
        mailbox: &mut dyn Mailbox,
        summary: &MailboxSummary,
        keeps: [KeptFields; 2],
        peer: Option<[u8; 8]>,
    ) -> Self {
        if keeps[0].common(keeps[1]).guids {
            return Self::Guids;
        }
        let status = &summary.status;
        let same_mailbox = status.identity.guid.is_none_or(|guid| Some(guid) == mailbox.status().identity.guid);
        let points = mailbox.sync_points().iter().filter(|point| {
            // Other stores may have had other messages under these UIDs.
            let is_common = Some(point.peer) == peer;
            same_mailbox && is_common && point.can_precede(status) && point.can_precede(mailbox.status())
        });
        let proven = points.map(|point| point.uid_next).max();
        let is_proven = |uid: Option<Uid>| uid.is_some_and(|uid| proven.is_some_and(|proven| uid < proven));
        let count = mailbox.messages().len();
        let known: Vec<_> = (0..count).filter(|place| is_proven(mailbox.messages().uid_at(*place))).collect();
        // A source that was restored from an old copy may have given UIDs again since; if so, then also the last ones.
        let samples = known.get(known.len().saturating_sub(SAMPLES)..).unwrap_or_default().iter().copied();
        let open: Vec<_> = samples
            .chain((0..count).filter(|place| !is_proven(mailbox.messages().uid_at(*place))))
            .filter_map(|place| Some((place, mailbox.messages().key_of(place)?)))
            .collect();
        let mut own = Contents::new();
        let mut is_partial = false;
        for (place, key) in open {
            match mailbox.body(key) {
                Ok(body) => match content(body) {
                    Some(content) => drop(own.insert(place, content)),
                    None => is_partial = true,
                },
                // It is like no other message.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(_) => is_partial = true,
            }
        }
        Self::Contents { proven, own, source: Contents::new(), is_partial, keeps }
    }

    /// Takes what is in a message of the source.
    fn note(&mut self, place: usize, message: &ListedMessage) {
        if let Self::Contents { source, is_partial, .. } = self {
            match message.content {
                ListedContent::Unasked => {}
                ListedContent::Unreadable => *is_partial = true,
                ListedContent::Is(content) => drop(source.insert(place, content)),
            }
        }
    }

    /// From which UID on the source has to say what is in its messages.
    fn contents_from(&self, messages: &MessageList, source: &MailboxStatus) -> Option<Uid> {
        // A message without a number, of a store that keeps no GUIDs, is nothing but what is in it.
        let is_undecided = source.identity.uid_validity.is_none();
        match self {
            Self::Contents { proven, own, keeps, .. } if !own.is_empty() || !keeps[0].guids && is_undecided => {
                let first = own.keys().filter_map(|place| messages.uid_at(*place)).min();
                Some(proven.unwrap_or(Uid::FIRST).min(first.unwrap_or(Uid::MAX)))
            }
            _ => None,
        }
    }

    /// Whether a UID from before the common moment names another message at the source.
    fn is_disproved(&self, messages: &MessageList, there: &MessageList) -> bool {
        let Self::Contents { proven: Some(proven), own, source, .. } = self else { return false };
        own.iter().any(|(place, content)| {
            let uid = messages.uid_at(*place).filter(|uid| uid < proven);
            let there = uid.and_then(|uid| there.index_of(MessageKey::Uid(uid)));
            there.and_then(|there| source.get(&there)).is_some_and(|other| other != content)
        })
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
        let directories = self.store.capabilities().directories;
        let location = self.store.location();
        let (source, selection) = (&self.source_tree, &self.options.mailboxes);
        let empty = self.source.as_ref().filter(|greeting| !greeting.holds_mailboxes);
        let refused = empty.filter(|_| !self.options.allow_empty_source);
        self.store.expect(source);
        tree_changes::carry_out(self.store, &mut self.reporter, None, |own| {
            if let Some(empty) = refused.filter(|_| own.values().any(MailboxNode::is_mailbox)) {
                return Err(SessionError::EmptySource {
                    source_location: empty.location.clone(),
                    destination_location: location.clone(),
                });
            }
            let own = tree_changes::taking_part(own, source, selection);
            Ok(tree::one_way(source, &own, directories))
        })?;
        if empty.is_some() && self.options.mailboxes.contains(&MailboxName::inbox(), None) && !self.options.tree_only
        {
            self.empty_inbox()?;
        }
        if self.options.tree_only {
            let here = self.store.tree().map_err(|error| self.store_error(error))?;
            tree_changes::create_missing(self.store, &mut self.reporter, &self.source_tree, &here)?;
        }
        if !directories {
            tree_changes::report_lost_directories(&mut self.reporter, &self.source_tree);
        }
        Ok(())
    }

    /// No store can be without an INBOX, so that of a source without any mailbox is empty.
    fn empty_inbox(&mut self) -> Result<(), SessionError> {
        let name = MailboxName::inbox();
        let emptied = self.store.open(&name).and_then(|mut mailbox| {
            let status = mailbox.status().clone();
            let remove: Vec<_> = mailbox.messages().keyed().map(|(key, _)| key).collect();
            let removed = remove.len();
            if removed > 0 {
                mailbox.commit(MailboxChanges {
                    identity: status.identity,
                    remove,
                    uid_next: status.uid_next,
                    highest_modseq: status.highest_modseq.unwrap_or(ModSeq::FIRST).plus(1),
                    first_recent_uid: status.first_recent_uid.unwrap_or(Uid::FIRST),
                    ..MailboxChanges::empty(Origin::Mirrored)
                })?;
            }
            Ok(removed)
        });
        match emptied {
            Ok(removed) => {
                let counts = &mut self.reporter.report.counts;
                counts.mailboxes_changed += u64::from(removed > 0);
                counts.messages_removed += removed as u64;
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) if is_about_one_mailbox(error.kind()) => {
                self.problem(Some(&name), error.to_string());
                Ok(())
            }
            Err(error) => Err(self.store_error(error)),
        }
    }

    fn accept_offer(&mut self, name: MailboxName, summary: MailboxSummary) -> Result<State, SessionError> {
        let MailboxSummary { status, complete, .. } = &summary;
        if self.tries.of(&name) == 0 && self.disproved.as_ref() != Some(&name) {
            self.reporter.report.counts.mailboxes += 1;
        }
        let opened = open_or_create(self.store, &name, status.identity);
        self.reporter.replaced_names(self.store);
        let (mut mailbox, created) = match opened {
            Ok(opened) => opened,
            // Whatever is wrong with one mailbox, the others can be had.
            Err(error) => {
                self.problem(Some(&name), error.to_string());
                self.outbox.push_back(Message::Answer(Difference::Same));
                return Ok(State::AwaitOffer);
            }
        };
        let fields = self.fields();
        let own = if created { None } else { MailboxSummary::of(&*mailbox, fields).fingerprint };
        // Without GUIDs equal counters prove little, unless the messages have been compared once.
        let is_proof = |fingerprint: &[u8; 16]| {
            fields.guids || mailbox.sync_points().iter().any(|point| point.fingerprint == *fingerprint)
        };
        let same = own.filter(|own| !self.options.full && Some(*own) == summary.fingerprint && is_proof(own));
        if let Some(fingerprint) = same {
            self.reporter.report.state.note(mailbox.status());
            self.remember(&name, &mut *mailbox, fingerprint)?;
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
        let announced = usize::try_from(status.message_count).unwrap_or(usize::MAX);
        Ok(State::AwaitRecords(
            Box::new(Transfer {
                name,
                mailbox,
                created,
                status: status.clone(),
                fingerprint: summary.fingerprint,
                complete: *complete,
                comparison,
                left_out: LeftOut::default(),
            }),
            MessageList::with_capacity(announced.min(MOST_RESERVED)),
        ))
    }

    /// The mailbox is what it is at the source. Keeps that in mind: a mirror may follow.
    fn remember(
        &mut self,
        name: &MailboxName,
        mailbox: &mut dyn Mailbox,
        fingerprint: [u8; 16],
    ) -> Result<(), SessionError> {
        let peer = super::peer_label(self.source.as_ref().map_or("", |source| &source.id));
        let Some(point) = super::sync_point(mailbox.status(), fingerprint, peer) else { return Ok(()) };
        if mailbox.sync_points().contains(&point) {
            return Ok(());
        }
        match mailbox.remember(point) {
            Err(error) if is_about_one_mailbox(error.kind()) => {
                self.problem(Some(name), error.to_string());
                Ok(())
            }
            result => result.map_err(|error| self.store_error(error)),
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
        let answer = if plan.needed { self.commit(&mut transfer, plan, receiving)? } else { Message::Done };
        if matches!(answer, Message::Done) {
            self.tries.done();
            let reached = transfer
                .fingerprint
                .filter(|wanted| MailboxSummary::of(&*transfer.mailbox, self.fields()).fingerprint == Some(*wanted));
            if let Some(fingerprint) = reached {
                self.reporter.report.state.note(transfer.mailbox.status());
                self.remember(&transfer.name, &mut *transfer.mailbox, fingerprint)?;
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
            Err(error) if error.kind() == ErrorKind::Changed || is_about_one_mailbox(error.kind()) => {
                self.reporter.problem(Some(name), error.to_string());
                Ok(Message::Done)
            }
            Err(error) => Err(self.store_error(error)),
        }
    }

    fn finish(&mut self, problems: Vec<Problem>) -> State {
        problems.into_iter().for_each(|problem| self.reporter.add(problem));
        self.outbox.push_back(Message::Finish(Vec::new()));
        State::Finished
    }
}

/// The mailbox, and whether it had to be made.
fn open_or_create(
    store: &mut dyn MailStore,
    name: &MailboxName,
    identity: MailboxIdentity,
) -> Result<(Box<dyn Mailbox>, bool), StoreError> {
    match store.open(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok((store.create(name, identity)?, true)),
        result => Ok((result?, false)),
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
            (State::AwaitOffer, Message::Offer { name, summary }) => self.accept_offer(name, summary)?,
            (State::AwaitRecords(mut transfer, mut messages), Message::Records(more)) => {
                let name = &transfer.name;
                for message in &more {
                    messages.push(&message.record).map_err(|_| {
                        SessionError::InvalidData(format!("the messages of mailbox {name} in a wrong order"))
                    })?;
                    let place = messages.len().saturating_sub(1);
                    transfer.comparison.note(place, message);
                    if !message.selected {
                        transfer.left_out.unselected.extend(messages.key_of(place));
                    }
                }
                State::AwaitRecords(transfer, messages)
            }
            (State::AwaitRecords(transfer, messages), Message::RecordsEnd) => self.plan(transfer, messages)?,
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
