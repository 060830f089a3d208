//! Runs over the dsync protocol with Dovecot's own program at the other side, in either role.

mod support;

use support::snapshot::SAVED;
use support::{Dovecot, Driver, Fingerprint, Run, Snapshot, Store, assert_equal, build};

/// What Dovecot's program does not take over exactly: it counts on beyond the modification sequences that it is told, drops the
/// POP3 order of messages without a POP3 UIDL, gives a message that is in a mailbox twice the same saved date and POP3 UIDL twice,
/// and saves anew what gets another UID. (A Maildir would not have recent messages either.)
const INEXACT: [&str; 5] = ["highestmodseq", "modseq", "pop3.order", "pop3.uidl", SAVED];

fn assert_like(own: &Store, served: &Store) {
    let [own, served] = [own, served].map(|store| Snapshot::of(store).without(&INEXACT).without_pop3());
    assert_equal(&own, &served);
}

/// Who begins a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Master {
    Dsync,
    Dovecot,
}

/// A store of ours, and one that only Dovecot's program opens.
struct Sides {
    dovecot: Dovecot,
    own: Store,
    served: Store,
}

impl Sides {
    fn of(own: Driver, served: Driver) -> Self {
        let dovecot = Dovecot::new();
        let own = dovecot.store_of("own", own);
        let served = dovecot.store_of("served", served);
        Self { dovecot, own, served }
    }

    fn run(&self, master: Master, command: &[&str]) -> Run {
        match master {
            Master::Dsync => self.dovecot.run_with_server(command, &self.own, &self.served),
            Master::Dovecot => self.dovecot.run_doveadm_with(command, &self.served, &self.own),
        }
    }

    /// Makes the store that Dovecot's program opens a copy of ours.
    fn give(&self, master: Master) -> Run {
        self.run(master, if master == Master::Dsync { &["backup"] } else { &["backup", "-R"] })
    }

    /// Makes our store a copy of the one that Dovecot's program opens.
    fn take(&self, master: Master) -> Run {
        self.run(master, if master == Master::Dsync { &["backup", "-R"] } else { &["backup"] })
    }
}

const BOTH: [Master; 2] = [Master::Dsync, Master::Dovecot];

#[test]
fn what_a_server_gives_arrives_exactly() {
    for (master, drivers) in
        BOTH.into_iter().zip([[Driver::Mdbox, Driver::Maildir], [Driver::Maildir, Driver::Sdbox]])
    {
        let [own, served] = drivers;
        let sides = Sides::of(own, served);
        build::long_lived(&sides.served);
        sides.take(master).assert_done();
        assert_equal(&Snapshot::of(&sides.served), &Snapshot::of(&sides.own));
        build::a_day_of_work(&sides.served, 1, "server");
        // What is done to a copy is undone.
        build::small_work(&sides.own, 1);
        sides.take(master).assert_done();
        assert_equal(&Snapshot::of(&sides.served), &Snapshot::of(&sides.own));
        sides.own.assert_no_complaints();
    }
}

#[test]
fn what_a_server_takes_is_what_we_have() {
    for (master, drivers) in BOTH.into_iter().zip([[Driver::Maildir, Driver::Mdbox], [Driver::Mdbox, Driver::Sdbox]])
    {
        let [own, served] = drivers;
        let sides = Sides::of(own, served);
        build::long_lived(&sides.own);
        sides.own.adopt();
        let before = Fingerprint::of(sides.own.path());
        sides.give(master).assert_done();
        before.assert_unchanged(sides.own.path());
        assert_like(&sides.own, &sides.served);
        build::a_day_of_work(&sides.own, 1, "own");
        sides.give(master).assert_done();
        assert_like(&sides.own, &sides.served);
        sides.served.assert_no_complaints();
    }
}

#[test]
fn both_sides_take_over_what_the_other_did() {
    for (master, drivers) in BOTH.into_iter().zip([[Driver::Maildir, Driver::Mdbox], [Driver::Sdbox, Driver::Mdbox]])
    {
        let [own, served] = drivers;
        let sides = Sides::of(own, served);
        build::long_lived(&sides.own);
        sides.run(master, &["sync"]).assert_done();
        assert_like(&sides.own, &sides.served);
        build::a_day_of_work(&sides.own, 1, "own");
        build::small_work(&sides.served, 1);
        // Dovecot's program plans for two runs.
        for _ in 0..2 {
            sides.run(master, &["sync"]).assert_done();
        }
        assert_like(&sides.own, &sides.served);
        sides.own.assert_no_complaints();
        sides.served.assert_no_complaints();
    }
}

