//! A side of a two-way run: takes over what the other side did, and tells it what happened here.

mod agreed;
pub(super) mod amend;
mod exchange;
pub(super) mod holding;
pub(super) mod place;
mod trees;

use std::collections::{BTreeMap, VecDeque};

use super::agreeing::{Agreeing, Aim, Look};
use super::all_mail::AllMail;
use super::receiving::Tries;
use super::reporting::Reporter;
use super::{
    Amendments, Difference, Greeting, MailboxSummary, Message, Outcome, Session, SessionError, SyncOptions, opening,
    peer_label, settle, tree_changes,
};
use crate::merge::MailboxPlan;
use crate::model::{Glance, KeptFields, MailboxIdentity, MailboxName, MailboxStatus, MailboxTree, NodeKind, Role};
use crate::report::{Event, Observer, Report};
use crate::store::{ErrorKind, MailStore, StoreError};
use crate::tree::two_way::{MergedTree, TreeSide};

use amend::Deletable;
use exchange::{Abilities, Comparison, Open, Transfer};
use holding::{is_another, most_while_held};
use place::Place;

/// One side of a two-way run; the other is one of the other [`Role`].
pub struct MirrorSession<'a> {
    store: &'a mut dyn MailStore,
    reporter: Reporter<'a>,
    role: Role,
    options: SyncOptions,
    /// Whether this store is changed.
    imports: bool,
    own: TreeSide,
    other: TreeSide,
    merged: MergedTree,
    deletable: Deletable,
    /// What this store has since the trees were merged.
    here: MailboxTree,
    own_id: String,
    greeting: Option<Greeting>,
    outbox: VecDeque<Message>,
    state: State,
    /// Mailboxes that the master has still to offer.
    offers: VecDeque<MailboxName>,
    tries: Tries,
    all_mail: Option<AllMail>,
    /// What the slave knows of former agreements.
    agreeing: Agreeing,
    /// What both sides have agreed on, and how it looked here then.
    agreed: BTreeMap<MailboxName, (Glance, MailboxStatus)>,
    /// How the next mailbox is shown.
    look: Look,
}

enum State {
    Start,
    AwaitHello,
    AwaitTree,
    AwaitAmendments(Amendments),
    /// The master's turn to offer a mailbox.
    Offer,
    AwaitOffer,
    /// A glance was sent.
    AwaitLook(MailboxName),
    AwaitSummary(Open),
    Compare(Box<Comparison>),
    Transfer(Box<Transfer>),
    AwaitOutcome(Open, Outcome),
    AwaitFinish,
    Finished,
}

impl State {
    fn description(&self) -> &'static str {
        match self {
            Self::Start | Self::AwaitHello => "the greeting was due",
            Self::AwaitTree => "the tree was being received",
            Self::AwaitAmendments(_) => "amendments of the tree were due",
            Self::Offer | Self::AwaitOffer => "an offer of a mailbox was due",
            Self::AwaitLook(_) | Self::AwaitSummary(_) => "a mailbox was being offered",
            Self::Compare(_) => "messages were being listed",
            Self::Transfer(_) => "bodies were being exchanged",
            Self::AwaitOutcome(..) => "the end of a mailbox was due",
            Self::AwaitFinish | Self::Finished => "the end was due",
        }
    }
}

impl<'a> MirrorSession<'a> {
    /// A session for `store`. If `imports` is false nothing is changed in it.
    pub fn new(
        store: &'a mut dyn MailStore,
        role: Role,
        imports: bool,
        options: SyncOptions,
        observer: &'a mut dyn Observer,
    ) -> Self {
        let reporter = Reporter::new(observer, store.location());
        let all_mail = options.all_mailbox.clone().map(AllMail::new);
        Self {
            store,
            reporter,
            role,
            options,
            imports,
            own: TreeSide::default(),
            other: TreeSide::default(),
            merged: MergedTree::default(),
            deletable: Deletable::new(),
            here: MailboxTree::new(),
            own_id: String::new(),
            greeting: None,
            outbox: VecDeque::new(),
            state: State::Start,
            offers: VecDeque::new(),
            tries: Tries::default(),
            all_mail,
            agreeing: Agreeing::default(),
            agreed: BTreeMap::new(),
            look: Look::default(),
        }
    }

