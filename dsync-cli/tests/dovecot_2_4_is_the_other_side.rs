//! Runs over the dsync protocol with the program of a Dovecot 2.4 at the other side, in either role, and what that Dovecot thinks
//! of the stores.

mod support;

use support::sides::{BOTH, Sides};
use support::{Dovecot, Driver, Release, Snapshot, assert_same, build};

fn newer() -> Option<Dovecot> {
    Release::newer().map(Dovecot::of)
}

#[test]
fn what_it_gives_arrives_exactly() {
    for (master, drivers) in
        BOTH.into_iter().zip([[Driver::Mdbox, Driver::Maildir], [Driver::Maildir, Driver::Sdbox]])
    {
        let Some(dovecot) = newer() else { return };
        let sides = Sides::with(dovecot, drivers[0], drivers[1]);
        sides.assert_taken_exactly(master);
    }
}

#[test]
fn what_it_takes_is_what_we_have() {
    for (master, drivers) in BOTH.into_iter().zip([[Driver::Maildir, Driver::Mdbox], [Driver::Mdbox, Driver::Sdbox]])
    {
        let Some(dovecot) = newer() else { return };
        let sides = Sides::with(dovecot, drivers[0], drivers[1]);
        sides.assert_given(master);
    }
}

#[test]
fn it_and_we_take_over_what_the_other_did() {
    for (master, drivers) in BOTH.into_iter().zip([[Driver::Maildir, Driver::Mdbox], [Driver::Sdbox, Driver::Mdbox]])
    {
        let Some(dovecot) = newer() else { return };
        let sides = Sides::with(dovecot, drivers[0], drivers[1]);
        sides.assert_merged(master);
    }
}

#[test]
fn it_reads_an_mbox_of_ours() {
    for master in BOTH {
        let Some(dovecot) = newer() else { return };
        let sides = Sides::with(dovecot, Driver::Mbox, Driver::Maildir);
        build::small(&sides.served);
        sides.take(master).assert_done();
        assert_same(&sides.served, &sides.own);
        build::small_work(&sides.own, 1);
        build::small_work(&sides.served, 2);
        for _ in 0..2 {
            sides.run(master, &["sync"]).assert_done();
        }
        let counts = [&sides.own, &sides.served].map(|store| Snapshot::of(store).message_count());
        assert_eq!(counts, [38; 2], "{master:?}");
        sides.own.assert_no_complaints();
        sides.served.assert_no_complaints();
    }
}
