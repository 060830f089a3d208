//! What is the same for all mailboxes of a run.

use super::header_hash::Hashing;
use super::part::Part;
use crate::model::{MessageSelection, Role};

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
    /// Both sides say whether they hold a mailbox, and whether it has to be offered again.
    pub(super) in_turn: bool,
    /// The peer leaves alone what is missing in a mailbox that cannot be read as a whole.
    pub(super) takes_partial: bool,
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
