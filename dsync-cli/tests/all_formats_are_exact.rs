//! A backup from any format into any format is exact, stays exact whatever is done on either side, and leaves stores that
//! Dovecot goes on working with as with its own.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::thread::sleep;
use std::time::Duration;

use support::{
    Driver, Fingerprint, Pair, Snapshot, assert_equal, assert_same, build, for_each_pair, for_each_pair_of,
    for_half_of_pairs, mail, mbox,
};

/// Runs a backup, which must not touch the source, and another one, which must find nothing to do. Then clients must see
/// no difference, and Dovecot nothing to complain about.
fn back_up_and_compare(pair: &Pair) {
    let (source, destination) = (&pair.source, &pair.destination);
    mbox::decide_saved_dates(source);
    let before = Fingerprint::of(source.path());
    pair.dovecot.backup(source, destination).assert_done();
    let written = Fingerprint::of(destination.path());
    pair.dovecot.backup(source, destination).assert_done();
    written.assert_unchanged(destination.path());
    before.assert_unchanged(source.path());
    destination.assert_nothing_hidden();
    assert_same(source, destination);
    source.assert_no_complaints();
    destination.assert_no_complaints();
}

fn backed_up(pair: &Pair) {
    build::long_lived(&pair.source);
    // A saved date that is not kept must differ.
    sleep(Duration::from_millis(1100));
    back_up_and_compare(pair);
}

#[test]
fn the_first_backup_and_what_was_done_at_the_source() {
    for_each_pair(|pair| {
        backed_up(pair);
        if pair.source.driver() == Driver::Mbox && pair.destination.driver() != Driver::Mbox {
            mbox::assert_guids_differ(&Snapshot::of(&pair.destination));
        }
        // What Dovecot wrote down while it looked changes nothing.
        back_up_and_compare(pair);
        build::a_day_of_work(&pair.source, 1, "source");
        back_up_and_compare(pair);
        build::maintain(&pair.source);
        build::a_day_of_work(&pair.source, 2, "source");
        back_up_and_compare(pair);
        pair.source.force_resync();
        back_up_and_compare(pair);
    });
}

#[test]
fn what_was_done_at_the_destination() {
    // The next test does much of that with all of them.
    for_half_of_pairs(1, |pair| {
        backed_up(pair);
        build::a_day_of_work(&pair.destination, 1, "destination");
        pair.destination.assert_no_complaints();
        back_up_and_compare(pair);
        build::a_day_of_work(&pair.destination, 1, "destination");
        build::maintain(&pair.destination);
        build::a_day_of_work(&pair.destination, 2, "destination");
        pair.destination.assert_no_complaints();
        back_up_and_compare(pair);
        pair.destination.force_resync();
        pair.destination.assert_no_complaints();
        back_up_and_compare(pair);
    });
}

#[test]
fn what_was_done_on_both_sides() {
    for_each_pair(|pair| {
        backed_up(pair);
        for round in 1..=2 {
            build::a_day_of_work(&pair.source, round, "source");
            build::a_day_of_work(&pair.destination, round, "destination");
            build::maintain(&pair.destination);
            back_up_and_compare(pair);
        }
    });
}

#[test]
fn stores_whose_parts_are_in_many_places() {
    for_each_pair_of(Driver::spread, |pair| {
        build::long_lived(&pair.source);
        pair.source.move_to_alternative("uid 30:200");
        back_up_and_compare(pair);
        pair.source.move_to_alternative("uid 2:29");
        pair.destination.move_to_alternative("uid 100:250");
        build::a_day_of_work(&pair.source, 1, "source");
        back_up_and_compare(pair);
        build::a_day_of_work(&pair.destination, 2, "destination");
        build::maintain(&pair.destination);
        back_up_and_compare(pair);
    });
}

#[test]
fn a_source_that_may_not_be_written() {
    for_half_of_pairs(0, |pair| {
        build::small(&pair.source);
        mbox::decide_saved_dates(&pair.source);
        pair.source.allow_writing(false);
        let before = Fingerprint::of(pair.source.path());
        let run = pair.dovecot.backup(&pair.source, &pair.destination);
        before.assert_unchanged(pair.source.path());
        pair.source.allow_writing(true);
        run.assert_done();
        // The ctimes of the files are other ones now, and what is known of saved dates alone makes no difference to an mbox.
        pair.dovecot.run_on(&["backup", "-f"], &pair.source, &pair.destination).assert_done();
        back_up_and_compare(pair);
    });
}

