//! The values that everything else speaks in: what a mailbox, a message and a tree of mailboxes are.
//!
//! Each type is a newtype or a plain struct whose constructor refuses what the mail world does not allow, so
//! that a value that exists is a valid one and nobody checks it again.

mod agreement;
mod escape;
mod fields;
mod flags;
mod guid;
mod history;
mod keyword;
mod mailbox;
mod message;
mod message_list;
mod message_selection;
mod name;
mod number;
mod role;
mod selection;
mod tree;

pub use agreement::{Agreement, Agreements, Glance};
pub use fields::KeptFields;
pub use flags::Flags;
pub use guid::{GuidText, MailboxGuid, MessageGuid};
pub use history::{FlagHistory, HistoryRange, MailboxHistory, RunTraces, SyncPoint};
pub use keyword::{Keyword, Keywords};
pub use mailbox::{MailboxIdentity, MailboxStatus};
pub use message::{MessageKey, MessageRecord, Pop3Uidl};
pub use message_list::{MessageList, OutOfOrder, Records};
pub use message_selection::{InvalidMark, Mark, MarkSelection, MessageSelection};
pub use name::MailboxName;
pub use number::{ModSeq, Timestamp, Uid, UidValidity};
pub use role::Role;
pub use selection::MailboxSelection;
pub use tree::{MailboxNode, MailboxTree, NameHash, NodeKind, TreeChange, TreeEvent, TreeHistory};
