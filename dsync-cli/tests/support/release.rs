//! Which Dovecot a test is played with.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::user::MailUser;

/// Where `.ci/dovecot-2.4` puts a Dovecot 2.4 with all that it needs.
const ROOT: &str = "/var/cache/dsync-tests/trixie";

/// Says that there is none, and that this is meant: `.ci/test` sets it where the packages cannot be had.
const WITHOUT: &str = "DSYNC_TESTS_WITHOUT_DOVECOT_24";

/// A release of Dovecot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// 2.3, installed on this machine.
    Installed,
    /// 2.4, in a root directory of its own. Paths below that are the same there, by a link.
    Newer,
}

impl Release {
    /// The newer release, unless this machine is known not to have it.
    ///
    /// # Panics
    /// If it is missing although it can be had.
    pub fn newer() -> Option<Self> {
        if Path::new(ROOT).join("usr/bin/doveadm").exists() && nix::unistd::geteuid().is_root() {
            return Some(Self::Newer);
        }
        assert!(
            std::env::var_os(WITHOUT).is_some(),
            "a Dovecot 2.4 is missing: please run .ci/dovecot-2.4, and this test as root; or set {WITHOUT}=1"
        );
        eprintln!("Dovecot 2.4 cannot be had here: NOTHING WAS TRIED WITH IT");
        None
    }

    /// The directory in which a test keeps everything is made in this one.
    pub fn directory(self) -> PathBuf {
        match self {
            Self::Installed => std::env::temp_dir(),
            Self::Newer => Path::new(ROOT).join("tmp"),
        }
    }

    /// A program of this Dovecot, or ours beside it, as the owner of the mail runs it.
    pub fn command(self, program: &Path, user: MailUser) -> Command {
        match self {
            Self::Installed => {
                let mut command = Command::new(program);
                user.runs(&mut command);
                command
            }
            Self::Newer => {
                let mut command = Command::new("/usr/sbin/chroot");
                command.arg(format!("--userspec={}:{}", user.uid, user.gid)).arg(ROOT).arg(program);
                command
            }
        }
    }

    /// Arguments of `doveadm`. Since 2.4 it wants to be told that there is nobody to ask about users.
    pub fn arguments<'a>(self, arguments: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = arguments.to_vec();
        let mut place = 0;
        while arguments.get(place).is_some_and(|it| it.starts_with('-')) {
            place += 2;
        }
        let words = match arguments.get(place) {
            Some(&("exec" | "dump")) | None => return arguments,
            Some(&"mailbox") => 2,
            Some(_) => 1,
        };
        if self == Self::Newer {
            arguments.insert(place + words, "--no-userdb-lookup");
        }
        arguments
    }

    /// The lines of a configuration that are different from release to release.
    pub fn settings(self, driver: &str, root: &Path, parameters: &str) -> String {
        match self {
            Self::Installed => format!("mail_location = {driver}:{}{parameters}\n", root.display()),
            Self::Newer => {
                assert!(parameters.is_empty(), "nothing is spread over several places with this release");
                let root = root.display();
                let inbox =
                    if driver == "mbox" { format!("mail_inbox_path = {root}/inbox\n") } else { String::new() };
                format!("mail_driver = {driver}\nmail_path = {root}\n{inbox}mail_attachment_detection_options =\n")
            }
        }
    }

    /// How a configuration begins.
    pub fn head(self) -> &'static str {
        match self {
            Self::Installed => "",
            Self::Newer => "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n",
        }
    }
}
