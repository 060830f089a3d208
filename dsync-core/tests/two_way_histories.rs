//! Random histories of two stores that are mirrored again and again: whatever clients do on either side, in whatever
//! order, and wherever runs are cut off, both sides end equal and nothing is lost.
//!
//! `DSYNC_HISTORIES` sets the number of histories; 100,000 take a few minutes in a release build.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "two_way/chain.rs"]
mod chain;
#[path = "two_way/clients.rs"]
mod clients;
#[path = "two_way/generate.rs"]
mod generate;
#[path = "two_way/promises.rs"]
mod promises;
#[path = "two_way/wire.rs"]
mod wire;
#[path = "two_way/world.rs"]
mod world;

use proptest::test_runner::{Config, RngSeed, TestRunner};

use chain::Chain;
use generate::{History, chain_histories, histories};
use world::World;

/// How many histories an ordinary run tries.
const ORDINARY: u32 = 1500;

fn number() -> u32 {
    std::env::var("DSYNC_HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(ORDINARY)
}

/// An ordinary run always tries the same histories, so that it fails only because of a change.
fn config(cases: u32) -> Config {
    let chosen = std::env::var_os("DSYNC_HISTORIES").is_some();
    let rng_seed = if chosen { RngSeed::Random } else { RngSeed::Fixed(2026) };
    Config { cases, rng_seed, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() }
}

fn check(history: &History, mut world: World) {
    for step in &history.steps {
        world.take(step);
    }
    world.run_to_the_end();
}

#[test]
fn nothing_is_lost_and_both_sides_end_equal() {
    let config = config(number());
    let result = TestRunner::new(config).run(&histories(), |history| {
        check(&history, World::new());
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn messages_without_guids_are_recognised_by_what_is_in_them() {
    let config = config(number() / 3);
    let result = TestRunner::new(config).run(&histories(), |history| {
        check(&history, World::without_guids(false));
        check(&history, World::without_guids(true));
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn runs_that_copy_only_some_messages_lose_none() {
    let config = config(number() / 6);
    let result = TestRunner::new(config).run(&histories(), |history| {
        for mut world in [World::new(), World::without_guids(false), World::without_guids(true)] {
            history.steps.iter().for_each(|step| world.take_with_selection(step));
            world.run_to_the_end();
        }
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn a_connection_between_both_sides_loses_nothing_either() {
    let config = config(number() / 10);
    let result = TestRunner::new(config).run(&histories(), |history| {
        check(&history, World::on_two_hosts());
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn it_does_not_matter_which_side_begins() {
    let config = config(number() / 3);
    let result = TestRunner::new(config).run(&histories(), |history| {
        let mut world = World::new();
        for step in &history.steps {
            world.take(step);
        }
        world.compare_with_swapped_sides();
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn three_stores_lose_nothing_between_them() {
    let config = config(number() / 3);
    let result = TestRunner::new(config).run(&chain_histories(), |history| {
        let mut chain = Chain::new();
        chain.finish();
        history.iter().for_each(|step| chain.take(step));
        chain.finish();
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
