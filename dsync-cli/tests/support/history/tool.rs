//! The programs that make two sides equal.

use std::process::Output;

use crate::support::snapshot::SAVED;
use crate::support::{Dovecot, Run, Store};

/// A program for a two-way sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// The program under test.
    Dsync,
    /// The same at both ends of a connection.
    Peers,
    /// The program under test at the left, what Dovecot has for the purpose at the right.
    DsyncAndDoveadm,
    /// What Dovecot has for the purpose.
    Doveadm,
}

impl Tool {
    /// The program that has to keep the promises.
    pub fn under_test() -> Self {
        match std::env::var("DSYNC_TOOL").as_deref() {
            Ok("doveadm") => Self::Doveadm,
            _ => Self::Dsync,
        }
    }

    /// Whether it is the program under test.
    pub fn is_own(self) -> bool {
        self != Self::Doveadm
    }

    /// The facts about mailboxes and messages that it does not make equal.
    pub fn leaves_open(self) -> &'static [&'static str] {
        match self {
            Self::Dsync => &[],
            // Dates come only with the bytes of messages.
            Self::Peers => &[SAVED, "date.received.unixtime"],
            Self::Doveadm | Self::DsyncAndDoveadm => &["modseq", "highestmodseq", "recent", SAVED],
        }
    }

    /// Runs it once.
    pub fn run(self, dovecot: &Dovecot, left: &Store, right: &Store) -> Run {
        left.adopt();
        right.adopt();
        match self {
            Self::Dsync => dovecot.mirror(left, right),
            Self::Peers => dovecot.run_with_peer(&["mirror"], left, right),
            Self::DsyncAndDoveadm => dovecot.run_with_server(&["mirror"], left, right),
            // Without -f it takes mailboxes for equal whose counters are.
            Self::Doveadm => {
                let said = left.log().len();
                let output = left.command(&["sync", "-f", &right.location()]).output().expect("doveadm starts");
                let Output { status, stdout, .. } = output;
                let stdout = String::from_utf8_lossy(&stdout).into_owned();
                Run { code: status.code(), stdout, stderr: left.log().split_off(said) }
            }
        }
    }

    /// Runs it until it has nothing left to do, twice at most, and returns the last run.
    pub fn run_until_done(self, dovecot: &Dovecot, left: &Store, right: &Store) -> Run {
        let first = self.run(dovecot, left, right);
        match self {
            // Over a connection, mailboxes that stay although the other side deleted them arrive there one run later.
            Self::Dsync | Self::Peers if first.code == Some(2) => {
                eprintln!("a second run is needed: {}", first.stderr);
                self.run(dovecot, left, right)
            }
            Self::Dsync | Self::Peers => first,
            // It plans for several runs.
            Self::DsyncAndDoveadm => {
                let last = (0..2).fold(first, |_, _| self.run(dovecot, left, right));
                right.forget_list_index();
                last
            }
            // The first run leaves temporary names, directories, swapped identities and more.
            Self::Doveadm => {
                let last = self.run(dovecot, left, right);
                // It leaves Dovecot's list with deleted mailboxes that have children.
                left.forget_list_index();
                right.forget_list_index();
                last
            }
        }
    }
}
