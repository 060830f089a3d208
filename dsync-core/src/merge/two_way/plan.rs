//! What one side has to do so that its mailbox becomes the merged one.

use std::collections::HashSet;

use super::{MergeSide, MergedMailbox};
use crate::merge::{Fetch, MailboxPlan};
use crate::model::{MessageKey, MessageRecord, Role, Uid};
use crate::store::{MailboxChanges, Origin};

impl MergedMailbox {
    /// The plan of one side. `own` and `other` are what the mailbox was made from; messages of the other side that are
    /// `unavailable` are left out.
    #[must_use]
    pub fn plan(
        &self,
        role: Role,
        own: &MergeSide<'_>,
        other: &MergeSide<'_>,
        unavailable: &HashSet<MessageKey>,
    ) -> MailboxPlan {
        let mut plan = MailboxPlan {
            changes: MailboxChanges {
                identity: self.identity,
                uid_next: self.uid_next,
                highest_modseq: self.highest_modseq,
                first_recent_uid: self.first_recent_uid,
                ..MailboxChanges::empty(Origin::Mirrored)
            },
            fetch: Fetch::default(),
            unplaced: Vec::new(),
            unselected: 0,
            needed: false,
        };
        let mut stays = vec![false; own.messages.len()];
        for message in self.messages.iter() {
            let here = message.from[role.index()];
            let at_other = message.from[role.other().index()];
            let there = at_other.and_then(|index| other.key(index));
            let is_left_out = message.withheld.is_some() && {
                let is_unselected =
                    |side: &MergeSide<'_>, at: Option<usize>| at.is_some_and(|at| !side.messages.is_selected(at));
                is_unselected(own, here) || is_unselected(other, at_other)
            };
            plan.unselected = plan.unselected.saturating_add(usize::from(is_left_out));
            match (here.and_then(|index| Some((index, own.messages.record(index)?))), there) {
                (Some((index, record)), _) => {
                    if let Some(stays) = stays.get_mut(index) {
                        *stays = true;
                    }
                    let target = with_own_spelling(message.record, &record);
                    if record.uid != target.uid {
                        plan.changes.renumber.extend(own.key(index).map(|key| (key, target)));
                    } else if record != own.keeps.applied(target.clone(), &record) {
                        plan.changes.update.push(target);
                    }
                }
                (None, Some(_)) if is_left_out => {}
                (None, Some(key)) if message.withheld == Some(role) => plan.unplaced.push(key),
                (None, Some(key)) if !unavailable.contains(&key) => {
                    if plan.fetch.push(key, &message.record).is_err() {
                        plan.unplaced.push(key);
                    }
                }
                (None, _) => {}
            }
        }
        if !unavailable.is_empty() {
            // No UID is given to a message that is not there: another run must be able to give it.
            let renumbered = plan.changes.renumber.iter().filter_map(|(_, record)| record.uid);
            let fetched = plan.fetch.iter().filter_map(|(_, record)| record.uid);
            let last = renumbered.chain(fetched).max();
            plan.changes.uid_next = own.status.uid_next.max(last.map_or(Uid::FIRST, Uid::next));
            plan.changes.first_recent_uid = plan.changes.first_recent_uid.min(plan.changes.uid_next);
        }
        let gone = stays.iter().enumerate().filter(|(_, stays)| !**stays);
        plan.changes.remove = gone.filter_map(|(index, _)| own.key(index)).collect();
        plan.needed = self.is_needed(&plan, own);
        plan
    }

    /// Whether a side, which is what the mailbox was made from, has all its messages under their UIDs.
    #[must_use]
    pub fn is_in(&self, role: Role, side: &MergeSide<'_>) -> bool {
        self.messages.iter().all(|message| {
            let there = message.from[role.index()].and_then(|index| side.messages.record(index));
            there.is_some_and(|record| record.uid == message.record.uid)
        })
    }

    fn is_needed(&self, plan: &MailboxPlan, own: &MergeSide<'_>) -> bool {
        let MailboxChanges { remove, renumber, update, .. } = &plan.changes;
        let status = &own.status;
        !(remove.is_empty()
            && renumber.is_empty()
            && update.is_empty()
            && plan.fetch.is_empty()
            && status.identity == self.identity
            && status.uid_next == self.uid_next
            && status.highest_modseq == Some(self.highest_modseq)
            && status.first_recent_uid == Some(self.first_recent_uid))
    }
}

/// Keywords that the message has already, as they are spelled here: a mailbox knows one spelling of each.
fn with_own_spelling(target: MessageRecord, own: &MessageRecord) -> MessageRecord {
    let spelled = |name: &crate::model::Keyword| own.keywords.spelling_of(name.as_str()).unwrap_or(name).clone();
    if target.keywords == own.keywords {
        return target;
    }
    MessageRecord { keywords: target.keywords.iter().map(spelled).collect(), ..target }
}
