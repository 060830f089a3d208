//! One mailbox of a run with a peer, after both sides have said their counters.
//!
//! Each direction has an order of its own, and both go on at the same time:
//!
//! ```text
//!     a side that exports    attributes · changes ·            mails · state
//!     a side that imports                          requests ·          state
//!     a side that does both  attributes · changes · requests · mails · state
//! ```

use std::collections::{HashMap, HashSet, VecDeque};

use super::arrivals::Arrivals;
use super::header_hash::Hashing;
use super::heard::{Heard, Here};
use super::own::{self, OwnMailbox};
use super::part::Part;
use super::points::{self, AgreedMailbox, Agreement};
use super::rows::{Knowledge, Listing, RowStyle};
use super::since::{self, Since};
use super::{Heard as Received, Said};
use crate::merge::{Contents, MailboxPlan};
use crate::model::{
    HistoryRange, MailboxHistory, MessageGuid, MessageKey, MessageSelection, Role, SyncPoint, Uid, UidValidity,
};
use crate::report::Event;
use crate::session::reporting::Reporter;
use crate::session::{SessionError, selecting};
use crate::store::{ErrorKind, MailStore, StoreError};
use crate::wire::{Item, Mail, MailRequest, MailboxInfo, MailboxState};

/// What is the same for all mailboxes of a run.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) role: Role,
    pub(super) part: Part,
    /// Bodies come only if they are asked for.
    pub(super) requests: bool,
    /// What the peer can do, beyond version 3 of the protocol.
    pub(super) peer_minor: u32,
    /// The peer knows attributes.
    pub(super) attributes: bool,
    /// By what messages are recognised that have no GUIDs.
    pub(super) hashing: Hashing,
    /// How the other side is called in sync points.
    pub(super) peer: [u8; 8],
    /// How it is called in those at which both were equal in every counter.
    pub(super) equal_peer: [u8; 8],
    /// How it is called in those at which only this side had all that the other one had.
    pub(super) merged_peer: [u8; 8],
    /// Which messages are given to a side that does not have them.
    pub(super) selection: MessageSelection,
}

impl Terms {
    /// How the other side is called in the sync points of such runs.
    pub(super) fn peer_of_runs(&self) -> [u8; 8] {
        if self.part == Part::MergeDestination { self.merged_peer } else { self.peer }
    }
}

/// What this side says next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Attributes,
    Changes,
    Requests(usize),
    Mails,
    Commit,
    State,
    Nothing,
}

/// What the other side says next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receiving {
    Attributes,
    Changes,
    Requests,
    Mails,
    Nothing,
}

/// A message that the other side wants.
struct Wanted {
    key: MessageKey,
    uid: Uid,
    /// By what it was asked for: its UID if there is none.
    guid: Option<MessageGuid>,
}

/// What the other side's list has led to.
pub(super) struct Planned {
    pub(super) plan: MailboxPlan,
    pub(super) arrivals: Arrivals,
    /// Nothing changes at the other side.
    pub(super) other_stays: bool,
}

pub(super) struct Exchange {
    pub(super) own: OwnMailbox,
    own_info: MailboxInfo,
    pub(super) other_info: MailboxInfo,
    pub(super) terms: Terms,
    pub(super) by_hash: bool,
    /// Only what happened since then is listed, by either side.
    pub(super) since: Option<Since>,
    /// Something was listed.
    pub(super) has_listed: bool,
    pub(super) known: Knowledge,
    /// What is in the own messages, where that matters.
    pub(super) contents: Contents,
    /// Everything could be compared.
    pub(super) is_comparable: bool,
    listing: Listing,
    wanted: VecDeque<Wanted>,
    by_guid: Option<HashMap<MessageGuid, usize>>,
    pub(super) heard: Heard,
    pub(super) planned: Option<Planned>,
    sending: Sending,
    receiving: Receiving,
    /// Something could not be done: another run is needed.
    pub(super) incomplete: bool,
    /// Messages may be on one side only because they were not chosen.
    pub(super) leaves_out: bool,
    /// In what both sides agree if the other one has done its part too.
    agreement: Option<Agreement>,
}

