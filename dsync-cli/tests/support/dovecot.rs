//! A Dovecot without a running server: its programs, each called with a configuration of our own.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::imap::Imap;
use super::mbox;
use super::release::Release;
use super::setup::{Driver, Setup};
use super::user::MailUser;

/// A place with stores that Dovecot can open. Everything in it goes when it is dropped.
pub struct Dovecot {
    directory: TempDir,
    user: MailUser,
    release: Release,
}

/// One mail store, and the configuration by which Dovecot opens it.
#[derive(Clone, Debug)]
pub struct Store {
    name: String,
    place: PathBuf,
    path: PathBuf,
    setup: Setup,
    /// The store for which this one stands in: what Dovecot says about a copy, it says about the original.
    log: PathBuf,
    user: MailUser,
    release: Release,
}

/// By what a line shows that Dovecot found fault with something, or repaired it.
const COMPLAINTS: [&str; 7] = ["warning:", "error:", "fatal:", "panic:", "rebuild", "fsck", "corrupt"];

/// Numbers copies, so that no two share a directory.
static COPIES: AtomicUsize = AtomicUsize::new(0);

impl Dovecot {
    /// # Panics
    /// If Dovecot is not installed: these tests are never skipped.
    pub fn new() -> Self {
        for needed in ["/usr/bin/doveadm", "/usr/lib/dovecot/imap", "/usr/lib/dovecot/pop3"] {
            assert!(
                Path::new(needed).exists(),
                "{needed} is missing: this test needs a real Dovecot, please run\n\
                 \n    apt-get install dovecot-core dovecot-imapd dovecot-pop3d\n"
            );
        }
        Self::of(Release::Installed)
    }

    /// A certain one.
    pub fn of(release: Release) -> Self {
        let directory = tempfile::Builder::new().prefix("dsync-test-").tempdir_in(release.directory()).unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let user = MailUser::choose();
        for sub_directory in ["home", "run"] {
            fs::create_dir(directory.path().join(sub_directory)).unwrap();
        }
        user.adopt(directory.path());
        Self { directory, user, release }
    }

    /// Where this Dovecot keeps everything.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Which it is.
    pub fn release(&self) -> Release {
        self.release
    }

    /// The user who owns the mail.
    pub fn user(&self) -> MailUser {
        self.user
    }

    /// The Maildir `name` in the default layout. It need not exist yet.
    pub fn store(&self, name: &str) -> Store {
        self.store_with(name, "")
    }

    /// The Maildir `name` with options of a mail location: `:LAYOUT=fs`.
    pub fn store_with(&self, name: &str, options: &str) -> Store {
        self.store_of(name, Driver::Maildir.with(options))
    }

    /// An exact copy of a store, also of one of another Dovecot, under a name of its own.
    pub fn copy_of(&self, original: &Store, name: &str) -> Store {
        let copy = self.store_of(name, original.setup.clone());
        copy.fill_from(original);
        copy
    }

    /// The store `name` of any kind. It need not exist yet.
    pub fn store_of(&self, name: &str, setup: impl Into<Setup>) -> Store {
        let place = self.directory.path().to_owned();
        let store = Store {
            name: name.to_owned(),
            path: place.join(name),
            log: place.join(format!("{name}.log")),
            place,
            setup: setup.into(),
            user: self.user,
            release: self.release,
        };
        store.write_configuration();
        store
    }
}

impl Drop for Dovecot {
    /// A server that crashed says why only in its log, which goes away.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = files_below(self.directory.path())
                .into_iter()
                .filter(|path| path.extension().is_some_and(|it| it == "log"));
            let text: String = logs.filter_map(|path| fs::read_to_string(path).ok()).collect();
            let lines: Vec<_> = text.lines().filter(|line| !line.contains("Info:")).collect();
            eprintln!("what Dovecot said last:\n{}", lines[lines.len().saturating_sub(10)..].join("\n"));
        }
    }
}

