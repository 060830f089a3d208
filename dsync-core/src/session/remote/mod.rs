//! One side of a run whose other side speaks the [dsync protocol](crate::wire): another `dsync`, or a Dovecot.
//!
//! ```text
//!     master                                     slave
//!     handshake                ◀───────▶         handshake            both at once
//!     names · deletions        ◀───────▶         names · deletions    both merge the trees and change their own
//!     mailbox                  ────────▶
//!                              ◀────────         mailbox (or: lost); if the counters are equal, that is all
//!     …                        ◀───────▶         …                    messages, as drawn in `exchange`
//!     end of list              ────────▶
//!                              ◀────────         finish · done
//! ```
//!
//! The decisions are those of [`crate::tree`] and [`crate::merge`]: what a peer says is turned into what they are made from.
//! [`RemoteSession`] is a state machine that takes and gives rows and bodies, [`Connection`] passes them on over two byte
//! streams.

mod arrivals;
mod concluding;
mod connection;
mod conversation;
mod early;
mod exchange;
mod giving;
mod header_hash;
mod heard;
mod holding;
mod incoming;
mod looking;
mod mailboxes;
mod names;
mod outcomes;
mod own;
mod part;
mod planning;
mod points;
mod rows;
mod since;
mod streams;
mod terms;
mod tree_rows;
mod trees;

use std::collections::{BTreeMap, VecDeque};

pub use connection::{Connection, ConnectionOptions};
pub use part::{Part, in_namespace, master_handshake, slave_handshake, with_store};

use super::mirror::amend::Deletable;
use super::reporting::Reporter;
use super::{SessionError, SyncOptions};
use crate::model::{MailboxGuid, MailboxTree, Role};
use crate::report::{Observer, Report};
use crate::store::{MailStore, MessageBody, StoreError};
use crate::tree::two_way::TreeSide;
use crate::wire::{Handshake, Item, Mail, MailboxState, SyncType};

use early::EarlyOffers;
use exchange::Exchange;
use header_hash::Hashing;
use holding::Repetitions;
use mailboxes::{Agreed, Offered};
use names::Prefix;
use points::AgreedMailbox;
use since::Remembered;
use terms::Terms;
use tree_rows::PeerTree;

/// Of how many mailboxes a master may remember the last run.
const MOST_STATES: usize = 1 << 20;

/// What a side says.
#[derive(Debug)]
pub enum Said {
    /// A row without a body.
    Item(Item),
    /// The end of a list.
    EndOfList,
    /// A message with its bytes.
    Mail(Mail, MessageBody),
}

/// What the other side said.
#[derive(Debug)]
pub enum Heard {
    /// A row without a body.
    Item(Item),
    /// The end of a list.
    EndOfList,
    /// A row with its bytes.
    Body(Item, MessageBody),
}

impl Heard {
    /// What it is called in messages to people.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Item(item) | Self::Body(item, _) => item.name(),
            Self::EndOfList => "end of list",
        }
    }
}

/// The other side, as it has introduced itself.
#[derive(Clone, Debug)]
pub struct Peer {
    /// What it can do, beyond version 3 of the protocol.
    pub minor_version: u32,
    /// Its handshake. Of one that does not say which store it has, whoever has reached it may know that.
    pub handshake: Handshake,
}

/// One side of a run with a peer, after both have introduced themselves.
pub struct RemoteSession<'a> {
    store: &'a mut dyn MailStore,
    /// The name of the store.
    store_id: String,
    reporter: Reporter<'a>,
    options: SyncOptions,
    terms: Terms,
    sync_type: SyncType,
    /// What stands before the names that travel, and before those that the other side has hashed.
    prefixes: [Prefix; 2],
    peer_minor: u32,
    /// The other side is this program.
    peer_is_own_kind: bool,
    own: TreeSide,
    other: TreeSide,
    /// What is to be told of what was deleted here, as long as that waits for the other side to say it.
    deleted: TreeSide,
    waits_for_deletions: bool,
    /// The mailboxes that this side will have, or has if it is not changed.
    agreed: Agreed,
    deletable: Deletable,
    /// What this store has since the trees were merged.
    here: MailboxTree,
    outbox: VecDeque<Said>,
    state: State,
    /// Mailboxes that the master has still to offer.
    offers: VecDeque<MailboxGuid>,
    /// Mailboxes that somebody changed while they were synchronised: the master offers them again when it has offered all others.
    again: VecDeque<MailboxGuid>,
    repetitions: Repetitions,
    early: EarlyOffers,
    /// Mailboxes of which only what happened since an earlier run is listed.
    remembered: BTreeMap<MailboxGuid, MailboxState>,
    /// The slave could not go on from there with one of them. The master looks at all of them in its next run.
    was_lost: bool,
    /// Another run is needed for something other than a mailbox that was exchanged.
    is_incomplete: bool,
    /// What both sides say of the mailboxes that the master has offered.
    outcomes: BTreeMap<MailboxGuid, Remembered>,
    /// The mailbox of which the other side has not said how it came out.
    unconfirmed: Option<MailboxGuid>,
    /// What is to be remembered of it if the other side has done everything. Before that it may lack messages that it was sent.
    agreed_mailbox: Option<AgreedMailbox>,
}

