//! How much of what a peer sends is taken. A peer that goes beyond these is broken or hostile.

/// Bytes of one row, and of one line of the headers. The longest that real peers send are lists of deleted mailboxes and
/// values of attributes.
pub const ROW: usize = 4 << 20;
/// Lines of the headers. Real peers send eleven.
pub const HEADER_LINES: usize = 64;
/// Columns of one item.
pub const COLUMNS: usize = 256;
/// Keywords of one message.
pub const KEYWORDS: usize = 4096;
/// Names, headers and cache fields in one value.
pub const LIST: usize = 4096;
/// Deleted mailboxes, directories and subscriptions, each. A server's log has room for a few hundred.
pub const DELETIONS: usize = 1 << 16;
