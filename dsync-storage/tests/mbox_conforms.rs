//! The mbox store keeps the promises that every store makes, in every arrangement of its files.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use dsync_storage::location::Location;
use dsync_storage::settings::Settings;

fn conforms(parameters: &str) {
    let mut keep = Vec::new();
    dsync_core::conformance::run(&mut || {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let parameters = parameters.replace("@", &at(""));
        let location = Location::parse(&format!("mbox:{}{parameters}", at("mail")), None).unwrap();
        keep.push(dir);
        dsync_storage::open(&location, &Settings::default()).unwrap()
    });
}

#[test]
fn in_one_directory() {
    conforms("");
}

#[test]
fn with_separate_indexes_and_control_files() {
    conforms(":INDEX=@index:CONTROL=@control");
}

#[test]
fn with_inbox_elsewhere() {
    conforms(":INBOX=@spool");
}