    /// What was done at this side. Complete once the session [is finished](Session::is_finished).
    #[must_use]
    pub fn into_report(self) -> Report {
        self.reporter.report
    }

    fn store_error(&self, error: StoreError) -> SessionError {
        SessionError::of_store(self.store, error)
    }

    /// How the other side is called in sync points.
    fn peer(&self) -> [u8; 8] {
        peer_label(self.greeting.as_ref().map_or("", |greeting| &greeting.id))
    }

    /// Opens mailboxes until one can be opened.
    fn offer(&mut self) -> Result<(State, Message), SessionError> {
        while let Some(name) = self.offers.pop_front() {
            if let Some(is_close) = std::mem::take(&mut self.look).is_close()
                && let Some(glance) = self.glance(&name, is_close)
            {
                return Ok((State::AwaitLook(name.clone()), Message::Glance(name, glance)));
            }
            if let Some(open) = self.open(&name)? {
                let message = Message::Offer { name, summary: open.summary.clone() };
                return Ok((State::AwaitSummary(open), message));
            }
        }
        self.outbox.push_back(Message::Finish(Vec::new()));
        let agreed = std::mem::take(&mut self.agreed).into_iter();
        Ok((State::AwaitFinish, Message::Agreed(agreed.map(|(name, (glance, _))| (name, glance)).collect())))
    }

    /// The mailbox, made if it is missing. `None` if it cannot be had.
    fn open(&mut self, name: &MailboxName) -> Result<Option<Open>, SessionError> {
        // What was agreed on in an earlier try says nothing about this one.
        self.agreed.remove(name);
        if self.tries.of(name) == 0 {
            self.reporter.report.counts.mailboxes += 1;
        }
        let Some(NodeKind::Mailbox { guid, uid_validity }) = self.merged.tree.get(name).map(|node| &node.kind) else {
            return Ok(None);
        };
        let identity = MailboxIdentity { guid: *guid, uid_validity: *uid_validity };
        let place =
            match place::find(self.imports, name, identity.guid, &self.own.tree, &self.here, &self.merged.tree) {
                Ok(place) => place,
                Err(reason) => {
                    self.reporter.problem(Some(name), reason);
                    return Ok(None);
                }
            };
        let opened = match &place {
            Place::Nowhere => return Ok(None),
            Place::New => {
                let created = self.store.create(name, identity).map(|mailbox| (mailbox, true));
                self.reporter.replaced_names(self.store);
                created
            }
            Place::At(name) if self.imports => self.open_settled(name).map(|mailbox| (mailbox, false)),
            Place::At(name) => self.store.open(name).map(|mailbox| (mailbox, false)),
        };
        // A mailbox that this run has made itself, when it was tried before.
        let opened = match opened {
            Err(error) if error.kind() == ErrorKind::Exists && self.tries.of(name) > 0 => {
                self.open_settled(name).map(|mailbox| (mailbox, false))
            }
            opened => opened,
        };
        match opened {
            Ok((mailbox, created)) => {
                for reason in mailbox.problems() {
                    self.reporter.problem(Some(name), reason.clone());
                }
                let summary = MailboxSummary::of(&*mailbox, self.abilities().both_keep());
                Ok(Some(Open { name: name.clone(), mailbox, summary, created, is_seen: false }))
            }
            Err(error) => {
                self.reporter.cannot_be_had(self.store, name, error)?;
                Ok(None)
            }
        }
    }

    fn accept_offer(&mut self, name: MailboxName, summary: MailboxSummary) -> Result<State, SessionError> {
        let known = self.merged.tree.get(&name).is_some_and(|node| matches!(node.kind, NodeKind::Mailbox { .. }));
        if !known {
            return Err(SessionError::InvalidData(format!("mailbox {name}, which is in no tree")));
        }
        let Some(open) = self.open(&name)? else {
            self.outbox.push_back(Message::Refused);
            return Ok(State::AwaitOffer);
        };
        self.outbox.push_back(Message::Summary(open.summary.clone()));
        self.compare(open, summary)
    }