#[test]
fn a_peer_that_fails_costs_nothing() {
    let sides = Sides::of(Driver::Maildir, Driver::Mdbox);
    build::small(&sides.own);
    sides.own.adopt();
    let location = format!("mail_location={}", sides.own.location());
    let server = sides.served.server_words().join(" ");
    let run = |command: &[&str], words: &[&str]| {
        let run = sides.dovecot.dsync(&[&["-o", location.as_str()], command, words].concat());
        assert_eq!(run.code, Some(75), "{run:?}");
        run
    };
    run(&["backup"], &["/nonexistent/program", "x"]).assert_refused("cannot be started");
    run(&["backup"], &["/bin/false", "x"]).assert_refused("ended the conversation");
    run(&["mirror"], &["/bin/sh", "-c", "echo Welcome; cat"]).assert_refused("does not speak the dsync protocol");
    build::small(&sides.served);
    sides.served.adopt();
    // It stops in the middle of a message, or of anything else.
    for bytes in [1300, 2500, 6000] {
        let cut = format!("exec dd status=none bs=1 count={bytes} < <({server})");
        run(&["backup", "-R"], &["/bin/bash", "-c", &cut]).assert_refused("ended the conversation");
    }
    sides.take(Master::Dsync).assert_done();
    assert_equal(&Snapshot::of(&sides.served), &Snapshot::of(&sides.own));
}

#[test]
fn messages_of_an_mbox_are_recognised_by_their_headers() {
    for master in BOTH {
        let sides = Sides::of(Driver::Mbox, Driver::Maildir);
        let assert_counts = |count: usize| {
            let counts = [&sides.own, &sides.served].map(|store| Snapshot::of(store).message_count());
            assert_eq!(counts, [count; 2], "{master:?}");
        };
        build::small(&sides.own);
        sides.give(master).assert_done();
        assert_counts(26);
        build::small_work(&sides.served, 1);
        build::small_work(&sides.own, 2);
        for _ in 0..2 {
            sides.run(master, &["sync"]).assert_done();
        }
        assert_counts(38);
        build::small_work(&sides.served, 3);
        sides.take(master).assert_done();
        assert_counts(44);
        sides.own.assert_no_complaints();
    }
}

#[test]
fn unrelated_mailboxes_of_one_name_become_one() {
    for master in BOTH {
        let sides = Sides::of(Driver::Maildir, Driver::Mdbox);
        build::small(&sides.own);
        build::small(&sides.served);
        let counts = || [&sides.own, &sides.served].map(|store| Snapshot::of(store).message_count());
        sides.own.adopt();
        let before = Fingerprint::of(sides.own.path());
        let ways: [&[&str]; 2] = [&["sync", "-1"], &["sync", "-1", "-R"]];
        let [give, take] = if master == Master::Dsync { ways } else { [ways[1], ways[0]] };
        sides.run(master, give).assert_done();
        before.assert_unchanged(sides.own.path());
        assert_eq!(counts(), [26, 52], "{master:?}");
        sides.run(master, take).assert_done();
        assert_eq!(counts(), [52, 52], "{master:?}");
        for _ in 0..2 {
            sides.run(master, &["sync"]).assert_done();
        }
        assert_like(&sides.own, &sides.served);
    }
}

#[test]
fn a_server_that_remembers_the_last_run_looks_at_everything_in_the_next() {
    let sides = Sides::of(Driver::Maildir, Driver::Mdbox);
    build::small(&sides.served);
    let state = |run: &Run| run.stdout.trim().to_owned();
    let first = sides.run(Master::Dovecot, &["sync", "-s", ""]);
    assert!(first.code == Some(0) && !state(&first).is_empty(), "{first:?}");
    build::small_work(&sides.served, 1);
    let second = sides.run(Master::Dovecot, &["sync", "-s", &state(&first)]);
    assert_eq!((second.code, state(&second)), (Some(2), String::new()), "{second:?}");
    let third = sides.run(Master::Dovecot, &["sync", "-s", &state(&second)]);
    assert!(third.code == Some(0) && !state(&third).is_empty(), "{third:?}");
    assert_like(&sides.own, &sides.served);
}
