//! Whatever somebody puts in the place of a file or directory of a store, or calls a mailbox: a run ends, within its memory and
//! with a sane status, names what it did not read, takes nothing from outside the store and puts nothing there, and everything
//! else arrives.
//!
//! `DSYNC_HOSTILE=all` tries every kind in every place; usually each kind is tried in some.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, fchown, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, mkdirat, mknod};
use nix::unistd::{geteuid, mkfifo};
use support::contents::Contents;
use support::{Dovecot, Driver, Fingerprint, Run, Store};

/// What is outside, and must not get into any store.
const SECRET: &str = "Subject: nobody but its owner may see this";
/// Far more than a run should need here, in seconds and in KiB.
const TIME: &str = "60";
const MEMORY: &str = "1048576";
/// The statuses that are documented, but for that of a mistake in the program.
const STATUSES: [i32; 10] = [0, 2, 65, 66, 68, 73, 74, 75, 77, 78];

/// What takes the place of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    LinkToFile,
    LinkToDirectory,
    Pipe,
    /// Only root can make one.
    Device,
    /// What was there, but nobody may read it.
    Forbidden,
    /// A file that says to be very large.
    Hole,
    /// A directory for a file, a file for a directory.
    Opposite,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::LinkToFile,
        Self::LinkToDirectory,
        Self::Pipe,
        Self::Device,
        Self::Forbidden,
        Self::Hole,
        Self::Opposite,
    ];

    fn can_be_made(self) -> bool {
        self != Self::Device || geteuid().is_root()
    }

    fn put(self, place: &Path, outside: &Path) {
        let was_directory = place.is_dir();
        match self {
            Self::Forbidden => return fs::set_permissions(place, fs::Permissions::from_mode(0o000)).unwrap(),
            _ if was_directory => fs::remove_dir_all(place).unwrap(),
            _ => fs::remove_file(place).unwrap(),
        }
        match self {
            Self::LinkToFile => symlink(outside.join("file"), place).unwrap(),
            Self::LinkToDirectory => symlink(outside.join("directory"), place).unwrap(),
            Self::Pipe => mkfifo(place, Mode::S_IRWXU).unwrap(),
            Self::Device => mknod(place, SFlag::S_IFCHR, Mode::S_IRWXU, nix::sys::stat::makedev(1, 5)).unwrap(),
            Self::Hole => File::create(place).unwrap().set_len(1 << 40).unwrap(),
            Self::Opposite if was_directory => fs::write(place, "a file").unwrap(),
            Self::Opposite => fs::create_dir(place).unwrap(),
            Self::Forbidden => unreachable!(),
        }
    }
}

/// A store in which nothing is wrong, another one that has all of that and more, and what is outside of both.
struct Scene {
    dovecot: Dovecot,
    store: Store,
    other: Store,
    outside: PathBuf,
    untouched: Fingerprint,
}

impl Scene {
    fn new(driver: Driver, parameters: &str) -> Self {
        let dovecot = Dovecot::new();
        let store = dovecot.store_of("pristine", driver.with(parameters));
        let mut imap = store.imap();
        for mailbox in ["INBOX", "Work", "Lists/rust"] {
            if mailbox != "INBOX" {
                imap.create(mailbox);
            }
            for number in 0..2 {
                imap.append(mailbox, "(\\Seen key)", format!("Subject: {mailbox} {number}\r\n\r\nx\r\n").as_bytes());
            }
            imap.select(mailbox);
            imap.store("1", "+FLAGS", "(other)");
            imap.subscribe(mailbox);
        }
        imap.logout();
        store.forget_list_index();
        let other = dovecot.store("pristine-other");
        dovecot.mirror(&store, &other).assert_done();
        // Something has to be written to every mailbox of the store, and a mailbox made at every level.
        for mailbox in ["", ".Work", ".Lists.rust", ".Work.new", ".Lists.new"] {
            other.make_maildir(mailbox);
            other.write(
                format!("{mailbox}/new/1700000000.M1.there"),
                format!("Subject: new{mailbox}\n\ny\n").as_bytes(),
            );
        }
        let outside = dovecot.directory().join("outside");
        make_outside(&outside);
        let untouched = Fingerprint::of(&outside);
        Self { dovecot, store, other, outside, untouched }
    }

    /// Everything in the store that something else can take the place of. Of messages in one directory the first is enough.
    fn places(&self) -> Vec<PathBuf> {
        let mut places = Vec::new();
        collect(self.store.path(), &mut places);
        places.sort();
        places.iter().map(|place| place.strip_prefix(self.store.path()).unwrap().to_owned()).collect()
    }

    /// Runs the program on two stores, with limits.
    fn run(&self, command: &str, first: &Store, second: &Store) -> Run {
        let location = format!("mail_location={}", first.location());
        let plain = self.dovecot.dsync_command(&["-o", &location, command, &second.location()]);
        let mut limited = Command::new("/usr/bin/timeout");
        limited.args(["-k", "1", TIME, "/bin/sh", "-c", "ulimit -v $0; exec \"$@\"", MEMORY]);
        limited.arg(plain.get_program()).args(plain.get_args()).env_clear();
        limited.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        limited.current_dir(self.dovecot.directory());
        self.dovecot.user().runs(&mut limited);
        Run::of(&limited.output().unwrap())
    }

