//! One side of a run: a state machine that takes and gives typed messages.
//!
//! ```text
//!     source                                     destination
//!     Hello                    ────────▶
//!                              ◀────────         Hello
//!     Node… TreeEnd            ────────▶         plans and changes its tree
//!     Glance                   ────────▶         looks whether both sides agreed when they looked like that
//!                              ◀────────         Same, or Look:
//!     Offer                    ────────▶         opens the mailbox, compares counters and digest
//!                              ◀────────         Same, or Different:
//!     Records Notes… RecordsEnd ───────▶         plans
//!                              ◀────────         Request
//!     Body…                    ────────▶         saves each, then commits
//!                              ◀────────         Done (or Retry: the mailbox is offered once more)
//!     Finish                   ────────▶
//!                              ◀────────         Finish
//! ```
//!
//! A mirror has two sessions of one kind ([`MirrorSession`]); the master begins and says which mailbox comes next:
//!
//! ```text
//!     master                                     slave
//!     Hello                    ────────▶
//!                              ◀────────         Hello
//!     Node… TreeEvent… TreeEnd ◀───────▶         Node… TreeEvent… TreeEnd
//!     Amendments               ◀───────▶         Amendments           both merge the trees and change their own
//!     Glance                   ────────▶
//!                              ◀────────         Same, or Look:
//!     Offer                    ────────▶
//!                              ◀────────         Summary (or Refused); if both are the same, that is all
//!     Changes ChangesEnd       ◀───────▶         Changes ChangesEnd   both merge and plan
//!     Request Body…            ◀───────▶         Request Body…        both commit
//!     Outcome                  ◀───────▶         Outcome              both remember, or it is offered once more
//!     Agreed Finish            ────────▶
//!                              ◀────────         Finish
//! ```
//!
//! A list of messages is handed over as a whole: both sides share its memory.
//!
//! A session does no I/O but through its store. Whoever drives it passes messages on: [`Session::next`] gives one,
//! produced only when it is asked for (so a body is opened when it can be taken), [`Session::receive`] takes one.
//! [`crate::sync`] does that for two stores in one process.

mod agreeing;
mod all_mail;
mod content;
mod destination;
#[cfg(test)]
mod disturbed;
mod error;
mod message;
mod mirror;
mod opening;
mod options;
mod receiving;
pub mod remote;
mod reporting;
mod selecting;
mod settle;
mod source;
mod tree_changes;

use sha1::{Digest, Sha1};

use crate::model::{MailboxStatus, SyncPoint};

pub(crate) use content::content;
pub use destination::DestinationSession;
pub use error::SessionError;
pub use message::{Amendments, Difference, Greeting, ListedContent, ListedNote, MailboxSummary, Message, Outcome};
pub use mirror::MirrorSession;
pub use options::SyncOptions;

pub use source::SourceSession;

/// How a store is called in sync points.
fn peer_label(id: &str) -> [u8; 8] {
    Sha1::digest(id.as_bytes()).first_chunk().copied().unwrap_or_default()
}

/// A moment at which a mailbox was the same as at `peer`; `None` if something is not decided yet.
fn sync_point(status: &MailboxStatus, fingerprint: [u8; 16], peer: [u8; 8]) -> Option<SyncPoint> {
    Some(SyncPoint {
        fingerprint,
        uid_validity: status.identity.uid_validity?,
        uid_next: status.uid_next,
        highest_modseq: status.highest_modseq?,
        peer,
    })
}

/// One side of a run.
pub trait Session {
    /// Takes a message of the peer.
    ///
    /// # Errors
    /// If the peer said what it must not say now, or the own store fails. The session is over then.
    fn receive(&mut self, message: Message) -> Result<(), SessionError>;

    /// The next message for the peer, `None` if the peer has to speak first or the run is over.
    ///
    /// # Errors
    /// If the own store fails. The session is over then.
    fn next(&mut self) -> Result<Option<Message>, SessionError>;

    /// Whether everything has been said.
    fn is_finished(&self) -> bool;
}

#[cfg(test)]
mod tests;
