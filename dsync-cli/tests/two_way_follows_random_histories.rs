//! Users work on both sides at random, and a two-way run makes both sides equal without losing anything.
//!
//! `DSYNC_HISTORIES=n` tries more histories than usual, `DSYNC_SEED=s` just one, with every pair of formats;
//! `DSYNC_FORMAT=mbox` only pairs with that one.
//! `DSYNC_TOOL=doveadm` judges Dovecot's own program instead.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Mutex;

use support::history::{Files, Findings, Format, RealOutcome, Tool, assert_none, for_each_history};
use support::{Dovecot, Driver, Store};

/// All are tried with all.
const FORMATS: [Format; 5] = [
    Format { name: "mbox", store: |dovecot, name| dovecot.store_of(name, Driver::Mbox), files: Some(Files::Mbox) },
    Format {
        name: "Maildir",
        store: |dovecot, name| dovecot.store(name),
        files: Some(Files::Maildir(maildir_directory)),
    },
    Format {
        name: "Maildir of nested directories",
        store: nested_maildir,
        files: Some(Files::Maildir(nested_directory)),
    },
    // Small files, so that there are many of them.
    Format { name: "mdbox", store: small_mdbox, files: None },
    Format { name: "sdbox", store: |dovecot, name| dovecot.store_of(name, Driver::Sdbox), files: None },
];

/// Each pair of formats once.
const HISTORIES: u64 = 25;
/// Comparing takes as long again.
const COMPARED_HISTORIES: u64 = 16;
/// Of those that are tried over a connection; more with `DSYNC_HISTORIES`.
const SHARE: [Format; 2] = [FORMATS[1], FORMATS[3]];
const SHARED_HISTORIES: u64 = 4;
const SHARED_ROUNDS: usize = 2;
const ROUNDS: usize = 3;

/// The names of directories in the default layout.
fn maildir_directory(mailbox: &str) -> String {
    if mailbox == "INBOX" { String::new() } else { format!(".{}", mailbox.replace('/', ".")) }
}

fn nested_maildir(dovecot: &Dovecot, name: &str) -> Store {
    dovecot.store_with(name, ":LAYOUT=fs")
}

/// The names of directories in the nested layout.
fn nested_directory(mailbox: &str) -> String {
    if mailbox == "INBOX" { String::new() } else { mailbox.to_owned() }
}

fn small_mdbox(dovecot: &Dovecot, name: &str) -> Store {
    dovecot.store_of(name, Driver::Mdbox.setting("mdbox_rotate_size = 2k"))
}

#[test]
fn both_sides_become_equal_and_nothing_is_lost() {
    let failed = for_each_history(&FORMATS, HISTORIES, |history| {
        let tool = Tool::under_test();
        history.begin(tool);
        for round in 1..=ROUNDS {
            let worked = history.work(round);
            history.sync(tool);
            history.assert_kept(&worked);
        }
    });
    assert_none(&failed);
}

#[test]
fn where_the_real_tool_comes_out_differently_nothing_is_lost_either() {
    let found: Mutex<Findings> = Mutex::default();
    // Dovecot's own program crashes when it makes an mbox equal to something else.
    let formats = &FORMATS[1..];
    let failed = for_each_history(formats, COMPARED_HISTORIES, |history| {
        let tool = Tool::under_test();
        history.begin(tool);
        for round in 1..=ROUNDS {
            let worked = history.work(round);
            let title = format!("{}, round {round}", history.title);
            let real = RealOutcome::of(history);
            found.lock().unwrap().enter_promises(&title, &real, &worked);
            history.sync(tool);
            found.lock().unwrap().enter_differences(&title, &real, &history.base);
            history.assert_kept(&worked);
        }
    });
    println!("{}", found.into_inner().unwrap().text());
    assert_none(&failed);
}

#[test]
fn over_a_connection_it_comes_out_as_on_one_machine() {
    let failed = for_each_history(&SHARE, SHARED_HISTORIES, |history| {
        history.begin(Tool::Peers);
        for round in 1..=SHARED_ROUNDS {
            // Both ways remember that the sides were equal.
            history.sync(Tool::Dsync);
            let worked = history.work(round);
            let local = history.come_to(Tool::Dsync);
            history.sync(Tool::Peers);
            history.assert_kept(&worked);
            history.assert_hold(&local);
        }
    });
    assert_none(&failed);
}

#[test]
fn nothing_of_ours_is_lost_with_the_real_tool_at_the_other_end() {
    let failed = for_each_history(&SHARE, SHARED_HISTORIES, |history| {
        history.begin(Tool::DsyncAndDoveadm);
        for round in 1..=SHARED_ROUNDS {
            let worked = history.work(round);
            history.sync(Tool::DsyncAndDoveadm);
            history.assert_own_kept(&worked, round);
        }
    });
    assert_none(&failed);
}