    /// Both summaries are known.
    fn compare(&mut self, mut open: Open, other: MailboxSummary) -> Result<State, SessionError> {
        for status in [&open.summary.status, &other.status] {
            // Both sides see it, and both leave the mailbox alone.
            if let Err(error) = opening::refuse_impossible(&open.name, status) {
                self.reporter.problem_or_error(self.store, &open.name, error)?;
                return Ok(self.next_mailbox());
            }
        }
        self.tries.weigh([open.summary.status.message_count, other.status.message_count]);
        let same = open.summary.is_same(&other)
            // Without GUIDs two different messages may look the same, until their bytes have been compared.
            && (self.abilities().both_keep().guids || exchange::have_agreed(&open.summary, &other));
        if same && !self.options.full {
            self.reporter.event(Event::MailboxUnchanged(&open.name));
            self.reporter.report.state.note(&other.status);
            if open.created
                && let Err(error) = settle::publish(&mut *open.mailbox)
            {
                self.reporter.problem_or_error(self.store, &open.name, error)?;
                return Ok(self.next_mailbox());
            }
            self.remember(&mut open, other.fingerprint)?;
            return Ok(self.next_mailbox());
        }
        if self.role == Role::Master && !self.commits_last() && self.is_restless(&open.name) {
            // The other side holds it by now. If it was changed here since it was opened, the commit tells.
            let _ = open.mailbox.hold();
        }
        let labels = [peer_label(&self.own_id), self.peer()];
        let comparison = Comparison::start(open, other, self.abilities(), &self.options.messages, labels)
            .map_err(|error| self.store_error(error))?;
        Ok(State::Compare(Box::new(comparison)))
    }

    fn abilities(&self) -> Abilities {
        let other = self.greeting.as_ref();
        Abilities {
            own_keeps: self.store.capabilities().keeps,
            other_keeps: other.map_or(KeptFields::ALL, |greeting| greeting.capabilities.keeps),
            own_imports: self.imports,
            other_imports: other.is_some_and(|greeting| greeting.imports),
        }
    }

    fn both_import(&self) -> bool {
        self.imports && self.greeting.as_ref().is_some_and(|greeting| greeting.imports)
    }

    fn next_mailbox(&self) -> State {
        match self.role {
            Role::Master => State::Offer,
            Role::Slave => State::AwaitOffer,
        }
    }

    fn decide(&mut self, comparison: Comparison) -> Result<State, SessionError> {
        // Both sides decide the same; one of them tells.
        if self.role == Role::Master && self.reporter.wants_reasons() {
            let [own, other] =
                [self.store.location(), self.greeting.as_ref().map_or_else(String::new, |it| it.location.clone())];
            for reason in comparison.explain(self.role, [&own, &other]) {
                self.reporter.event(Event::Reason(&comparison.open.name, &reason));
            }
        }
        let mut transfer = comparison.decide(self.role, |name, plan| {
            self.reporter.event(match plan.needed {
                true => Event::MailboxPlanned(name, plan),
                false => Event::MailboxUnchanged(name),
            });
        });
        let name = &transfer.open.name;
        if let Some(all_mail) = self.all_mail.as_mut().filter(|all_mail| all_mail.can_fill(name, self.store)) {
            let mailbox = &mut *transfer.open.mailbox;
            transfer.receiving.take_own(name, mailbox, all_mail, &mut self.reporter, self.store)?;
        }
        let request = transfer.receiving.request();
        if request.len() > most_while_held(self.tries.of(&transfer.open.name)) {
            transfer.open.mailbox.release();
        }
        self.outbox.push_back(Message::Request(request));
        Ok(State::Transfer(Box::new(transfer)))
    }

