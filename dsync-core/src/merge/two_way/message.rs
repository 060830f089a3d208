//! What becomes of the flags and keywords of one message that both sides may have changed.

use super::{MergeSide, SideMessage};
use crate::merge::own_guid::own_guid;
use crate::model::{Flags, Keyword, Keywords, MessageGuid, MessageRecord, ModSeq, Role, SyncPoint, Timestamp};

/// Merges the records of both sides.
pub(super) struct Merger<'a> {
    sides: [&'a MergeSide<'a>; 2],
    base: Option<&'a SyncPoint>,
}

/// What a side did to a flag or keyword since the sides were the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// A client changed it.
    Changed,
    /// Nobody did.
    Unchanged,
    /// Nothing is known.
    Unknown,
}

/// What was decided about a flag or keyword that only one side has set.
pub(super) struct MarkDecision {
    pub(super) name: String,
    pub(super) set: bool,
    /// The side that has it as it is now on both.
    pub(super) winner: Role,
    pub(super) evidence: [Evidence; 2],
    pub(super) modseqs: [Option<ModSeq>; 2],
}

impl<'a> Merger<'a> {
    pub(super) fn new(sides: [&'a MergeSide<'a>; 2], base: Option<&'a SyncPoint>) -> Self {
        Self { sides, base }
    }

    /// What the message at these places becomes; its UID and modseq are still one of those that it has.
    pub(super) fn merged(&self, from: [Option<usize>; 2]) -> MessageRecord {
        let [master, slave] = Role::BOTH.map(|role| {
            let side = self.sides[role.index()];
            side.messages.get(from[role.index()]?)
        });
        match (master, slave) {
            (Some(master), Some(slave)) => self.both(&master, &slave),
            (Some(only), None) => self.only(Role::Master, only),
            (None, Some(only)) => self.only(Role::Slave, only),
            (None, None) => unreachable!("a message that no side has is not placed"),
        }
    }

    fn only(&self, role: Role, message: SideMessage) -> MessageRecord {
        MessageRecord { guid: self.guid(role, &message), ..message.record }
    }

    /// What a store that does not keep GUIDs shows may be shown for other messages too, so it must not become the
    /// identity of this one.
    fn guid(&self, role: Role, message: &SideMessage) -> MessageGuid {
        let side = self.sides[role.index()];
        if side.keeps.guids {
            return message.record.guid.clone();
        }
        own_guid(side.status.identity, message.record.uid, message.content.as_ref(), 0)
    }

    fn both(&self, master: &SideMessage, slave: &SideMessage) -> MessageRecord {
        let prefer_slave = slave.modseq() > master.modseq();
        let (preferred, other) = if prefer_slave { (slave, master) } else { (master, slave) };
        let guid = match self.sides.map(|side| side.keeps.guids) {
            [false, true] => slave.record.guid.clone(),
            _ => self.guid(Role::Master, master),
        };
        MessageRecord {
            uid: preferred.record.uid,
            guid,
            flags: self.flags(master, slave, prefer_slave),
            keywords: self.keywords(master, slave, prefer_slave),
            modseq: master.record.modseq.max(slave.record.modseq),
            received: preferred.record.received,
            saved: self.saved(master, slave, prefer_slave),
            pop3_uidl: preferred.record.pop3_uidl.clone().or_else(|| other.record.pop3_uidl.clone()),
            pop3_order: preferred.record.pop3_order.or(other.record.pop3_order),
        }
    }

    /// A store that may forget when a message was saved is believed only if the other one does not know it.
    fn saved(&self, master: &SideMessage, slave: &SideMessage, prefer_slave: bool) -> Option<Timestamp> {
        let slave_first = match self.sides.map(|side| side.keeps.save_dates) {
            [true, false] => false,
            [false, true] => true,
            _ => prefer_slave,
        };
        let (first, second) = if slave_first { (slave, master) } else { (master, slave) };
        first.record.saved.or(second.record.saved)
    }

    /// What was decided about the flags and keywords in which the messages at these places differ.
    pub(super) fn decisions(&self, from: [usize; 2]) -> Vec<MarkDecision> {
        let [master, slave] = Role::BOTH.map(|role| self.sides[role.index()].messages.get(from[role.index()]));
        let (Some(master), Some(slave)) = (master, slave) else { return Vec::new() };
        let prefer_slave = slave.modseq() > master.modseq();
        let modseqs = [master.record.modseq, slave.record.modseq];
        let decision = |name: String, set: [bool; 2], evidence| {
            let winner = winner(evidence, prefer_slave);
            let decision = MarkDecision { name, set: set[winner.index()], winner, evidence, modseqs };
            Some(decision).filter(|_| set[0] != set[1])
        };
        let flags = Flags::EACH.into_iter().filter_map(|flag| {
            let set = [&master, &slave].map(|message| message.record.flags.contains(flag));
            decision(flag.to_string(), set, self.evidence_of_flag(flag, [&master, &slave]))
        });
        let keywords = all_keywords(&master, &slave).filter_map(|keyword| {
            let set = has_keyword([&master, &slave], keyword);
            decision(keyword.to_string(), set, self.evidence_of_keyword(keyword, [&master, &slave]))
        });
        flags.chain(keywords).collect()
    }

