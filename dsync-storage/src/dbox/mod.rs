//! mdbox and sdbox: everything about a message but its bytes is in an index, as servers share it.
//!
//! * [`message_file`], [`map`], [`header`]: the formats, as bytes.
//! * `storage`, `single`: where the messages of an mdbox and of an sdbox are. `snapshot`: from there to what clients see.
//! * `staging`, `commit_plan`, `commit`: from wanted changes to the files; `single_files` for
//!   those of an sdbox. `locked_map` changes the map of an mdbox, `growth`
//!   adds to its files, `references` puts it right after a crash, `known` finds messages that are there already.
//! * `listing`, `removal`: the tree of mailboxes. `purge`: freeing what is no longer used.
//! * [`DboxStore`]: all of it behind the traits.

mod commit;
mod commit_plan;
mod growth;
#[doc(hidden)]
pub mod header;
mod known;
mod listing;
mod locked_map;
mod mailbox;
#[doc(hidden)]
pub mod map;
mod marks;
#[doc(hidden)]
pub mod message_file;
mod purge;
mod references;
mod removal;
mod shared;
mod single;
mod single_files;
mod snapshot;
mod sources;
mod staging;
mod storage;
mod store;

pub use purge::PurgeReport;
pub use store::DboxStore;
