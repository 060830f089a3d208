//! The From_ line, by which every message of an mbox begins.

use dsync_core::model::Timestamp;

/// What a From_ line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FromLine {
    /// When the message was received.
    pub received: Timestamp,
}

/// The From_ line at the beginning of `buffer`, if there is a valid one.
///
/// `buffer` is what is left of the file, or a good part of that, not only the line.
#[must_use]
pub fn parse(buffer: &[u8]) -> Option<FromLine> {
    todo!("{}", buffer.len())
}

/// The From_ line of a message, with its line end. It says the same to every server, wherever that is.
#[must_use]
pub fn encode(received: Timestamp) -> Vec<u8> {
    todo!("{received:?}")
}