impl Exchange {
    pub(super) fn start(
        own: OwnMailbox,
        own_info: MailboxInfo,
        other_info: MailboxInfo,
        terms: Terms,
        known_since: Option<(Since, MailboxHistory)>,
    ) -> Result<Self, StoreError> {
        let part = terms.part;
        let by_hash = !guids_count(part, &own_info, &other_info);
        let sending = if part.exports() {
            if terms.attributes { Sending::Attributes } else { Sending::Changes }
        } else if terms.requests {
            Sending::Requests(0)
        } else {
            Sending::Commit
        };
        let receiving = match (part.imports(), terms.attributes) {
            (true, true) => Receiving::Attributes,
            (true, false) => Receiving::Changes,
            _ if terms.requests => Receiving::Requests,
            _ => Receiving::Nothing,
        };
        let (since, history) = known_since.unzip();
        let mut exchange = Self {
            own,
            own_info,
            other_info,
            terms,
            by_hash,
            since,
            has_listed: false,
            known: Knowledge::default(),
            contents: Contents::new(),
            is_comparable: true,
            listing: Listing::default(),
            wanted: VecDeque::new(),
            by_guid: None,
            heard: Heard::new(since),
            planned: None,
            sending,
            receiving,
            incomplete: false,
            leaves_out: false,
            agreement: None,
        };
        exchange.look(history)?;
        exchange.heard.follow_moves(Here {
            own: &exchange.own,
            known: &exchange.known,
            contents: &exchange.contents,
            by_hash,
        });
        if part.exports() && !exchange.terms.requests {
            exchange.want_all();
        }
        Ok(exchange)
    }

    /// Finds out what this side knows beside its list.
    fn look(&mut self, history: Option<MailboxHistory>) -> Result<(), StoreError> {
        let mut history = match history {
            Some(history) => history,
            None if self.terms.part.is_copying() => MailboxHistory::default(),
            None => {
                let points = self.own.mailbox.sync_points();
                let agreed = points.iter().map(|point| point.highest_modseq).max().unwrap_or_default();
                let whole = self.own.mailbox.history(HistoryRange { since: None, mirrored_until: agreed })?;
                let other = own::status_of(&self.other_info);
                // One that was put back from an older copy needs all of it.
                let has_gone_on = |point: &SyncPoint| {
                    other.identity.uid_validity == Some(point.uid_validity) && other.uid_next >= point.uid_next
                };
                match points::last_with(&self.own, self.terms.peer).filter(has_gone_on) {
                    Some(last) => since::with_flags_since(&mut self.own, whole, last, &self.terms)?,
                    None => whole,
                }
            }
        };
        let needs_content = self.by_hash && self.other_info.message_count > 0;
        for place in 0..self.own.messages().len() {
            let Some(uid) = self.own.messages().uid_at(place) else { continue };
            let mut content = None;
            if needs_content {
                let body = self.own.mailbox.body(self.own.key(uid)).ok();
                let hash = body.and_then(|body| self.terms.hashing.of(body));
                self.known.hashes.extend(hash.map(|hash| (place, hash)));
                content = hash.map(|hash| self.terms.hashing.content(hash, uid, self.terms.part));
                self.is_comparable &= content.is_some();
                self.contents.extend(content.map(|content| (place, content)));
            }
            let flags = history.flags.remove(&uid).filter(|history| !history.is_empty());
            let is_common = self.since.is_some_and(|since| uid <= since.last);
            let selected = is_common || self.is_selected(place, uid);
            self.known.leaves_out |= !selected;
            self.known.notes.push(place, flags, content, selected);
        }
        let uid_next = self.own.status().uid_next;
        self.known.expunged = history.expunged;
        if let Some(since) = self.since {
            since::up_to(since, &mut self.known);
        }
        let own = self.own.messages();
        self.known.expunged.retain(|uid, _| *uid < uid_next && !own.contains(*uid));
        if self.by_hash && self.since.is_none() && self.terms.part != Part::Source {
            let common = points::last_with(&self.own, self.terms.peer);
            self.known.expunged.retain(|uid, _| common.is_some_and(|point| *uid < point.uid_next));
        }
        Ok(())
    }

    /// Whether the other side expunged a message that both had, if it says that it expunged that UID. Without GUIDs our own program
    /// tells only those; of others it is believed of the UIDs that both had when they last were the same.
    pub(super) fn proves_expunge(&self, uid: Uid) -> bool {
        let is_told_by_proof = !self.by_hash || self.since.is_some() || self.terms.hashing.is_by_contents();
        is_told_by_proof || points::last_with(&self.own, self.terms.peer).is_some_and(|point| uid < point.uid_next)
    }

