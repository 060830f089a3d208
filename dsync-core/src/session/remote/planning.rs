//! What the lists of both sides lead to.

use std::collections::HashSet;

use super::arrivals::Arrivals;
use super::exchange::{Exchange, Planned};
use super::heard::Here;
use super::own::{UNCOUNTED, status_of};
use super::part::Part;
use super::rows::take_what_is_not_said;
use crate::merge::two_way::{self, MergeSide, Origins, SideMessages};
use crate::merge::{self, Contents, LeftOut, MailboxPlan, MailboxView, RecogniseSide};
use crate::model::SyncPoint;
use crate::model::{KeptFields, MailboxStatus, MessageKey, MessageList, MessageRecord, MessageSelection, Role};
use crate::report::Event;
use crate::session::SessionError;
use crate::session::reporting::Reporter;

impl Exchange {
    /// The other side has listed everything.
    ///
    /// # Errors
    /// If the own list contradicts itself.
    pub(super) fn decide(&mut self, reporter: &mut Reporter<'_>) -> Result<(), SessionError> {
        let fits = self.hear_the_end()?;
        let (mut plan, other_stays) = match fits {
            true => self.plan(&HashSet::new()),
            false => (MailboxPlan::nothing(), false),
        };
        if !fits {
            self.incomplete = true;
            let text =
                "what happened since the last run does not fit to what is here; the next run compares all of it";
            reporter.problem(Some(&self.own.name), text);
        }
        if fits && reporter.wants_reasons() {
            for reason in self.explain(&plan, &reporter.location()) {
                reporter.event(Event::Reason(&self.own.name, &reason));
            }
        }
        let name = &self.own.name;
        reporter.event(match plan.needed {
            true => Event::MailboxPlanned(name, &plan),
            false => Event::MailboxUnchanged(name),
        });
        for key in &plan.unplaced {
            self.incomplete = true;
            let reason = match self.terms.part.is_copying() {
                true => "all UIDs of the mailbox are used up",
                false => "a side could not be read as a whole, or has no UIDs left",
            };
            reporter.problem(Some(name), format!("{key} cannot be copied: {reason}"));
        }
        let arrivals = Arrivals::of(&mut plan);
        self.release_for(arrivals.len());
        self.planned = Some(Planned { plan, arrivals, other_stays });
        Ok(())
    }

    /// Completes the list of the other side. Whether it fits to this one.
    fn hear_the_end(&mut self) -> Result<bool, SessionError> {
        let here = Here { own: &self.own, known: &self.known, contents: &self.contents, by_hash: self.by_hash };
        let is_copying = self.terms.part.is_copying();
        let selection = &self.terms.selection;
        let fits = self.heard.finish(here, &self.other_info, is_copying, !selection.is_all())?;
        let is_about_age_or_size =
            MessageSelection { mark: None, ..selection.clone() } != MessageSelection::default();
        if is_copying && is_about_age_or_size {
            // Since 2.4.3 Dovecot's program does not list what is not chosen.
            let is_unlisted = |place: &usize| {
                let uid = self.own.messages().uid_at(*place);
                uid.is_some_and(|uid| {
                    uid.get() < self.other_info.uid_next
                        && !self.heard.list().contains(uid)
                        && !self.heard.expunged.contains_key(&uid)
                })
            };
            let places: Vec<_> = (0..self.own.messages().assigned()).filter(is_unlisted).collect();
            let uid_at = |place: &usize| self.own.messages().uid_at(*place);
            let places: Vec<_> = places.iter().filter_map(|place| Some((*place, uid_at(place)?))).collect();
            let kept: Vec<_> = places.into_iter().filter(|(place, uid)| !self.is_selected(*place, *uid)).collect();
            let records = kept.into_iter().filter_map(|(place, _)| self.own.messages().at(place)).collect();
            self.heard.add_unlisted(records);
        }
        self.leaves_out = self.known.leaves_out || self.heard.unselected().next().is_some();
        Ok(fits)
    }

    /// What to do here, and whether nothing changes at the other side.
    pub(super) fn plan(&self, unavailable: &HashSet<MessageKey>) -> (MailboxPlan, bool) {
        let (mut plan, other_stays) = match self.terms.part.is_copying() {
            true => (self.plan_copy(unavailable), true),
            false => self.plan_merge(unavailable),
        };
        if plan.needed {
            let mailbox = &self.own.mailbox;
            keep_what_is_not_said(&mut plan, mailbox.messages(), mailbox.status());
        }
        plan.needed |= self.own.created;
        (plan, other_stays)
    }

    pub(super) fn other_status(&self) -> MailboxStatus {
        let status = status_of(&self.other_info);
        let message_count = match status.message_count {
            UNCOUNTED => u32::try_from(self.heard.messages.len()).unwrap_or(UNCOUNTED),
            count => count,
        };
        MailboxStatus { message_count, ..status }
    }

    fn other_keeps(&self) -> KeptFields {
        KeptFields { guids: !self.by_hash, ..KeptFields::ALL }
    }