impl Store {
    /// The directory with all that belongs to it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The root of its mails. Unless something is kept beside them, that is all of it.
    pub fn root(&self) -> PathBuf {
        if self.setup.is_spread() { self.path.join("mail") } else { self.path.clone() }
    }

    /// Where a parameter of its location says that something is, else the root of its mails.
    pub fn root_by(&self, key: &str) -> PathBuf {
        let parameters = self.expanded(&self.setup.parameters);
        let mut values = parameters.split(':').filter_map(|it| it.strip_prefix(key)?.strip_prefix('='));
        values.next().map_or_else(|| self.root(), PathBuf::from)
    }

    /// Whether Dovecot's configuration for it has a line that begins so.
    pub fn has_setting(&self, beginning: &str) -> bool {
        self.setup.settings.iter().any(|setting| setting.starts_with(beginning))
    }

    pub fn driver(&self) -> Driver {
        self.setup.driver
    }

    /// Its mail location.
    pub fn location(&self) -> String {
        let parameters = self.expanded(&self.setup.parameters);
        format!("{}:{}{parameters}", self.setup.driver.name(), self.root().display())
    }

    fn expanded(&self, text: &str) -> String {
        text.replace("{dir}", &self.path.display().to_string())
    }

    /// The same store, as a Dovecot sees it that has more lines in its configuration.
    #[must_use]
    pub fn configured(&self, lines: &str) -> Self {
        let name = format!("{}-configured", self.name);
        let configured = Self { name, setup: self.setup.clone().setting(lines), ..self.clone() };
        configured.write_configuration();
        configured
    }

    /// Another store beside this one.
    pub fn sibling(&self, suffix: &str, setup: impl Into<Setup>) -> Self {
        let name = format!("{}-{suffix}", self.name);
        let path = self.place.join(&name);
        let log = self.place.join(format!("{name}.log"));
        let sibling = Self { name, path, log, setup: setup.into(), ..self.clone() };
        sibling.write_configuration();
        sibling
    }

    /// The configuration by which Dovecot opens it.
    pub fn configuration(&self) -> PathBuf {
        self.place.join(format!("{}.conf", self.name))
    }

    fn write_configuration(&self) {
        let text = format!(
            "{head}\
             base_dir = {place}/run\n\
             state_dir = {place}/run\n\
             log_path = {log}\n\
             {location}\
             mail_home = {place}/home\n\
             mail_uid = {uid}\n\
             mail_gid = {gid}\n\
             first_valid_uid = 0\n\
             first_valid_gid = 0\n\
             default_internal_user = root\n\
             default_login_user = root\n\
             ssl = no\n\
             protocols = imap pop3\n\
             # Tests do not survive power cuts.\n\
             mail_fsync = never\n\
             namespace inbox {{\n  inbox = yes\n  separator = /\n}}\n\
             {settings}\n",
            place = self.place.display(),
            log = self.log.display(),
            head = self.release.head(),
            location =
                self.release.settings(self.setup.driver.name(), &self.root(), &self.expanded(&self.setup.parameters)),
            uid = self.user.uid,
            gid = self.user.gid,
            settings = self.expanded(&self.setup.settings.join("\n")),
        );
        fs::write(self.configuration(), text).unwrap();
    }

