//! A run is killed before any change of the file system, by a signal that no process can catch, while clients of a server use both
//! stores. They go on without a complaint, and the next run completes it at once: what a dead process has locked is not waited for.
//!
//! A server that finds a dbox half changed rebuilds its index, and clients have to come again; in an mbox that is half rewritten it may show
//! a message twice (docs/reliability.md). So clients wait for the next run there.
//!
//! `DSYNC_CRASHES=all` tries every moment; usually some are tried.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dsync_core::report::Unobserved;
use dsync_core::session::SyncOptions;
use dsync_core::store::MailStore;
use dsync_core::sync;
use dsync_storage::fs::fault::{Plan, Session};
use dsync_storage::location::Location;
use dsync_storage::settings::Settings;
use nix::sys::signal::Signal;
use support::{Driver, Imap, Pair, Store, assert_same, build, mail};

/// At how many moments a run is killed, unless all are wanted.
const USUAL: usize = 3;
/// Nobody waits as long as this for a lock of the dead.
const MOST: Duration = Duration::from_secs(15);

/// What the process that is killed does; without its environment variables it is no test of anything.
#[test]
fn the_process_that_is_killed() {
    let Ok(text) = std::env::var("DSYNC_TEST_KILL") else { return };
    let words: Vec<_> = text.split('\n').collect();
    let [most, left, right, count] = words[..] else { panic!("{text}") };
    let open = |text: &str| dsync_storage::open(&Location::parse(text, None).unwrap(), &Settings::default()).unwrap();
    let mut stores: [Box<dyn MailStore>; 2] = [left, right].map(open);
    stores.iter_mut().for_each(|store| store.claim(MOST).unwrap());
    let [left, right] = &mut stores;
    let session = Session::begin(Plan::KillAfter(most.parse().unwrap()));
    let report = sync::mirror(&mut **left, &mut **right, &SyncOptions::default(), &mut Unobserved).unwrap();
    assert_eq!(report.problems, []);
    fs::write(count, session.end().0.to_string()).unwrap();
}

/// A mirror in a process of its own, as the owner of the mail, that is killed before a change. How it ended, and how many changes
/// there were if it was not killed.
fn run(pair: &Pair, most: usize) -> (ExitStatus, usize) {
    let directory = pair.dovecot.directory();
    let program = directory.join("this-test");
    if !program.exists() {
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    }
    let counts = directory.join("counts");
    fs::create_dir_all(&counts).unwrap();
    pair.dovecot.user().adopt(&counts);
    let count = counts.join("count");
    let words = [most.to_string(), pair.source.location(), pair.destination.location(), count.display().to_string()];
    let mut command = Command::new(program);
    command.args(["--exact", "the_process_that_is_killed"]).env_clear().env("DSYNC_TEST_KILL", words.join("\n"));
    command.current_dir(directory).stdin(Stdio::null());
    pair.dovecot.user().runs(&mut command);
    let output = loop {
        match command.output() {
            // Another thread may just be starting a process, which has the copy open until it is another program.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => sleep(Duration::from_millis(10)),
            output => break output.unwrap(),
        }
    };
    if !output.status.success() && output.status.signal() != Some(Signal::SIGKILL as i32) {
        eprintln!("{}", String::from_utf8_lossy(&output.stdout));
    }
    (output.status, fs::read_to_string(count).map_or(0, |text| text.parse().unwrap()))
}

fn work_at_both(stores: [&Store; 2]) {
    for (store, [name, uid]) in stores.iter().zip([["left", "9"], ["right", "10"]]) {
        let mut imap = store.imap();
        imap.append("INBOX", "(\\Seen)", &mail::plain(name));
        imap.select("INBOX");
        imap.store("5:6", "+FLAGS", "(\\Flagged red)");
        imap.expunge(uid);
        imap.create(&format!("New {name}"));
        imap.logout();
    }
}

/// What the clients do next.
fn go_on(clients: &mut [Imap; 2], moment: usize) {
    for (imap, name) in clients.iter_mut().zip(["left", "right"]) {
        imap.command("NOOP");
        imap.append("INBOX", "()", &mail::plain(&format!("{name} after {moment}")));
        imap.command("UID FETCH 1:* (FLAGS BODY.PEEK[])");
    }
}

fn kill_beside_clients(driver: Driver) {
    let pair = Pair::of(Driver::Maildir, driver);
    let stores = [&pair.source, &pair.destination];
    build::small(&pair.source);
    pair.dovecot.mirror(&pair.source, &pair.destination).assert_done();
    work_at_both(stores);
    let before = [0, 1].map(|side: usize| pair.dovecot.copy_of(stores[side], ["left-before", "right-before"][side]));
    let restored_clients = || {
        (0..2).for_each(|side: usize| stores[side].restore(&before[side]));
        stores.map(|store| {
            let mut imap = store.imap();
            imap.select("INBOX");
            imap
        })
    };
    let clients = restored_clients();
    let (_, count) = run(&pair, usize::MAX);
    drop(clients);
    let moments: Vec<_> = match std::env::var_os("DSYNC_CRASHES") {
        Some(_) => (0..count).collect(),
        None => (0..USUAL).map(|number| (2 * number + 1) * count / (2 * USUAL)).collect(),
    };
    let (mut longest, mut second) = (Duration::ZERO, 0);
    for moment in &moments {
        let mut clients = restored_clients();
        let (status, _) = run(&pair, *moment);
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32), "at {moment}: {status}");
        let begun = Instant::now();
        if driver == Driver::Maildir {
            go_on(&mut clients, *moment);
        }
        // Another one for what the first had to put right.
        if !run(&pair, usize::MAX).0.success() {
            second += 1;
            assert!(run(&pair, usize::MAX).0.success(), "killed at {moment}, and the next runs fail");
        }
        if driver != Driver::Maildir {
            go_on(&mut clients, *moment);
        }
        longest = longest.max(begun.elapsed());
        for imap in &mut clients {
            imap.command("NOOP");
        }
        clients.into_iter().for_each(Imap::logout);
        pair.dovecot.mirror(&pair.source, &pair.destination).assert_done();
        assert_same(&pair.source, &pair.destination);
        let text = pair.source.doveadm(&["-f", "tab", "fetch", "hdr.subject", "mailbox", "INBOX"]);
        for subject in ["left", "right", &format!("left after {moment}"), &format!("right after {moment}")] {
            let found = text.lines().filter(|line| *line == subject).count();
            assert_eq!(found, 1, "killed at {moment}: {subject} in {text}");
        }
        stores.iter().for_each(|store| store.assert_no_complaints());
    }
    eprintln!(
        "maildir-{}: killed at {} of {count} moments; {second} needed two further runs; the longest wait was {longest:?}",
        driver.name(),
        moments.len()
    );
    assert!(longest < MOST, "{longest:?}");
}

#[test]
fn maildir() {
    kill_beside_clients(Driver::Maildir);
}

#[test]
fn mdbox() {
    kill_beside_clients(Driver::Mdbox);
}

#[test]
fn sdbox() {
    kill_beside_clients(Driver::Sdbox);
}

#[test]
fn mbox() {
    kill_beside_clients(Driver::Mbox);
}