    /// Whether a message of this side is chosen. Notes its size if that matters.
    pub(super) fn is_selected(&mut self, place: usize, uid: Uid) -> bool {
        if self.terms.selection.is_all() {
            return true;
        }
        let Some(record) = self.own.messages().at(place) else { return true };
        let mut fits = self.terms.selection.contains_apart_from_size(&record);
        if let Some(max) = self.terms.selection.max_size {
            let body = self.own.mailbox.body(self.own.key(uid)).ok();
            // One that cannot be read is reported when it is to be copied.
            if let Some(size) = body.and_then(selecting::size_for_clients) {
                self.known.sizes.insert(place, size);
                fits &= size <= max;
            }
        }
        fits
    }

    /// A peer that does not ask for messages gets all of them: once for each GUID.
    fn want_all(&mut self) {
        let mut seen = HashSet::new();
        for record in self.own.messages().records() {
            let Some(uid) = record.uid else { continue };
            let guid = (!self.by_hash).then(|| self.own.guid_of(&record));
            if guid.as_ref().is_none_or(|guid| seen.insert(guid.clone())) {
                self.wanted.push_back(Wanted { key: self.own.key(uid), uid, guid });
            }
        }
    }

    /// Whether this side has said everything about the mailbox.
    pub(super) fn is_over(&self) -> bool {
        self.sending == Sending::Nothing
    }

    /// What this side says next; `None` if the other one has to speak first. It is not called before the last body was taken.
    pub(super) fn next(
        &mut self,
        reporter: &mut Reporter<'_>,
        store: &dyn MailStore,
    ) -> Result<Option<Said>, SessionError> {
        let part = self.terms.part;
        match self.sending {
            Sending::Attributes => {
                self.sending = Sending::Changes;
                Ok(Some(Said::EndOfList))
            }
            Sending::Changes => {
                let hash_needed = self.other_info.message_count > 0;
                let MessageSelection { since, until, .. } = self.terms.selection;
                let style = RowStyle {
                    by_hash: self.by_hash,
                    hash_needed,
                    dates_needed: since.is_some() || until.is_some(),
                    since: self.since,
                    imports: part.imports(),
                    always: self.since.filter(|_| !part.imports()).and_then(|since| since.last_of(&self.own)),
                };
                if let Some(change) = self.listing.next(&self.own, &self.known, style) {
                    self.has_listed = true;
                    return Ok(Some(Said::Item(Item::Change(change))));
                }
                let asks = part.imports() && self.terms.requests;
                self.sending = if asks { Sending::Requests(0) } else { Sending::Mails };
                Ok(Some(Said::EndOfList))
            }
            Sending::Requests(place) => {
                let Some(planned) = &self.planned else { return Ok(None) };
                if let Some(request) = planned.arrivals.request(place) {
                    self.sending = Sending::Requests(place.saturating_add(1));
                    return Ok(Some(Said::Item(Item::MailRequest(request))));
                }
                self.sending = if part.exports() { Sending::Mails } else { Sending::Commit };
                Ok(Some(Said::EndOfList))
            }
            Sending::Mails if self.terms.requests && self.awaits_requests() => Ok(None),
            Sending::Mails => match self.wanted.pop_front() {
                Some(wanted) => Ok(Some(self.mail(&wanted, reporter))),
                None => {
                    self.sending = Sending::Commit;
                    Ok(Some(Said::EndOfList))
                }
            },
            Sending::Commit if self.receiving != Receiving::Nothing => Ok(None),
            Sending::Commit => {
                if part.imports() {
                    self.commit(reporter, store)?;
                }
                self.sending = Sending::State;
                self.next(reporter, store)
            }
            Sending::State => {
                self.sending = Sending::Nothing;
                Ok(Some(Said::Item(Item::MailboxState(self.state()))))
            }
            Sending::Nothing => Ok(None),
        }
    }

    fn awaits_requests(&self) -> bool {
        matches!(self.receiving, Receiving::Attributes | Receiving::Changes | Receiving::Requests)
    }

