//! The examples do what they say.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Command;

/// Runs an example with the sample mail store and the other locations. What it says on stdout and on stderr.
fn run(program: &str, others: &[&str]) -> (String, String) {
    let sample = format!("maildir:{}/sample/Maildir", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(program).arg(sample).args(others).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let said = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{said:?}");
    said
}

#[test]
fn memory_stores() {
    assert!(Command::new(env!("CARGO_BIN_EXE_memory_stores")).status().unwrap().success());
}

#[test]
fn async_transport() {
    assert!(Command::new(env!("CARGO_BIN_EXE_async_transport")).status().unwrap().success());
}

#[test]
fn backup_maildir() {
    let directory = tempfile::tempdir().unwrap();
    let copy = format!("mdbox:{}/copy", directory.path().display());
    let (_, said) = run(env!("CARGO_BIN_EXE_backup_maildir"), &[&copy]);
    assert!(
        said.contains("messages, ") && said.contains("INBOX is up to date") && said.contains(" 0 problems"),
        "{said}"
    );
}

#[test]
fn convert_and_verify() {
    let directory = tempfile::tempdir().unwrap();
    let converted = format!("sdbox:{}/converted", directory.path().display());
    let (found, said) = run(env!("CARGO_BIN_EXE_convert_and_verify"), &[&converted]);
    assert!(found.is_empty() && said.contains("0 differences in 12 messages"), "{found} {said}");
}

#[test]
fn what_would_a_mirror_do() {
    let directory = tempfile::tempdir().unwrap();
    let other = directory.path().join("other");
    let (said, _) = run(env!("CARGO_BIN_EXE_what_would_a_mirror_do"), &[&format!("mdbox:{}", other.display())]);
    assert!(said.contains("  INBOX: 7 messages would come"), "{said}");
    assert!(!other.exists());
}

#[test]
fn sqlite_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let maildir = format!("maildir:{}", path("Maildir"));
    run(env!("CARGO_BIN_EXE_backup_maildir"), &[&maildir]);
    for expected in ["12 messages copied; 0 differences", "0 messages copied; 0 differences"] {
        let output = Command::new(env!("CARGO_BIN_EXE_sqlite_store")).args([&maildir, &path("mail.sqlite")]).output();
        let said = String::from_utf8(output.unwrap().stderr).unwrap();
        assert!(said.contains(expected), "{said}");
    }
}
