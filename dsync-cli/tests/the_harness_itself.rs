//! The judge must be able to tell equal from different, or nothing that it says counts.

mod support;

use std::fs;

use support::history::Tool;
use support::{
    Difference, Dovecot, Driver, Fingerprint, Setup, Snapshot, Store, assert_equal, build, dbox, differences,
    for_each_pair, mbox,
};

fn built(dovecot: &Dovecot) -> Store {
    let store = dovecot.store("store");
    build::small(&store);
    store
}

fn fields(differences: &[Difference]) -> Vec<String> {
    differences.iter().map(|difference| difference.field.clone()).collect()
}

#[test]
fn a_copy_shows_no_difference() {
    Driver::ALL.into_iter().map(Setup::from).for_each(a_copy_shows_no_difference_of);
}

#[test]
fn a_copy_of_a_store_in_several_places_shows_no_difference() {
    Driver::ALL.into_iter().map(Driver::spread).for_each(a_copy_shows_no_difference_of);
}

fn a_copy_shows_no_difference_of(setup: Setup) {
    let dovecot = Dovecot::new();
    let store = dovecot.store_of("store", setup);
    build::long_lived(&store);
    store.move_to_alternative("uid 30:200");
    dbox::assert_sound(&store);
    store.assert_no_complaints();
    let before = Fingerprint::of(store.path());
    let copy = Snapshot::of_copy(&store);
    before.assert_unchanged(store.path());
    let original = Snapshot::of(&store);
    assert_equal(&copy, &original.clone().without(&["date.saved.unixtime"]));
    assert!(original.message_count() > 400, "only {} messages", original.message_count());
    // Looking does not change what is seen, saved dates included.
    assert_equal(&original, &Snapshot::of(&store));
    store.assert_no_complaints();
}

#[test]
fn the_long_lived_store_has_what_it_promises() {
    Driver::ALL.into_iter().for_each(the_long_lived_store_has_what_it_promises_as);
}

fn the_long_lived_store_has_what_it_promises_as(driver: Driver) {
    let dovecot = Dovecot::new();
    let store = dovecot.store_of("store", driver);
    build::long_lived(&store);
    let snapshot = Snapshot::of(&store);
    let every_flag = "\\Answered \\Deleted \\Draft \\Flagged \\Seen";
    assert_eq!(snapshot.message("INBOX", 11, "flags").as_deref(), Some(every_flag));
    // An mbox has no place for them.
    let [uidl, order] = if driver == Driver::Mbox { ["", ""] } else { ["old-server-2", "48"] };
    assert_eq!(snapshot.message("INBOX", 2, "pop3.uidl").as_deref(), Some(uidl));
    assert_eq!(snapshot.message("INBOX", 2, "pop3.order").as_deref(), Some(order));
    assert_eq!(snapshot.message("Labels", 35, "keywords").as_deref(), Some("Keyword0 Keyword1 Keyword34"));
    assert_eq!(snapshot.mailbox("INBOX", "recent").as_deref(), Some("6"));
    assert_eq!(snapshot.uids("日本/台北").len(), 15);
    let winter = "Archive/2023/Winter";
    let winter = if driver == Driver::Mbox { mbox::shown_name(winter) } else { winter.to_owned() };
    assert!(snapshot.uids(&winter).is_empty());
    assert_eq!(snapshot.mailbox(&winter, "uidnext").as_deref(), Some("16"));
    let uids = snapshot.uids("INBOX");
    assert_eq!(snapshot.message("INBOX", 2, "guid"), snapshot.message("INBOX", 301, "guid"));
    assert!(!uids.contains(&1) && !uids.contains(&105));
}

#[test]
fn a_changed_flag_shows_as_flags_and_modseq() {
    let dovecot = Dovecot::new();
    let store = built(&dovecot);
    let before = Snapshot::of(&store);
    let mut imap = store.imap();
    imap.select("Work");
    imap.store("2", "+FLAGS", "(\\Draft)");
    imap.logout();
    let found = fields(&differences(&before, &Snapshot::of(&store)));
    // The session has also seen what was recent.
    for field in ["highestmodseq", "flags", "modseq"] {
        assert!(found.iter().any(|it| it == field), "{field} is missing in {found:?}");
    }
    assert!(
        found.iter().all(|it| ["highestmodseq", "flags", "modseq", "recent"].contains(&it.as_str())),
        "{found:?}"
    );
}