enum State {
    /// What the master remembers of the last run was said for these mailboxes.
    AwaitStates(BTreeMap<MailboxGuid, MailboxState>),
    AwaitTree(PeerTree),
    AwaitDeletions(PeerTree),
    /// Both trees are known.
    Trees,
    /// The master's turn to offer a mailbox.
    Offer,
    AwaitOffer,
    AwaitAnswer(Box<Offered>),
    Exchange(Box<Exchange>),
    AwaitFinish,
    Finished,
}

impl State {
    fn description(&self) -> &'static str {
        match self {
            Self::AwaitStates(_) => "what was common in the last run was being listed",
            Self::AwaitTree(_) => "names of mailboxes were being listed",
            Self::AwaitDeletions(_) => "deleted mailboxes were due",
            Self::Trees => "the trees of mailboxes were being brought together",
            Self::Offer | Self::AwaitOffer => "an offer of a mailbox was due",
            Self::AwaitAnswer(_) => "a mailbox was being offered",
            Self::Exchange(_) => "a mailbox was being synchronised",
            Self::AwaitFinish | Self::Finished => "the end was due",
        }
    }
}

impl<'a> RemoteSession<'a> {
    /// The side that began the run, and does `part` itself.
    ///
    /// # Errors
    /// If the own store fails, or what is wanted cannot be done safely.
    pub fn master(
        store: &'a mut dyn MailStore,
        part: Part,
        options: SyncOptions,
        own: &Handshake,
        peer: &Peer,
        observer: &'a mut dyn Observer,
    ) -> Result<Self, SessionError> {
        Self::new(store, Role::Master, part, options, own, peer, observer)
    }

    /// The other side. What it does is what the master wants: [`Part::wanted_by`] its handshake.
    ///
    /// # Errors
    /// If the own store fails, or the master wants something that cannot be done.
    pub fn slave(
        store: &'a mut dyn MailStore,
        peer: &Peer,
        observer: &'a mut dyn Observer,
    ) -> Result<Self, SessionError> {
        let part = Part::wanted_by(&peer.handshake)?;
        let history = store.tree_history().map_err(|error| SessionError::of_store(store, error))?;
        let options = part::wanted_options(&peer.handshake, &history)?;
        Self::new(store, Role::Slave, part, options, &peer.handshake, peer, observer)
    }

    fn new(
        store: &'a mut dyn MailStore,
        role: Role,
        part: Part,
        options: SyncOptions,
        master: &Handshake,
        peer: &Peer,
        observer: &'a mut dyn Observer,
    ) -> Result<Self, SessionError> {
        let reporter = Reporter::new(observer, store.location());
        let store_id = store.id().map_err(|error| SessionError::of_store(store, error))?;
        let history = store.tree_history().map_err(|error| SessionError::of_store(store, error))?;
        let prefixes = names::agreed(&history, master, &peer.handshake)?;
        let [known_peer, equal_peer, merged_peer] = points::labels_of(&peer.handshake);
        let terms = Terms {
            role,
            part,
            requests: master.send_mail_requests,
            peer_minor: peer.minor_version,
            attributes: peer.minor_version >= 1,
            takes_partial: peer.handshake.takes_partial_mailboxes,
            in_turn: master.commits_in_turn && peer.handshake.commits_in_turn,
            hashing: match (master.hashes_contents, peer.handshake.hashes_contents) {
                (true, true) => Hashing::Contents,
                _ => Hashing::Headers {
                    wanted: master.hashed_headers.clone().unwrap_or_default(),
                    minor_version: peer.minor_version,
                },
            },
            peer: known_peer,
            equal_peer,
            merged_peer,
            selection: options.messages.clone(),
        };
        // One who does not say it wants everything to be looked at.
        let sync_type = master.sync_type.unwrap_or(SyncType::Full);
        let mut session = Self {
            store,
            store_id,
            reporter,
            options,
            terms,
            sync_type,
            prefixes: prefixes.clone(),
            peer_minor: peer.minor_version,
            peer_is_own_kind: peer.handshake.relative_to.is_some(),
            own: TreeSide::default(),
            other: TreeSide::default(),
            deleted: TreeSide::default(),
            waits_for_deletions: !peer.handshake.waits_for_deletions,
            agreed: Agreed::default(),
            deletable: Deletable::new(),
            here: MailboxTree::new(),
            outbox: VecDeque::new(),
            state: match (role, sync_type) {
                (Role::Slave, SyncType::State) => State::AwaitStates(BTreeMap::new()),
                _ => State::AwaitTree(PeerTree::new(prefixes)),
            },
            offers: VecDeque::new(),
            again: VecDeque::new(),
            repetitions: Repetitions::default(),
            early: EarlyOffers::new(peer.handshake.takes_early_offers),
            remembered: BTreeMap::new(),
            was_lost: false,
            is_incomplete: false,
            outcomes: BTreeMap::new(),
            unconfirmed: None,
            agreed_mailbox: None,
        };
        session.tell_tree()?;
        if !session.waits_for_deletions {
            session.tell_deletions(None);
        }
        Ok(session)
    }

    /// What was done at this side. Complete once the session [is finished](Self::is_finished).
    #[must_use]
    pub fn into_report(mut self) -> Report {
        self.reporter.report.state = self.state_after();
        self.reporter.report
    }

    /// Whether everything has been said.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished) && self.outbox.is_empty()
    }

    /// Whether whoever watches wants the run to end.
    pub(super) fn is_to_stop(&self) -> bool {
        self.reporter.is_to_stop()
    }

    fn store_error(&self, error: StoreError) -> SessionError {
        SessionError::of_store(self.store, error)
    }
}

#[cfg(test)]
mod tests;