    /// Copies of both stores, in which something is done to the first.
    fn try_with(&self, spoil: &dyn Fn(&Path)) -> (Store, Store) {
        ["tried", "tried-other", "copy"].iter().for_each(|name| remove(&self.dovecot.directory().join(name)));
        let tried = [self.dovecot.copy_of(&self.store, "tried"), self.dovecot.copy_of(&self.other, "tried-other")];
        spoil(tried[0].path());
        tried.iter().for_each(Store::adopt);
        tried.into()
    }

    fn assert_sane(&self, run: &Run, read: &[&Store], title: &str) {
        assert!(run.code.is_some_and(|code| STATUSES.contains(&code)), "{title}: {run:#?}");
        assert!(run.stdout.is_empty() && !run.stderr.contains("panicked"), "{title}: {run:#?}");
        self.untouched.assert_unchanged(&self.outside);
        for store in read {
            assert!(
                !holds(store.path(), SECRET.as_bytes()),
                "{title}: {} has the secret: {run:#?}",
                store.location()
            );
        }
    }

    /// `lost` are the mailboxes that need not arrive, `named` what the program has to name unless all is well.
    fn check(&self, title: &str, spoil: &dyn Fn(&Path), lost: &[&str], named: &dyn Fn(&Path) -> String) {
        let all = Contents::of(&self.store.location());
        let (tried, other) = self.try_with(spoil);
        let copy = self.dovecot.store("copy");
        let before = Fingerprint::of(tried.path());
        let run = self.run("backup", &tried, &copy);
        before.assert_unchanged(tried.path());
        self.assert_sane(&run, &[&copy], title);
        let arrived = if copy.path().exists() { bodies(&Contents::of(&copy.location())) } else { BTreeSet::new() };
        let wanted: Vec<_> = all.mailboxes.iter().filter(|(name, _)| !lost.contains(&name.as_str())).collect();
        if !lost.contains(&"*") {
            for (name, mailbox) in wanted {
                for (_, body) in mailbox.messages.values() {
                    assert!(arrived.contains(body), "{title}: a message of {name} did not arrive: {run:#?}");
                }
            }
        }
        let named = named(tried.path());
        let is_right = bodies(&all).is_subset(&arrived) || run.code != Some(0) && run.stderr.contains(&named);
        assert!(is_right || named.is_empty(), "{title}: not all is there, and {named} is not named: {run:#?}");
        // Both directions at once, and something to write into every mailbox.
        let kept = bodies(&Contents::of(&other.location()));
        let run = self.run("mirror", &tried, &other);
        self.assert_sane(&run, &[&other, &tried], title);
        let now = bodies(&Contents::of(&other.location()));
        let gone: Vec<_> = kept.difference(&now).map(|body| String::from_utf8_lossy(body)).collect();
        assert!(gone.is_empty(), "{title}: lost at the other side: {gone:?} {run:#?}");
    }

    /// What has to arrive all the same depends on whose the place is.
    fn lost_with(place: &Path) -> &'static [&'static str] {
        let text = place.to_string_lossy();
        let in_tree = |name: &str| text.contains(name);
        match () {
            () if in_tree("Work") => &["Work"],
            () if in_tree("Lists") => &["Lists/rust"],
            () if in_tree("INBOX") || text == "inbox" => &["INBOX"],
            // Of a Maildir, INBOX.
            () if ["cur", "new"].iter().any(|own| place.starts_with(own)) => &["INBOX"],
            () if ["dovecot-uidlist", "dovecot-keywords"].contains(&&*text) => &["INBOX"],
            () if text.starts_with("dovecot.index") => &["INBOX"],
            () => &["*"],
        }
    }

    fn try_all(&self, number: usize) {
        let (mut tried, mut failed) = (0, Vec::new());
        let places = self.places();
        for (place_number, place) in places.iter().enumerate() {
            for (kind_number, kind) in Kind::ALL.into_iter().enumerate() {
                let is_chosen = (place_number + 3 * kind_number + number).is_multiple_of(20);
                if !(is_chosen || std::env::var_os("DSYNC_HOSTILE").is_some()) || !kind.can_be_made() {
                    continue;
                }
                let title = format!("{kind:?} for {}", place.display());
                let spoil = |root: &Path| kind.put(&root.join(place), &self.outside);
                // A plain file is no mailbox to a server either, unless that is what mailboxes are.
                let is_nothing = matches!(kind, Kind::Hole | Kind::Opposite)
                    && self.store.driver() != Driver::Mbox
                    && self.store.path().join(place).is_dir();
                let name = place.file_name().unwrap().to_string_lossy();
                let named = |_: &Path| if is_nothing { String::new() } else { name.to_string() };
                let checked = catch_unwind(AssertUnwindSafe(|| {
                    self.check(&title, &spoil, Self::lost_with(place), &named);
                }));
                failed.extend(checked.err().map(|_| title));
                tried += 1;
            }
        }
        eprintln!("{tried} kinds of things in {} places", places.len());
        assert!(failed.is_empty(), "{} of {tried} failed: {failed:#?}", failed.len());
    }
}

