//! The mail index and its transaction log.
