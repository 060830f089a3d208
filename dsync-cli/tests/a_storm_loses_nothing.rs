//! Both stores are in use while runs go on without a pause: clients of a server append, flag, copy, move, expunge, wait for news,
//! and make, rename and delete mailboxes, and mail is delivered. When it is quiet again, one more run makes both sides equal; what
//! was delivered and not expunged is there once; the server has found fault with nothing, and nobody has waited long.
//!
//! `DSYNC_STORM=60` makes it last so many seconds for each pair of formats; `DSYNC_PAIR=all` does so with all pairs, usually there is
//! another one every day. `DSYNC_STORM_LOG=file` writes down what clients and runs did, and when.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use support::mbox::assert_same_but_for;
use support::storm::{self, Kept, Weather};
use support::{Driver, Pair, Store, assert_same};

/// How long it lasts, unless it is asked for more.
const USUAL: Duration = Duration::from_secs(7);
/// Nobody waits for anything as long as this, if nothing hangs.
const MOST: Duration = Duration::from_secs(60);
/// No run takes as long as this: in mailboxes that never stand still it tries again and again, and other programs are at work, too.
const LONGEST_RUN: Duration = Duration::from_secs(180);

/// What runs are there beside those who use the stores.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    /// One after the other.
    One,
    /// Two at a time, from both ends: they take turns.
    Two,
}

fn seconds() -> Duration {
    let wanted = std::env::var("DSYNC_STORM").ok();
    wanted.map_or(USUAL, |text| Duration::from_secs(text.parse().expect("DSYNC_STORM is a number of seconds")))
}

fn pairs() -> Vec<[Driver; 2]> {
    let all = Driver::pairs();
    match std::env::var("DSYNC_PAIR").as_deref() {
        Ok("all") => all,
        Ok(name) => {
            let [left, right] = name.split('-').collect::<Vec<_>>().try_into().expect("DSYNC_PAIR=mdbox-sdbox");
            all.into_iter().filter(|pair| pair[0].name() == left && pair[1].name() == right).collect()
        }
        Err(_) => {
            let days = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() / 86_400;
            vec![all[usize::try_from(days).unwrap() % all.len()]]
        }
    }
}

/// Runs until the storm is over. How many were complete, incomplete because of clients, and to be tried again.
fn run_on_and_on(pair: &Pair, first: &Store, second: &Store, weather: &Weather) -> [usize; 3] {
    let mut count = [0; 3];
    let location = format!("mail_location={}", first.location());
    while !weather.is_calm() {
        let mut command = pair.dovecot.dsync_command(&["-D", "-o", &location, "mirror", &second.location()]);
        weather.note(&format!("a run begins with {}", first.location()));
        let mut said = tempfile::tempfile().unwrap();
        let mut child = command.stdout(Stdio::null()).stderr(said.try_clone().unwrap()).spawn().unwrap();
        let status = storm::wait_for(&mut child, LONGEST_RUN);
        let mut text = String::new();
        said.rewind().unwrap();
        said.read_to_string(&mut text).unwrap();
        weather.note(&format!("it ends with {status}\n{text}"));
        match status.code() {
            Some(0) => count[0] += 1,
            Some(2) => count[1] += 1,
            Some(75) => count[2] += 1,
            _ => panic!("{status}: {text}"),
        }
    }
    count
}

