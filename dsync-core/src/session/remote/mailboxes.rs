//! The second part of a run with a peer: one mailbox after the other.

use std::collections::BTreeMap;

use super::exchange::Exchange;
use super::own::{OwnMailbox, UNCOUNTED, counters_are_equal};
use super::points;
use super::since::{Extent, Remembered};
use super::{Part, RemoteSession, Said, State};
use crate::model::{
    KeptFields, MailboxGuid, MailboxIdentity, MailboxName, MailboxNode, MailboxTree, NodeKind, Role, UidValidity,
};
use crate::report::Event;
use crate::session::mirror::place::{self, Place};
use crate::session::{SessionError, opening, settle};
use crate::store::StoreError;
use crate::wire::{Item, MailboxInfo, MailboxState, SyncType};

/// The mailboxes that both sides have, or will have.
#[derive(Default)]
pub(super) struct Agreed {
    by_guid: BTreeMap<MailboxGuid, MailboxName>,
    tree: MailboxTree,
}

impl Agreed {
    pub(super) fn of(tree: &MailboxTree) -> Self {
        let mailboxes = tree.iter().filter(|(_, node)| matches!(node.kind, NodeKind::Mailbox { .. }));
        let by_guid = mailboxes.filter_map(|(name, node)| Some((node.guid()?, name.clone()))).collect();
        Self { by_guid, tree: tree.clone() }
    }

    pub(super) fn name(&self, guid: MailboxGuid) -> Option<&MailboxName> {
        self.by_guid.get(&guid)
    }

    /// In the order of their names.
    pub(super) fn guids(&self) -> impl Iterator<Item = MailboxGuid> {
        self.tree.values().filter_map(MailboxNode::guid).filter(|guid| self.by_guid.contains_key(guid))
    }

    fn identity(&self, guid: MailboxGuid) -> MailboxIdentity {
        let node = self.by_guid.get(&guid).and_then(|name| self.tree.get(name)).map(|node| &node.kind);
        let uid_validity = match node {
            Some(NodeKind::Mailbox { uid_validity, .. }) => *uid_validity,
            _ => None,
        };
        MailboxIdentity { guid: Some(guid), uid_validity }
    }
}

/// A mailbox that was offered and not answered for yet.
pub(super) struct Offered {
    own: OwnMailbox,
    info: MailboxInfo,
    extent: Extent,
}

