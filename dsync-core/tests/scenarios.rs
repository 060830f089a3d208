//! Scenarios: what becomes of two stores in a given situation, written down in `scenarios/*.txt` in the form that
//! `scenarios/README.md` describes. Each is played on two stores in memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "scenarios/parse.rs"]
mod parse;
#[path = "scenarios/play.rs"]
mod play;
#[path = "scenarios/show.rs"]
mod show;
#[path = "scenarios/tables.rs"]
mod tables;

use std::collections::BTreeSet;

use parse::{Expected, Mode, Run, Scenario};
use tables::{FILES, KNOWN_DIFFERENCES};

fn scenarios() -> Vec<Scenario> {
    FILES.iter().flat_map(|(file, text)| parse::scenarios(file, text)).collect()
}

fn is_listed(table: &[(&str, &str)], scenario: &Scenario) -> bool {
    table.iter().any(|(id, _)| *id == scenario.id)
}

/// Plays a scenario; says where it ends otherwise than expected.
fn differences(scenario: &Scenario) -> Vec<String> {
    let outcomes = play::play(scenario);
    let runs = scenario.runs().zip(outcomes).enumerate();
    let differing = runs.filter(|(_, (run, outcome))| run.expected() != outcome);
    differing
        .map(|(index, (run, outcome))| {
            format!(
                "[{}] run {}: {}\nexpected\n{}got\n{outcome}",
                scenario.id,
                index + 1,
                scenario.title,
                run.expected()
            )
        })
        .collect()
}

#[test]
fn every_scenario_ends_as_expected() {
    let failures: Vec<String> = scenarios()
        .into_iter()
        .filter(|scenario| !is_listed(KNOWN_DIFFERENCES, scenario))
        .flat_map(|scenario| differences(&scenario))
        .collect();
    assert!(failures.is_empty(), "{} runs differ\n\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn known_differences_are_still_there() {
    let listed = scenarios().into_iter().filter(|scenario| is_listed(KNOWN_DIFFERENCES, scenario));
    let gone: Vec<_> =
        listed.filter(|scenario| differences(scenario).is_empty()).map(|scenario| scenario.id).collect();
    assert_eq!(gone, [""; 0], "these are as expected now and can leave the table");
}

#[test]
fn what_we_decide_otherwise_is_another_outcome_with_a_reason() {
    for scenario in scenarios() {
        for run in scenario.runs() {
            let Some((reason, ours)) = &run.ours else { continue };
            assert!(!reason.is_empty(), "[{}] says no reason", scenario.id);
            assert_ne!(&run.theirs, ours, "[{}] has the same outcome twice", scenario.id);
        }
    }
}

#[test]
fn both_sides_are_equal_after_one_mirror() {
    let is_whole = |run: &Run| run.mode == Mode::Mirror && run.options.iter().all(|option| option == "full");
    for scenario in scenarios().into_iter().filter(|scenario| !is_listed(KNOWN_DIFFERENCES, scenario)) {
        for run in scenario.runs().filter(|run| is_whole(run)) {
            let [first, second] = &run.expected().sides;
            assert_eq!(first, second, "[{}]", scenario.id);
        }
    }
}

#[test]
fn tables_and_files_fit_together() {
    let scenarios = scenarios();
    let ids: BTreeSet<&str> = scenarios.iter().map(|scenario| scenario.id.as_str()).collect();
    assert_eq!(ids.len(), scenarios.len(), "every id occurs once");
    for (id, reason) in KNOWN_DIFFERENCES {
        assert!(ids.contains(id), "there is no scenario {id}");
        assert!(!reason.is_empty(), "{id} is listed without a reason");
    }
}

#[test]
fn outcomes_are_shown_as_they_are_written() {
    let lines = ["exit 2", "both INBOX a0 1 2: 1 m1", "A x b0 1 1:"];
    let outcome = Expected::parse(lines.into_iter(), None);
    assert_eq!(outcome.to_string(), "= exit 2\n= A x b0 1 1:\n= both INBOX a0 1 2: 1 m1\n");
}
