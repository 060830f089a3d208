//! Random work of mail users at two sides, and what a two-way sync owes them for it.
//!
//! A [`History`] goes like this: a [`Random`] from a seed chooses [`Operation`]s ([`generator`]), a [`Worker`] carries
//! them out at one side through IMAP, and [`Side`] keeps account of what that side holds and what was touched since the
//! sides were last equal. After that, a [`FileWorker`] plays the deliveries and programs that work on the files of a
//! Maildir or an mbox without Dovecot ([`FileOperation`]). From the accounts of both sides follow the [`Promises`] that the [`Tool`] has to keep when it
//! makes them equal again; whether it did, a [`View`] of the outcome tells. [`runs`] says which histories are tried,
//! [`Findings`] what Dovecot's own program does with them.

pub mod account;
pub mod file_account;
pub mod file_generator;
pub mod file_operation;
pub mod file_worker;
pub mod findings;
pub mod generator;
pub mod journal;
pub mod naming;
pub mod operation;
pub mod outcome;
pub mod promises;
pub mod random;
pub mod runs;
pub mod side;
pub mod tool;
pub mod two_sides;
pub mod view;
pub mod worker;

pub use file_operation::FileOperation;
pub use file_worker::{FileWorker, Files};
pub use findings::{Findings, RealOutcome};
pub use generator::Phase;
pub use journal::Journal;
pub use operation::{Operation, Target};
pub use promises::{Broken, Kind, Promises};
pub use random::Random;
pub use runs::{Format, assert_none, for_each_history};
pub use side::Side;
pub use tool::Tool;
pub use two_sides::{History, Worked};
pub use view::View;
pub use worker::Worker;
