//! One mailbox of a two-way run: what each side knows, what it asks for, and what becomes of it.

use std::collections::{BTreeMap, HashSet, VecDeque};

use crate::merge::MailboxPlan;
use crate::merge::two_way::{self, MergeSide, MessageNotes, Origins, SideMessages};
use crate::model::{
    HistoryRange, KeptFields, MailboxHistory, MailboxName, MailboxStatus, MessageKey, MessageList, MessageRecord,
    MessageSelection, ModSeq, Role, RunTraces, SyncPoint, Uid,
};
use crate::session::content::content;
use crate::session::receiving::Receiving;
use crate::session::{MailboxSummary, Message, SessionError, selecting};
use crate::store::{Mailbox, StoreError};

/// A mailbox that is open on this side.
pub(super) struct Open {
    pub(super) name: MailboxName,
    pub(super) mailbox: Box<dyn Mailbox>,
    pub(super) summary: MailboxSummary,
    /// It is new, so it has to be committed even if nothing is in it.
    pub(super) created: bool,
    /// The other side has all messages of the result already, under their UIDs: it has seen them, whatever becomes of the
    /// mailbox there.
    pub(super) is_seen: bool,
}

/// Both lists are on their way.
pub(super) struct Comparison {
    pub(super) open: Open,
    basis: Basis,
    is_list_sent: bool,
    pub(super) end_sent: bool,
    end_received: bool,
}

/// What a decision is made from.
struct Basis {
    base: Option<SyncPoint>,
    /// If messages have no GUIDs: below this UID both sides are known to have had the same ones.
    common_below: Option<Uid>,
    own: OwnSide,
    other: MergeSide<'static>,
}

/// What this side knows about a mailbox beside the list of its messages, which the mailbox has.
struct OwnSide {
    /// The list, if that of the mailbox cannot be believed.
    corrected: Option<MessageList>,
    notes: MessageNotes,
    expunged: BTreeMap<Uid, Option<[u8; 16]>>,
    origins: Origins,
    history_complete: bool,
    abilities: Abilities,
}

/// Bodies are on their way in both directions.
pub(super) struct Transfer {
    pub(super) open: Open,
    /// For the case that a body does not come. None: nothing has to come.
    basis: Option<Basis>,
    pub(super) plan: MailboxPlan,
    pub(super) receiving: Receiving,
    /// What the other side asked for and has not got yet; `None` if it has not asked.
    pub(super) wanted: Option<VecDeque<MessageKey>>,
    /// This side has said that it keeps the mailbox as it is.
    pub(super) held: bool,
}

/// What both sides can do.
#[derive(Clone, Copy)]
pub(super) struct Abilities {
    pub(super) own_keeps: KeptFields,
    pub(super) other_keeps: KeptFields,
    pub(super) own_imports: bool,
    pub(super) other_imports: bool,
}

impl Abilities {
    /// What both sides keep of a message.
    pub(super) fn both_keep(self) -> KeptFields {
        self.own_keeps.common(self.other_keeps)
    }
}

/// Of so many messages it is told that a synchronisation brought them.
const MOST_BROUGHT: usize = 1 << 16;

