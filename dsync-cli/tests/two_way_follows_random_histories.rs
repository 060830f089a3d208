//! Users work on both sides at random, and a two-way run makes both sides equal without losing anything.
//!
//! `DSYNC_HISTORIES=n` tries more histories than usual, `DSYNC_SEED=s` just one, with every pair of formats.
//! `DSYNC_TOOL=doveadm` judges Dovecot's own program instead, which is how these tests themselves are tested.

// A helper that fails is a test that fails, and what they find out is to be read.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use support::history::{Broken, Journal, Phase, Promises, Random, Side, Tool, View, Worker, outcome};
use support::snapshot::SAVED;
use support::{Dovecot, Fingerprint, Snapshot, Store, assert_equal};

/// A format of stores, and how to make one of a given name.
struct Format {
    name: &'static str,
    store: fn(&Dovecot, &str) -> Store,
}

/// All are tried with all.
const FORMATS: [Format; 1] = [Format { name: "Maildir", store: |dovecot, name| dovecot.store(name) }];

const HISTORIES: u64 = 12;
/// Comparing takes as long again.
const COMPARED_HISTORIES: u64 = 4;
const ROUNDS: usize = 3;
const OPERATIONS_BEFORE: usize = 30;
const OPERATIONS_PER_ROUND: usize = 10;

#[test]
fn both_sides_become_equal_and_nothing_is_lost() {
    for_each_history(HISTORIES, |history| {
        let tool = tool_under_test();
        history.begin(tool);
        for round in 1..=ROUNDS {
            let worked = history.work(round);
            history.sync(tool);
            let broken = history.broken_promises(&worked);
            assert!(broken.is_empty(), "broken promises:\n{}", lines(&broken));
        }
    });
}

#[test]
fn the_real_tool_does_not_do_better() {
    let found: Mutex<Findings> = Mutex::default();
    for_each_history(COMPARED_HISTORIES, |history| {
        let tool = tool_under_test();
        history.begin(tool);
        for round in 1..=ROUNDS {
            let worked = history.work(round);
            let twin = history.twin();
            history.sync(tool);
            let title = format!("{}, round {round}", history.title);
            found.lock().unwrap().enter(&title, twin.synced(history), &worked, &history.base);
            let broken = history.broken_promises(&worked);
            assert!(broken.is_empty(), "broken promises:\n{}", lines(&broken));
        }
    });
    println!("{}", found.into_inner().unwrap().text());
}

/// Two sides, and what was done to them.
struct History {
    title: String,
    random: Random,
    dovecot: Dovecot,
    left: Store,
    right: Store,
    /// What both sides hold when they are equal.
    base: View,
    journal: Journal,
}

/// What users did at either side since both were equal.
struct Worked {
    base: View,
    sides: [Side; 2],
}

impl History {
    fn new(seed: u64, formats: [&Format; 2]) -> Self {
        let dovecot = Dovecot::new();
        let [left, right] = formats;
        let mut journal = Journal::default();
        let title = format!("DSYNC_SEED={seed}, {} and {}", left.name, right.name);
        journal.note(&title);
        let (left, right) = ((left.store)(&dovecot, "left"), (right.store)(&dovecot, "right"));
        Self { title, random: Random::from_seed(seed), dovecot, left, right, base: View::default(), journal }
    }

    /// Makes one side by random work and the other by a backup.
    fn begin(&mut self, tool: Tool) {
        let mut side = Side::fresh();
        let worker = Worker { name: "base", store: &self.left };
        let random = &mut self.random;
        worker.work(random, Phase::Building, OPERATIONS_BEFORE, &mut side, &mut self.journal);
        side.assert_is(&View::of_copy(&self.left));
        self.dovecot.backup(&self.left, &self.right).assert_done();
        self.sync(tool);
    }

    fn work(&mut self, round: usize) -> Worked {
        let mut sides = [Side::settled(&self.base), Side::settled(&self.base)];
        for ((name, store), side) in [("left", &self.left), ("right", &self.right)].into_iter().zip(&mut sides) {
            let worker = Worker { name: &format!("{name}-{round}"), store };
            let random = &mut self.random;
            worker.work(random, Phase::Living, OPERATIONS_PER_ROUND, side, &mut self.journal);
            side.assert_is(&View::of_copy(store));
        }
        Worked { base: self.base.clone(), sides }
    }

    /// Makes both sides equal, and looks whether they are.
    fn sync(&mut self, tool: Tool) {
        self.journal.note(format_args!("{tool:?} makes both sides equal"));
        let run = tool.run_until_done(&self.dovecot, &self.left, &self.right);
        match tool {
            Tool::Dsync => {
                run.assert_done();
                self.assert_idle(tool);
                assert_equal(&Snapshot::of(&self.left), &Snapshot::of(&self.right));
                self.left.assert_no_complaints();
                self.right.assert_no_complaints();
            }
            Tool::Doveadm => {
                assert_eq!(run.code, Some(0), "{run:?}");
                let seen = |store| Snapshot::of(store).without(&["modseq", "highestmodseq", "recent", SAVED]);
                assert_equal(&seen(&self.left), &seen(&self.right));
            }
        }
        self.base = View::of(&self.left);
    }