#[test]
fn a_store_with_nothing_but_an_empty_inbox() {
    for_each_pair(|pair| {
        pair.source.imap().logout();
        pair.source.doveadm(&["mailbox", "status", "uidnext", "INBOX"]);
        back_up_and_compare(pair);
        let mut imap = pair.destination.imap();
        imap.append("INBOX", "", &mail::plain("the first"));
        imap.logout();
        back_up_and_compare(pair);
    });
}

/// Until then servers did not look for POP3 data in the copies beside them.
#[test]
fn pop3_data_of_a_late_message() {
    for driver in [Driver::Mdbox, Driver::Sdbox] {
        let pair = Pair::of(driver, Driver::Maildir);
        let mirror = || {
            pair.dovecot.mirror(&pair.source, &pair.destination).assert_done();
            assert_equal(&Snapshot::of(&pair.source), &Snapshot::of(&pair.destination));
            pair.source.assert_no_complaints();
            pair.destination.assert_no_complaints();
        };
        build::long_lived(&pair.source);
        mirror();
        let mut imap = pair.destination.imap();
        imap.append("INBOX", "", &mail::plain("late"));
        imap.logout();
        build::add_late_pop3_data(&pair.destination);
        mirror();
    }
}

#[test]
fn a_client_that_knows_the_source_resumes_at_the_destination() {
    for_half_of_pairs(1, |pair| {
        build::small(&pair.source);
        let before = Snapshot::of(&pair.source);
        let validity = before.mailbox("INBOX", "uidvalidity").unwrap();
        let known = before.mailbox("INBOX", "highestmodseq").unwrap();
        let mut imap = pair.source.imap();
        imap.select("INBOX");
        imap.expunge("2");
        imap.store("4", "+FLAGS", "(\\Answered)");
        imap.logout();
        back_up_and_compare(pair);
        let mut imap = pair.destination.imap();
        imap.command("ENABLE QRESYNC");
        let news = imap.command(&format!("SELECT INBOX (QRESYNC ({validity} {known}))"));
        let news: Vec<_> = news.into_iter().map(|response| response.line).collect();
        let vanished = news.iter().find(|line| line.starts_with("* VANISHED (EARLIER)"));
        assert!(vanished.is_some_and(|line| line.contains('2')), "{news:?}");
        assert!(news.iter().any(|line| line.contains("FETCH") && line.contains("UID 4 ")), "{news:?}");
        imap.logout();
    });
}

#[test]
fn sessions_that_are_open_on_either_side_go_on() {
    for_half_of_pairs(2, |pair| {
        build::small(&pair.source);
        back_up_and_compare(pair);
        let (mut at_source, mut at_destination) = (pair.source.imap(), pair.destination.imap());
        at_source.select("INBOX");
        at_destination.select("INBOX");
        let uid = at_source.append("INBOX", "(\\Seen fresh)", &mail::plain("while somebody looks"));
        at_source.expunge("1");
        at_source.copy("2", "Work");
        at_source.store("4", "+FLAGS", "(\\Flagged fresh)");
        pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
        let news: Vec<_> = at_destination.command("NOOP").into_iter().map(|response| response.line).collect();
        assert!(news.iter().any(|line| line.ends_with("EXISTS")), "the new message is not announced: {news:?}");
        let uids = at_destination.uids();
        assert!(!uids.contains(&1) && uids.contains(&uid), "{uids:?}");
        let seen = at_destination.command(&format!("UID FETCH {uid},4 (FLAGS BODY.PEEK[])"));
        assert_eq!(seen.iter().filter(|it| it.line.contains("fresh")).count(), 2, "{seen:?}");
        // Both do more, in the sessions that they have had all the time.
        at_destination.store("4", "-FLAGS", "(fresh)");
        at_destination.copy("4:5", "Work");
        at_destination.expunge("5");
        at_source.store("5", "+FLAGS", "(\\Draft)");
        at_source.move_to("6", "Work");
        at_source.logout();
        at_destination.logout();
        back_up_and_compare(pair);
    });
}

/// What a plugin packed stays readable for a server that has no such plugin.
#[test]
fn compressed_messages() {
    for driver in [Driver::Mdbox, Driver::Sdbox] {
        for algorithm in ["gz", "bz2", "zstd", "lz4"] {
            let source = driver.setting("mail_plugins = zlib");
            let source = source.setting(&format!("plugin {{\n  zlib_save = {algorithm}\n}}"));
            for destination in Driver::ALL {
                eprintln!("{algorithm} in {} to {}", driver.name(), destination.name());
                let pair = Pair::of(source.clone(), destination);
                build::small(&pair.source);
                back_up_and_compare(&pair);
            }
        }
    }
}
