//! The programs that are compared, and where they work.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{User, geteuid};
use tempfile::TempDir;

use crate::Outcome;
use crate::run::{Cost, parse};

/// What is there, and the directory in which all of it happens.
pub(crate) struct Programs {
    directory: TempDir,
    /// This program, which measures the others.
    this: PathBuf,
    dsync: PathBuf,
    pub(crate) doveadm: Option<PathBuf>,
    pub(crate) mbsync: Option<PathBuf>,
    /// As whom they run.
    user: Option<User>,
}

impl Programs {
    pub(crate) fn find(place: &Path) -> Outcome<Self> {
        let this = std::env::current_exe()?;
        let directory = tempfile::Builder::new().prefix("dsync-compare-").tempdir_in(place)?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let user = if geteuid().is_root() { User::from_name("nobody")? } else { None };
        let dsync = this.with_file_name("dsync");
        if !dsync.exists() {
            return Err(format!("{} is missing: cargo build --release -p dsync-cli", dsync.display()).into());
        }
        let installed = |path: &str| Some(PathBuf::from(path)).filter(|path| path.exists());
        let mut programs = Self {
            doveadm: installed("/usr/bin/doveadm"),
            mbsync: installed("/usr/bin/mbsync"),
            directory,
            this,
            dsync,
            user,
        };
        // Everybody has to be able to run them.
        programs.this = programs.copied(&programs.this)?;
        programs.dsync = programs.copied(&programs.dsync)?;
        for name in ["home", "run"] {
            fs::create_dir(programs.path(name))?;
        }
        programs.adopt(programs.directory.path())?;
        for name in ["home", "run"] {
            programs.adopt(&programs.path(name))?;
        }
        Ok(programs)
    }

    fn copied(&self, program: &Path) -> Outcome<PathBuf> {
        let to = self.path(&program.file_name().ok_or("a program without a name")?.to_string_lossy());
        fs::copy(program, &to)?;
        Ok(to)
    }

    fn adopt(&self, path: &Path) -> Outcome<()> {
        match &self.user {
            Some(user) => Ok(chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?),
            None => Ok(()),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The location of the store `format:name`.
    pub(crate) fn location(&self, store: &str) -> String {
        store.replace(':', &format!(":{}/", self.directory.path().display()))
    }

    fn as_user(&self, command: &mut Command) {
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.path("home")).env("USER", "tester");
        command.current_dir(self.directory.path());
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
    }

    /// Runs this program itself with other words.
    pub(crate) fn prepare(&self, words: &[&str]) -> Outcome<()> {
        let mut command = Command::new(&self.this);
        self.as_user(command.args(words));
        run(&mut command)
    }

    fn measured(&self, words: &[String]) -> Outcome<Cost> {
        // Nobody pays for what another one has left to be written.
        run(Command::new("sync").arg("-f").arg(self.directory.path()))?;
        let mut command = Command::new(&self.this);
        self.as_user(command.arg("measure").args(words));
        let output = command.output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        let cost = parse(&String::from_utf8(output.stdout)?)?;
        // It takes long, so whoever waits wants to see how far it is.
        let names = words.iter().map(|word| word.rsplit('/').next().unwrap_or(word));
        eprintln!("{:8.3} s {:8.3} s  {}", cost.wall, cost.cpu, names.collect::<Vec<_>>().join(" "));
        Ok(cost)
    }

    /// `dsync` from one store to another: `words` are the command and its options.
    pub(crate) fn dsync(&self, words: &[&str], from: &str, to: &str) -> Outcome<Cost> {
        let mut all = vec![self.dsync.display().to_string(), "-o".to_owned()];
        all.push(format!("mail_location={}", self.location(from)));
        all.extend(words.iter().map(|word| (*word).to_owned()));
        all.push(self.location(to));
        self.measured(&all)
    }

    /// The same with Dovecot's own program, if it is there.
    pub(crate) fn doveadm(&self, words: &[&str], from: &str, to: &str) -> Outcome<Option<Cost>> {
        let Some(doveadm) = &self.doveadm else { return Ok(None) };
        let configuration = self.dovecot_configuration(from)?;
        let mut all = vec![doveadm.display().to_string(), "-c".to_owned(), configuration.display().to_string()];
        all.extend(words.iter().map(|word| (*word).to_owned()));
        all.push(self.location(to));
        self.measured(&all).map(Some)
    }

    fn dovecot_configuration(&self, store: &str) -> Outcome<PathBuf> {
        let path = self.path(&format!("{}.conf", store.replace(':', "-")));
        let place = self.directory.path().display();
        let (uid, gid) = self.user.as_ref().map_or_else(
            || (geteuid().as_raw(), nix::unistd::getegid().as_raw()),
            |user| (user.uid.as_raw(), user.gid.as_raw()),
        );
        let text = format!(
            "base_dir = {place}/run\nstate_dir = {place}/run\nlog_path = {place}/run/log\nmail_location = {}\n\
             mail_home = {place}/home\nmail_uid = {uid}\nmail_gid = {gid}\nfirst_valid_uid = 0\nfirst_valid_gid = 0\n\
             default_internal_user = root\ndefault_login_user = root\nssl = no\nprotocols = imap\n\
             namespace inbox {{\n  inbox = yes\n  separator = /\n}}\n",
            self.location(store)
        );
        fs::write(&path, text)?;
        Ok(path)
    }

    /// The same with mbsync, between two Maildirs.
    pub(crate) fn mbsync(&self, from: &str, to: &str) -> Outcome<Option<Cost>> {
        let Some(mbsync) = &self.mbsync else { return Ok(None) };
        let [from, to] = [from, to].map(|name| self.path(name));
        let configuration = self.path("mbsyncrc");
        let store = |name: &str, path: &Path| {
            let path = path.display();
            format!("MaildirStore {name}\nInbox {path}\nSubFolders Maildir++\n\n")
        };
        let text = format!(
            "FSync yes\nSyncState *\n\n{}{}Channel copy\nFar :far:\nNear :near:\nPatterns INBOX *\nSync Pull\nCreate Near\n\
             CopyArrivalDate yes\n",
            store("far", &from),
            store("near", &to)
        );
        fs::write(&configuration, text)?;
        fs::create_dir_all(&to)?;
        self.adopt(&to)?;
        let words = [&mbsync.display().to_string(), "-q", "-c", &configuration.display().to_string(), "copy"];
        self.measured(&words.map(str::to_owned)).map(Some)
    }

    /// A plain copy, durable at the end.
    pub(crate) fn copy(&self, from: &str, to: &str) -> Outcome<Cost> {
        let [from, to] = [from, to].map(|name| self.path(name).display().to_string());
        let script = "cp -a \"$0\" \"$1\" && sync -f \"$1\"".to_owned();
        self.measured(&["/bin/sh".to_owned(), "-c".to_owned(), script, from, to])
    }
}

pub(crate) fn run(command: &mut Command) -> Outcome<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}
