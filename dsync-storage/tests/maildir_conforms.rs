//! The Maildir store keeps all promises of the store traits, in every arrangement of its files.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use dsync_core::conformance;
use dsync_storage::location::Location;
use dsync_storage::maildir::MaildirStore;

fn conforms(parameters: impl Fn(&Path) -> String) {
    let directory = tempfile::tempdir().unwrap();
    let mut number = 0;
    conformance::run(&mut || {
        number += 1;
        let root = directory.path().join(number.to_string());
        let text = format!("maildir:{}{}", root.join("mail").display(), parameters(&root));
        let location = Location::parse(&text, None).unwrap();
        Box::new(MaildirStore::open(&location).unwrap())
    });
}

#[test]
fn maildir_plus_plus() {
    conforms(|_| String::new());
}

#[test]
fn nested_directories() {
    conforms(|_| ":LAYOUT=fs".to_owned());
}

#[test]
fn separate_indexes_and_control_files() {
    conforms(|root| format!(":INDEX={0}/index:CONTROL={0}/control", root.display()));
}

#[test]
fn nested_directories_with_separate_indexes() {
    conforms(|root| format!(":LAYOUT=fs:INDEX={}/index", root.display()));
}

#[test]
fn inbox_elsewhere_and_utf8_names() {
    conforms(|root| format!(":INBOX={}/inbox:UTF-8", root.display()));
}
