//! Mailbox names, layouts and lists.
