//! Running the program under test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use super::{Dovecot, Store};

/// What a run of the program did.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// What came out.
    ///
    /// # Panics
    /// If the program found a mistake in itself: nothing may lead to that.
    pub fn of(output: &Output) -> Self {
        let run = Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(run.code != Some(70) && !run.stderr.contains("a mistake in dsync"), "{run:#?}");
        run
    }

    /// # Panics
    /// Unless everything was done, without a word.
    pub fn assert_done(&self) {
        assert!(
            self.code == Some(0) && self.stdout.is_empty() && self.stderr.is_empty(),
            "not simply done: {self:#?}"
        );
    }

    /// # Panics
    /// Unless some things could not be done and the reasons mention each of `named`.
    pub fn assert_done_but(&self, named: &[&str]) {
        assert!(self.code == Some(2) && self.stdout.is_empty(), "status 2 expected: {self:#?}");
        for name in named {
            assert!(self.stderr.contains(name), "{name} is not named: {self:#?}");
        }
    }

    /// # Panics
    /// Unless it failed, and said why, in words that contain `reason`.
    pub fn assert_refused(&self, reason: &str) {
        let failed = self.code.is_some_and(|code| ![0, 2, 101].contains(&code));
        assert!(failed && self.stdout.is_empty(), "a failure expected: {self:#?}");
        assert!(!self.stderr.trim().is_empty() && self.stderr.contains(reason), "{reason:?} expected: {self:#?}");
    }
}

impl Dovecot {
    /// Runs `dsync` as the owner of the mail.
    pub fn dsync(&self, arguments: &[&str]) -> Run {
        Run::of(&self.dsync_command(arguments).output().expect("dsync starts"))
    }

    /// `dsync` as the owner of the mail, with an environment of its own.
    pub fn dsync_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.release().command(&self.program(), self.user());
        command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").env("USER", "tester");
        command.env("HOME", self.directory().join("home")).current_dir(self.directory()).stdin(Stdio::null());
        command
    }

    /// Starts a command on two stores, `backup` or `mirror`, and kills it without warning.
    pub fn run_and_kill(&self, command: &str, first: &Store, second: &Store, after: Duration) {
        first.adopt();
        second.adopt();
        let location = format!("mail_location={}", first.location());
        let mut command = self.dsync_command(&["-o", &location, command, &second.location()]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("dsync starts");
        std::thread::sleep(after);
        // It may have finished by itself.
        let _ = child.kill();
        child.wait().unwrap();
    }

    /// Makes `destination` look like `source`.
    pub fn backup(&self, source: &Store, destination: &Store) -> Run {
        self.run_on(&["backup"], source, destination)
    }

    /// Makes both stores equal.
    pub fn mirror(&self, first: &Store, second: &Store) -> Run {
        self.run_on(&["mirror"], first, second)
    }

    /// Runs a command with its options on a store and on one that is served by Dovecot's own program.
    pub fn run_with_server(&self, command: &[&str], own: &Store, served: &Store) -> Run {
        own.adopt();
        served.adopt();
        let location = format!("mail_location={}", own.location());
        let server = served.server_words();
        let server: Vec<_> = server.iter().map(String::as_str).collect();
        self.dsync(&[&["-o", &location], command, &server].concat())
    }

    /// Runs a command with its options on a store and on one that another `dsync` serves.
    pub fn run_with_peer(&self, command: &[&str], own: &Store, served: &Store) -> Run {
        own.adopt();
        served.adopt();
        let [own, served] = [own, served].map(|store| format!("mail_location={}", store.location()));
        let program = self.program();
        let server = [&program.to_string_lossy(), "-o", &served, "server"];
        self.dsync(&[&["-o", &own], command, &server].concat())
    }

    /// `dsync` as the server of a store, not started yet.
    pub fn serve(&self, store: &Store) -> Command {
        store.adopt();
        self.dsync_command(&["-o", &format!("mail_location={}", store.location()), "server"])
    }

    /// Lets Dovecot's own program run a command with its options on a store and on one that `dsync` serves.
    pub fn run_doveadm_with(&self, command: &[&str], own: &Store, served: &Store) -> Run {
        own.adopt();
        served.adopt();
        let program = self.program();
        let location = format!("mail_location={}", served.location());
        let server = [&program.to_string_lossy(), "-o", &location, "server"];
        let output =
            own.command(&[command, &server].concat()).stderr(Stdio::piped()).output().expect("doveadm starts");
        Run::of(&output)
    }

    /// Runs a command with its options on two stores.
    pub fn run_on(&self, command: &[&str], first: &Store, second: &Store) -> Run {
        first.adopt();
        second.adopt();
        let (first, second) = (format!("mail_location={}", first.location()), second.location());
        self.dsync(&[&["-o", &first], command, &[&second]].concat())
    }

    /// The program at a path that the owner of the mail can reach; the one where it was built may be private.
    fn program(&self) -> PathBuf {
        let built = PathBuf::from(env!("CARGO_BIN_EXE_dsync"));
        if !self.user().is_other() {
            return built;
        }
        let reachable = self.directory().join("dsync");
        if !reachable.exists() {
            place(&reachable);
        }
        reachable
    }
}

/// Puts the program under test to another path.
///
/// # Panics
/// If it cannot be put there.
pub fn place(path: &Path) {
    let built = Path::new(env!("CARGO_BIN_EXE_dsync"));
    if fs::hard_link(built, path).is_ok() {
        return;
    }
    // Not by this process: a child that another thread starts meanwhile would have the file open for writing for a moment, and
    // while anybody has, it cannot be run ("Text file busy").
    let copied = Command::new("cp").arg(built).arg(path).status().expect("cp starts");
    assert!(copied.success(), "{} cannot be copied to {}", built.display(), path.display());
}