    /// `doveadm` for this store with `arguments` to come. What it says on stderr is kept for
    /// [`complaints`](Self::complaints).
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.release.command(Path::new("/usr/bin/doveadm"), self.user);
        command.arg("-c").arg(self.configuration()).args(self.release.arguments(arguments));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("USER", "tester").env("HOME", self.place.join("home"));
        command.current_dir(&self.place).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(self.log_file());
        command
    }

    /// Dovecot's delivery agent, which takes a message for INBOX from its input.
    pub fn delivery_agent(&self) -> Command {
        let mut command = Command::new("/usr/lib/dovecot/dovecot-lda");
        command.arg("-c").arg(self.configuration()).args(["-f", "sender@example.org", "-m", "INBOX"]);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("USER", "tester").env("HOME", self.place.join("home"));
        command.current_dir(&self.place).stdout(Stdio::null()).stderr(self.log_file());
        self.user.runs(&mut command);
        command
    }

    /// The command line of a Dovecot that is the other side of a run with this store.
    pub fn server_words(&self) -> Vec<String> {
        let configuration = self.configuration().display().to_string();
        let arguments = self.release.arguments(&["-c", &configuration, "dsync-server"]);
        [&["/usr/bin/doveadm"][..], &arguments].concat().into_iter().map(str::to_owned).collect()
    }

    fn log_file(&self) -> File {
        let file = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        self.user.adopt(&self.log);
        file
    }

    /// Runs `doveadm` and returns what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn doveadm(&self, arguments: &[&str]) -> String {
        self.user.adopt(&self.path);
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "doveadm {arguments:?} failed: {}\n{}", output.status, self.log());
        String::from_utf8(output.stdout).unwrap()
    }

    /// Lets Dovecot build all indexes anew from the mails. That it says so is no complaint; what else it says is.
    pub fn force_resync(&self) {
        self.user.adopt(&self.path);
        let output = self.command(&["force-resync", "*"]).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // Nor that it made a file of that name in an earlier repair.
        let announced = ["fscking index file", "rebuilding indexes", "Rebuilding index", ".broken"];
        for line in said.lines().filter(|line| announced.iter().all(|it| !line.contains(it))) {
            writeln!(self.log_file(), "{line}").unwrap();
        }
        assert!(output.status.success(), "force-resync failed: {}\n{said}", output.status);
    }

    /// Lets Dovecot repair what it can, and forgets all that it has said about the store. It finds some of it only when it
    /// reads. Says whether it can read everything now.
    pub fn heal(&self) -> bool {
        self.user.adopt(&self.path);
        let mut is_readable = false;
        for _ in 0..5 {
            self.command(&["force-resync", "*"]).output().unwrap();
            let said = self.log().len();
            let read = self.command(&["fetch", "guid text", "mailbox", "*"]).output().unwrap();
            is_readable = read.status.success() && !self.log().contains("Failed to fix");
            if self.log().len() == said {
                break;
            }
        }
        let _ = fs::remove_file(&self.log);
        is_readable
    }

    /// Puts everything back that is in a copy.
    pub fn restore(&self, copy: &Self) {
        self.remove();
        self.fill_from(copy);
    }

    /// Moves those messages of INBOX into the alternative storage that a query finds, if there is such a storage.
    pub fn move_to_alternative(&self, query: &str) {
        if self.root_by("ALT") != self.root() {
            let query: Vec<_> = query.split(' ').collect();
            self.doveadm(&[&["altmove", "mailbox", "INBOX"][..], &query].concat());
        }
    }

    /// Makes all transaction logs an hour older, so that Dovecot rotates those that are big enough when it next writes.
    pub fn age_logs(&self) {
        for path in files_below(&self.path).into_iter().filter(|path| is_log(path)) {
            let mut log = File::options().read(true).write(true).open(&path).unwrap();
            // The header of a log has the time at which it was begun.
            let mut stamp = [0; 4];
            log.seek(SeekFrom::Start(20)).unwrap();
            log.read_exact(&mut stamp).unwrap();
            log.seek(SeekFrom::Start(20)).unwrap();
            log.write_all(&(u32::from_le_bytes(stamp) - 3600).to_le_bytes()).unwrap();
        }
    }

    /// Opens an IMAP session.
    pub fn imap(&self) -> Imap {
        self.user.adopt(&self.path);
        let mut imap = Imap::start(self.command(&["exec", "imap"]));
        if self.driver() == Driver::Mbox {
            imap.translate_names(mbox::shown_name);
        }
        imap
    }

    /// Everything that Dovecot has said about this store.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// All lines by which Dovecot found fault with this store.
    pub fn complaints(&self) -> Vec<String> {
        let is_complaint = |line: &&str| {
            // Not in the random name of a session.
            let line = line.split_once(": ").map_or(*line, |(_, text)| text).to_ascii_lowercase();
            COMPLAINTS.iter().any(|it| line.contains(it))
        };
        self.log().lines().filter(is_complaint).map(str::to_owned).collect()
    }

    /// # Panics
    /// If Dovecot found fault with this store.
    pub fn assert_no_complaints(&self) {
        let complaints = self.complaints();
        assert!(complaints.is_empty(), "Dovecot complains about {}:\n{}", self.name, complaints.join("\n"));
    }

    /// An exact copy beside this store, whose complaints count as this one's. Only the ctimes are other ones.
    pub fn copy(&self) -> Self {
        self.copied(|_| self.log.clone())
    }

    /// An exact copy beside this store that is a store of its own: its complaints are not this one's.
    pub fn copy_apart(&self) -> Self {
        self.copied(|name| self.place.join(format!("{name}.log")))
    }

    fn copied(&self, log: impl FnOnce(&str) -> PathBuf) -> Self {
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-copy-{number}", self.name);
        let copy = Self { path: self.place.join(&name), log: log(&name), name, ..self.clone() };
        copy.fill_from(self);
        copy.write_configuration();
        copy
    }

    fn fill_from(&self, original: &Self) {
        let status = Command::new("cp").arg("-a").arg(&original.path).arg(&self.path).status().unwrap();
        assert!(status.success(), "copying {} failed", original.path.display());
        self.point_at_alternative();
    }

    /// A dbox knows by a link where its alternative storage was when it was last used.
    fn point_at_alternative(&self) {
        let link = self.root().join("dbox-alt-root");
        if fs::symlink_metadata(&link).is_ok() {
            fs::remove_file(&link).unwrap();
            symlink(self.root_by("ALT"), &link).unwrap();
            self.user.adopt(&link);
        }
    }

    /// # Panics
    /// If a run left something behind that only it can have put there.
    pub fn assert_nothing_hidden(&self) {
        let hidden: Vec<_> = files_below(&self.path)
            .into_iter()
            .filter(|path| {
                let path = path.strip_prefix(&self.path).unwrap().to_string_lossy();
                ["dsync.", "dsync-rewrite"].iter().any(|it| path.contains(it))
            })
            .collect();
        assert!(hidden.is_empty(), "left behind: {hidden:#?}");
    }

    /// Lets everybody write, or nobody.
    pub fn allow_writing(&self, is_allowed: bool) {
        let mode = if is_allowed { "u+w" } else { "a-w" };
        let status = Command::new("chmod").args(["-R", mode]).arg(&self.path).status().unwrap();
        assert!(status.success(), "chmod {mode} {} failed", self.path.display());
    }

    /// Removes the store with all that is in it.
    pub fn remove(&self) {
        fs::remove_dir_all(&self.path).unwrap();
    }

    /// Writes a file into the store, with the directories above it.
    pub fn write(&self, relative: impl AsRef<Path>, content: &[u8]) -> PathBuf {
        let path = self.path.join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        self.user.adopt(&self.path);
        path
    }

    /// Makes an empty Maildir in the store, as any program would; an empty name means INBOX.
    pub fn make_maildir(&self, folder: &str) {
        for directory in ["cur", "new", "tmp"] {
            fs::create_dir_all(self.path.join(folder).join(directory)).unwrap();
        }
        self.user.adopt(&self.path);
    }

    /// Removes Dovecot's index of the mailbox list, which it will build anew.
    pub fn forget_list_index(&self) {
        let directory = self.root_by("INDEX").join(if self.driver() == Driver::Mbox { ".imap" } else { "" });
        for suffix in ["", ".log", ".log.2"] {
            let _ = fs::remove_file(directory.join(format!("dovecot.list.index{suffix}")));
        }
    }

    /// Gives the mail user what the test itself put into the store.
    pub fn adopt(&self) {
        self.user.adopt(&self.path);
    }
}

/// All files in a directory and in those below it.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn is_log(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with("index.log"))
}
