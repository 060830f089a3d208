//! A damaged mdbox or sdbox: what can be read is synced, what cannot is named, and no damage costs mail on any side, not
//! even that which Dovecot could still repair.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use support::damage::{Harm, for_each_damage};
use support::dbox::{self, assert_sound};
use support::{Dovecot, Driver, Fingerprint, Run, Snapshot, Store, assert_equal, build, mail};

/// A mailbox and a GUID that it shows.
type Places = BTreeSet<(String, String)>;

fn places(store: &Store) -> Places {
    let table = store.doveadm(&["-f", "tab", "fetch", "mailbox guid", "mailbox", "*"]);
    let place =
        |line: &str| line.split_once('\t').map(|(mailbox, guid)| (mailbox.to_owned(), guid.to_owned())).unwrap();
    table.lines().skip(1).map(place).collect()
}

/// Stores that have been in use, with an index in each place and something in each log; to be copied.
struct Worn {
    mdbox: Store,
    sdbox: Store,
    // After the stores in it.
    _dovecot: Dovecot,
}

impl Worn {
    fn new() -> Self {
        let dovecot = Dovecot::new();
        let [mdbox, sdbox] = [Driver::Mdbox, Driver::Sdbox].map(|driver| {
            let store = dovecot.store_of(driver.name(), driver.setting("mdbox_rotate_size = 20k"));
            build::long_lived(&store);
            build::maintain(&store);
            build::a_day_of_work(&store, 1, "somebody");
            store.assert_no_complaints();
            store
        });
        Self { mdbox, sdbox, _dovecot: dovecot }
    }

    fn copy(&self, dovecot: &Dovecot, driver: Driver) -> Store {
        let original = if driver == Driver::Mdbox { &self.mdbox } else { &self.sdbox };
        dovecot.copy_of(original, "worn")
    }
}

/// New mail, a flag, an expunge. Returns the place of what was expunged.
fn change(store: &Store) -> (String, String) {
    let before = places(store);
    let mut imap = store.imap();
    imap.append("INBOX", "", &mail::plain("new in INBOX"));
    imap.append("Work", "(\\Seen)", &mail::plain("new in Work"));
    imap.select("INBOX");
    imap.store("200", "+FLAGS", "(\\Flagged changed)");
    imap.expunge("205");
    imap.logout();
    let after = places(store);
    before.difference(&after).next().expect("the message is in INBOX only").clone()
}

fn assert_has(what: &Places, wanted: &Places, title: &str) {
    let lacking: Vec<_> = wanted.difference(what).collect();
    assert!(lacking.is_empty(), "{title}: {} of {} are missing: {lacking:#?}", lacking.len(), wanted.len());
}

/// A run either did everything, or named what it could not do.
fn assert_named(run: &Run, harm: &Harm) {
    match run.code {
        Some(0) => run.assert_done(),
        _ => run.assert_done_but(&[&harm.named.display().to_string()]),
    }
}

/// Backs up a damaged source, of which `all` was there before: what can be read arrives, what cannot is named, and the source
/// stays as it is. Says what is there then.
fn back_up_damaged(
    dovecot: &Dovecot,
    [source, destination]: [&Store; 2],
    all: &Places,
    harm: &Harm,
) -> (Run, Places) {
    let before = Fingerprint::of(source.path());
    let run = dovecot.backup(source, destination);
    before.assert_unchanged(source.path());
    let arrived = places(destination);
    let readable = all.iter().filter(|(mailbox, guid)| harm.cost.spares(mailbox, guid)).cloned().collect();
    assert_has(&arrived, &readable, "readable");
    assert_named(&run, harm);
    (run, arrived)
}

/// Once the source is as it was, the next run completes the work.
fn restore_and_complete(dovecot: &Dovecot, source: &Store, intact: &Store, destination: &Store) {
    source.restore(intact);
    dovecot.backup(source, destination).assert_done();
    assert_equal(&Snapshot::of(source), &Snapshot::of(destination));
    destination.assert_no_complaints();
}

#[test]
fn what_can_be_read_arrives_in_an_empty_place() {
    let worn = Worn::new();
    for_each_damage(0, |damage| {
        let dovecot = Dovecot::new();
        let source = worn.copy(&dovecot, damage.driver);
        let destination = dovecot.store("destination");
        let all = places(&source);
        let (intact, harm) = (source.copy_apart(), (damage.spoil)(&source));
        let (run, arrived) = back_up_damaged(&dovecot, [&source, &destination], &all, &harm);
        assert!(run.code == Some(2) || arrived == all, "not all is there, but the status says so: {run:#?}");
        destination.assert_no_complaints();
        restore_and_complete(&dovecot, &source, &intact, &destination);
    });
}

