//! Options that say how a run is carried out.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::build::{append, holds};
use support::{Dovecot, Driver, Run, Snapshot, assert_equal, build};

/// The state that a run printed.
fn state(run: &Run) -> String {
    assert!(run.code == Some(0) && run.stderr.is_empty() && run.stdout.ends_with('\n'), "{run:?}");
    run.stdout.trim_end().to_owned()
}

#[test]
fn dovecot_goes_on_from_our_state_and_we_from_that_of_dovecot() {
    let dovecot = Dovecot::new();
    let (first, second) = (dovecot.store("first"), dovecot.store_of("second", Driver::Mdbox));
    build::small(&first);
    let state_of_first_run = state(&dovecot.run_on(&["mirror", "-s", ""], &first, &second));
    assert!(state_of_first_run.len() > 60);
    let again = state(&dovecot.run_on(&["mirror", "-s", &state_of_first_run], &first, &second));
    assert_eq!(again, state_of_first_run, "nothing happened");
    assert_eq!(state(&dovecot.run_on(&["mirror", "-1", "-s", &again], &first, &second)), again);
    assert_eq!(state(&dovecot.run_on(&["backup", "-s", ""], &first, &second)), again);

    // Its program takes the state for its own: what is the same as in it is not even looked at.
    append(&second, "INBOX", "not-noticed");
    let theirs = first.doveadm(&["sync", "-s", &again, &second.location()]);
    assert!(!holds(&first, "not-noticed"), "it skips what is as the state says");
    append(&first, "INBOX", "noticed");
    let theirs_after = first.doveadm(&["sync", "-s", theirs.trim_end(), &second.location()]);
    assert!(holds(&second, "noticed"));
    // Ours finds out what changed on either side.
    let ours = dovecot.run_on(&["mirror", "-s", theirs_after.trim_end()], &first, &second);
    assert_ne!(state(&ours), "");
    assert!(holds(&first, "not-noticed"));
    assert_equal(&Snapshot::of(&first), &Snapshot::of(&second));

    let broken = dovecot.run_on(&["mirror", "-s", "nonsense"], &first, &second);
    assert!(broken.code == Some(0) && broken.stderr.contains("Error"), "{broken:?}");
    assert_eq!(broken.stdout, ours.stdout, "the new state is printed all the same");
}

#[test]
fn the_lock_keeps_two_runs_of_one_user_apart() {
    let dovecot = Dovecot::new();
    let (first, second) = (dovecot.store("first"), dovecot.store("second"));
    append(&first, "INBOX", "one");
    dovecot.run_on(&["backup", "-l", "x"], &first, &second).assert_refused("seconds");
    dovecot.run_on(&["backup", "-l", "5"], &first, &second).assert_done();
    let lock = dovecot.directory().join("home/.dovecot-sync.lock");
    assert!(!lock.exists());
    // As somebody who works holds it.
    let file = fs::File::create(&lock).unwrap();
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let whole = nix::libc::flock {
        l_type: i16::try_from(nix::libc::F_WRLCK).unwrap(),
        l_whence: 0,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETLK(&whole)).unwrap();
    let started = Instant::now();
    let refused = dovecot.run_on(&["backup", "-l", "1"], &first, &second);
    assert_eq!(refused.code, Some(75), "{refused:?}");
    refused.assert_refused("another synchronisation");
    assert!(started.elapsed() >= Duration::from_secs(1));
    drop(file);
    dovecot.run_on(&["backup", "-l", "1"], &first, &second).assert_done();
    assert!(!lock.exists());
}

#[test]
fn the_destination_is_found_and_purged() {
    let dovecot = Dovecot::new();
    let (first, second) = (dovecot.store("first"), dovecot.store_of("second", Driver::Mdbox));
    append(&first, "INBOX", "one");
    append(&first, "INBOX", "two");
    dovecot.backup(&first, &second).assert_done();
    let location = format!("mail_location={}", first.location());
    let dsync = |words: &[&str]| dovecot.dsync(&[&["-o", &location], words].concat());
    let nowhere = dsync(&["-d", "backup"]);
    assert_eq!(nowhere.code, Some(68), "{nowhere:?}");
    dsync(&["-d", "backup", &second.location()]).assert_refused("LOCATION2");
    let mut imap = first.imap();
    imap.select("INBOX");
    imap.expunge("1");
    imap.logout();
    let replica = format!("mail_replica={}", second.location());
    dsync(&["-o", &replica, "-d", "backup"]).assert_done();
    let replica = format!("plugin/{replica}");
    let run = dsync(&["-v", "-o", &replica, "-d", "-P", "backup"]);
    assert!(run.code == Some(0) && run.stderr.contains("messages purged: 1"), "{run:?}");
    assert!(!holds(&second, "one") && holds(&second, "two"));
    second.assert_no_complaints();
}

