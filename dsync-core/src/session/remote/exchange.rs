//! One mailbox of a run with a peer, after both sides have said their counters.
//!
//! Each direction has an order of its own, and both go on at the same time:
//!
//! ```text
//!     a side that exports    attributes · changes ·            mails · state
//!     a side that imports                          requests ·          state
//!     a side that does both  attributes · changes · requests · mails · state
//! ```

use std::collections::{HashMap, VecDeque};

use super::arrivals::Arrivals;
use super::giving::Wanted;
use super::heard::{Heard, Here};
use super::holding::{OthersEnd, Turn};
use super::own::OwnMailbox;
use super::part::Part;
use super::points::Agreement;
use super::rows::{Knowledge, Listing, RowStyle};
use super::since::Since;
use super::terms::Terms;
use super::{Heard as Received, Said};
use crate::merge::{Contents, MailboxPlan};
use crate::model::{MailboxHistory, MessageGuid, MessageSelection};
use crate::session::SessionError;
use crate::session::reporting::Reporter;
use crate::store::{MailStore, StoreError};
use crate::wire::{Item, Mail, MailboxInfo};

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

/// What the other side's list has led to.
pub(super) struct Planned {
    pub(super) plan: MailboxPlan,
    pub(super) arrivals: Arrivals,
    /// Nothing changes at the other side.
    pub(super) other_stays: bool,
}

pub(super) struct Exchange {
    pub(super) own: OwnMailbox,
    pub(super) own_info: MailboxInfo,
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
    pub(super) wanted: VecDeque<Wanted>,
    pub(super) by_guid: Option<HashMap<MessageGuid, usize>>,
    pub(super) heard: Heard,
    pub(super) planned: Option<Planned>,
    sending: Sending,
    receiving: Receiving,
    /// Something could not be done: another run is needed.
    pub(super) incomplete: bool,
    /// Messages may be on one side only because they were not chosen.
    pub(super) leaves_out: bool,
    /// Nothing is done about the mailbox before it has been offered again.
    pub(super) to_be_repeated: bool,
    /// The other side knows that this one holds it.
    pub(super) has_said_held: bool,
    /// Others are kept from changing the mailbox here.
    pub(super) is_holding: bool,
    pub(super) others_end: OthersEnd,
    /// In what both sides agree if the other one has done its part too.
    pub(super) agreement: Option<Agreement>,
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
            to_be_repeated: false,
            has_said_held: false,
            is_holding: false,
            others_end: OthersEnd::Nothing,
            agreement: None,
        };
        // What cannot be read at one side cannot be done at either.
        exchange.incomplete = exchange.own_info.partial || exchange.other_info.partial;
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
                match self.turn() {
                    Turn::Wait => return Ok(None),
                    Turn::Hold => {
                        if let Some(held) = self.hold(reporter, store)? {
                            return Ok(Some(Said::Item(Item::MailboxState(held))));
                        }
                    }
                    Turn::LeaveIt => self.leave_it(),
                    Turn::Commit if part.imports() => self.commit(reporter, store)?,
                    Turn::Commit => {}
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
                self.release_for(self.wanted.len());
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