impl Comparison {
    pub(super) fn start(
        mut open: Open,
        other: MailboxSummary,
        abilities: Abilities,
        selection: &MessageSelection,
        labels: [[u8; 8]; 2],
    ) -> Result<Self, StoreError> {
        let base = common_point(&open.summary, &other);
        let needs_proof = !abilities.both_keep().guids;
        let common_below = needs_proof
            .then(|| common_below(&open.summary, &other, labels).max(base.map(|base| base.uid_next)))
            .flatten();
        // What was agreed with others since is known to them, but news to this side.
        let agreed = open.summary.points.iter().map(|point| point.highest_modseq).max().unwrap_or_default();
        let range = HistoryRange { since: base.map(|point| point.highest_modseq), mirrored_until: agreed };
        let history = open.mailbox.history(range)?;
        let may_be_moved = base.is_some_and(|base| may_have_moved(&open, &history, base, &other.status));
        let mut own = OwnSide::of(&mut open, history, base, may_be_moved, abilities, selection)?;
        if needs_proof {
            own.expunged.retain(|uid, _| common_below.is_some_and(|next| *uid < next));
        }
        let other = MergeSide {
            complete: other.complete,
            status: other.status,
            messages: SideMessages::default(),
            expunged: BTreeMap::new(),
            origins: Origins::default(),
            expunged_were_common: needs_proof,
            history_complete: false,
            keeps: abilities.other_keeps,
            imports: abilities.other_imports,
        };
        Ok(Self {
            open,
            basis: Basis { base, common_below, own, other },
            is_list_sent: false,
            end_sent: false,
            end_received: false,
        })
    }

    /// The next message for the other side.
    pub(super) fn next_message(&mut self) -> Message {
        let own = &self.basis.own;
        if !self.is_list_sent {
            self.is_list_sent = true;
            return Message::Changes(own.messages(&self.open).to_shared());
        }
        self.end_sent = true;
        Message::ChangesEnd {
            expunged: own.expunged.clone(),
            origins: own.origins.clone(),
            history_complete: own.history_complete,
        }
    }

    /// The other side has listed everything.
    pub(super) fn end(
        &mut self,
        expunged: BTreeMap<Uid, Option<[u8; 16]>>,
        origins: Origins,
        history_complete: bool,
    ) {
        let other = &mut self.basis.other;
        other.origins = origins;
        let below = match other.expunged_were_common {
            true => self.basis.common_below.unwrap_or(Uid::FIRST),
            false => other.status.uid_next,
        };
        other.expunged = expunged.into_iter().filter(|(uid, _)| *uid < below).collect();
        other.history_complete = history_complete;
        self.end_received = true;
    }

    /// Takes the messages that the other side has.
    pub(super) fn receive(&mut self, messages: SideMessages<'static>) -> Result<(), SessionError> {
        let other = &mut self.basis.other;
        let status = &other.status;
        let is_possible = |message: MessageRecord| {
            let below_next = message.uid.is_none_or(|uid| uid < status.uid_next);
            below_next && (message.modseq.is_none() || message.modseq <= status.highest_modseq)
        };
        let announced = messages.len() <= usize::try_from(status.message_count).unwrap_or(usize::MAX);
        if !announced || !messages.list().records().all(is_possible) {
            let text = format!("messages of mailbox {} that contradict its counters or each other", self.open.name);
            return Err(SessionError::InvalidData(text));
        }
        other.messages = messages;
        Ok(())
    }

    pub(super) fn is_complete(&self) -> bool {
        self.end_sent && self.end_received
    }

    /// Why the decision will be what it is. The sides are called by these names, the own one first.
    pub(super) fn explain(&self, role: Role, [own_name, other_name]: [&str; 2]) -> Vec<String> {
        let (own, other) = (self.basis.own.side(&self.open), &self.basis.other);
        let (sides, names) = match role {
            Role::Master => ([&own, other], [own_name, other_name]),
            Role::Slave => ([other, &own], [other_name, own_name]),
        };
        let base = self.basis.base.as_ref();
        two_way::explain(sides, names, base, &two_way::merge(sides[0], sides[1], base))
    }

    /// The decision. Both sides make the same one. `tell` sees the whole plan, before the messages to copy are taken out of it.
    pub(super) fn decide(self, role: Role, tell: impl FnOnce(&MailboxName, &MailboxPlan)) -> Transfer {
        let Self { mut open, basis, .. } = self;
        let (mut plan, is_seen) = basis.plan(&open, role, &HashSet::new());
        open.is_seen = is_seen;
        tell(&open.name, &plan);
        let receiving = Receiving::of(&mut plan);
        let basis = Some(basis).filter(|_| !receiving.is_complete());
        Transfer { receiving, open, basis, plan, wanted: None, held: false }
    }
}

