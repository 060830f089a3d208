//! Wherever a connection breaks off, both sides stay sound, and the next run completes what was begun.
//!
//! `DSYNC_CUTS=all` breaks it off before and within every line of either direction, `DSYNC_CUTS=50` at about so many places of each;
//! usually a few are tried.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use support::dbox::assert_sound;
use support::history::{View, outcome};
use support::{Dovecot, Driver, Run, Store, build};

/// So many places are tried in each direction, unless all are.
const USUAL: usize = 3;

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Dsync,
    Dovecot,
}

/// Where a connection breaks off: behind so many bytes that the other side says, or hears.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Said(usize),
    Heard(usize),
}

/// A run that is begun again and again from the same start.
struct Scene {
    dovecot: Dovecot,
    command: &'static [&'static str],
    peer: Peer,
    before: [Store; 2],
    tried: [Store; 2],
}

impl Scene {
    fn new(
        command: &'static [&'static str],
        peer: Peer,
        drivers: [Driver; 2],
        prepare: impl Fn(&Dovecot, &[Store; 2]),
    ) -> Self {
        let dovecot = Dovecot::new();
        let stores = |names: [&str; 2]| {
            let [own, other] = names;
            [dovecot.store_of(own, drivers[0]), dovecot.store_of(other, drivers[1])]
        };
        let (before, tried) = (stores(["before-own", "before-other"]), stores(["own", "other"]));
        for store in &before {
            fs::create_dir_all(store.path()).unwrap();
        }
        // What is remembered of the other side is remembered under where it is.
        for store in &tried {
            fs::create_dir_all(store.path()).unwrap();
        }
        prepare(&dovecot, &tried);
        for (before, tried) in before.iter().zip(&tried) {
            before.restore(tried);
        }
        Self { dovecot, command, peer, before, tried }
    }

    fn begin_again(&self) {
        for (tried, before) in self.tried.iter().zip(&self.before) {
            tried.restore(before);
        }
    }

    /// The other side, as a command of a shell.
    fn server(&self) -> String {
        match self.peer {
            Peer::Dsync => {
                let command = self.dovecot.serve(&self.tried[1]);
                let words = std::iter::once(command.get_program()).chain(command.get_args());
                words.map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
            }
            Peer::Dovecot => self.tried[1].server_words().join(" "),
        }
    }

    fn run_through(&self, script: &str) -> Run {
        self.tried.iter().for_each(Store::adopt);
        let location = format!("mail_location={}", self.tried[0].location());
        self.dovecot.dsync(&[&["-o", &location, "-T", "10"], self.command, &["/bin/bash", "-c", script]].concat())
    }

    /// A whole run, and what was said in it.
    fn record(&self) -> [Vec<u8>; 2] {
        let [said, heard] = ["said", "heard"].map(|name| self.dovecot.directory().join("home").join(name));
        let shown = |path: &Path| path.display().to_string();
        let script = format!("tee {} | {} | tee {}", shown(&heard), self.server(), shown(&said));
        let run = self.run_through(&script);
        assert_eq!(run.code, Some(0), "{run:?}");
        [said, heard].map(|path: PathBuf| fs::read(path).unwrap())
    }

    fn run_cut(&self, cut: Cut) -> Run {
        self.run_through(&match cut {
            // No shell must keep a stream open that the program behind it has closed.
            Cut::Said(bytes) => {
                format!("exec 3<&0; exec dd status=none bs=1 count={bytes} < <(exec {} <&3 3<&-) 3<&-", self.server())
            }
            Cut::Heard(bytes) => {
                format!("exec 3<&0; exec {} < <(exec dd status=none bs=1 count={bytes} <&3 3<&-) 3<&-", self.server())
            }
        })
    }

    /// Completes what was begun. With Dovecot's program a second run may be needed.
    fn complete(&self) -> Run {
        let server = self.server();
        let first = self.run_through(&server);
        if first.code == Some(0) || self.peer == Peer::Dsync && first.code != Some(2) {
            return first;
        }
        self.run_through(&server)
    }

    fn seen(&self) -> [View; 2] {
        self.tried.each_ref().map(View::of_copy)
    }

    fn check(&self, cut: Cut, expected: &View) {
        self.begin_again();
        let run = self.run_cut(cut);
        let case = format!("{:?} {:?} {cut:?}", self.command, self.peer);
        assert!(run.code == Some(75) || run.code == Some(0), "{case}: {run:?}");
        for store in &self.tried {
            // Dovecot reads every message.
            store.copy().doveadm(&["fetch", "uid guid text.utf8", "mailbox", "*", "all"]);
            store.assert_no_complaints();
        }
        let again = self.complete();
        assert_eq!(again.code, Some(0), "{case}: {run:?} {again:?}");
        let locations = self.tried.each_ref().map(Store::location);
        let compared = self.dovecot.dsync(&["verify", &locations[0], &locations[1]]);
        assert_eq!(compared.code, Some(0), "{case}: {compared:?}");
        for seen in self.seen() {
            let differences = outcome::differences(&seen, expected);
            assert!(differences.is_empty(), "{case}: {differences:#?}");
        }
        self.tried.iter().for_each(assert_sound);
        self.tried.iter().for_each(Store::assert_no_complaints);
    }

    fn check_all(&self) {
        self.begin_again();
        let [said, heard] = self.record();
        let expected = self.seen()[0].clone();
        let said = places(&said).into_iter().map(Cut::Said);
        for cut in said.chain(places(&heard).into_iter().map(Cut::Heard)) {
            self.check(cut, &expected);
        }
    }
}

/// Before and within every line, or some of these places.
fn places(stream: &[u8]) -> Vec<usize> {
    let begin = stream.windows(3).position(|three| three == b"\n.\n").map_or(0, |at| at + 3);
    let ends = (begin..stream.len()).filter(|at| stream[*at] == b'\n').map(|at| at + 1);
    let mut last = begin;
    let mut places = Vec::new();
    for end in ends {
        places.extend([last, last.midpoint(end)]);
        last = end;
    }
    let wanted = std::env::var("DSYNC_CUTS").ok();
    let wanted = match wanted.as_deref() {
        Some("all") => return places,
        Some(number) => number.parse().expect("DSYNC_CUTS is a number, or all"),
        None => USUAL,
    };
    let step = (places.len() / wanted).max(1);
    places.into_iter().skip(step / 2).step_by(step).collect()
}

#[test]
fn both_sides_stay_sound_and_the_next_run_completes_it() {
    let first = |_: &Dovecot, stores: &[Store; 2]| build::small(&stores[0]);
    let changed = |dovecot: &Dovecot, stores: &[Store; 2]| {
        build::small(&stores[0]);
        dovecot.run_with_peer(&["mirror"], &stores[0], &stores[1]).assert_done();
        build::small_work(&stores[0], 0);
        build::small_work(&stores[1], 1);
        stores.iter().for_each(Store::forget_list_index);
    };
    let filled_there = |_: &Dovecot, stores: &[Store; 2]| build::small(&stores[1]);
    let (maildir, mdbox) = (Driver::Maildir, Driver::Mdbox);
    thread::scope(|scope| {
        scope.spawn(|| Scene::new(&["backup"], Peer::Dsync, [maildir, mdbox], first).check_all());
        scope.spawn(|| Scene::new(&["mirror"], Peer::Dsync, [mdbox, maildir], changed).check_all());
        scope.spawn(|| Scene::new(&["mirror"], Peer::Dsync, [maildir, mdbox], changed).check_all());
        scope.spawn(|| Scene::new(&["backup", "-R"], Peer::Dovecot, [mdbox, maildir], filled_there).check_all());
    });
}
