//! What every [`MailStore`] must pass. Call [`run`] from a test of your store.
//!
//! ```
//! use dsync_core::memory::MemoryStore;
//! dsync_core::conformance::run(&mut || Box::new(MemoryStore::new()));
//! ```
//!
//! A failed check panics and says which promise was broken.

mod contents;
mod fixture;
mod history;
mod names;

use crate::store::MailStore;

/// Makes empty stores. Each call gives a new one that is not connected to the others; it may already hold an empty
/// INBOX. Whatever keeps it alive (a temporary directory) must live as long as the store.
pub type Factory<'a> = dyn FnMut() -> Box<dyn MailStore> + 'a;

/// Runs every check, each on a store of its own.
///
/// # Panics
/// If the store breaks a promise of the traits.
pub fn run(factory: &mut Factory<'_>) {
    contents::run(factory);
    history::run(factory);
    names::run(factory);
}