fn storm(pair: &Pair, runs: Runs) {
    let weather = Weather::default();
    let (left, right) = (&pair.source, &pair.destination);
    for store in [left, right] {
        // Processes of the server get in each other's way when all of them make it.
        let mut imap = store.imap();
        imap.command("SELECT INBOX");
        imap.logout();
    }
    pair.dovecot.mirror(left, right).assert_done();
    let (kept, done, counts) = thread::scope(|scope| {
        let (over, is_over) = channel::<()>();
        let weather = &weather;
        let workers: Vec<_> = [(left, "left"), (right, "right")]
            .into_iter()
            .flat_map(|(store, side)| {
                let clients = [1, 2].map(|number| {
                    let name = format!("{side} {number}");
                    scope.spawn(move || storm::client(store, &name, seed(), weather))
                });
                let agent = scope.spawn(move || storm::deliver(store, &format!("{side} post"), weather));
                clients.into_iter().chain([agent])
            })
            .collect();
        let mut loops = vec![scope.spawn(|| run_on_and_on(pair, left, right, weather))];
        if runs == Runs::Two {
            loops.push(scope.spawn(|| run_on_and_on(pair, right, left, weather)));
        }
        scope.spawn(move || {
            if is_over.recv_timeout(seconds() + 4 * MOST) == Err(RecvTimeoutError::Timeout) {
                eprintln!("it hangs");
                weather.end_all();
            }
        });
        let begun = Instant::now();
        while begun.elapsed() < seconds() && !workers.iter().any(thread::ScopedJoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(50));
        }
        weather.calm_down();
        let (mut kept, mut done) = (Kept::new(), 0);
        for worker in workers {
            let (more, count) = worker.join().unwrap();
            kept.extend(more);
            done += count;
        }
        let counts: Vec<_> = loops.into_iter().map(|it| it.join().unwrap()).collect();
        drop(over);
        (kept, done, counts)
    });
    let (longest, what) = weather.longest();
    let names = [left, right].map(|store| store.driver().name()).join("-");
    let what: String = what.chars().take(40).collect();
    eprintln!(
        "{names}: {done} actions, runs {counts:?}, {} messages; the longest wait was {longest:?}: {what:?}",
        kept.len()
    );
    assert!(longest < MOST, "somebody waited {longest:?} for {what}");

    pair.dovecot.mirror(left, right).assert_done();
    for store in [left, right] {
        assert_kept(store, &kept);
    }
    // Dates of saving alone are no reason to look into an mbox without `-f`.
    let has_mbox = [left, right].iter().any(|store| store.driver() == Driver::Mbox);
    assert_same_but_for(if has_mbox { &["date.saved.unixtime"] } else { &[] }, left, right);
    let again = pair.dovecot.run_on(&["mirror", "-f"], left, right);
    again.assert_done();
    assert_same(left, right);
    for store in [left, right] {
        store.assert_nothing_hidden();
        store.assert_no_complaints();
    }
}

fn seed() -> u64 {
    u64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() & 0xffff_ffff).unwrap()
}

/// Whether what is to be there is there once, and nothing else.
fn assert_kept(store: &Store, kept: &Kept) {
    let text = store.doveadm(&["-f", "tab", "fetch", "mailbox hdr.subject", "mailbox", "*"]);
    let mut found: Vec<_> = text
        .lines()
        .skip(1)
        .map(|line| {
            let (mailbox, subject) = line.split_once('\t').unwrap();
            (mailbox.to_owned(), subject.trim_end_matches('.').to_owned())
        })
        .collect();
    found.sort();
    let lost: Vec<_> = kept.iter().filter(|it| found.binary_search(it).is_err()).collect();
    let too_many: Vec<_> = found.iter().filter(|it| !kept.contains(it)).collect();
    let twice: Vec<_> = found.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
    assert!(
        lost.is_empty() && twice.is_empty() && too_many.is_empty(),
        "{}: lost {lost:#?}, came back {too_many:#?}, twice {twice:#?}",
        store.location()
    );
}

/// With an mbox, which keeps no GUIDs, a message may come back that is expunged while it gets another UID (docs/reliability.md). What
/// shows twice is something else.
fn once_or_twice(pair: [Driver; 2], storm: impl Fn()) {
    if !pair.contains(&Driver::Mbox) {
        storm();
    } else if catch_unwind(AssertUnwindSafe(&storm)).is_err() {
        eprintln!("once more");
        storm();
    }
}

#[test]
fn a_busy_server_and_a_run_after_the_other() {
    for [left, right] in pairs() {
        once_or_twice([left, right], || storm(&Pair::of(left, right), Runs::One));
    }
}

#[test]
fn a_busy_server_and_two_runs_at_once() {
    for [left, right] in pairs() {
        once_or_twice([left, right], || storm(&Pair::of(right, left), Runs::Two));
    }
}
