//! A running Dovecot that knows users: its auth process answers, and sessions of users find their mail by it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;

use super::Run;
use super::imap::Imap;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, as long as it is not stopped or dropped.
pub struct Server {
    directory: TempDir,
    process: Option<Child>,
    settings: String,
}

impl Server {
    /// Starts one with lines of a configuration and [users](Self::set_users). `{dir}` in both stands for its directory.
    ///
    /// # Panics
    /// If Dovecot is missing, or the tests do not run as root: only root can serve users with different uids.
    pub fn start(settings: &str, users: &str) -> Self {
        let program = Path::new("/usr/sbin/dovecot");
        assert!(program.exists(), "{program:?} is missing: this test needs a real Dovecot, see .ci/test");
        assert!(geteuid().is_root(), "this test serves users with different uids, so it has to run as root");
        let directory = tempfile::Builder::new().prefix("dsync-server-").tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        super::program::place(&directory.path().join("dsync"));
        let mut server = Self { directory, process: None, settings: settings.to_owned() };
        fs::write(server.path("dovecot.conf"), server.configuration()).unwrap();
        server.write_users(users);
        let mut command = Command::new(program);
        command.arg("-F").arg("-c").arg(server.path("dovecot.conf")).env_clear().env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        server.process = Some(command.spawn().expect("dovecot starts"));
        wait_until(|| UnixStream::connect(server.path("run/auth-userdb")).is_ok(), || server.log());
        server
    }

    fn configuration(&self) -> String {
        let text = format!(
            "base_dir = {{dir}}/run\n\
             state_dir = {{dir}}/run\n\
             log_path = {{dir}}/dovecot.log\n\
             protocols =\n\
             ssl = no\n\
             mail_fsync = never\n\
             mail_location = maildir:~/Maildir\n\
             userdb {{\n  driver = passwd-file\n  args = {{dir}}/users\n}}\n\
             passdb {{\n  driver = passwd-file\n  args = {{dir}}/users\n}}\n\
             namespace inbox {{\n  inbox = yes\n  separator = /\n}}\n\
             {}\n",
            self.settings
        );
        self.expanded(&text)
    }

    fn expanded(&self, text: &str) -> String {
        text.replace("{dir}", &self.directory.path().display().to_string())
    }

    /// A path in the directory of the server.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    /// Says who there is from now on: `name:uid:extra fields`, one in each line. Their homes are `{dir}/home/NAME`.
    pub fn set_users(&self, users: &str) {
        // A server looks at the file at most once in a second.
        std::thread::sleep(Duration::from_millis(1100));
        self.write_users(users);
    }

    fn write_users(&self, users: &str) {
        let line = |user: &str| {
            let mut fields = user.splitn(3, ':');
            let mut next = || fields.next().unwrap_or_default();
            let (name, uid, extra) = (next(), next(), next());
            self.expanded(&format!("{name}:{{PLAIN}}x:{uid}:{uid}::{{dir}}/home/{name}::{extra}\n"))
        };
        let text: String = users.lines().map(str::trim).filter(|user| !user.is_empty()).map(line).collect();
        let next = self.path("users.next");
        fs::write(&next, text).unwrap();
        fs::rename(next, self.path("users")).unwrap();
    }

    /// Makes a home for a user, with a Maildir of so many messages, and gives all of it to `uid`.
    pub fn make_home(&self, name: &str, uid: u32, messages: usize) {
        let home = self.path(&format!("home/{name}"));
        for directory in ["cur", "new", "tmp"] {
            fs::create_dir_all(home.join("Maildir").join(directory)).unwrap();
        }
        for number in 0..messages {
            let text = format!("From: a@example.org\nSubject: {number} for {name}\n\ntext {number}\n");
            fs::write(home.join(format!("Maildir/new/16000000{number:02}.M1.host")), text).unwrap();
        }
        give(&home, uid);
    }

    /// `dsync` with the configuration of this server, started by root, whose own surroundings mean nothing.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path("dsync"));
        command.arg("-c").arg(self.path("dovecot.conf")).args(arguments);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("USER", "root").env("HOME", "/nonexistent");
        command.current_dir(self.directory.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `dsync`.
    pub fn dsync(&self, arguments: &[&str]) -> Run {
        finish(self.command(arguments).spawn().expect("dsync starts"))
    }

    /// Runs `dsync` as an ordinary user.
    pub fn dsync_as(&self, uid: u32, arguments: &[&str]) -> Run {
        finish(self.command(arguments).uid(uid).gid(uid).spawn().expect("dsync starts"))
    }

    /// An IMAP session of a user, who is looked up as any client's user is.
    pub fn imap(&self, user: &str) -> Imap {
        let mut command = Command::new("/usr/bin/doveadm");
        command.arg("-c").arg(self.path("dovecot.conf")).args(["exec", "imap", "-u", user]);
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(self.directory.path()).stderr(Stdio::null());
        Imap::start(command)
    }

    /// Runs `doveadm` and returns what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn doveadm(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("/usr/bin/doveadm");
        command.arg("-c").arg(self.path("dovecot.conf")).args(arguments);
        let output = command.env_clear().env("PATH", "/usr/bin:/bin").output().unwrap();
        assert!(output.status.success(), "doveadm {arguments:?}: {output:?}\n{}", self.log());
        String::from_utf8(output.stdout).unwrap()
    }

    /// The subjects of the messages in the INBOX of a user, as a server finds it at a location.
    pub fn subjects(&self, user: &str, location: &str) -> Vec<String> {
        let location = format!("mail_location={location}");
        let text = self.doveadm(&["-o", &location, "fetch", "-u", user, "hdr.subject", "mailbox", "INBOX"]);
        text.lines().filter_map(|line| line.strip_prefix("hdr.subject: ")).map(str::to_owned).collect()
    }

    /// Everything the server has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("dovecot.log")).unwrap_or_default()
    }

    /// Ends it.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let id = Pid::from_raw(i32::try_from(process.id()).unwrap());
            let _ = kill(id, Signal::SIGTERM);
            let _ = process.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("what Dovecot said:\n{}", self.log());
        }
    }
}

/// Waits for the end of a process and takes all that it says.
pub fn finish(child: Child) -> Run {
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// # Panics
/// If something does not come true in time; with what `explain` says.
pub fn wait_until(mut is_true: impl FnMut() -> bool, explain: impl Fn() -> String) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < PATIENCE, "it takes too long\n{}", explain());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Gives a directory with all that is in it to a user and the group of that number.
pub fn give(path: &Path, uid: u32) {
    lchown(path, Some(uid), Some(uid)).unwrap();
    if fs::symlink_metadata(path).unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), uid);
        }
    }
}

/// # Panics
/// If anything in a directory does not belong to a user and the group of that number.
pub fn assert_owned(path: &Path, uid: u32) {
    let metadata = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!((metadata.uid(), metadata.gid()), (uid, uid), "{}", path.display());
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            assert_owned(&entry.unwrap().path(), uid);
        }
    }
}