    fn plan_copy(&self, unavailable: &HashSet<MessageKey>) -> MailboxPlan {
        let left_out = LeftOut { unavailable: unavailable.clone(), unselected: self.heard.unselected().collect() };
        let status = self.other_status();
        let source = MailboxView { status: &status, messages: self.heard.messages.list() };
        let own = MailboxView { status: self.own.mailbox.status(), messages: self.own.mailbox.messages() };
        if !self.by_hash {
            return merge::one_way(source, own, &left_out, !self.other_info.partial);
        }
        let listed = self.heard.messages.iter().enumerate();
        let contents: Contents = listed.filter_map(|(place, message)| Some((place, message.content?))).collect();
        let there = RecogniseSide { view: source, contents: &contents, keeps: self.other_keeps() };
        let here = RecogniseSide { view: own, contents: &self.contents, keeps: self.own.keeps };
        let (there, here) = merge::recognise(there, here, None);
        let source = MailboxView { messages: &there, ..source };
        let is_whole = self.is_comparable && !self.other_info.partial;
        merge::one_way(source, MailboxView { messages: &here, ..own }, &left_out, is_whole)
    }

    /// Why the plan is what it is.
    fn explain(&self, plan: &MailboxPlan, own_name: &str) -> Vec<String> {
        if self.terms.part.is_copying() {
            return merge::explain_one_way(plan, self.own.messages());
        }
        let ([own, other], base) = (self.merge_sides(), self.base());
        let other_name = "the other side";
        let (sides, names) = match self.terms.role {
            Role::Master => ([&own, &other], [own_name, other_name]),
            Role::Slave => ([&other, &own], [other_name, own_name]),
        };
        two_way::explain(sides, names, base.as_ref(), &two_way::merge(sides[0], sides[1], base.as_ref()))
    }

    fn base(&self) -> Option<SyncPoint> {
        self.since.map(|since| since.point(self.terms.peer))
    }

    /// This side and the other one, as a merge sees them.
    fn merge_sides(&self) -> [MergeSide<'_>; 2] {
        let own = MergeSide {
            status: self.own.status().clone(),
            messages: SideMessages::of(self.own.messages(), &self.known.notes),
            expunged: self.known.expunged.clone(),
            expunged_were_common: self.by_hash,
            origins: Origins::default(),
            history_complete: self.since.is_some(),
            complete: self.own.is_whole(),
            keeps: self.own.keeps,
            imports: true,
        };
        let other = MergeSide {
            status: self.other_status(),
            messages: self.heard.messages.borrowed(),
            expunged: self
                .heard
                .expunged
                .iter()
                .filter(|(uid, _)| self.proves_expunge(**uid))
                .map(|(uid, guid)| (*uid, *guid))
                .collect(),
            expunged_were_common: self.by_hash,
            origins: Origins::default(),
            history_complete: self.since.is_some(),
            complete: !self.other_info.partial,
            keeps: self.other_keeps(),
            imports: self.terms.part == Part::Both,
        };
        [own, other]
    }

    fn plan_merge(&self, unavailable: &HashSet<MessageKey>) -> (MailboxPlan, bool) {
        let [own, other] = self.merge_sides();
        let (master, slave) = match self.terms.role {
            Role::Master => (&own, &other),
            Role::Slave => (&other, &own),
        };
        let (role, merged) = (self.terms.role, two_way::merge(master, slave, self.base().as_ref()));
        // It is not known what the other side makes of what it was told.
        let is_told = self.since.is_some() && self.has_listed;
        let other_stays = !other.imports
            || !is_told && {
                let mut theirs = merged.plan(role.other(), &other, &own, &HashSet::new());
                keep_what_is_not_said(&mut theirs, self.heard.messages.list(), &other.status);
                !theirs.needed
            };
        (merged.plan(role, &own, &other, unavailable), other_stays)
    }
}

/// Messages of a side that are in `list` keep what is not said of messages.
fn keep_what_is_not_said(plan: &mut MailboxPlan, list: &MessageList, status: &MailboxStatus) {
    let here = |key| list.index_of(key).and_then(|place| list.at(place));
    plan.changes.update.retain_mut(|record| {
        let Some(here) = record.uid.and_then(|uid| here(MessageKey::Uid(uid))) else { return true };
        take_what_is_not_said(record, &here);
        // It is that one; what it is called to compare the lists does not matter.
        *record != MessageRecord { guid: record.guid.clone(), ..here }
    });
    for (key, record) in &mut plan.changes.renumber {
        if let Some(here) = here(*key) {
            take_what_is_not_said(record, &here);
        }
    }
    let changes = &plan.changes;
    plan.needed = !(changes.remove.is_empty()
        && changes.renumber.is_empty()
        && changes.update.is_empty()
        && plan.fetch.is_empty()
        && changes.identity.is_decided()
        && changes.identity == status.identity
        && changes.uid_next == status.uid_next
        && Some(changes.highest_modseq) == status.highest_modseq
        && Some(changes.first_recent_uid) == status.first_recent_uid);
}
