//! A real ssh server on this machine, with keys of its own, for whoever runs the tests.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::geteuid;

use super::server::wait_until;

/// What the server is called by clients.
pub const HOST: &str = "other.example";
/// A host on which no server is.
pub const DEAD_HOST: &str = "dead.example";

const PROGRAM: &str = "/usr/sbin/sshd";

/// A server, until it is dropped, and what clients need to reach it.
pub struct Sshd {
    directory: PathBuf,
    process: Child,
}

impl Sshd {
    /// Starts one that keeps everything in a directory. Who logs in finds programs in its directory `remote` first, and no files for
    /// shells at home.
    ///
    /// # Panics
    /// If there is no sshd: these tests are never skipped.
    pub fn start(directory: &Path) -> Self {
        assert!(Path::new(PROGRAM).exists(), "{PROGRAM} is missing: this test needs a real sshd, see .ci/test");
        if geteuid().is_root() {
            // A running system makes it when it starts.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        for sub_directory in ["", "local", "remote"] {
            fs::create_dir(directory.join(sub_directory)).unwrap();
        }
        for key in ["host_key", "client_key"] {
            let mut command = Command::new("/usr/bin/ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-C", key, "-f"]).arg(directory.join(key));
            assert!(command.status().unwrap().success());
        }
        let public = |key: &str| fs::read_to_string(directory.join(format!("{key}.pub"))).unwrap();
        fs::write(directory.join("authorized_keys"), public("client_key")).unwrap();
        fs::write(directory.join("known_hosts"), format!("{HOST} {}", public("host_key"))).unwrap();
        // Somebody else may take the port before the server does.
        let started = (0..10).find_map(|_| Self::try_start(directory));
        started.unwrap_or_else(|| panic!("sshd does not start: {}", log(directory)))
    }

    fn try_start(directory: &Path) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = directory.display();
        let server = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {place}/host_key\nAuthorizedKeysFile {place}/authorized_keys\n\
             PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\nSetEnv PATH={place}/remote:/usr/bin:/bin HOME={place}\n"
        );
        let client = format!(
            "Host {DEAD_HOST}\n  HostName 127.0.0.1\n  Port 1\n\
             Host {HOST}\n  HostName 127.0.0.1\n  Port {port}\n\
             Host *\n  HostKeyAlias {HOST}\n  IdentityFile {place}/client_key\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
             UserKnownHostsFile {place}/known_hosts\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  \
             BatchMode yes\n"
        );
        fs::write(directory.join("sshd_config"), server).unwrap();
        fs::write(directory.join("ssh_config"), client).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["-D", "-E"]).arg(directory.join("sshd.log")).arg("-f").arg(directory.join("sshd_config"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let mut sshd = Self { directory: directory.to_owned(), process };
        let mut has_ended = false;
        let is_there = || {
            has_ended = sshd.process.try_wait().unwrap().is_some();
            has_ended || TcpStream::connect(("127.0.0.1", port)).is_ok()
        };
        wait_until(is_there, || log(directory));
        sshd.install("local/ssh", &format!("exec /usr/bin/ssh -F {place}/ssh_config \"$@\""));
        (!has_ended).then_some(sshd)
    }

    /// Puts a script into the directory.
    pub fn install(&self, name: &str, script: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Something in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Where `ssh` is that knows how to reach it.
    pub fn search_path(&self) -> String {
        format!("{}:/usr/bin:/bin", self.path("local").display())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("what sshd said:\n{}", log(&self.directory));
        }
    }
}

fn log(directory: &Path) -> String {
    fs::read_to_string(directory.join("sshd.log")).unwrap_or_default()
}
