//! Mailboxes whose names a store cannot hold get other names there, and come back under their own.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use support::{Dovecot, Driver, Fingerprint, Imap, Run, Snapshot, Store, assert_equal, build};

/// A dbox with names that a Maildir cannot hold, and a Maildir.
struct Stores {
    dovecot: Dovecot,
    nested: Store,
    flat: Store,
}

impl Stores {
    fn new(driver: Driver) -> Self {
        let dovecot = Dovecot::new();
        let (nested, flat) = (dovecot.store_of("nested", driver), dovecot.store("flat"));
        build::small(&nested);
        let mut imap = nested.imap();
        for mailbox in ["a.b", "a_b", "x.y/z"] {
            imap.create(mailbox);
            imap.append(mailbox, "()", format!("Subject: {mailbox}\r\n\r\n{mailbox}\r\n").as_bytes());
        }
        imap.subscribe("a.b");
        imap.subscribe("x.y/z");
        imap.create("gone.before");
        imap.subscribe("gone.before");
        imap.delete("gone.before");
        imap.logout();
        Self { dovecot, nested, flat }
    }

    fn mirror(&self) {
        self.dovecot.mirror(&self.nested, &self.flat).assert_done();
    }
}

fn with_imap<T>(store: &Store, work: impl FnOnce(&mut Imap) -> T) -> T {
    let mut imap = store.imap();
    let result = work(&mut imap);
    imap.logout();
    result
}

/// The mailboxes that can be selected, but for those that every test has.
fn mailboxes(store: &Store) -> BTreeSet<String> {
    let listed = store.doveadm(&["-f", "flow", "mailbox", "status", "messages", "*"]);
    let names = listed.lines().filter_map(|line| line.rsplit_once(" messages=")).map(|(name, _)| name.to_owned());
    let usual = ["INBOX", "Work", "Entw", "Empty"];
    names.filter(|name| !usual.iter().any(|usual| name.starts_with(usual))).collect()
}

fn subscriptions(store: &Store) -> BTreeSet<String> {
    with_imap(store, Imap::subscriptions).into_iter().collect()
}

/// Logs count in seconds; of two changes in the same one nobody knows which was later.
fn a_second_later() {
    std::thread::sleep(std::time::Duration::from_millis(1100));
}

#[track_caller]
fn assert_names(store: &Store, expected: &[&str]) {
    assert_eq!(mailboxes(store), expected.iter().map(|name| (*name).to_owned()).collect(), "{}", store.location());
}

fn assert_quiet(run: &Run) {
    assert!(run.code == Some(0) && !run.stderr.contains("is called"), "{run:#?}");
}

#[test]
fn a_backup_comes_back_under_its_own_names() {
    for driver in [Driver::Mdbox, Driver::Sdbox] {
        let Stores { dovecot, nested, flat } = Stores::new(driver);
        let run = dovecot.run_on(&["-v", "backup"], &nested, &flat);
        assert_eq!(run.code, Some(0), "{run:#?}");
        for said in ["a.b: is called a_b_ there", "x.y/z: is called x_y/z there"] {
            assert_eq!(run.stderr.matches(said).count(), 1, "{run:#?}");
        }
        assert_names(&flat, &["a_b", "a_b_", "x_y/z"]);
        let subscribed = subscriptions(&flat);
        assert!(["a_b_", "x_y/z", "gone_before"].iter().all(|name| subscribed.contains(*name)), "{subscribed:?}");
        flat.assert_no_complaints();

        // Dovecot has looked at it, so what it looks like now is noted once.
        dovecot.backup(&nested, &flat).assert_done();
        let before = Fingerprint::of(flat.path());
        assert_quiet(&dovecot.run_on(&["-v", "backup"], &nested, &flat));
        assert_eq!(before.changes(&Fingerprint::of(flat.path())), [] as [String; 0]);

        let again = dovecot.store_of("again", Driver::Mdbox);
        dovecot.backup(&flat, &again).assert_done();
        assert_equal(&Snapshot::of(&nested), &Snapshot::of(&again));
        assert_eq!(subscriptions(&nested), subscriptions(&again));
        again.assert_no_complaints();
    }
}

