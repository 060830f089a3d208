//! One mailbox of a two-way run: what each side knows, what it asks for, and what becomes of it.

use std::collections::{BTreeMap, HashSet, VecDeque};

use crate::merge::MailboxPlan;
use crate::merge::two_way::{self, MergeSide, MergedMailbox, SideMessage, SideMessages};
use crate::model::{HistoryRange, KeptFields, MailboxHistory, MailboxName, MessageKey, Role, SyncPoint, Uid};
use crate::session::content::content;
use crate::session::receiving::Receiving;
use crate::session::{MailboxSummary, Message, SessionError};
use crate::store::{Mailbox, StoreError};

/// A mailbox that is open on this side.
pub(super) struct Open {
    pub(super) name: MailboxName,
    pub(super) mailbox: Box<dyn Mailbox>,
    pub(super) summary: MailboxSummary,
    /// It is new, so it has to be committed even if nothing is in it.
    pub(super) created: bool,
}

/// Both lists are on their way.
pub(super) struct Comparison {
    pub(super) open: Open,
    pub(super) base: Option<SyncPoint>,
    pub(super) own: MergeSide,
    pub(super) sent: usize,
    pub(super) end_sent: bool,
    pub(super) other: MergeSide,
    pub(super) end_received: bool,
}

/// Bodies are on their way in both directions.
pub(super) struct Transfer {
    pub(super) open: Open,
    pub(super) own: MergeSide,
    pub(super) other: MergeSide,
    pub(super) merged: MergedMailbox,
    pub(super) plan: MailboxPlan,
    pub(super) receiving: Receiving,
    /// What the other side asked for and has not got yet; `None` if it has not asked.
    pub(super) wanted: Option<VecDeque<MessageKey>>,
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

impl Comparison {
    pub(super) fn start(mut open: Open, other: MailboxSummary, abilities: Abilities) -> Result<Self, StoreError> {
        let base = common_point(&open.summary, &other);
        // What was agreed with others since is known to them, but news to this side.
        let agreed = open.summary.points.iter().map(|point| point.highest_modseq).max().unwrap_or_default();
        let range = HistoryRange { since: base.map(|point| point.highest_modseq), mirrored_until: agreed };
        let history = open.mailbox.history(range)?;
        let own = own_side(&mut open, history, base, abilities)?;
        let other = MergeSide {
            complete: other.complete,
            status: other.status,
            messages: SideMessages::default(),
            expunged: BTreeMap::new(),
            history_complete: false,
            keeps: abilities.other_keeps,
            imports: abilities.other_imports,
        };
        Ok(Self { open, base, own, sent: 0, end_sent: false, other, end_received: false })
    }

    /// The next message for the other side.
    pub(super) fn next_message(&mut self, at_most: usize) -> Message {
        let chunk: Vec<_> = (self.sent..).take(at_most).map_while(|index| self.own.messages.get(index)).collect();
        if chunk.is_empty() {
            self.end_sent = true;
            let history_complete = self.own.history_complete;
            return Message::ChangesEnd { expunged: self.own.expunged.clone(), history_complete };
        }
        self.sent = self.sent.saturating_add(chunk.len());
        Message::Changes(chunk)
    }

    /// The other side has listed everything.
    pub(super) fn end(&mut self, expunged: BTreeMap<Uid, Option<[u8; 16]>>, history_complete: bool) {
        self.other.expunged = expunged.into_iter().filter(|(uid, _)| *uid < self.other.status.uid_next).collect();
        self.other.history_complete = history_complete;
        self.end_received = true;
    }

    /// Takes messages that the other side lists.
    pub(super) fn receive(&mut self, messages: Vec<SideMessage>) -> Result<(), SessionError> {
        for message in messages {
            let status = &self.other.status;
            let below_next = message.record.uid.is_none_or(|uid| uid < status.uid_next);
            let counted = message.record.modseq.is_none() || message.record.modseq <= status.highest_modseq;
            let announced = self.other.messages.len() < usize::try_from(status.message_count).unwrap_or(usize::MAX);
            let fits = below_next && counted && announced;
            if !fits || self.other.messages.push(message).is_err() {
                let text =
                    format!("messages of mailbox {} that contradict its counters or each other", self.open.name);
                return Err(SessionError::InvalidData(text));
            }
        }
        Ok(())
    }

    pub(super) fn is_complete(&self) -> bool {
        self.end_sent && self.end_received
    }

    /// The decision. Both sides make the same one.
    pub(super) fn decide(self, role: Role) -> Transfer {
        let Self { open, base, own, other, .. } = self;
        let (master, slave) = match role {
            Role::Master => (&own, &other),
            Role::Slave => (&other, &own),
        };
        let merged = two_way::merge(master, slave, base.as_ref());
        let mut plan = merged.plan(role, &own, &other, &HashSet::new());
        if !own.imports {
            plan = MailboxPlan::nothing();
        }
        plan.needed |= open.created;
        Transfer { receiving: Receiving::of(&mut plan), open, own, other, merged, plan, wanted: None }
    }
}

impl Transfer {
    /// Plans without the messages whose bytes could not be had.
    pub(super) fn plan_again(&mut self, role: Role) {
        self.plan = self.merged.plan(role, &self.own, &self.other, self.receiving.failed());
        self.plan.needed |= self.open.created;
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

fn own_side(
    open: &mut Open,
    mut history: MailboxHistory,
    base: Option<SyncPoint>,
    abilities: Abilities,
) -> Result<MergeSide, StoreError> {
    let by_content = !abilities.both_keep().guids;
    let count = open.mailbox.messages().len();
    let mut messages = SideMessages::with_capacity(count);
    for index in 0..count {
        let list = open.mailbox.messages();
        let (Some(key), Some(record)) = (list.key_of(index), list.at(index)) else { continue };
        let known_to_both = base.is_some_and(|base| record.uid.is_some_and(|uid| uid < base.uid_next));
        let content = match by_content && !known_to_both {
            // What is gone by now is like no other message.
            true => open.mailbox.body(key).ok().and_then(content),
            false => None,
        };
        let history = record.uid.and_then(|uid| history.flags.remove(&uid)).filter(|history| !history.is_empty());
        let mut record = record;
        // A damaged index may say more, and is not to be believed.
        record.modseq = record.modseq.min(open.summary.status.highest_modseq.or(record.modseq));
        // They come from a list, so they are in order.
        let _ = messages.push(SideMessage { record, history, content });
    }
    Ok(MergeSide {
        status: open.summary.status.clone(),
        messages,
        expunged: history.expunged,
        history_complete: history.complete,
        complete: open.summary.complete,
        keeps: abilities.own_keeps,
        imports: abilities.own_imports,
    })
}