    fn commit(&mut self, transfer: &mut Transfer) -> Result<Outcome, SessionError> {
        let mut complete = transfer.receiving.failed().is_empty();
        transfer.settle_plan(self.role);
        let name = &transfer.open.name;
        for key in &transfer.plan.unplaced {
            complete = false;
            let text = format!("{key} cannot be copied: this side could not be read as a whole, or has no UIDs left");
            self.reporter.problem(Some(name), text);
        }
        let unselected = transfer.plan.unselected;
        if transfer.plan.needed {
            let plan = std::mem::replace(&mut transfer.plan, MailboxPlan::nothing());
            let receiving = std::mem::take(&mut transfer.receiving);
            match receiving.commit(name, &mut *transfer.open.mailbox, plan, &mut self.reporter) {
                Ok(()) => {}
                // If it was deleted or renamed, the other side must not take what came from here for something new.
                Err(error) if is_another(&error) => return Ok(Outcome::Changed),
                Err(error) => {
                    self.reporter.problem_or_error(self.store, &transfer.open.name, error)?;
                    return Ok(Outcome::Partial);
                }
            }
        }
        if !complete {
            return Ok(Outcome::Partial);
        }
        if unselected > 0 {
            // The sides are not the same, and are not meant to be.
            return Ok(Outcome::Done(None));
        }
        let summary = MailboxSummary::of(&*transfer.open.mailbox, self.abilities().both_keep());
        Ok(Outcome::Done(summary.fingerprint))
    }

    /// Both sides are done with the mailbox.
    fn finish_mailbox(&mut self, mut open: Open, own: Outcome, other: Outcome) -> Result<State, SessionError> {
        let both_import = self.both_import();
        if let Outcome::Done(fingerprint) = own
            && !matches!(other, Outcome::Done(_))
            && open.is_seen
        {
            // It may be deleted there before another run comes: then it is known that nothing here is unseen.
            self.remember_point(&mut open, fingerprint)?;
        }
        match (own, other) {
            (Outcome::Done(own), Outcome::Done(other)) if own == other && both_import => {
                if other.is_some() {
                    self.reporter.report.state.note(open.mailbox.status());
                }
                self.remember(&mut open, other)?;
            }
            // In one direction the sides do not become equal, but nothing was left out.
            (Outcome::Done(_), Outcome::Done(Some(_))) if !self.imports => {
                self.reporter.report.state.note(&open.summary.status);
            }
            (Outcome::Partial, _) | (_, Outcome::Partial) => {}
            (Outcome::Done(_), Outcome::Done(_)) if !both_import => {}
            _ if self.tries.again(&open.name) => {
                if self.role == Role::Master {
                    self.offers.push_front(open.name);
                }
                return Ok(self.next_mailbox());
            }
            _ => self
                .reporter
                .problem(Some(&open.name), "it keeps changing, so both sides are not the same yet; run dsync again"),
        }
        self.tries.done();
        Ok(self.next_mailbox())
    }
}