    fn mail(&mut self, wanted: &Wanted, reporter: &mut Reporter<'_>) -> Said {
        let record = self.own.messages().get(wanted.uid);
        let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
        let mut mail = Mail {
            guid: wanted.guid.clone(),
            uid: wanted.guid.is_none().then_some(wanted.uid),
            pop3_uidl: Some(Vec::new()),
            pop3_order: 0,
            received: 0,
            saved: None,
            stream: false,
        };
        let Some(record) = record else { return Said::Item(Item::Mail(mail)) };
        mail.pop3_uidl = Some(record.pop3_uidl.as_deref().unwrap_or_default().as_bytes().to_vec());
        mail.pop3_order = record.pop3_order.unwrap_or(0);
        mail.received = seconds(record.received.seconds());
        mail.saved = record.saved.map(|time| seconds(time.seconds()));
        match self.own.mailbox.body(wanted.key) {
            Ok(body) => {
                mail.stream = true;
                if reporter.wants_reasons() {
                    let reason = format!("UID {}: given to the other side, which does not have it", wanted.uid);
                    reporter.event(Event::Reason(&self.own.name, &reason));
                }
                let counts = &mut reporter.report.counts;
                counts.messages_sent += 1;
                counts.bytes_sent = counts.bytes_sent.saturating_add(body.size.unwrap_or(0));
                Said::Mail(mail, body)
            }
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    reporter.problem(Some(&self.own.name), format!("{} cannot be copied: {error}", wanted.key));
                }
                self.incomplete = true;
                Said::Item(Item::Mail(mail))
            }
        }
    }

    /// Takes what the other side says about the mailbox.
    pub(super) fn receive(
        &mut self,
        received: Received,
        reporter: &mut Reporter<'_>,
        store: &dyn MailStore,
    ) -> Result<(), SessionError> {
        match (self.receiving, received) {
            (Receiving::Attributes, Received::Item(Item::Attribute(_)) | Received::Body(Item::Attribute(_), _)) => {}
            (Receiving::Attributes, Received::EndOfList) => self.receiving = Receiving::Changes,
            (Receiving::Changes, Received::Item(Item::Change(change))) => {
                let here =
                    Here { own: &self.own, known: &self.known, contents: &self.contents, by_hash: self.by_hash };
                self.heard.take(here, change, &self.other_info, &self.terms)?;
            }
            (Receiving::Changes, Received::EndOfList) => {
                self.decide(reporter)?;
                let asks = self.terms.part.exports() && self.terms.requests;
                self.receiving = if asks { Receiving::Requests } else { Receiving::Mails };
            }
            (Receiving::Requests, Received::Item(Item::MailRequest(request))) => self.want(&request)?,
            (Receiving::Requests, Received::EndOfList) => {
                // Dovecot's program forgets POP3 UIDLs that come after one of a greater UID.
                self.wanted.make_contiguous().sort_by_key(|wanted| wanted.uid);
                self.receiving = if self.terms.part.imports() { Receiving::Mails } else { Receiving::Nothing };
            }
            (Receiving::Mails, Received::Item(Item::Mail(mail))) => self.take(&mail, None, reporter, store)?,
            (Receiving::Mails, Received::Body(Item::Mail(mail), body)) => {
                self.take(&mail, Some(body), reporter, store)?;
            }
            (Receiving::Mails, Received::EndOfList) => self.receiving = Receiving::Nothing,
            (receiving, received) => {
                let state = match receiving {
                    Receiving::Attributes => "attributes of a mailbox were due",
                    Receiving::Changes => "messages were being listed",
                    Receiving::Requests => "requests for messages were due",
                    Receiving::Mails => "messages were being received",
                    Receiving::Nothing => "the end of a mailbox was due",
                };
                return Err(SessionError::UnexpectedMessage { received: received.kind(), state });
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        mail: &Mail,
        body: Option<crate::store::MessageBody>,
        reporter: &mut Reporter<'_>,
        store: &dyn MailStore,
    ) -> Result<(), SessionError> {
        let OwnMailbox { name, mailbox, .. } = &mut self.own;
        match &mut self.planned {
            Some(planned) => planned.arrivals.take(name, &mut **mailbox, mail, body, reporter, store),
            None => Ok(()),
        }
    }

    /// How many bytes the last message had.
    pub(super) fn count(&mut self, bytes: u64) {
        if let Some(planned) = &mut self.planned {
            planned.arrivals.count(bytes);
        }
    }

    /// Finds a message that the other side wants.
    fn want(&mut self, request: &MailRequest) -> Result<(), SessionError> {
        let messages = self.own.messages();
        if self.wanted.len() >= messages.len() {
            return Err(SessionError::InvalidData("requests for more messages than there are".to_owned()));
        }
        let there = request.uid.and_then(|uid| messages.get(uid));
        let uid = match (&request.guid, there) {
            (None, there) => there.and_then(|record| record.uid),
            (Some(guid), Some(record)) if self.own.guid_of(&record) == *guid => record.uid,
            (Some(guid), _) => self.uid_of(guid),
        };
        // One that is gone by now: that is said when it is its turn.
        let Some(uid) = uid.or(request.uid) else {
            return Err(SessionError::InvalidData("a request for a message that was never listed".to_owned()));
        };
        let key = self.own.key(uid);
        self.wanted.push_back(Wanted { key, uid, guid: request.guid.clone() });
        Ok(())
    }

    fn uid_of(&mut self, guid: &MessageGuid) -> Option<Uid> {
        if self.by_guid.is_none() {
            let records = self.own.messages().records().enumerate();
            self.by_guid = Some(records.map(|(place, record)| (self.own.guid_of(&record), place)).collect());
        }
        let place = self.by_guid.as_ref()?.get(guid)?;
        self.own.messages().uid_at(*place)
    }

    fn commit(&mut self, reporter: &mut Reporter<'_>, store: &dyn MailStore) -> Result<(), SessionError> {
        let Some(mut planned) = self.planned.take() else { return Ok(()) };
        let missing = planned.arrivals.missing();
        if !missing.is_empty() {
            // No UID is given to a message that is not there.
            planned.plan = self.plan(&missing).0;
            self.incomplete = true;
            let text = format!("{} messages did not come from the other side", missing.len());
            reporter.problem(Some(&self.own.name), text);
        }
        let other_status = self.other_status();
        // A commit needs room of its own.
        self.heard = Heard::new(None);
        self.known = Knowledge::default();
        let OwnMailbox { name, mailbox, .. } = &mut self.own;
        if planned.plan.needed
            && let Err(error) = planned.arrivals.commit(name, &mut **mailbox, planned.plan, reporter)
        {
            self.incomplete = true;
            return reporter.problem_or_error(store, name, error);
        }
        if self.own.created {
            points::remember_beginning(&mut self.own, reporter, store)?;
        }
        if !self.incomplete && !self.leaves_out {
            let are_equal = planned.other_stays && *self.own.mailbox.status() == other_status;
            self.agreement = Some(if are_equal { Agreement::Counters } else { Agreement::Messages });
        }
        Ok(())
    }

    /// The mailbox, if it is to be remembered once the other side has done its part.
    pub(super) fn into_agreed(self) -> Option<AgreedMailbox> {
        let guid = self.own_info.guid;
        self.agreement.map(|agreement| AgreedMailbox { guid, own: self.own, agreement })
    }

    /// What both sides have in common now, as far as this side knows. Nothing, if anything is missing on one of them.
    fn state(&self) -> MailboxState {
        let status = self.own.status();
        let is_common = !self.incomplete && !self.leaves_out && self.own.is_decided();
        let common_modseq = match self.terms.part.imports() {
            true => self.other_info.highest_modseq,
            false => self.own_info.highest_modseq,
        };
        MailboxState {
            guid: self.own_info.guid,
            uid_validity: status.identity.uid_validity.map_or(self.own_info.uid_validity, UidValidity::get),
            common_uid: if is_common { status.uid_next.get().saturating_sub(1) } else { 0 },
            common_modseq: if is_common { common_modseq } else { 0 },
            common_private_modseq: 0,
            message_count: u32::try_from(self.own.messages().len()).unwrap_or(u32::MAX),
            changes_during_sync: self.incomplete,
            counters: points::counters(status),
        }
    }
}

/// Whether GUIDs say which messages are the same. Both sides decide that in the same way.
fn guids_count(part: Part, own: &MailboxInfo, other: &MailboxInfo) -> bool {
    let (source, copy) = match part {
        Part::Source => (own, other),
        Part::Copy => (other, own),
        _ => return own.have_save_guids && other.have_save_guids,
    };
    copy.have_save_guids && (source.have_guids || source.have_save_guids)
}
