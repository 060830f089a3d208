//! Mail stores on disk, as a live Dovecot shares them, behind the traits of `dsync-core`.
//!
//! * [`content`]: from the bytes that a store keeps to those of the message: compression, attachments elsewhere.
//! * [`dbox`]: what mdbox and sdbox stores consist of.
//! * [`mod@dump`]: files of a store as text.
//! * [`fs`]: every change of the file system goes through here: durable, atomic, locked.
//! * [`index`]: the mail index and its transaction log.
//! * [`list`]: mailbox names and layouts, subscriptions, change log.
//! * [`location`]: a location as text, such as `maildir:~/Maildir`.
//! * [`maildir`]: the Maildir store.
//! * [`mbox`]: what mbox stores consist of.
//! * [`names`]: names that a layout cannot hold, mapped to others and back.
//! * [`settings`]: settings of the server that change how stores are read and written.
//!
//! [`open`] and [`open_read_only`] give the store at a location, whatever its format is.
#![deny(unsafe_op_in_unsafe_fn)]

pub mod content;
pub mod dbox;
pub mod dump;
pub mod fs;
mod incoming;
pub mod index;
pub mod list;
pub mod location;
pub mod maildir;
pub mod mbox;
pub mod names;
mod open;
pub mod settings;
mod text;

pub use open::{open, open_read_only};