    fn flags(&self, master: &SideMessage, slave: &SideMessage, prefer_slave: bool) -> Flags {
        let mut merged = Flags::NONE;
        for flag in Flags::EACH {
            let set = [master, slave].map(|message| message.record.flags.contains(flag));
            if resolve(set, self.evidence_of_flag(flag, [master, slave]), prefer_slave) {
                merged |= flag;
            }
        }
        merged
    }

    fn evidence_of_flag(&self, flag: Flags, messages: [&SideMessage; 2]) -> [Evidence; 2] {
        Role::BOTH.map(|role| {
            let message = messages[role.index()];
            let changed = message.history.as_ref().is_some_and(|history| {
                let mask = if message.record.flags.contains(flag) { history.added } else { history.removed };
                mask.contains(flag)
            });
            self.evidence(role, message, changed)
        })
    }

    fn evidence_of_keyword(&self, keyword: &Keyword, messages: [&SideMessage; 2]) -> [Evidence; 2] {
        Role::BOTH.map(|role| {
            let message = messages[role.index()];
            self.evidence(role, message, changed_keyword(message, keyword))
        })
    }

    fn keywords(&self, master: &SideMessage, slave: &SideMessage, prefer_slave: bool) -> Keywords {
        let (own, others) = (&master.record.keywords, &slave.record.keywords);
        if own == others {
            return own.clone();
        }
        let is_kept = |keyword: &&Keyword| {
            let set = has_keyword([master, slave], keyword);
            resolve(set, self.evidence_of_keyword(keyword, [master, slave]), prefer_slave)
        };
        all_keywords(master, slave).filter(is_kept).cloned().collect()
    }

    fn evidence(&self, role: Role, message: &SideMessage, changed: bool) -> Evidence {
        match self.base {
            _ if message.record.modseq.is_none() => Evidence::Changed,
            // What changed since then has a greater modseq.
            Some(base) if message.modseq() <= base.highest_modseq => Evidence::Unchanged,
            _ if changed => Evidence::Changed,
            Some(_) if self.sides[role.index()].history_complete => Evidence::Unchanged,
            _ => Evidence::Unknown,
        }
    }
}

/// Whether the history says that the keyword came to be what it is. What a synchronisation undid since does not count.
fn changed_keyword(message: &SideMessage, keyword: &Keyword) -> bool {
    let is_set = message.record.keywords.spelling_of(keyword.as_str()).is_some();
    message.history.as_ref().is_some_and(|history| {
        let known = history.keywords.iter().find(|(name, _)| name.same_name(keyword.as_str()));
        known.map_or(history.cleared_keywords && !is_set, |(_, set)| *set == is_set)
    })
}

/// The keywords of both messages, each once.
fn all_keywords<'a>(master: &'a SideMessage, slave: &'a SideMessage) -> impl Iterator<Item = &'a Keyword> {
    let (own, others) = (&master.record.keywords, &slave.record.keywords);
    own.iter().chain(others.iter().filter(|keyword| own.spelling_of(keyword.as_str()).is_none()))
}

fn has_keyword(messages: [&SideMessage; 2], keyword: &Keyword) -> [bool; 2] {
    messages.map(|message| message.record.keywords.spelling_of(keyword.as_str()).is_some())
}

/// Whether something is set afterwards, from whether it is set at the master and at the slave.
fn resolve(set: [bool; 2], evidence: [Evidence; 2], prefer_slave: bool) -> bool {
    set[winner(evidence, prefer_slave).index()]
}

/// The side whose state of a flag or keyword counts, where they differ.
fn winner(evidence: [Evidence; 2], prefer_slave: bool) -> Role {
    use Evidence::{Changed, Unchanged, Unknown};
    match evidence {
        [Changed, Unchanged | Unknown] | [Unknown, Unchanged] => Role::Master,
        [Unchanged | Unknown, Changed] | [Unchanged, Unknown] => Role::Slave,
        [Changed, Changed] | [Unknown, Unknown] | [Unchanged, Unchanged] if prefer_slave => Role::Slave,
        [Changed, Changed] | [Unknown, Unknown] | [Unchanged, Unchanged] => Role::Master,
    }
}