#[test]
fn what_clients_do_on_either_side_arrives_at_the_other() {
    let stores = Stores::new(Driver::Mdbox);
    let Stores { nested, flat, .. } = &stores;
    stores.mirror();
    a_second_later();
    with_imap(flat, |imap| {
        imap.rename("a_b_", "projects");
        imap.create("new");
        imap.unsubscribe("gone_before");
    });
    with_imap(nested, |imap| {
        imap.rename("x.y", "k.l");
        imap.create("n.w");
        imap.append("a_b", "()", b"Subject: more\r\n\r\nmore\r\n");
    });
    stores.mirror();
    assert_names(nested, &["a_b", "projects", "k.l/z", "new", "n.w"]);
    assert_names(flat, &["a_b", "projects", "k_l/z", "new", "n_w"]);
    assert!(!subscriptions(nested).contains("gone.before"));
    assert_eq!(nested.doveadm(&["search", "mailbox", "projects", "subject", "a.b"]).lines().count(), 1);

    a_second_later();
    with_imap(flat, |imap| {
        imap.subscribe("n_w");
        imap.delete("k_l/z");
    });
    with_imap(nested, |imap| {
        imap.rename("projects", "p.q");
        imap.delete("a_b");
    });
    stores.mirror();
    // The level that a dbox keeps, and a Maildir cannot, becomes a mailbox.
    assert_names(nested, &["k.l", "p.q", "new", "n.w"]);
    assert_names(flat, &["k_l", "p_q", "new", "n_w"]);
    assert!(subscriptions(nested).contains("n.w"));

    // Dovecot has looked at both, so what they look like now is noted once.
    stores.mirror();
    let before = [nested, flat].map(|store| Fingerprint::of(store.path()));
    stores.mirror();
    for (store, before) in [nested, flat].into_iter().zip(before) {
        assert_eq!(before.changes(&Fingerprint::of(store.path())), [] as [String; 0]);
        store.assert_no_complaints();
    }
}

#[test]
fn another_character_can_be_chosen() {
    let Stores { dovecot, nested, flat } = Stores::new(Driver::Mdbox);
    dovecot.run_on(&["-C", "+", "backup"], &nested, &flat).assert_done();
    assert_names(&flat, &["a+b", "a_b", "x+y/z"]);
    // What has been decided stays.
    dovecot.backup(&nested, &flat).assert_done();
    assert_names(&flat, &["a+b", "a_b", "x+y/z"]);
    dovecot.run_on(&["-C", "/", "backup"], &nested, &flat).assert_refused("control character");
    dovecot.run_on(&["-o", "dsync_alt_char=..", "backup"], &nested, &flat).assert_refused("dsync_alt_char");
    let served = dovecot.store("served");
    dovecot.run_with_peer(&["-C", "+", "backup"], &nested, &served).assert_done();
    assert_names(&served, &["a+b", "a_b", "x+y/z"]);
}

#[test]
fn a_dbox_holds_what_only_a_maildir_can() {
    let dovecot = Dovecot::new();
    let (flat, nested, again) =
        (dovecot.store("flat"), dovecot.store_of("nested", Driver::Sdbox), dovecot.store("again"));
    build::small(&flat);
    with_imap(&flat, |imap| {
        for mailbox in ["dbox-Mails", "dbox-Mails/below", "Work/dbox-Mails"] {
            imap.create(mailbox);
            imap.append(mailbox, "()", b"Subject: kept\r\n\r\nkept\r\n");
        }
    });
    dovecot.backup(&flat, &nested).assert_done();
    let listed = nested.doveadm(&["mailbox", "list"]);
    assert!(
        ["_dbox-Mails", "_dbox-Mails/below", "Work/_dbox-Mails"]
            .iter()
            .all(|name| listed.lines().any(|line| line == *name)),
        "{listed}"
    );
    dovecot.backup(&nested, &again).assert_done();
    assert_equal(&Snapshot::of(&flat), &Snapshot::of(&again));
    for store in [&nested, &again] {
        store.assert_no_complaints();
    }
}
