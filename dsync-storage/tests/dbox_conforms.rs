//! mdbox and sdbox keep all promises of the store traits, in every arrangement of their files.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use dsync_core::conformance;
use dsync_storage::location::Location;
use dsync_storage::settings::Settings;

fn conforms(settings: &Settings, parameters: impl Fn(&Path) -> String) {
    for driver in ["mdbox", "sdbox"] {
        let directory = tempfile::tempdir().unwrap();
        let mut number = 0;
        conformance::run(&mut || {
            number += 1;
            let root = directory.path().join(number.to_string());
            let text = format!("{driver}:{}{}", root.join("mail").display(), parameters(&root));
            dsync_storage::open(&Location::parse(&text, None).unwrap(), settings).unwrap()
        });
    }
}

#[test]
fn everything_in_one_place() {
    conforms(&Settings::default(), |_| String::new());
}

#[test]
fn files_that_hold_little() {
    let mut settings = Settings::default();
    settings.rotate_size = 1000;
    conforms(&settings, |_| String::new());
}

#[test]
fn separate_indexes_and_control_files() {
    conforms(&Settings::default(), |root| format!(":INDEX={0}/index:CONTROL={0}/control", root.display()));
}

#[test]
fn separate_indexes_as_in_newer_servers() {
    conforms(&Settings::default(), |root| format!(":INDEX={}/index:FULLDIRNAME=dbox-Mails", root.display()));
}

#[test]
fn a_second_place_and_utf8_names() {
    conforms(&Settings::default(), |root| format!(":ALT={}/alt:UTF-8", root.display()));
}
