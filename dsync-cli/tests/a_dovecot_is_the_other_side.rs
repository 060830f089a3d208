//! Runs over the dsync protocol with Dovecot's own program at the other side, in either role.

mod support;

use support::sides::{BOTH, Master, Sides, assert_like};
use support::{Driver, Fingerprint, Run, Snapshot, Store, assert_equal, build};

#[test]
fn what_a_server_gives_arrives_exactly() {
    for (master, drivers) in
        BOTH.into_iter().zip([[Driver::Mdbox, Driver::Maildir], [Driver::Maildir, Driver::Sdbox]])
    {
        let [own, served] = drivers;
        let sides = Sides::of(own, served);
        sides.assert_taken_exactly(master);
    }
}

#[test]
fn what_a_server_takes_is_what_we_have() {
    for (master, drivers) in BOTH.into_iter().zip([[Driver::Maildir, Driver::Mdbox], [Driver::Mdbox, Driver::Sdbox]])
    {
        let [own, served] = drivers;
        let sides = Sides::of(own, served);
        sides.assert_given(master);
    }
}

#[test]
fn both_sides_take_over_what_the_other_did() {
    for (master, drivers) in BOTH.into_iter().zip([[Driver::Maildir, Driver::Mdbox], [Driver::Sdbox, Driver::Mdbox]])
    {
        let [own, served] = drivers;
        let sides = Sides::of(own, served);
        sides.assert_merged(master);
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

fn append(store: &Store, flags: &str, size: usize) {
    let mut imap = store.imap();
    let text = format!("Subject: {flags} {size}\r\n\r\n{}\r\n", "x".repeat(size));
    imap.append("INBOX", flags, text.as_bytes());
    imap.logout();
}

#[test]
fn either_program_goes_on_from_the_state_of_the_other() {
    for drivers in [[Driver::Maildir, Driver::Mdbox], [Driver::Mdbox, Driver::Sdbox]] {
        let sides = Sides::of(drivers[0], drivers[1]);
        build::small(&sides.own);
        let mut state = String::new();
        let mut go_on = |master: Master| {
            let run = sides.run(master, &["sync", "-s", &state]);
            assert_eq!(run.code, Some(0), "{run:?}");
            state = run.stdout.trim().to_owned();
            assert!(!state.is_empty(), "{run:?}");
        };
        go_on(Master::Dsync);
        for (round, master) in [Master::Dovecot, Master::Dsync, Master::Dovecot].into_iter().enumerate() {
            // Dovecot's program looks only at what was changed at its own side.
            build::small_work(&sides.served, 1 + round);
            if master == Master::Dsync {
                append(&sides.own, "(\\Draft)", 10);
                let mut imap = sides.own.imap();
                imap.select("INBOX");
                imap.expunge("1");
                imap.logout();
            }
            go_on(master);
            assert_like(&sides.own, &sides.served);
        }
        sides.own.assert_no_complaints();
        sides.served.assert_no_complaints();
    }
}

#[test]
fn a_copy_goes_on_from_a_state_in_either_direction() {
    for master in BOTH {
        let sides = Sides::of(Driver::Maildir, Driver::Mdbox);
        build::small(&sides.served);
        let mut state = String::new();
        for round in 1..4 {
            let command: &[&str] = if master == Master::Dsync { &["backup", "-R", "-s"] } else { &["backup", "-s"] };
            let run = sides.run(master, &[command, &[state.as_str()]].concat());
            assert_eq!(run.code, Some(0), "{run:?}");
            state = run.stdout.trim().to_owned();
            assert!(!state.is_empty(), "{run:?}");
            assert_equal(&Snapshot::of(&sides.served), &Snapshot::of(&sides.own));
            build::small_work(&sides.served, round);
        }
        sides.own.assert_no_complaints();
    }
}

#[test]
fn a_side_that_cannot_go_on_from_a_state_asks_for_a_whole_run() {
    let sides = Sides::of(Driver::Maildir, Driver::Mdbox);
    build::small(&sides.served);
    let state = |run: &Run| run.stdout.trim().to_owned();
    let first = sides.run(Master::Dovecot, &["sync", "-s", ""]);
    assert!(first.code == Some(0) && !state(&first).is_empty(), "{first:?}");
    build::small_work(&sides.served, 1);
    for suffix in ["", ".log", ".log.2"] {
        let _ = std::fs::remove_file(sides.own.path().join(format!("dovecot.index{suffix}")));
    }
    let second = sides.run(Master::Dovecot, &["sync", "-s", &state(&first)]);
    assert_eq!((second.code, state(&second)), (Some(2), String::new()), "{second:?}");
    let third = sides.run(Master::Dovecot, &["sync", "-s", &state(&second)]);
    assert!(third.code == Some(0) && !state(&third).is_empty(), "{third:?}");
    assert_like(&sides.own, &sides.served);
}

#[test]
fn only_chosen_messages_are_given_to_a_server_and_taken_from_it() {
    let subjects = |store: &Store| {
        let fetched = store.doveadm(&["-f", "tab", "fetch", "hdr.subject", "mailbox", "INBOX", "all"]);
        fetched.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let messages = [("()", 10), ("(\\Flagged)", 5000), ("(work)", 20)];
    let all = messages.map(|(flags, size)| format!("{flags} {size}"));
    for master in BOTH {
        for gives in [true, false] {
            let of_dates: (&[&str], &[usize]) =
                if gives { (&["-t", "2037-01-01"], &[]) } else { (&["-t", "1 hour"], &[0, 1, 2]) };
            let of_marks: (&[&str], &[usize]) =
                if gives { (&["-O", "\\Flagged"], &[1]) } else { (&["-O", "-work"], &[0, 1]) };
            for (options, chosen) in [(&["-I", "1000"][..], &[0, 2][..]), of_dates, of_marks] {
                let sides = Sides::of(Driver::Maildir, Driver::Mdbox);
                let (source, copy) = if gives { (&sides.own, &sides.served) } else { (&sides.served, &sides.own) };
                messages.iter().for_each(|(flags, size)| append(source, flags, *size));
                let reverse: &[&str] = if gives == (master == Master::Dsync) { &[] } else { &["-R"] };
                let command = [&["backup"], reverse, options].concat();
                sides.run(master, &command).assert_done();
                let expected: Vec<_> = chosen.iter().map(|place| all[*place].clone()).collect();
                assert_eq!(subjects(copy), expected, "{master:?} {command:?}");
                assert_eq!(subjects(source), all, "{master:?} {command:?}");
            }
        }
        let sides = Sides::of(Driver::Maildir, Driver::Mdbox);
        messages.iter().for_each(|(flags, size)| append(&sides.own, flags, *size));
        sides.run(master, &["sync", "-I", "1000"]).assert_done();
        assert_eq!((subjects(&sides.served).len(), subjects(&sides.own).len()), (2, 3), "{master:?}");
    }
    // What is expunged below a chosen message stops Dovecot's program, if it is not told a date of that.
    let sides = Sides::of(Driver::Maildir, Driver::Mdbox);
    messages.iter().for_each(|(flags, size)| append(&sides.own, flags, *size));
    let mut imap = sides.own.imap();
    imap.select("INBOX");
    imap.expunge("1");
    imap.logout();
    messages.iter().for_each(|(flags, size)| append(&sides.served, flags, *size));
    for _ in 0..2 {
        sides.run(Master::Dsync, &["sync", "-t", "1 hour", "-e", "2037-01-01"]).assert_done();
    }
    assert_like(&sides.own, &sides.served);
    // It does not say until when.
    let run = sides.run(Master::Dovecot, &["sync", "-e", "1 hour"]);
    run.assert_refused("error of its version (-e)");
    assert_eq!(run.code, Some(75), "{run:?}");
}

#[test]
fn names_travel_as_clients_see_them() {
    let namespace = "namespace inbox {\n  prefix = INBOX.\n  separator = .\n  inbox = yes\n}\n";
    let settings = ["namespace/inbox/prefix=INBOX.", "namespace/inbox/separator=.", "namespace/inbox/inbox=yes"];
    let settings: Vec<_> = settings.into_iter().flat_map(|setting| ["-o", setting]).collect();
    let sides = Sides::of(Driver::Maildir, Driver::Mdbox);
    let [own, served] = [&sides.own, &sides.served].map(|store| store.configured(namespace));
    let names = |store: &Store| {
        let mut names: Vec<_> = store.doveadm(&["mailbox", "list"]).lines().map(str::to_owned).collect();
        names.sort();
        names.join(" ")
    };
    let mut imap = own.imap();
    for mailbox in ["INBOX.Work.Reports", "INBOX.Old"] {
        imap.create(mailbox);
        imap.append(mailbox, "(\\Seen)", &support::mail::plain("message"));
    }
    imap.subscribe("INBOX.Work.Reports");
    imap.logout();
    let run = |command: &[&str]| {
        let run = sides.dovecot.run_with_server(&[&settings, command].concat(), &sides.own, &served);
        run.assert_done();
    };
    run(&["backup", "-n", "INBOX.", "-x", "INBOX.O*"]);
    assert_eq!(names(&served), "INBOX INBOX.Work INBOX.Work.Reports");
    // What the server has beside that stays.
    let mut imap = served.imap();
    imap.create("INBOX.Theirs");
    imap.rename("INBOX.Work.Reports", "INBOX.Done");
    imap.logout();
    run(&["sync", "-m", "INBOX.Old"]);
    run(&["sync"]);
    run(&["sync"]);
    for store in [&own, &served] {
        let names = names(store);
        assert!(names.contains("INBOX.Done INBOX.Old INBOX.Theirs") && !names.contains("Reports"), "{names}");
        assert_eq!(store.doveadm(&["search", "mailbox", "INBOX.Done", "seen"]).lines().count(), 1);
    }
    // A side that shows other names has the same mailboxes.
    let copy = sides.dovecot.store_of("copy", Driver::Sdbox);
    let command = [&settings[..], &["backup", "-x", "INBOX.The*"]].concat();
    sides.dovecot.run_with_peer(&command, &sides.own, &copy).assert_done();
    assert_eq!(names(&copy), "Done INBOX Old");
}
