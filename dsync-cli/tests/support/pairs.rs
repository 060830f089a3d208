//! What has to hold between any two formats.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{Dovecot, Driver, Setup, Store};

/// Two stores, and the Dovecot that serves them.
pub struct Pair {
    pub dovecot: Dovecot,
    pub source: Store,
    pub destination: Store,
}

impl Pair {
    pub fn of(source: impl Into<Setup>, destination: impl Into<Setup>) -> Self {
        let dovecot = Dovecot::new();
        let source = dovecot.store_of("source", source);
        let destination = dovecot.store_of("destination", destination);
        Self { dovecot, source, destination }
    }

    /// Removes what Dovecot has written down about the list of mailboxes of either side.
    pub fn forget_list_indexes(&self) {
        self.source.forget_list_index();
        self.destination.forget_list_index();
    }
}

/// Checks every format with every format, on all processors. `DSYNC_PAIR=mdbox-sdbox` asks for that one only.
///
/// # Panics
/// If a check does, and names the pairs.
pub fn for_each_pair(check: impl Fn(&Pair) + Sync) {
    for_each_pair_of(Setup::from, check);
}

/// Does so with half of the pairs, among which each format is at each side: those that tests with an odd `number` try are those
/// that the others leave out. `DSYNC_PAIR=all` asks for all.
///
/// # Panics
/// If a check does, and names the pairs.
pub fn for_half_of_pairs(number: usize, check: impl Fn(&Pair) + Sync) {
    let place = |driver: Driver| Driver::ALL.iter().position(|it| *it == driver).unwrap();
    try_pairs(Setup::from, &|pair| (place(pair[0]) + place(pair[1]) + number).is_multiple_of(2), check);
}

/// Does so with stores that are set up in a certain way.
///
/// # Panics
/// If a check does, and names the pairs.
pub fn for_each_pair_of(setup: impl Fn(Driver) -> Setup + Sync, check: impl Fn(&Pair) + Sync) {
    try_pairs(setup, &|_| true, check);
}

fn try_pairs(
    setup: impl Fn(Driver) -> Setup + Sync,
    is_usual: &dyn Fn(&[Driver; 2]) -> bool,
    check: impl Fn(&Pair) + Sync,
) {
    let wanted = std::env::var("DSYNC_PAIR").ok();
    let mut pairs: Vec<_> = Driver::pairs().into_iter().map(|pair| (name(pair), pair)).collect();
    pairs.retain(|(name, pair)| match wanted.as_deref() {
        None => is_usual(pair),
        Some("all") => true,
        Some(wanted) => wanted == name,
    });
    assert!(!pairs.is_empty(), "there is no pair {wanted:?}");
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let work = || {
        while let Some((name, [source, destination])) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = catch_unwind(AssertUnwindSafe(|| check(&Pair::of(setup(*source), setup(*destination)))));
            if outcome.is_err() {
                eprintln!("that was {name}");
                failed.lock().unwrap().push(name.as_str());
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} pairs failed: {failed:?}", failed.len(), pairs.len());
}

fn name([source, destination]: [Driver; 2]) -> String {
    format!("{}-{}", source.name(), destination.name())
}
