//! The dsync protocol, version 3: what two sides of a run say to each other, as bytes. No I/O.
//!
//! ```text
//!     stream     = version headers "." LF handshake *( row | "." LF | body )
//!     version    = "VERSION" TAB "dsync" TAB "3" TAB minor LF
//!     headers    = *( item-character column *( TAB column ) LF )
//!     row        = item-character [ value *( TAB value ) ] LF
//!     body       = stuffed-bytes CR LF "." CR LF
//! ```
//!
//! Each side says in its headers which columns its rows will have, and values are found by the names of the columns
//! ([`Layouts`]). A line with a dot ends a list. A row of an attribute or a mail may be followed by a [body].
//!
//! [`Decoder`] takes bytes as they come and gives what they say, [`Encoder`] is the other way round. Both know nothing of
//! the order in which things have to be said. What a peer sends is bounded by the [limits] before it takes memory.
//!
//! | minor version | since Dovecot | adds |
//! |---|---|---|
//! | 1 | 2.2.0 | attributes |
//! | 2 | 2.2.6 | `have_save_guids` |
//! | 3 | 2.2.17 | the [finish](Finish) row |
//! | 4 | 2.2.22 | header hashes that are the same whatever a server does to white space |
//! | 6 | 2.4.5 | the source of a backup lists all attributes |
//!
//! What is tolerated of real peers: unknown items and columns in headers, a higher minor version, a CR before the LF of a
//! row, bodies that begin with a dot that was not stuffed ([`BodyDecoder`]).

pub mod body;
mod decoder;
mod encoder;
mod error;
mod item;
mod items;
mod layout;
pub mod limits;
mod row;
mod value;

pub use body::{BodyDecoder, BodyEncoder};
pub use decoder::{Decoder, Incoming};
pub use encoder::Encoder;
pub use error::WireError;
pub use item::{Item, ItemKind};
pub use items::{
    Attribute, CacheDecision, CacheField, Change, ChangeKind, Deletions, Existence, Finish, Handshake, HeaderHash,
    KeywordChange, KeywordChangeKind, Mail, MailRequest, MailboxInfo, MailboxState, SyncType, TreeNode,
};
pub use layout::Layouts;

/// The version of the protocol: peers with another one cannot be understood.
pub const MAJOR_VERSION: u32 = 3;
/// What this side can do beyond it. Not 6, because that would promise to send attributes.
pub const MINOR_VERSION: u32 = 5;