impl Basis {
    /// The plan, and whether the other side has all messages of the result under their UIDs.
    fn plan(&self, open: &Open, role: Role, unavailable: &HashSet<MessageKey>) -> (MailboxPlan, bool) {
        let (own, other) = (self.own.side(open), &self.other);
        let (master, slave) = match role {
            Role::Master => (&own, other),
            Role::Slave => (other, &own),
        };
        let (mut plan, is_seen) = match own.imports {
            true => {
                let merged = two_way::merge(master, slave, self.base.as_ref());
                (merged.plan(role, &own, other, unavailable), merged.is_in(role.other(), other))
            }
            false => (MailboxPlan::nothing(), false),
        };
        plan.needed |= open.created;
        (plan, is_seen)
    }
}

impl Transfer {
    /// Keeps the mailbox as it was compared, if this side has to change it.
    pub(super) fn hold(&mut self) -> Result<(), StoreError> {
        if self.plan.needed {
            self.open.mailbox.hold()?;
        }
        self.held = true;
        Ok(())
    }

    /// Forgets what the plan was made from, once everything is here that was asked for. Plans without the messages whose
    /// bytes could not be had.
    pub(super) fn settle_plan(&mut self, role: Role) {
        if let Some(basis) = self.basis.take()
            && !self.receiving.failed().is_empty()
        {
            (self.plan, self.open.is_seen) = basis.plan(&self.open, role, self.receiving.failed());
        }
    }

    /// Whether everything is here that was asked for, and has been given that was asked for.
    pub(super) fn is_complete(&self) -> bool {
        self.receiving.is_complete() && self.wanted.as_ref().is_some_and(VecDeque::is_empty)
    }
}

/// Whether both sides have been compared as they are now.
pub(super) fn have_agreed(own: &MailboxSummary, other: &MailboxSummary) -> bool {
    common_point(own, other).is_some_and(|point| Some(point.fingerprint) == own.fingerprint)
}

/// The latest moment that both sides remember.
pub(super) fn common_point(own: &MailboxSummary, other: &MailboxSummary) -> Option<SyncPoint> {
    let known = |point: &&SyncPoint| {
        let remembered = other.points.iter().any(|theirs| SyncPoint { peer: point.peer, ..*theirs } == **point);
        remembered && point.can_precede(&own.status) && point.can_precede(&other.status)
    };
    own.points.iter().filter(known).max_by_key(|point| (point.highest_modseq, point.fingerprint)).copied()
}

/// Below which UID both sides have had the same messages, as far as either of them remembers: the copy that a backup made does,
/// its source does not. `labels` is how this side and the other one are called in sync points.
fn common_below(own: &MailboxSummary, other: &MailboxSummary, labels: [[u8; 8]; 2]) -> Option<Uid> {
    let [own_label, other_label] = labels;
    let owns = own.points.iter().filter(|point| point.peer == other_label);
    let others = other.points.iter().filter(|point| point.peer == own_label);
    let possible = |point: &&SyncPoint| point.can_precede(&own.status) && point.can_precede(&other.status);
    owns.chain(others).filter(possible).map(|point| point.uid_next).max()
}

