//! The exit statuses of what cannot be brought about from outside: a mailbox that never stays the same for as long as a commit
//! takes, and a mistake in the program itself.

mod support;

use support::dovecot::files_below;
use support::{Dovecot, Driver, Snapshot, Store, assert_equal, build, mail};

/// Two stores that are the same, and then the first has something new.
fn stores(dovecot: &Dovecot, driver: Driver) -> [Store; 2] {
    let (first, second) = (dovecot.store("first"), dovecot.store_of("second", driver));
    build::small(&first);
    dovecot.mirror(&first, &second).assert_done();
    let mut imap = first.imap();
    imap.append("Work", "", &mail::plain("new"));
    imap.logout();
    [&first, &second].iter().for_each(|store| store.adopt());
    [first, second]
}

fn arguments(stores: &[Store; 2], command: &str) -> Vec<String> {
    let location = format!("mail_location={}", stores[0].location());
    ["-o", &location, command, &stores[1].location()].map(str::to_owned).into()
}

#[test]
fn a_mailbox_that_never_stands_still_is_named_and_the_status_is_2() {
    let dovecot = Dovecot::new();
    let stores = stores(&dovecot, Driver::Maildir);
    // Whenever a file is made, a client of the second store changes a flag: the run cannot know its mailbox then.
    let work = stores[1].path().join(".Work/cur");
    let toggle = format!(
        "f=$(ls {0} | head -n 1); b=${{f%%:2,*}}; case ${{f##*:2,}} in *F*) n=$b:2, ;; *) n=$b:2,F ;; esac; mv {0}/$f {0}/$n",
        work.display()
    );
    for command in ["backup", "mirror"] {
        let words = arguments(&stores, command);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let output = dovecot
            .dsync_command(&words)
            .env("DSYNC_FAULT", format!("disturb {toggle}"))
            .output()
            .expect("it starts");
        let run = support::Run::of(&output);
        run.assert_done_but(&["mailbox Work", "again"]);
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    }
    dovecot.backup(&stores[0], &stores[1]).assert_done();
    assert_equal(&Snapshot::of(&stores[0]), &Snapshot::of(&stores[1]));
}

#[test]
fn a_mistake_in_the_program_is_told_and_leaves_nothing_locked() {
    let dovecot = Dovecot::new();
    for (driver, after) in [(Driver::Maildir, 4), (Driver::Mdbox, 6), (Driver::Mbox, 3)] {
        let stores = stores(&dovecot, driver);
        let words = arguments(&stores, "mirror");
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let mut command = dovecot.dsync_command(&words);
        let output = command.env("DSYNC_FAULT", format!("panic-after {after}")).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(70), "{driver:?}: {said}");
        assert!(said.contains("there is a mistake in dsync") && said.contains("please report it"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        for store in &stores {
            let locks =
                files_below(store.path()).into_iter().filter(|path| path.extension().is_some_and(|it| it == "lock"));
            assert_eq!(locks.count(), 0, "{driver:?}");
        }
        dovecot.mirror(&stores[0], &stores[1]).assert_done();
        stores.iter().for_each(Store::remove);
    }
}