    /// Another run finds nothing to do.
    fn assert_idle(&self, tool: Tool) {
        let stores = [&self.left, &self.right];
        let before = stores.map(|store| Fingerprint::of(store.path()));
        tool.run(&self.dovecot, &self.left, &self.right).assert_done();
        for (store, before) in stores.into_iter().zip(before) {
            before.assert_unchanged(store.path());
        }
    }

    /// What the sync did not keep at one side. The other one is equal.
    fn broken_promises(&self, worked: &Worked) -> Vec<Broken> {
        Promises::new(&worked.base, worked.sides.each_ref()).broken_at(&self.base)
    }

    /// Copies of both sides as they are now.
    fn twin(&self) -> Twin {
        Twin { left: self.left.copy_apart(), right: self.right.copy_apart() }
    }
}

/// Both sides as they were before the program under test ran.
struct Twin {
    left: Store,
    right: Store,
}

/// What Dovecot's own program made of two sides.
struct RealOutcome {
    code: Option<i32>,
    views: [View; 2],
    complaints: Vec<String>,
}

impl Twin {
    fn synced(self, history: &History) -> RealOutcome {
        let run = Tool::Doveadm.run_until_done(&history.dovecot, &self.left, &self.right);
        let stores = [&self.left, &self.right];
        stores.iter().for_each(|store| store.forget_list_index());
        let complaints = stores.iter().flat_map(|store| store.complaints()).collect();
        let views = stores.map(View::of);
        stores.iter().for_each(|store| store.remove());
        RealOutcome { code: run.code, views, complaints }
    }
}

/// Where Dovecot's own program comes out differently, and what it breaks.
#[derive(Default)]
struct Findings {
    text: String,
    counts: BTreeMap<String, usize>,
}

impl Findings {
    fn enter(&mut self, title: &str, real: RealOutcome, worked: &Worked, ours: &View) {
        self.text += &format!("{title}\n");
        self.count("rounds", None);
        let [left, right] = &real.views;
        for (kind, what) in outcome::differences(ours, left) {
            self.count(&format!("ours / its left side: {kind}"), Some(&what));
        }
        for (kind, what) in outcome::differences(left, right) {
            self.count(&format!("its two sides: {kind}"), Some(&what));
        }
        let promises = Promises::new(&worked.base, worked.sides.each_ref());
        let mut broken = promises.broken_at(left);
        broken.extend(promises.broken_at(right));
        broken.sort();
        broken.dedup();
        for broken in broken {
            self.count(&format!("it breaks: {}", broken.kind), Some(&broken.what));
        }
        for complaint in real.complaints {
            self.count("complaints", Some(&complaint));
        }
        if real.code != Some(0) {
            self.count(&format!("second exit status: {:?}", real.code), None);
        }
    }

    fn count(&mut self, kind: &str, what: Option<&str>) {
        *self.counts.entry(kind.to_owned()).or_default() += 1;
        if let Some(what) = what {
            self.text += &format!("    {kind}: {what}\n");
        }
    }

    fn text(&self) -> String {
        let counts = self.counts.iter().map(|(kind, count)| format!("{count:6} {kind}\n"));
        format!("{}\nDovecot's own program on the same histories:\n{}", self.text, counts.collect::<String>())
    }
}

/// Runs histories on all processors, and tells which of them failed.
fn for_each_history(count: u64, check: impl Fn(&mut History) + Sync) {
    let histories = histories(count);
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let work = || {
        while let Some((seed, formats)) = histories.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = catch_unwind(AssertUnwindSafe(|| check(&mut History::new(*seed, *formats))));
            if outcome.is_err() {
                failed.lock().unwrap().push(*seed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} of {} histories failed, with DSYNC_SEED={failed:?}",
        failed.len(),
        histories.len()
    );
}

/// Seeds, each with the formats of the two sides. The pairs of formats take turns, unless one seed is asked for.
fn histories(count: u64) -> Vec<(u64, [&'static Format; 2])> {
    let pairs: Vec<_> = FORMATS.iter().flat_map(|left| FORMATS.iter().map(move |right| [left, right])).collect();
    if let Some(seed) = number("DSYNC_SEED") {
        return pairs.into_iter().map(|pair| (seed, pair)).collect();
    }
    let count = number("DSYNC_HISTORIES").unwrap_or(count);
    let least = u64::try_from(pairs.len()).unwrap();
    (1..=count.max(least)).zip(pairs.into_iter().cycle()).collect()
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is no number")))
}

/// The program that has to keep the promises.
fn tool_under_test() -> Tool {
    match std::env::var("DSYNC_TOOL").as_deref() {
        Ok("doveadm") => Tool::Doveadm,
        _ => Tool::Dsync,
    }
}

fn lines(broken: &[Broken]) -> String {
    broken.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
