//! A run that finds nothing to do leaves the destination alone, too.

mod support;

use std::time::Duration;

use dsync_storage::fs::marks;
use support::{Dovecot, Driver, Fingerprint, Snapshot, Store, build, mail};

fn assert_idle(dovecot: &Dovecot, source: &Store, destination: &Store) {
    if !marks::gives_each_change_its_time() {
        // What was just changed is not believed, so what both sides look like is noted by a later run.
        std::thread::sleep(Duration::from_millis(1100));
        dovecot.backup(source, destination).assert_done();
    }
    let before = (Fingerprint::of(source.path()), Fingerprint::of(destination.path()));
    dovecot.backup(source, destination).assert_done();
    before.0.assert_unchanged(source.path());
    before.1.assert_unchanged(destination.path());
    assert!(Snapshot::of_copy(destination).message_count() > 0, "there was nothing to leave alone");
}

#[test]
fn right_after_a_backup() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    build::long_lived(&source);
    dovecot.backup(&source, &destination).assert_done();
    assert_idle(&dovecot, &source, &destination);
    assert_idle(&dovecot, &source, &destination);
}

#[test]
fn after_dovecot_has_looked_at_both() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    build::small(&source);
    dovecot.backup(&source, &destination).assert_done();
    let _ = (Snapshot::of(&source), Snapshot::of(&destination));
    // What Dovecot made of its look may have to be copied once.
    dovecot.backup(&source, &destination).assert_done();
    assert_idle(&dovecot, &source, &destination);
}

#[test]
fn with_a_source_that_no_server_has_opened() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    source.make_maildir("");
    for number in 0..10 {
        source.write(format!("new/16000000{number:02}.M1P{number}.host"), &mail::message(number).bytes);
    }
    dovecot.backup(&source, &destination).assert_done();
    assert_idle(&dovecot, &source, &destination);
}

#[test]
fn and_opens_nothing() {
    let dovecot = Dovecot::new();
    let stores = ["source", "destination"].map(|name| dovecot.store_of(name, Driver::Mdbox));
    let [source, destination] = &stores;
    build::small(source);
    dovecot.backup(source, destination).assert_done();
    assert_idle(&dovecot, source, destination);
    // Without it no mailbox of the destination can be opened to be changed.
    let (storage, aside) = (destination.path().join("storage"), dovecot.directory().join("aside"));
    std::fs::rename(&storage, &aside).unwrap();
    std::fs::create_dir(&storage).unwrap();
    destination.adopt();
    let run = dovecot.backup(source, destination);
    if marks::has_exact_times(source.path()) {
        run.assert_done();
    }
    let run = dovecot.run_on(&["-f", "backup"], source, destination);
    assert_ne!(run.code, Some(0), "everything has to be looked at");
}