impl Session for MirrorSession<'_> {
    fn receive(&mut self, message: Message) -> Result<(), SessionError> {
        let state = std::mem::replace(&mut self.state, State::Finished);
        let description = state.description();
        self.state = match (state, message) {
            (state @ (State::Start | State::AwaitHello), Message::Hello(greeting))
                if (self.role == Role::Slave) == matches!(state, State::Start) =>
            {
                if self.role == Role::Slave {
                    self.agreeing = Agreeing::load(self.store, &greeting.id, Aim::Mirror);
                    self.options = greeting.options.clone();
                    self.all_mail = self.options.all_mailbox.clone().map(AllMail::new);
                    self.greeting = Some(greeting);
                    self.hello()?;
                } else {
                    self.greeting = Some(greeting);
                }
                State::AwaitTree
            }
            (State::AwaitTree, Message::Node(name, node)) => {
                self.other.tree.insert(name, node);
                State::AwaitTree
            }
            (State::AwaitTree, Message::TreeEvent(event)) => {
                self.other.history.events.push(event);
                State::AwaitTree
            }
            (State::AwaitTree, Message::TreeEnd { separators, prefix }) => {
                self.other.history.separators = separators;
                self.other.history.prefix = prefix;
                self.amend()?
            }
            (State::AwaitAmendments(own), Message::Amendments(other)) => self.merge_trees(&own, &other)?,
            (State::AwaitLook(name), Message::Answer(Difference::Same)) => {
                self.pass_over(&name);
                State::Offer
            }
            (State::AwaitLook(name), Message::LookCloser) => {
                self.look = Look::Closer;
                self.offers.push_front(name);
                State::Offer
            }
            (State::AwaitLook(name), Message::Look) => {
                self.look = Look::Whole;
                self.offers.push_front(name);
                State::Offer
            }
            (State::AwaitOffer, Message::Glance(name, glance)) => self.accept_glance(&name, glance),
            (State::AwaitOffer, Message::Agreed(glances)) => {
                self.accept_agreed(glances);
                State::AwaitOffer
            }
            (State::AwaitOffer, Message::Offer { name, summary }) => self.accept_offer(name, summary)?,
            (State::AwaitSummary(open), Message::Summary(summary)) => self.compare(open, summary)?,
            (State::AwaitSummary(_), Message::Refused) => State::Offer,
            (State::Compare(mut comparison), Message::Changes(messages)) => {
                comparison.receive(messages)?;
                State::Compare(comparison)
            }
            (State::Compare(mut comparison), Message::ChangesEnd { expunged, origins, history_complete }) => {
                comparison.end(expunged, origins, history_complete);
                if comparison.is_complete() { self.decide(*comparison)? } else { State::Compare(comparison) }
            }
            (State::Transfer(mut transfer), Message::Request(keys)) if transfer.wanted.is_none() => {
                if keys.len() > transfer.open.mailbox.messages().len() {
                    return Err(SessionError::InvalidData("a request for more messages than there are".to_owned()));
                }
                if keys.len() > most_while_held(self.tries.of(&transfer.open.name)) {
                    transfer.open.mailbox.release();
                }
                transfer.wanted = Some(keys.into());
                self.conclude(transfer, None)?
            }
            (State::Transfer(mut transfer), Message::Body(body)) => {
                let Open { name, mailbox, .. } = &mut transfer.open;
                transfer.receiving.take(name, &mut **mailbox, body, &mut self.reporter, self.store)?;
                self.conclude(transfer, None)?
            }
            (State::Transfer(transfer), Message::Held) if !self.commits_last() && transfer.is_complete() => {
                self.conclude(transfer, Some(Message::Held))?
            }
            (State::Transfer(transfer), Message::Outcome(other)) if transfer.is_complete() => {
                match self.conclude(transfer, Some(Message::Outcome(other)))? {
                    State::AwaitOutcome(open, own) => self.finish_mailbox(open, own, other)?,
                    state => state,
                }
            }
            (State::AwaitOutcome(open, own), Message::Outcome(other)) => self.finish_mailbox(open, own, other)?,
            (State::AwaitOffer, Message::Finish(_)) => {
                if self.both_import() {
                    std::mem::take(&mut self.agreeing).keep(self.store, &self.options);
                }
                self.outbox.push_back(Message::Finish(Vec::new()));
                State::Finished
            }
            (State::AwaitFinish, Message::Finish(_)) => State::Finished,
            (_, message) => {
                return Err(SessionError::UnexpectedMessage { received: message.kind(), state: description });
            }
        };
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Message>, SessionError> {
        if let Some(message) = self.outbox.pop_front() {
            return Ok(Some(message));
        }
        let state = std::mem::replace(&mut self.state, State::Finished);
        let (state, message) = match state {
            State::Start if self.role == Role::Master => {
                self.hello()?;
                (State::AwaitHello, self.outbox.pop_front())
            }
            State::Offer => {
                let (state, message) = self.offer()?;
                (state, Some(message))
            }
            State::Compare(mut comparison) if !comparison.end_sent => {
                let message = comparison.next_message();
                let state =
                    if comparison.is_complete() { self.decide(*comparison)? } else { State::Compare(comparison) };
                (state, Some(message))
            }
            State::Transfer(mut transfer) => match transfer.wanted.as_mut().and_then(VecDeque::pop_front) {
                Some(key) => {
                    let body = Message::Body(transfer.open.mailbox.body(key).map_err(|error| error.to_string()));
                    (State::Transfer(transfer), Some(body))
                }
                // Not before the last body was taken: it may keep the mailbox locked.
                None => {
                    let state = self.conclude(transfer, None)?;
                    (state, self.outbox.pop_front())
                }
            },
            waiting => (waiting, None),
        };
        self.state = state;
        Ok(message)
    }

    fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished) && self.outbox.is_empty()
    }
}
