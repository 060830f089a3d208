//! Dovecot's dbox formats.
//!
//! * [`message_file`]: the files that hold messages, `m.N` of mdbox and `u.UID` of sdbox, as bytes.

pub mod message_file;