impl OwnSide {
    fn of(
        open: &mut Open,
        mut history: MailboxHistory,
        base: Option<SyncPoint>,
        may_be_moved: bool,
        abilities: Abilities,
        selection: &MessageSelection,
    ) -> Result<Self, StoreError> {
        let by_content = !abilities.both_keep().guids;
        let highest_modseq = open.summary.status.highest_modseq;
        let mut notes = MessageNotes::default();
        let mut is_believable = true;
        for index in 0..open.mailbox.messages().len() {
            let list = open.mailbox.messages();
            let (Some(key), Some(record)) = (list.key_of(index), list.at(index)) else { continue };
            is_believable &= record.modseq <= highest_modseq.or(record.modseq);
            let known_to_both = base.is_some_and(|base| record.uid.is_some_and(|uid| uid < base.uid_next));
            let history = record.uid.and_then(|uid| history.flags.remove(&uid)).filter(|history| !history.is_empty());
            let is_compared = !known_to_both || may_be_moved && history.is_some();
            let content = match by_content && is_compared {
                // What is gone by now is like no other message.
                true => open.mailbox.body(key).ok().and_then(content),
                false => None,
            };
            let message = (key, &record);
            let selected = selecting::is_selected(&mut *open.mailbox, message, selection, !known_to_both);
            notes.push(index, history, content, selected);
        }
        let corrected = match is_believable {
            true => None,
            false => Some(with_modseqs_up_to(highest_modseq, open.mailbox.messages())),
        };
        let origins = origins(&history.runs, open.mailbox.messages(), base);
        let (expunged, history_complete) = (history.expunged, history.complete);
        Ok(Self { corrected, notes, expunged, origins, history_complete, abilities })
    }

    fn messages<'a>(&'a self, open: &'a Open) -> SideMessages<'a> {
        SideMessages::of(self.corrected.as_ref().unwrap_or_else(|| open.mailbox.messages()), &self.notes)
    }

    fn side<'a>(&'a self, open: &'a Open) -> MergeSide<'a> {
        MergeSide {
            status: open.summary.status.clone(),
            messages: self.messages(open),
            expunged: self.expunged.clone(),
            expunged_were_common: !self.abilities.both_keep().guids,
            origins: self.origins.clone(),
            history_complete: self.history_complete,
            complete: open.summary.complete,
            keeps: self.abilities.own_keeps,
            imports: self.abilities.own_imports,
        }
    }
}

/// Whether the other side can have given messages that both had at `base` other UIDs: it has new ones, and lacks some. What was done here
/// to a moved message follows it, and if it has no GUID, only its bytes tell where to.
fn may_have_moved(open: &Open, history: &MailboxHistory, base: SyncPoint, other: &MailboxStatus) -> bool {
    let is_old = |uid: &Uid| *uid < base.uid_next;
    let list = open.mailbox.messages();
    let here = (0..list.assigned()).take_while(|place| list.uid_at(*place).as_ref().is_some_and(is_old)).count();
    let old = here.saturating_add(history.expunged.keys().filter(|uid| is_old(uid)).count());
    let new = other.uid_next.get().saturating_sub(base.uid_next.get());
    let lacks_some = u64::from(other.message_count) < (old as u64).saturating_add(new.into());
    new > 0 && (lacks_some || !history.complete)
}

/// What the log tells about those who brought and removed messages.
fn origins(runs: &RunTraces, list: &MessageList, base: Option<SyncPoint>) -> Origins {
    let mut origins = Origins { expunged_by_clients: runs.expunged_by_clients.clone(), ..Origins::default() };
    if runs.given.is_empty() && origins.expunged_by_clients.is_empty() {
        return origins;
    }
    for record in list.records() {
        let guid = record.guid.to_128();
        origins.expunged_by_clients.remove(&guid);
        let is_new = |uid: &Uid| base.is_none_or(|base| *uid >= base.uid_next);
        if record.uid.filter(is_new).is_some_and(|uid| runs.brought(uid, guid))
            && origins.brought.len() < MOST_BROUGHT
        {
            origins.brought.insert(guid);
        }
    }
    origins
}

/// The list without the modseqs of a damaged index that HIGHESTMODSEQ has not reached.
fn with_modseqs_up_to(highest: Option<ModSeq>, list: &MessageList) -> MessageList {
    let mut corrected = MessageList::default();
    for mut record in list {
        record.modseq = record.modseq.min(highest.or(record.modseq));
        // They come from a list, so they are in order.
        let _ = corrected.push(&record);
    }
    corrected
}