#[test]
fn an_empty_source_empties_the_destination_only_if_that_is_said() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    build::small(&destination);
    let missing = dovecot.backup(&source, &destination);
    assert_eq!(missing.code, Some(78), "{missing:?}");
    missing.assert_refused("does not exist");
    let would = dovecot.run_on(&["backup", "--allow-empty-source", "--dry-run"], &source, &destination);
    assert!(would.code == Some(0) && would.stdout.contains("delete the mailbox"), "{would:?}");
    assert!(!source.path().exists());
    fs::create_dir_all(source.path()).unwrap();
    let refused = dovecot.backup(&source, &destination);
    assert_eq!(refused.code, Some(78), "{refused:?}");
    refused.assert_refused("holds no mailbox");
    assert!(destination.doveadm(&["mailbox", "list"]).lines().count() > 1);
    dovecot.run_on(&["backup", "--allow-empty-source"], &source, &destination).assert_done();
    assert_eq!(destination.doveadm(&["mailbox", "list"]).trim(), "INBOX");
    assert_eq!(destination.doveadm(&["search", "all"]), "");
    destination.assert_no_complaints();
    source.remove();
    dovecot.run_on(&["backup", "--allow-empty-source"], &source, &destination).assert_done();
    assert!(!source.path().exists());
}

#[test]
fn a_terminal_shows_how_far_it_is() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    build::small(&source);
    source.adopt();
    // The directory is open to the owner of the mail, who runs the program in the other tests.
    let run = |options: &str| {
        let line = format!(
            "{} {options} -o mail_location={} backup {}",
            env!("CARGO_BIN_EXE_dsync"),
            source.location(),
            destination.location()
        );
        let output = std::process::Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env("USER", "tester")
            .env("HOME", dovecot.directory().join("home"))
            .current_dir(dovecot.directory())
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let shown = run("");
    assert!(shown.contains(" messages, ") && shown.contains(" left, "), "{shown:?}");
    destination.remove();
    let shown = run("-v");
    assert!(shown.contains("messages to copy") && shown.contains("both sides are equal now"), "{shown:?}");
    destination.remove();
    assert_eq!(run("-q"), "");
}

#[test]
fn quiet_is_quiet() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    append(&source, "INBOX", "one");
    let run = dovecot.run_on(&["mirror", "-q", "-R"], &source, &destination);
    assert!(run.code == Some(0) && run.stderr.is_empty(), "{run:?}");
    dovecot.run_on(&["mirror", "-q", "-x"], &source, &destination).assert_refused("");
}

#[test]
fn a_run_goes_on_when_its_terminal_is_closed() {
    let dovecot = Dovecot::new();
    let (first, second) = (dovecot.store("first"), dovecot.store("second"));
    append(&first, "INBOX", "one");
    first.adopt();
    let mut server = dovecot.serve(&second);
    server.env_clear();
    let words = std::iter::once(server.get_program()).chain(server.get_args()).map(|word| word.to_string_lossy());
    let server = format!("sleep 1; exec {}", words.collect::<Vec<_>>().join(" "));
    let location = format!("mail_location={}", first.location());
    let mut run = dovecot.dsync_command(&["-o", &location, "backup", "/bin/sh", "-c", &server]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let process = nix::unistd::Pid::from_raw(i32::try_from(run.id()).unwrap());
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGHUP).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert!(holds(&second, "one"));
}

#[test]
fn a_busy_mailbox_is_synchronised() {
    let dovecot = Dovecot::new();
    let (first, second) = (dovecot.store("first"), dovecot.store_of("second", Driver::Mdbox));
    build::small(&first);
    dovecot.mirror(&first, &second).assert_done();
    let is_over = AtomicBool::new(false);
    let runs: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let (waiting, delivered) = (format!("tmp/{number}.delivered"), format!("new/{number}.delivered"));
                fs::write(first.path().join(&waiting), format!("Subject: {number}\n\n{number}\n")).unwrap();
                fs::set_permissions(first.path().join(&waiting), fs::Permissions::from_mode(0o666)).unwrap();
                fs::rename(first.path().join(waiting), first.path().join(delivered)).unwrap();
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let runs = (0..5).map(|_| dovecot.mirror(&first, &second)).collect();
        is_over.store(true, Ordering::Relaxed);
        runs
    });
    runs.iter().for_each(Run::assert_done);
    dovecot.mirror(&first, &second).assert_done();
    assert_equal(&Snapshot::of(&first), &Snapshot::of(&second));
}
