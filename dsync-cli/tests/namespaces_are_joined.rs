//! Mail of one user that is at several places, each shown in a namespace of its own, is synchronised in one run.

mod support;

use support::sides::INEXACT;
use support::{Dovecot, Driver, Fingerprint, Run, Setup, Snapshot, Store, assert_equal, build};

const PUBLIC: &str = "namespace public {\n  prefix = Public/\n  separator = /\n  location = maildir:{dir}/public\n  \
                      subscriptions = no\n}";

/// A store with another one beside it, which a namespace shows.
fn with_public(driver: Driver) -> Setup {
    driver.spread().setting(PUBLIC)
}

fn fill(store: &Store) {
    build::small(store);
    let mut imap = store.imap();
    for name in ["Public/News", "Public/News/Old"] {
        imap.create(name);
        imap.append(name, "(\\Flagged word)", format!("Subject: {name}\r\n\r\ntext\r\n").as_bytes());
        // Dovecot's program does not tell a Maildir that messages are recent.
        imap.select(name);
        imap.command("UNSELECT");
    }
    imap.subscribe("Public/News");
    imap.logout();
}

/// Dovecot does not show subscriptions to the other namespace that are in the file of a dbox.
fn assert_like_but_subscriptions(own: &Store, served: &Store) {
    let seen = |store| Snapshot::of(store).without(&INEXACT).without(&["LSUB Public/News"]).without_pop3();
    assert_equal(&seen(own), &seen(served));
}

fn run(dovecot: &Dovecot, store: &Store, arguments: &[&str]) -> Run {
    store.adopt();
    let configuration = store.configuration().display().to_string();
    dovecot.dsync(&[&["-c", &configuration], arguments].concat())
}

#[test]
fn they_have_their_prefixes_in_a_single_store() {
    let dovecot = Dovecot::new();
    let (joined, copy) = (dovecot.store_of("joined", with_public(Driver::Maildir)), dovecot.store("copy"));
    fill(&joined);
    copy.adopt();
    run(&dovecot, &joined, &["-n", "", "-n", "Public/", "mirror", &copy.location()]).assert_done();
    assert_equal(&Snapshot::of(&joined), &Snapshot::of(&copy));
    // What happens there happens at the right place here.
    let mut imap = copy.imap();
    imap.append("Public/News", "", b"Subject: more\r\n\r\ntext\r\n");
    imap.create("Public/Fresh");
    imap.append("Public/Fresh", "(\\Seen)", b"Subject: fresh\r\n\r\ntext\r\n");
    imap.subscribe("Public/Fresh");
    imap.unsubscribe("Public/News");
    imap.logout();
    let mut imap = joined.imap();
    imap.rename("Public/News/Old", "Public/Older");
    imap.append("INBOX", "", b"Subject: inbox\r\n\r\ntext\r\n");
    imap.logout();
    run(&dovecot, &joined, &["-N", "mirror", &copy.location()]).assert_done();
    assert_equal(&Snapshot::of(&joined), &Snapshot::of(&copy));
    assert!(joined.path().join("public/.Fresh").is_dir());
    let before = [&joined, &copy].map(|store| Fingerprint::of_mail(store.path()));
    run(&dovecot, &joined, &["-N", "mirror", &copy.location()]).assert_done();
    before.iter().zip([&joined, &copy]).for_each(|(before, store)| before.assert_mail_unchanged(store.path()));
    // Only the other place, as always.
    let alone = dovecot.store("alone");
    let only = run(&dovecot, &joined, &["-n", "Public/", "backup", &alone.location()]);
    assert!(only.code == Some(0) && only.stderr.contains("subscriptions=no"), "{only:?}");
    assert!(alone.path().join(".Fresh").is_dir());
    for store in [&joined, &copy, &alone] {
        store.assert_no_complaints();
    }
}

#[test]
fn another_host_has_them_as_well() {
    let dovecot = Dovecot::new();
    let own = dovecot.store_of("own", with_public(Driver::Maildir));
    fill(&own);
    let own_fingerprint = || Fingerprint::of(own.path());
    // This program at the other end, Dovecot's there, and Dovecot's at this end.
    let [other, served, fetched] =
        [Driver::Mdbox, Driver::Mdbox, Driver::Sdbox].map(with_public).map(|setup| (setup.driver, setup));
    let other = dovecot.store_of("other", other.1);
    let program = dovecot.dsync_command(&[]).get_program().to_string_lossy().into_owned();
    let configuration = |store: &Store| store.configuration().display().to_string();
    let before = own_fingerprint();
    let server = configuration(&other);
    run(&dovecot, &own, &["backup", "-N", &program, "-c", &server, "server"]).assert_done();
    before.assert_unchanged(own.path());
    // Where the subscriptions of both are in the file of an mdbox, Dovecot does not show those of the other namespace.
    let listed = |snapshot: Snapshot| snapshot.without(&["LSUB Public/News"]);
    assert_equal(&listed(Snapshot::of(&own)), &listed(Snapshot::of(&other)));
    let subscriptions = std::fs::read_to_string(other.path().join("control/subscriptions")).expect("it is there");
    assert!(subscriptions.contains("Public\tNews\n"), "{subscriptions}");
    run(&dovecot, &own, &["mirror", "-n", "Public/", "-n", "", &program, "-c", &server, "server"]).assert_done();
    assert_equal(&listed(Snapshot::of(&own)), &listed(Snapshot::of(&other)));

    let served = dovecot.store_of("served", served.1);
    let words = served.server_words();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    served.adopt();
    run(&dovecot, &own, &[&["backup", "-N"], &words[..]].concat()).assert_done();
    assert_like_but_subscriptions(&own, &served);

    let fetched = dovecot.store_of("fetched", fetched.1);
    fetched.adopt();
    let own_configuration = configuration(&own);
    let output = fetched
        .command(&["backup", "-R", "-N", &program, "-c", &own_configuration, "server"])
        .stderr(std::process::Stdio::piped())
        .output()
        .expect("doveadm starts");
    let run = Run::of(&output);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_like_but_subscriptions(&own, &fetched);
    for store in [&own, &other, &served, &fetched] {
        store.assert_no_complaints();
    }
}
