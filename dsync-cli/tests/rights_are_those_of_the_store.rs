//! Files and directories have the rights and the group that the directory of the store tells, as a server gives them, whatever
//! the umask is; and none that is only there for a while has more.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use dsync_core::report::Unobserved;
use dsync_core::session::SyncOptions;
use dsync_core::sync;
use dsync_storage::fs::fault::{Plan, Session};
use dsync_storage::location::Location;
use dsync_storage::settings::Settings;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{getegid, geteuid};
use support::{Dovecot, Driver, Store, build};

/// Nobody's.
const GROUP: u32 = 54_321;
/// At how many moments of a run it is looked at.
const MOMENTS: usize = 8;

/// A directory in which a store is made.
#[derive(Clone, Copy, Debug)]
struct Root {
    mode: u32,
    group: u32,
}

impl Root {
    fn make(self, path: &Path) {
        remove(path);
        fs::create_dir(path).unwrap();
        chown(path, None, Some(self.group)).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(self.mode)).unwrap();
    }

    /// The mode that something in it is to have.
    fn mode_of(self, path: &Path, is_directory: bool) -> u32 {
        let name = path.file_name().unwrap().to_string_lossy();
        match is_directory {
            // What is known about an mbox is for those who may read it.
            _ if path.parent().unwrap().ends_with(".imap/INBOX") => 0o600,
            true => self.mode,
            // Only its name says something; everybody makes it like that.
            false if name.starts_with("dovecot-uidvalidity.") => 0o444,
            // Its directory is often one in which everybody may look.
            false if name == "inbox" => 0o600,
            false => self.mode & 0o666,
        }
    }

    fn group(self) -> u32 {
        // Where its members may do no more than everybody, the group means nothing.
        let means_something = self.mode & 0o070 != 0 || self.mode & 0o2000 != 0;
        if means_something { self.group } else { getegid().as_raw() }
    }

    /// What is not as it is to be, or of `is_while_running`, what has too many rights.
    fn faults(self, root: &Path, is_while_running: bool) -> Vec<String> {
        let mut faults = Vec::new();
        let mut paths = vec![root.to_owned()];
        while let Some(path) = paths.pop() {
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                paths.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            if path == root {
                continue;
            }
            let (mode, wanted) = (metadata.mode() & 0o7777, self.mode_of(&path, metadata.is_dir()));
            let group = metadata.gid();
            let is_right = match is_while_running {
                true => mode & !(wanted | 0o2000) == 0 && (group == self.group() || mode & 0o070 == 0),
                false => mode == wanted && group == self.group(),
            };
            // A name that is lost in a crash is a lock, or has nobody's mail.
            let is_harmless = is_while_running && mode == 0o444;
            if !(is_right || is_harmless) {
                faults.push(format!("{} has mode {mode:o} and group {group}, not {wanted:o}", path.display()));
            }
        }
        faults
    }
}

fn remove(path: &Path) {
    if path.exists() {
        fs::remove_dir_all(path).unwrap();
    }
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Backup,
    Mirror,
}

fn run(way: Way, locations: [&str; 2]) -> Result<(), String> {
    let open = |location: &str| {
        dsync_storage::open(&Location::parse(location, None).unwrap(), &Settings::default())
            .map_err(|error| error.to_string())
    };
    let [mut first, mut second] = [open(locations[0])?, open(locations[1])?];
    let options = SyncOptions::default();
    let report = match way {
        Way::Backup => sync::backup(&mut *first, &mut *second, &options, &mut Unobserved),
        Way::Mirror => sync::mirror(&mut *first, &mut *second, &options, &mut Unobserved),
    };
    let report = report.map_err(|error| error.to_string())?;
    report.problems.first().map_or(Ok(()), |problem| Err(problem.to_string()))
}

fn roots() -> Vec<Root> {
    let own = getegid().as_raw();
    let group = if geteuid().is_root() { GROUP } else { own };
    [0o700, 0o770, 0o2770].map(|mode| Root { mode, group }).into()
}

fn try_all(source: &Store, copy: &Path, location: &str) {
    for root in roots() {
        for mask in [0o000, 0o022, 0o077] {
            umask(Mode::from_bits_truncate(mask));
            let title = format!("{location} in {root:?} with umask {mask:o}");
            root.make(copy);
            for way in [Way::Backup, Way::Mirror] {
                run(way, [&source.location(), location]).unwrap();
                assert_eq!(root.faults(copy, false), Vec::<String>::new(), "{title}, {way:?}");
            }
        }
        // With this one everything would be open if nobody cared.
        umask(Mode::empty());
        root.make(copy);
        let session = Session::begin(Plan::StopAfter(usize::MAX));
        run(Way::Backup, [&source.location(), location]).unwrap();
        let count = session.end().0;
        for moment in (1..MOMENTS).map(|number| number * count / MOMENTS) {
            root.make(copy);
            let session = Session::begin(Plan::StopAfter(moment));
            run(Way::Backup, [&source.location(), location]).unwrap_err();
            drop(session);
            let faults = root.faults(copy, true);
            assert!(faults.is_empty(), "{location} in {root:?}, after {moment} of {count}: {faults:#?}");
        }
        umask(Mode::from_bits_truncate(0o022));
    }
}

/// The mask is that of the whole process, so all of this is one test.
#[test]
fn in_every_format() {
    let dovecot = Dovecot::new();
    let source = dovecot.store("source");
    build::small(&source);
    let formats = [
        Driver::Maildir.with(""),
        Driver::Maildir.with(":LAYOUT=fs"),
        Driver::Mdbox.with(""),
        Driver::Sdbox.with(""),
        Driver::Mbox.with(""),
    ];
    for (number, format) in formats.into_iter().enumerate() {
        let copy = dovecot.store_of(&format!("copy-{number}"), format);
        let path: PathBuf = copy.path().to_owned();
        try_all(&source, &path, &copy.location());
    }
}
