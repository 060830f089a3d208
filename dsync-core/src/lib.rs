//! Mailbox synchronisation without I/O of its own, but for the two byte streams of a
//! [`Connection`](session::remote::Connection): the data model, the interface of a mail store, and the algorithm that
//! makes two stores equal.
//!
//! A run takes two stores and an observer. [`backup`] makes the second store a copy of the first, [`mirror`] merges both,
//! [`merge_one_way`] lets the second take over what was done in the first, and [`verify()`] compares them.
//!
//! ```
//! use dsync_core::memory::MemoryStore;
//! use dsync_core::model::MailboxName;
//! use dsync_core::{Event, Observer, SessionError, SyncOptions, backup};
//!
//! /// Shows progress, and ends a run that takes too much.
//! #[derive(Default)]
//! struct Watch {
//!     bytes: u64,
//! }
//!
//! impl Observer for Watch {
//!     fn event(&mut self, store: &str, event: Event<'_>) {
//!         match event {
//!             Event::MessageSaved(mailbox, size) => {
//!                 self.bytes += size.unwrap_or(0);
//!                 eprintln!("{store}: {mailbox}: {} bytes", self.bytes);
//!             }
//!             Event::Problem(problem) => eprintln!("{problem}"),
//!             _ => {}
//!         }
//!     }
//!
//!     fn is_to_stop(&self) -> bool {
//!         self.bytes > 1 << 30
//!     }
//! }
//!
//! let (mut mail, mut copy) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
//! mail.deliver(&MailboxName::inbox(), b"Subject: hello\n\nworld\n");
//! match backup(&mut mail, &mut copy, &SyncOptions::default(), &mut Watch::default()) {
//!     Ok(report) => assert_eq!((report.counts.messages_saved, report.problems.len()), (1, 0)),
//!     Err(SessionError::Stopped) => eprintln!("another run goes on from there"),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Real stores are in the crate `dsync-storage`; a storage of your own implements the traits in [`store`]. Stores, options, reports and
//! errors can be sent to other threads. There is no global state.
//!
//! * [`model`]: the values of the mail world (UIDs, modseqs, GUIDs, flags, names) as types that cannot be wrong.
//! * [`store`]: the [`MailStore`] and [`Mailbox`] traits, the only door to
//!   storage.
//! * [`tree`]: the decision which mailboxes to rename, delete or create, in one direction or both. Pure.
//! * [`merge`]: the decision what to change in one mailbox. Pure.
//! * [`session`]: one side of a run, a state machine that exchanges messages with its peer.
//! * [`sync`]: two sessions in one process, joined to a run.
//! * [`mod@verify`]: whether two stores are the same.
//! * [`wire`]: what two sides on different hosts say to each other, as bytes.
//! * [`rehearsal`]: stores that only pretend to change.
//! * [`state`]: what is known after a run, as text.
//! * [`report`]: what was done, what could not be done, and the exit status that it means.
//! * [`memory`]: a store in memory, for tests and examples.
//! * [`conformance`]: what every store must pass.
#![forbid(unsafe_code)]

pub mod conformance;
pub mod memory;
pub mod merge;
pub mod model;
pub mod rehearsal;
pub mod report;
pub mod session;
pub mod state;
pub mod store;
pub mod sync;
pub mod tree;
pub mod verify;
pub mod wire;

pub use report::{Event, Observer, Report, Unobserved};
pub use session::{SessionError, SyncOptions};
pub use store::{MailStore, Mailbox, StoreError};
pub use sync::{backup, merge_one_way, mirror};
pub use verify::{Verification, VerifyOptions, verify};

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever embeds the library may have threads.
    #[test]
    fn what_comes_out_can_go_to_other_threads() {
        fn is_sent<T: Send>() {}
        fn is_shared<T: Send + Sync>() {}
        is_sent::<Box<dyn MailStore>>();
        is_sent::<Box<dyn Mailbox>>();
        is_sent::<store::MessageBody>();
        is_shared::<SyncOptions>();
        is_shared::<Report>();
        is_shared::<Verification>();
        is_shared::<SessionError>();
        is_shared::<StoreError>();
    }
}