fn make_outside(outside: &Path) {
    let directory = outside.join("directory");
    for sub in ["cur", "new", "tmp", "dbox-Mails", "Work"] {
        fs::create_dir_all(directory.join(sub)).unwrap();
        fs::write(directory.join(sub).join("1600000000.secret:2,S"), format!("{SECRET}\n\n")).unwrap();
    }
    let mbox = format!("From x  Thu Jan  1 00:00:00 1970\n{SECRET}\n\nx\n\n");
    fs::write(outside.join("file"), &mbox).unwrap();
    fs::write(directory.join("mbox"), &mbox).unwrap();
}

fn collect(directory: &Path, places: &mut Vec<PathBuf>) {
    let mut messages = 0;
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, places);
        } else if ["cur", "new"].iter().any(|name| directory.ends_with(name)) {
            messages += 1;
            if messages > 1 {
                continue;
            }
        }
        places.push(path);
    }
}

fn bodies(contents: &Contents) -> BTreeSet<Vec<u8>> {
    contents.bodies().into_iter().map(<[u8]>::to_vec).collect()
}

/// Whether any file below a directory has these bytes in it.
fn holds(directory: &Path, bytes: &[u8]) -> bool {
    let mut paths = vec![directory.to_owned()];
    while let Some(path) = paths.pop() {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() {
            paths.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let is_small = metadata.is_file() && metadata.len() < 1 << 30;
        if is_small && fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes) {
            return true;
        }
    }
    false
}

/// Also what is nested too deep for others.
fn remove(path: &Path) {
    assert!(Command::new("rm").arg("-rf").arg(path).status().unwrap().success());
}

/// Names of mailboxes that are no names, or no good ones.
fn try_names(scene: &Scene, is_file: bool, tree: &str, prefix: &str) {
    let long = "x".repeat(255 - prefix.len());
    let make = |root: &Path, name: &[u8]| {
        let place = root.join(tree).join(OsStr::from_bytes(&[prefix.as_bytes(), name].concat()));
        if is_file {
            return fs::write(place, "From x  Thu Jan  1 00:00:00 1970\nSubject: odd\n\nodd\n\n").unwrap();
        }
        for directory in ["cur", "new", "tmp", "dbox-Mails"] {
            fs::create_dir_all(place.join(directory)).unwrap();
        }
        fs::write(place.join("cur/1600000000.odd:2,"), "Subject: odd\n\nodd\n").unwrap();
    };
    let names: [&[u8]; 9] =
        [b"line\nfeed", b"...", b"..x", long.as_bytes(), b"\xff\xfe", b"&bad", b"&AOR-x\x01", b"~", b"a\tb"];
    let spoil = |root: &Path| names.iter().for_each(|name| make(root, name));
    scene.check("odd names", &spoil, &[], &|_| String::new());
}

/// Ten thousand directories, each in the one before.
fn try_depth(scene: &Scene, tree: &str) {
    let spoil = |root: &Path| {
        let mut inside = File::open(root.join(tree)).unwrap();
        for level in 0..10_000 {
            // Deeper than anybody looks, and then than any path reaches.
            let name = if level < 200 { "deep".to_owned() } else { "deeper".repeat(40) };
            mkdirat(&inside, name.as_str(), Mode::S_IRWXU).unwrap();
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
            inside = File::from(openat(&inside, name.as_str(), flags, Mode::empty()).unwrap());
            fchown(&inside, Some(scene.dovecot.user().uid), None).unwrap();
        }
    };
    scene.check("ten thousand levels", &spoil, &[], &|_| String::new());
}

#[test]
fn in_a_maildir() {
    let scene = Scene::new(Driver::Maildir, "");
    scene.try_all(0);
    try_names(&scene, false, "", ".");
    try_depth(&scene, "");
}

#[test]
fn in_nested_maildirs() {
    let scene = Scene::new(Driver::Maildir, ":LAYOUT=fs");
    scene.try_all(1);
    try_names(&scene, false, "", "");
    try_depth(&scene, "");
}

#[test]
fn in_an_mdbox() {
    let scene = Scene::new(Driver::Mdbox, "");
    scene.try_all(2);
    try_names(&scene, false, "mailboxes", "");
    try_depth(&scene, "mailboxes");
}

#[test]
fn in_an_sdbox() {
    let scene = Scene::new(Driver::Sdbox, "");
    scene.try_all(3);
    try_names(&scene, false, "mailboxes", "");
    try_depth(&scene, "mailboxes");
}

#[test]
fn in_mboxes() {
    let scene = Scene::new(Driver::Mbox, "");
    scene.try_all(4);
    try_names(&scene, true, "", "");
    try_depth(&scene, "");
}
