//! What Dovecot's own program does with the same histories.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::Store;

use super::outcome;
use super::promises::Broken;
use super::tool::Tool;
use super::two_sides::{History, Worked};
use super::view::View;

/// What Dovecot's own program makes of two sides.
pub struct RealOutcome {
    code: Option<i32>,
    sides: [View; 2],
    complaints: Vec<String>,
}

impl RealOutcome {
    /// Lets it work on copies.
    pub fn of(history: &History) -> Self {
        let stores = [&history.left, &history.right].map(Store::copy_apart);
        let run = Tool::Doveadm.run_until_done(&history.dovecot, &stores[0], &stores[1]);
        let complaints = stores.iter().flat_map(Store::complaints).collect();
        let sides = stores.each_ref().map(View::of);
        stores.iter().for_each(Store::remove);
        Self { code: run.code, sides, complaints }
    }
}

/// Where Dovecot's own program comes out differently, and what it breaks.
#[derive(Default)]
pub struct Findings {
    text: String,
    counts: BTreeMap<String, usize>,
}

impl Findings {
    /// What it broke, and where it left a difference between its two sides.
    pub fn enter_promises(&mut self, title: &str, real: &RealOutcome, worked: &Worked) {
        self.count(title, "rounds", None);
        let [left, right] = real.sides.each_ref().map(|side| worked.promises().broken_at(side));
        let broken: BTreeSet<_> = left.iter().chain(&right).collect();
        for it @ Broken { kind, what } in broken {
            let place = if left.contains(it) && right.contains(it) { "on both sides" } else { "on one side" };
            self.count(title, &format!("it breaks {place}: {kind}"), Some(what));
        }
        for (kind, what) in outcome::differences(&real.sides[0], &real.sides[1]) {
            self.count(title, &format!("its two sides differ: {kind}"), Some(&what));
        }
        for complaint in &real.complaints {
            self.count(title, "it complains", Some(complaint));
        }
        if real.code != Some(0) {
            self.count(title, "it does not come to an end in two runs", None);
        }
    }

    /// Where it came out differently from the program under test.
    pub fn enter_differences(&mut self, title: &str, real: &RealOutcome, ours: &View) {
        for (kind, what) in outcome::differences(ours, &real.sides[0]) {
            self.count(title, &format!("ours / its left side: {kind}"), Some(&what));
        }
    }

    fn count(&mut self, title: &str, kind: &str, what: Option<&str>) {
        *self.counts.entry(kind.to_owned()).or_default() += 1;
        if let Some(what) = what {
            self.text += &format!("{title}: {kind}: {what}\n");
        }
    }

    /// Everything, and how much of each kind.
    pub fn text(&self) -> String {
        let counts = self.counts.iter().map(|(kind, count)| format!("{count:6} {kind}\n"));
        format!("{}\nDovecot's own program on the same histories:\n{}", self.text, counts.collect::<String>())
    }
}