#[test]
fn what_cannot_be_read_is_not_removed_from_a_backup() {
    let worn = Worn::new();
    for_each_damage(1, |damage| {
        // What the source shows is what matters, so each damage is tried with one kind of destination.
        let driver = if damage.title().len() % 2 == 0 { Driver::Maildir } else { damage.driver };
        let dovecot = Dovecot::new();
        let (source, destination) = (worn.copy(&dovecot, damage.driver), dovecot.store_of("destination", driver));
        dovecot.backup(&source, &destination).assert_done();
        let mut kept = places(&destination);
        kept.remove(&change(&source));
        let all = places(&source);
        let (intact, harm) = (source.copy_apart(), (damage.spoil)(&source));
        let (_, arrived) = back_up_damaged(&dovecot, [&source, &destination], &all, &harm);
        assert_has(&arrived, &kept, "kept");
        destination.assert_no_complaints();
        restore_and_complete(&dovecot, &source, &intact, &destination);
    });
}

#[test]
fn a_damaged_side_of_a_mirror_gets_back_what_it_lost() {
    let worn = Worn::new();
    for_each_damage(2, |damage| {
        let dovecot = Dovecot::new();
        let (damaged, other) = (worn.copy(&dovecot, damage.driver), dovecot.store("other"));
        dovecot.mirror(&damaged, &other).assert_done();
        let gone = change(&other);
        let all = places(&other);
        let harm = (damage.spoil)(&damaged);
        let (repairable, run) = (repaired(&damaged), dovecot.mirror(&damaged, &other));
        assert_named(&run, &harm);
        assert_has(&places(&other), &all, "at the other side");
        other.assert_no_complaints();
        assert_still_repairable(&damaged, repairable, &gone);
        heal(&damaged, &harm);
        run_until_done(&dovecot, &["mirror"], &damaged, &other);
        assert_equal_but_repaired(&damaged, &other, &harm);
        assert_has(&places(&damaged), &all, "in the end");
        for store in [&damaged, &other] {
            store.assert_no_complaints();
            assert_sound(store);
        }
    });
}

#[test]
fn a_damaged_destination_loses_nothing_that_can_be_repaired() {
    let worn = Worn::new();
    for_each_damage(3, |damage| {
        let dovecot = Dovecot::new();
        let (destination, source) = (worn.copy(&dovecot, damage.driver), dovecot.store("source"));
        dovecot.backup(&destination, &source).assert_done();
        let gone = change(&source);
        let harm = (damage.spoil)(&destination);
        let (repairable, run) = (repaired(&destination), dovecot.backup(&source, &destination));
        assert_named(&run, &harm);
        assert_still_repairable(&destination, repairable, &gone);
        heal(&destination, &harm);
        run_until_done(&dovecot, &["backup"], &source, &destination);
        assert_equal_but_repaired(&source, &destination, &harm);
        destination.assert_no_complaints();
        assert_sound(&destination);
    });
}

/// Lets Dovecot repair a store. What it cannot repair, the administrator removes.
fn heal(store: &Store, harm: &Harm) {
    if !store.heal() {
        dbox::remove_everywhere(store, &harm.named);
        assert!(store.heal(), "{} is beyond repair: {harm:?}", store.location());
    }
}

/// The GUIDs that Dovecot gets back from a damaged store.
fn repaired(store: &Store) -> BTreeSet<String> {
    store.adopt();
    let copy = store.copy_apart();
    copy.heal();
    let guids = dbox::shown(&copy).into_keys().collect();
    copy.remove();
    guids
}

fn assert_still_repairable(store: &Store, mut before: BTreeSet<String>, expunged: &(String, String)) {
    before.remove(&expunged.1);
    let after = repaired(store);
    let lost: Vec<_> = before.difference(&after).collect();
    assert!(lost.is_empty(), "Dovecot would have got these back: {lost:#?}");
}

/// What Dovecot makes of the rest of a message is what it takes for that message.
fn assert_equal_but_repaired(left: &Store, right: &Store, harm: &Harm) {
    let seen = |store| Snapshot::of(store).without_content_of(&harm.remade);
    assert_equal(&seen(left), &seen(right));
}

/// What Dovecot did when it repaired something may take a second run.
fn run_until_done(dovecot: &Dovecot, command: &[&str], first: &Store, second: &Store) {
    if dovecot.run_on(command, first, second).code == Some(2) {
        dovecot.run_on(command, first, second).assert_done();
    }
}
