//! Who owns the mail of a test.
//!
//! Dovecot refuses to serve mail as root, so a test that runs as root lets Dovecot and `dsync` run as `nobody`.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{User, getegid, geteuid};

/// The user that owns the mail.
#[derive(Clone, Copy, Debug)]
pub struct MailUser {
    pub uid: u32,
    pub gid: u32,
    is_other: bool,
}

impl MailUser {
    pub fn choose() -> Self {
        if geteuid().is_root() {
            let nobody = User::from_name("nobody").unwrap().expect("there is a user nobody to own the mail");
            Self { uid: nobody.uid.as_raw(), gid: nobody.gid.as_raw(), is_other: true }
        } else {
            Self { uid: geteuid().as_raw(), gid: getegid().as_raw(), is_other: false }
        }
    }

    /// Whether the tests themselves run as somebody else.
    pub fn is_other(self) -> bool {
        self.is_other
    }

    /// Lets `command` run as this user.
    pub fn runs(self, command: &mut Command) {
        if self.is_other {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Gives this user everything below `path` that the test wrote. What belongs to them already keeps its ctime.
    pub fn adopt(self, path: &Path) {
        if !self.is_other {
            return;
        }
        let mut paths = vec![path.to_owned()];
        while let Some(path) = paths.pop() {
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if metadata.uid() != self.uid || metadata.gid() != self.gid {
                lchown(&path, Some(self.uid), Some(self.gid)).unwrap();
            }
            if metadata.is_dir() {
                paths.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
    }
}
