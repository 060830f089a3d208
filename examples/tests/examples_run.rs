//! The examples do what they say.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Command;

#[test]
fn memory_stores() {
    assert!(Command::new(env!("CARGO_BIN_EXE_memory_stores")).status().unwrap().success());
}

#[test]
fn backup_maildir() {
    let directory = tempfile::tempdir().unwrap();
    let source = format!("maildir:{}/sample/Maildir", env!("CARGO_MANIFEST_DIR"));
    let copy = format!("maildir:{}", directory.path().display());
    let output = Command::new(env!("CARGO_BIN_EXE_backup_maildir")).args([source, copy]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("0 problems"), "{said}");
}
