//! Which histories are tried.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::{Dovecot, Store};

use super::file_worker::Files;
use super::two_sides::History;

/// A format of stores, and how to make one of a given name.
#[derive(Clone, Copy)]
pub struct Format {
    pub name: &'static str,
    pub store: fn(&Dovecot, &str) -> Store,
    /// If other programs work on its files: what they find there.
    pub files: Option<Files>,
}

/// Runs histories on all processors, and returns the seeds of those that failed.
pub fn for_each_history(formats: &[Format], count: u64, check: impl Fn(&mut History) + Sync) -> Vec<u64> {
    let histories = histories(formats, count);
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
        // Twice as many threads as processors, since they wait now and then.
        for _ in 0..2 * thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    failed.into_inner().unwrap()
}

/// # Panics
/// If there are any.
pub fn assert_none(failed: &[u64]) {
    assert!(failed.is_empty(), "{} histories failed, those with DSYNC_SEED={failed:?}", failed.len());
}

/// Seeds, each with the formats of the two sides. The pairs of formats take turns, unless one seed is asked for.
fn histories(formats: &[Format], count: u64) -> Vec<(u64, [&Format; 2])> {
    let wanted = std::env::var("DSYNC_FORMAT").ok();
    let is_wanted = |pair: &[&Format; 2]| wanted.as_ref().is_none_or(|name| pair.iter().any(|it| it.name == name));
    let pairs = formats.iter().flat_map(|left| formats.iter().map(move |right| [left, right]));
    let pairs: Vec<_> = pairs.filter(is_wanted).collect();
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