impl RemoteSession<'_> {
    /// The next mailbox, or the end.
    pub(super) fn offer(&mut self) -> Result<(State, Said), SessionError> {
        loop {
            if let Some((offered, said)) = self.next_offer()? {
                return Ok((State::AwaitAnswer(Box::new(offered)), said));
            }
            match self.again.pop_front() {
                Some(guid) => self.offers.push_back(guid),
                None => break,
            }
        }
        // Peers of old versions say nothing at the end.
        let state = if self.peer_minor >= 3 { State::AwaitFinish } else { State::Finished };
        Ok((state, Said::EndOfList))
    }

    /// Another mailbox before the other side has answered for the last one, if it takes that.
    pub(super) fn offer_early(&mut self) -> Result<Option<Said>, SessionError> {
        if self.terms.role != Role::Master || !self.early.has_room() {
            return Ok(None);
        }
        let Some((offered, said)) = self.next_offer()? else { return Ok(None) };
        let messages = offered.info.message_count;
        self.early.offered.push_back((Box::new(offered), messages));
        Ok(Some(said))
    }

    /// Opens mailboxes until one can be opened.
    fn next_offer(&mut self) -> Result<Option<(Offered, Said)>, SessionError> {
        while let Some(guid) = self.offers.pop_front() {
            self.outcomes.insert(guid, Remembered::default());
            let Some(mut own) = self.open(guid)? else { continue };
            let Some(info) = self.info(&own, guid, None) else { continue };
            let extent = match self.extent(&mut own, guid) {
                Ok(Extent::Lost) => {
                    let reason =
                        "what happened since the last run is not known any more; the next run compares all of it";
                    self.reporter.problem(Some(&own.name), reason);
                    continue;
                }
                Ok(extent) => extent,
                Err(error) => {
                    self.reporter.problem_or_error(self.store, &own.name, error)?;
                    continue;
                }
            };
            let said = Said::Item(Item::Mailbox(Box::new(info.clone())));
            return Ok(Some((Offered { own, info, extent }, said)));
        }
        Ok(None)
    }

    pub(super) fn take_answer(&mut self, offered: Offered, other: MailboxInfo) -> Result<State, SessionError> {
        let Offered { own, info, extent } = offered;
        if other.guid != info.guid {
            return Err(SessionError::InvalidData(format!("another mailbox than {}, which was offered", own.name)));
        }
        if other.ignore {
            return Ok(self.after_mailbox());
        }
        if other.lost {
            self.reporter
                .problem(Some(&own.name), "the other side does not have it, or cannot open it; run dsync again");
            return Ok(self.after_mailbox());
        }
        self.compare(own, info, other, extent)
    }

    /// How a mailbox is listed that is agreed under this GUID.
    fn extent(&self, own: &mut OwnMailbox, guid: MailboxGuid) -> Result<Extent, StoreError> {
        Extent::of(own, self.remembered.get(&guid), &self.terms)
    }

    /// Says of which mailboxes this side remembers the last run, and can go on from there.
    ///
    /// # Errors
    /// If the store fails as a whole.
    pub(super) fn tell_states(&mut self) -> Result<(), SessionError> {
        let names: BTreeMap<MailboxGuid, MailboxName> =
            self.own.tree.iter().filter_map(|(name, node)| Some((node.guid()?, name.clone()))).collect();
        let known: Vec<_> = self.options.state.mailboxes().collect();
        for (guid, state) in known {
            let Some(name) = names.get(&guid).filter(|name| self.options.mailboxes.contains(name, Some(guid))) else {
                continue;
            };
            let state = MailboxState {
                guid,
                uid_validity: state.uid_validity,
                common_uid: state.last_uid,
                common_modseq: state.highest_modseq,
                common_private_modseq: state.private_modseq,
                message_count: state.message_count,
                changes_during_sync: false,
                counters: None,
                held: false,
                to_be_repeated: false,
            };
            if self.can_go_on(name, &state) {
                self.remembered.insert(guid, state);
                self.outbox.push_back(Said::Item(Item::MailboxState(state)));
            }
        }
        self.outbox.push_back(Said::EndOfList);
        Ok(())
    }

    fn can_go_on(&mut self, name: &MailboxName, state: &MailboxState) -> bool {
        let opened = match self.terms.part.imports() {
            true => self.store.open(name).map(|mailbox| OwnMailbox::new(name.clone(), mailbox, false, self.keeps())),
            false => self.open_source(name),
        };
        // What fails now fails again when it is this mailbox's turn, and is said then.
        let Ok(mut own) = opened else { return false };
        matches!(Extent::of(&mut own, Some(state), &self.terms), Ok(Extent::Since(..)))
    }

    pub(super) fn take_offer(&mut self, other: MailboxInfo) -> Result<State, SessionError> {
        let guid = other.guid;
        if self.options.tree_only {
            return Err(SessionError::InvalidData(
                "a mailbox although only names were to be synchronised".to_owned(),
            ));
        }
        let mut own = match self.agreed.name(guid) {
            Some(_) => self.open(guid)?,
            None => None,
        };
        let info = own.as_ref().and_then(|own| self.info(own, guid, Some(&other)));
        let extent = match own.as_mut().map(|own| self.extent(own, guid)).transpose() {
            Ok(Some(Extent::Since(since, _))) if !since.can_precede(&other) => Extent::Lost,
            Ok(extent) => extent.unwrap_or(Extent::Whole),
            Err(error) => {
                let name = self.agreed.name(guid).cloned().unwrap_or_else(MailboxName::inbox);
                self.reporter.problem_or_error(self.store, &name, error)?;
                Extent::Lost
            }
        };
        if matches!(extent, Extent::Lost) {
            self.was_lost = true;
            self.outbox.push_back(Said::Item(Item::Mailbox(Box::new(lost(guid, false)))));
            return Ok(State::AwaitOffer);
        }
        let (Some(own), Some(info)) = (own, info) else {
            self.outbox
                .push_back(Said::Item(Item::Mailbox(Box::new(lost(guid, self.terms.part == Part::MergeSource)))));
            return Ok(State::AwaitOffer);
        };
        self.outbox.push_back(Said::Item(Item::Mailbox(Box::new(info.clone()))));
        self.compare(own, info, other, extent)
    }

    /// Both have said what the mailbox is at their side.
    fn compare(
        &mut self,
        mut own: OwnMailbox,
        info: MailboxInfo,
        other: MailboxInfo,
        extent: Extent,
    ) -> Result<State, SessionError> {
        if !opening::is_possible(other.highest_modseq) {
            let text = format!("a HIGHESTMODSEQ of mailbox {} that no server can have", own.name);
            return Err(SessionError::InvalidData(text));
        }
        if self.sync_type == SyncType::Changed && counters_are_equal(&info, &other) {
            self.reporter.event(Event::MailboxUnchanged(&own.name));
            return self.skip(own, &info);
        }
        let since = match extent {
            Extent::Since(since, _) if !since.can_precede(&other) => {
                let text = format!("counters of mailbox {} that are older than the last run", own.name);
                return Err(SessionError::InvalidData(text));
            }
            Extent::Since(since, history) => Some((since, history)),
            Extent::Whole | Extent::Lost => None,
        };
        self.outcomes.insert(info.guid, Remembered::default());
        self.unconfirmed = Some(info.guid);
        let is_restless = self.is_restless(info.guid);
        if is_restless && self.terms.role == Role::Master {
            // The other side holds it by now. If it was changed here since it was opened, the commit tells.
            let _ = own.mailbox.hold();
        }
        let exchange = Exchange::start(own, info, other, self.terms.clone(), since);
        let mut exchange = exchange.map_err(|error| self.store_error(error))?;
        exchange.is_holding = is_restless;
        Ok(State::Exchange(Box::new(exchange)))
    }

    /// Nothing has to be done about the mailbox, but that it has to exist.
    fn skip(&mut self, mut own: OwnMailbox, info: &MailboxInfo) -> Result<State, SessionError> {
        // A side that may be changed knows that nothing has happened; for a source it is only likely.
        let is_known = self.terms.part.imports();
        self.outcomes.insert(
            info.guid,
            Remembered::agreed(MailboxState {
                guid: info.guid,
                uid_validity: info.uid_validity,
                common_uid: if is_known { info.uid_next.saturating_sub(1) } else { 0 },
                common_modseq: if is_known { info.highest_modseq } else { 0 },
                common_private_modseq: 0,
                message_count: info.message_count,
                changes_during_sync: false,
                counters: None,
                held: false,
                to_be_repeated: false,
            }),
        );
        if self.terms.part.imports() {
            if own.created
                && let Err(error) = settle::publish(&mut *own.mailbox)
            {
                self.reporter.problem_or_error(self.store, &own.name, error)?;
                return Ok(self.after_mailbox());
            }
            if own.created {
                points::remember_beginning(&mut own, &mut self.reporter, self.store)?;
            }
            points::remember(&mut own, self.terms.peer_of_runs(), &mut self.reporter, self.store)?;
        }
        Ok(self.after_mailbox())
    }

    pub(super) fn after_mailbox(&mut self) -> State {
        match self.terms.role {
            Role::Master => match self.early.offered.pop_front() {
                Some((offered, _)) => State::AwaitAnswer(offered),
                None => State::Offer,
            },
            Role::Slave => State::AwaitOffer,
        }
    }

    /// The counters of a mailbox for the other side, which has said its own if it is the master.
    fn info(&self, own: &OwnMailbox, guid: MailboxGuid, other: Option<&MailboxInfo>) -> Option<MailboxInfo> {
        let agreed = self.agreed.identity(guid);
        let mut info = own.info(agreed)?;
        if self.terms.part == Part::Copy {
            // A source must not take over anything from its copy.
            let wanted = other.map_or(agreed.uid_validity.map_or(0, UidValidity::get), |other| other.uid_validity);
            info.uid_validity = if wanted > 0 { wanted } else { info.uid_validity };
        }
        info.common_below = points::last_with(own, self.terms.peer).map(|point| point.uid_next.get());
        let may_be_skipped = self.sync_type == SyncType::Changed && !own.created;
        let is_asked = self.terms.part.imports() || !own.is_whole();
        let must_be_listed = || self.is_unrelated(own, guid) || is_asked && self.must_be_listed(own, &info, other);
        if may_be_skipped && must_be_listed() {
            info.message_count = UNCOUNTED;
        }
        Some(info)
    }

    /// Whether both sides have a mailbox of that name that was not the same one so far.
    fn is_unrelated(&self, own: &OwnMailbox, guid: MailboxGuid) -> bool {
        let there = self.agreed.name(guid).and_then(|name| self.other.tree.get(name));
        let others = there.and_then(MailboxNode::guid);
        let is_other = |known: Option<MailboxGuid>| known.is_some_and(|known| known != guid);
        let uid_validity = match there.map(|node| &node.kind) {
            Some(NodeKind::Mailbox { uid_validity, .. }) => *uid_validity,
            _ => None,
        };
        let same_uids = uid_validity == own.status().identity.uid_validity;
        same_uids && (is_other(others) || is_other(own.mailbox.status().identity.guid))
    }

    /// Whether equal counters do not mean that nothing has to be done: different changes can lead to the same ones.
    fn must_be_listed(&self, own: &OwnMailbox, info: &MailboxInfo, other: Option<&MailboxInfo>) -> bool {
        let uid_validity = own.mailbox.status().identity.uid_validity.map_or(0, UidValidity::get);
        if uid_validity != info.uid_validity || own.mailbox.messages().assigned() < own.mailbox.messages().len() {
            return true;
        }
        let may_be_equal = match other {
            Some(other) => counters_are_equal(info, other),
            // Where the UIDVALIDITYs differ, the number of messages decides between them.
            None => self.other.tree.values().any(|node| match node.kind {
                NodeKind::Mailbox { guid, uid_validity } => {
                    guid == Some(info.guid) && uid_validity.map(UidValidity::get) == Some(info.uid_validity)
                }
                _ => false,
            }),
        };
        may_be_equal && !points::is_as_remembered(own, self.terms.equal_peer)
    }

    fn keeps(&self) -> KeptFields {
        self.store.capabilities().keeps
    }

    /// A mailbox of a store that must not be changed.
    pub(super) fn open_source(&mut self, name: &MailboxName) -> Result<OwnMailbox, StoreError> {
        let mailbox = self.store.open(name)?;
        Ok(OwnMailbox::of_source(name.clone(), mailbox, self.keeps(), &self.store_id))
    }

    /// The mailbox with this GUID, made if it is missing. `None` if it cannot be had.
    fn open(&mut self, guid: MailboxGuid) -> Result<Option<OwnMailbox>, SessionError> {
        let Some(name) = self.agreed.name(guid).cloned() else { return Ok(None) };
        if self.repetitions.of(guid) == 0 {
            self.reporter.report.counts.mailboxes += 1;
        }
        let opened = match self.terms.part {
            Part::Source => self.open_source(&name).map(Some),
            Part::Copy => self.open_or_create(&name, guid).map(Some),
            _ => match self.find(&name, guid) {
                Ok(place) => self.open_at(place, &name, guid),
                Err(reason) => {
                    self.reporter.problem(Some(&name), reason);
                    return Ok(None);
                }
            },
        };
        self.reporter.replaced_names(self.store);
        let possible = |own: Option<OwnMailbox>| match &own {
            Some(opened) => opening::refuse_impossible(&name, opened.mailbox.status()).map(|()| own),
            None => Ok(None),
        };
        match opened.and_then(possible) {
            Ok(own) => {
                for reason in own.iter().flat_map(|own| own.mailbox.problems()) {
                    self.reporter.problem(Some(&name), reason.clone());
                }
                let is_whole = own.as_ref().is_none_or(OwnMailbox::is_whole);
                if is_whole || self.terms.part != Part::Source || self.terms.takes_partial {
                    return Ok(own);
                }
                // What is not listed is gone to such a peer, and there is no way to say that it is only unreadable.
                let text = "it was left out, since the copy would lose what cannot be read here";
                self.reporter.problem(Some(&name), text);
                Ok(None)
            }
            Err(error) => {
                self.reporter.cannot_be_had(self.store, &name, error)?;
                Ok(None)
            }
        }
    }

    fn find(&self, name: &MailboxName, guid: MailboxGuid) -> Result<Place, String> {
        let imports = self.terms.part.imports();
        place::find(imports, name, Some(guid), &self.own.tree, &self.here, &self.agreed.tree)
    }

    fn open_at(
        &mut self,
        place: Place,
        name: &MailboxName,
        guid: MailboxGuid,
    ) -> Result<Option<OwnMailbox>, StoreError> {
        let keeps = self.keeps();
        match place {
            Place::Nowhere => Ok(None),
            Place::At(place) if !self.terms.part.imports() => self.open_source(&place).map(Some),
            Place::At(place) => {
                // The master has it open already when the slave holds it, and follows.
                let mailbox = match self.terms.role == Role::Slave && self.is_restless(guid) {
                    true => settle::open_held(self.store, &place)?,
                    false => settle::open_settled(self.store, &place)?,
                };
                Ok(Some(OwnMailbox::new(place, mailbox, false, keeps)))
            }
            Place::New => {
                let mailbox = self.store.create(name, self.agreed.identity(guid))?;
                Ok(Some(OwnMailbox::new(name.clone(), mailbox, true, keeps)))
            }
        }
    }

    fn open_or_create(&mut self, name: &MailboxName, guid: MailboxGuid) -> Result<OwnMailbox, StoreError> {
        let (mailbox, created) = opening::open_or_create(self.store, name, self.agreed.identity(guid))?;
        Ok(OwnMailbox::new(name.clone(), mailbox, created, self.keeps()))
    }
}

/// What is said of a mailbox that is not here, or from whose last state this side cannot go on.
fn lost(guid: MailboxGuid, ignore: bool) -> MailboxInfo {
    MailboxInfo {
        guid,
        uid_validity: 0,
        uid_next: 0,
        message_count: 0,
        first_recent_uid: 0,
        highest_modseq: 0,
        highest_private_modseq: 0,
        lost: !ignore,
        ignore,
        cache_fields: Vec::new(),
        have_guids: false,
        have_save_guids: false,
        have_only_guid128: false,
        partial: false,
        common_below: None,
    }
}
