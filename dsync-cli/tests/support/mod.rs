//! How a real Dovecot judges the stores that `dsync` writes.
//!
//! A test makes a [`Dovecot`], asks it for [`Store`]s, fills one through IMAP (see [`build`]), runs the program (see
//! [`program`]), and compares what clients of either store see (see [`snapshot`]).

// Every test file compiles this module for itself and uses only a part of it.
#![allow(dead_code, unreachable_pub, unused_imports)]
// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

pub mod build;
pub mod contents;
pub mod damage;
pub mod dbox;
pub mod dovecot;
pub mod history;
pub mod imap;
pub mod mail;
pub mod mbox;
pub mod mutf7;
pub mod pairs;
pub mod pop3;
#[cfg(feature = "fault-injection")]
pub mod power;
pub mod program;
pub mod release;
pub mod server;
pub mod setup;
pub mod sides;
pub mod snapshot;
pub mod sshd;
pub mod storm;
pub mod untouched;
pub mod user;

pub use dovecot::{Dovecot, Store};
pub use imap::Imap;
pub use mbox::assert_same;
pub use pairs::{Pair, for_each_pair, for_each_pair_of, for_half_of_pairs};
pub use program::Run;
pub use release::Release;
pub use server::Server;
pub use setup::{Driver, Setup};
pub use snapshot::{Difference, Snapshot, assert_equal, differences};
pub use sshd::Sshd;
pub use untouched::Fingerprint;
