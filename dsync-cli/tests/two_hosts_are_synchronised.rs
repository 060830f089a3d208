//! Runs over the dsync protocol with this program at both ends.

mod support;

use support::mbox::decide_saved_dates;
use support::{Dovecot, Driver, Fingerprint, Store, assert_same, build};

fn stores(drivers: [Driver; 2]) -> (Dovecot, Store, Store) {
    let dovecot = Dovecot::new();
    let first = dovecot.store_of("first", drivers[0]);
    let second = dovecot.store_of("second", drivers[1]);
    (dovecot, first, second)
}

#[test]
fn a_copy_on_another_host_is_exact() {
    for (drivers, pull) in [
        ([Driver::Maildir, Driver::Mdbox], false),
        ([Driver::Sdbox, Driver::Maildir], true),
        ([Driver::Maildir, Driver::Mbox], false),
        ([Driver::Mbox, Driver::Sdbox], true),
    ] {
        let (dovecot, source, copy) = stores(drivers);
        let run = || {
            let run = match pull {
                false => dovecot.run_with_peer(&["backup"], &source, &copy),
                true => dovecot.run_with_peer(&["backup", "-R"], &copy, &source),
            };
            run.assert_done();
        };
        build::small(&source);
        decide_saved_dates(&source);
        source.adopt();
        let before = Fingerprint::of(source.path());
        run();
        before.assert_unchanged(source.path());
        assert_same(&source, &copy);
        build::small_work(&source, 0);
        decide_saved_dates(&source);
        run();
        assert_same(&source, &copy);
        // Dovecot may have written its indexes anew; then it has to be found out once that both are equal.
        run();
        copy.adopt();
        let done = Fingerprint::of(copy.path());
        run();
        done.assert_unchanged(copy.path());
        copy.assert_no_complaints();
    }
}

#[test]
fn a_mirror_on_another_host_loses_nothing() {
    for drivers in [[Driver::Maildir, Driver::Mdbox], [Driver::Mbox, Driver::Maildir]] {
        let (dovecot, first, second) = stores(drivers);
        build::small(&first);
        decide_saved_dates(&first);
        dovecot.run_with_peer(&["mirror"], &first, &second).assert_done();
        assert_same(&first, &second);
        build::small_work(&first, 0);
        build::small_work(&second, 1);
        decide_saved_dates(&first);
        dovecot.run_with_peer(&["mirror"], &first, &second).assert_done();
        assert_same(&first, &second);
    }
}

#[test]
fn what_was_expunged_from_an_mbox_stays_expunged() {
    for drivers in [[Driver::Mbox, Driver::Mbox], [Driver::Mbox, Driver::Maildir], [Driver::Maildir, Driver::Mbox]] {
        for first_is_left in [true, false] {
            let (dovecot, first, second) = stores(drivers);
            let mut imap = first.imap();
            imap.create("a");
            for text in ["one", "two"] {
                imap.append("INBOX", "", &support::mail::plain(text));
            }
            imap.append("a", "", &support::mail::plain("one"));
            imap.logout();
            dovecot.backup(&first, &second).assert_done();
            dovecot.run_with_peer(&["mirror"], &first, &second).assert_done();
            let mut imap = if first_is_left { first.imap() } else { second.imap() };
            for mailbox in ["INBOX", "a"] {
                imap.select(mailbox);
                imap.expunge("1");
            }
            imap.logout();
            let run = dovecot.run_with_peer(&["-D", "mirror"], &first, &second);
            let counts = [&first, &second].map(|store| support::Snapshot::of(store).message_count());
            assert_eq!(counts, [1, 1], "{drivers:?} {first_is_left} {}", run.stderr);
        }
    }
}