#[test]
fn a_touched_file_shows_as_received_date() {
    let dovecot = Dovecot::new();
    let store = dovecot.store("store");
    store.write("cur/1600000000.M1P1.host:2,S", b"Subject: one\n\nbody\n");
    store.write("cur/1600000001.M1P1.host:2,", b"Subject: two\n\nbody\n");
    let copy = store.copy();
    let _ = copy.doveadm(&["mailbox", "status", "uidnext", "INBOX"]);
    let twin = copy.copy();
    let path = twin.path().join("cur/1600000000.M1P1.host:2,S");
    let earlier = fs::metadata(&path).unwrap().modified().unwrap() - std::time::Duration::from_secs(100);
    fs::File::options().write(true).open(&path).unwrap().set_modified(earlier).unwrap();
    let left = Snapshot::of(&copy).without(&["date.saved.unixtime"]);
    let right = Snapshot::of(&twin).without(&["date.saved.unixtime"]);
    assert_eq!(fields(&differences(&left, &right)), ["date.received.unixtime"]);
}

#[test]
fn changed_bytes_show_as_body() {
    let dovecot = Dovecot::new();
    let store = dovecot.store("store");
    store.write("cur/1600000000.M1P1.host:2,S", b"Subject: one\n\nbody\n");
    let _ = store.doveadm(&["mailbox", "status", "uidnext", "INBOX"]);
    let twin = store.copy();
    let path = twin.path().join("cur/1600000000.M1P1.host:2,S");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, b"Subject: one\n\nbodY\n").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    let left = Snapshot::of(&store).without(&["date.saved.unixtime"]);
    let right = Snapshot::of(&twin).without(&["date.saved.unixtime"]);
    assert_eq!(fields(&differences(&left, &right)), ["BODY[]"]);
}

#[test]
fn a_subscription_and_a_mailbox_show_in_the_tree() {
    let dovecot = Dovecot::new();
    let store = built(&dovecot);
    let before = Snapshot::of(&store);
    let mut imap = store.imap();
    imap.subscribe("Empty");
    imap.create("Fresh");
    imap.logout();
    let found = differences(&before, &Snapshot::of(&store));
    assert_eq!(fields(&found), ["LIST Fresh", "LSUB Empty", "existence"]);
}

#[test]
fn a_lost_message_is_one_difference_beside_the_counters() {
    let dovecot = Dovecot::new();
    let store = built(&dovecot);
    let before = Snapshot::of(&store);
    let mut imap = store.imap();
    imap.select("Entw&APw-rfe");
    imap.expunge("1");
    imap.logout();
    let found = differences(&before, &Snapshot::of(&store));
    assert_eq!(fields(&found).iter().filter(|field| *field == "existence").count(), 1, "{found:?}");
}

#[test]
fn a_fingerprint_notices_a_touch() {
    let dovecot = Dovecot::new();
    let store = built(&dovecot);
    let before = Fingerprint::of(store.path());
    before.assert_unchanged(store.path());
    fs::File::open(store.path().join("cur")).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    fs::write(store.path().join("stray"), b"").unwrap();
    let changes = before.changes(&Fingerprint::of(store.path()));
    assert!(changes.iter().any(|change| change.starts_with("cur: mtime")), "{changes:?}");
    assert!(changes.contains(&"stray: added".to_owned()), "{changes:?}");
}

#[test]
fn the_work_of_the_tests_is_no_cause_for_complaint() {
    for driver in Driver::ALL {
        let dovecot = Dovecot::new();
        let store = dovecot.store_of("store", driver);
        build::long_lived(&store);
        for round in 1..=2 {
            build::a_day_of_work(&store, round, "somebody");
            build::maintain(&store);
        }
        store.assert_no_complaints();
        dbox::assert_sound(&store);
        let before = Snapshot::of(&store);
        store.force_resync();
        store.assert_no_complaints();
        // Checking everything makes it no other store, but that an mdbox then shows in all mailboxes the POP3 data that
        // messages had where they were first.
        let counted = ["modseq", "highestmodseq", "pop3.uidl", "pop3.order"];
        assert_equal(&before.without(&counted), &Snapshot::of(&store).without(&counted));
    }
}

/// What is the same in two formats looks the same.
#[test]
fn a_copy_by_dovecot_shows_no_difference_but_what_that_does_not_keep() {
    for_each_pair(|pair| {
        let drivers = [pair.source.driver(), pair.destination.driver()];
        // There it makes mailboxes of mere levels, and gives copies the POP3 data of their originals. With an mbox it mixes up
        // messages, and fails for names.
        if drivers[1] == Driver::Maildir || drivers.contains(&Driver::Mbox) {
            return;
        }
        build::long_lived(&pair.source);
        pair.destination.doveadm(&["backup", "-R", &pair.source.location()]);
        pair.forget_list_indexes();
        let seen = |store: &Store| Snapshot::of(store).without(Tool::Doveadm.leaves_open());
        assert_equal(&seen(&pair.source), &seen(&pair.destination));
    });
}
