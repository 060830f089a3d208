//! What can be wrong with what a peer sends.

use thiserror::Error;

use super::ItemKind;

/// Bytes that are no dsync protocol, or none that can be understood. The conversation is over then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// The first line is no version.
    #[error(
        "the other side does not speak the dsync protocol: it began with {0}. Check the command, and that nothing (a \
         login message) is printed before it starts"
    )]
    NotDsync(String),
    /// Another major version.
    #[error("the other side speaks version {0} of the dsync protocol, this program speaks version 3")]
    Version(String),
    /// A line without an end.
    #[error("the other side sent a line of more than {0} bytes")]
    TooLong(usize),
    /// The headers lack an item.
    #[error("the other side did not say what its {0} rows look like")]
    NoHeader(ItemKind),
    /// The headers lack a column that must be there.
    #[error("the other side does not send {column} in its {item} rows")]
    NoColumn {
        /// The item.
        item: ItemKind,
        /// The column.
        column: &'static str,
    },
    /// The headers are too long or have no sense.
    #[error("the other side sent headers that cannot be understood: {0}")]
    Headers(&'static str),
    /// A row begins with a character that no item has.
    #[error("the other side sent a row of an unknown kind: {0}")]
    UnknownItem(String),
    /// A row has more values than its header has columns.
    #[error("the other side sent a {0} row with too many values")]
    TooManyValues(ItemKind),
    /// A value is missing that must be there.
    #[error("the other side sent a {item} row without {column}")]
    Missing {
        /// The item.
        item: ItemKind,
        /// The column.
        column: &'static str,
    },
    /// A value cannot be what it is.
    #[error("the other side sent a {item} row with {column} {value}")]
    Invalid {
        /// The item.
        item: ItemKind,
        /// The column.
        column: &'static str,
        /// The value, or the beginning of it, for people.
        value: String,
    },
    /// A list is longer than it can be.
    #[error("the other side sent a {item} row with more than {limit} entries in {column}")]
    TooMany {
        /// The item.
        item: ItemKind,
        /// The column.
        column: &'static str,
        /// The limit.
        limit: usize,
    },
}
