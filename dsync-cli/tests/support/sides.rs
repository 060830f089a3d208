//! A store of ours, and another one that Dovecot's own program opens as the other side of a run.

use super::snapshot::SAVED;
use super::{Dovecot, Driver, Fingerprint, Run, Snapshot, Store, assert_equal, build};

/// What Dovecot's program does not take over exactly: it counts on beyond the modification sequences that it is told, drops the
/// POP3 order of messages without a POP3 UIDL, gives a message that is in a mailbox twice the same saved date and POP3 UIDL twice,
/// and saves anew what gets another UID. (A Maildir would not have recent messages either.)
pub const INEXACT: [&str; 5] = ["highestmodseq", "modseq", "pop3.order", "pop3.uidl", SAVED];

/// # Panics
/// If clients see anything but that at the two sides that is not the same.
pub fn assert_like(own: &Store, served: &Store) {
    let [own, served] = [own, served].map(|store| Snapshot::of(store).without(&INEXACT).without_pop3());
    assert_equal(&own, &served);
}

/// Who begins a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Master {
    Dsync,
    Dovecot,
}

/// A store of ours, and one that only Dovecot's program opens.
pub struct Sides {
    pub dovecot: Dovecot,
    pub own: Store,
    pub served: Store,
}

impl Sides {
    pub fn of(own: Driver, served: Driver) -> Self {
        Self::with(Dovecot::new(), own, served)
    }

    pub fn with(dovecot: Dovecot, own: Driver, served: Driver) -> Self {
        let own = dovecot.store_of("own", own);
        let served = dovecot.store_of("served", served);
        Self { dovecot, own, served }
    }

    pub fn run(&self, master: Master, command: &[&str]) -> Run {
        match master {
            Master::Dsync => self.dovecot.run_with_server(command, &self.own, &self.served),
            Master::Dovecot => self.dovecot.run_doveadm_with(command, &self.served, &self.own),
        }
    }

    /// What Dovecot's program has arrives here exactly, also after work on both sides: what was done to a copy is undone.
    ///
    /// # Panics
    /// If anything differs.
    pub fn assert_taken_exactly(&self, master: Master) {
        build::long_lived(&self.served);
        self.take(master).assert_done();
        assert_equal(&Snapshot::of(&self.served), &Snapshot::of(&self.own));
        build::a_day_of_work(&self.served, 1, "server");
        build::small_work(&self.own, 1);
        self.take(master).assert_done();
        assert_equal(&Snapshot::of(&self.served), &Snapshot::of(&self.own));
        self.own.assert_no_complaints();
    }

    /// What we have arrives there, and nothing changes here.
    ///
    /// # Panics
    /// If anything differs.
    pub fn assert_given(&self, master: Master) {
        build::long_lived(&self.own);
        self.own.adopt();
        let before = Fingerprint::of(self.own.path());
        self.give(master).assert_done();
        before.assert_unchanged(self.own.path());
        assert_like(&self.own, &self.served);
        build::a_day_of_work(&self.own, 1, "own");
        self.give(master).assert_done();
        assert_like(&self.own, &self.served);
        self.served.assert_no_complaints();
    }

    /// Each side takes over what was done at the other.
    ///
    /// # Panics
    /// If anything differs.
    pub fn assert_merged(&self, master: Master) {
        build::long_lived(&self.own);
        self.run(master, &["sync"]).assert_done();
        assert_like(&self.own, &self.served);
        build::a_day_of_work(&self.own, 1, "own");
        build::small_work(&self.served, 1);
        // Dovecot's program plans for two runs.
        for _ in 0..2 {
            self.run(master, &["sync"]).assert_done();
        }
        assert_like(&self.own, &self.served);
        self.own.assert_no_complaints();
        self.served.assert_no_complaints();
    }

    /// Makes the store that Dovecot's program opens a copy of ours.
    pub fn give(&self, master: Master) -> Run {
        self.run(master, if master == Master::Dsync { &["backup"] } else { &["backup", "-R"] })
    }

    /// Makes our store a copy of the one that Dovecot's program opens.
    pub fn take(&self, master: Master) -> Run {
        self.run(master, if master == Master::Dsync { &["backup", "-R"] } else { &["backup"] })
    }
}

/// Either of them.
pub const BOTH: [Master; 2] = [Master::Dsync, Master::Dovecot];
