//! Wherever a run stops, nothing is lost, and the next one completes it: after a crash before any change of the file system,
//! after a power cut at any moment, of which only what was synced is sure to be there, after any change that fails, and if
//! every write writes less than it was asked to.
//!
//! `DSYNC_CRASHES=all` tries every moment, and with `--nocapture` says how many there were; usually some are tried of each run.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dsync_core::memory::MemoryStore;
use dsync_core::model::MailboxName;
use dsync_core::report::Unobserved;
use dsync_core::session::SyncOptions;
use dsync_core::store::MailStore;
use dsync_core::sync;
use dsync_storage::fs::fault::{Change, Plan, Session};
use dsync_storage::joined::{JoinedStore, Member};
use dsync_storage::location::Location;
use dsync_storage::settings::Settings;
use nix::errno::Errno;
use support::contents::Contents;
use support::dovecot::files_below;
use support::mbox::assert_same_but_for;
use support::power::{Disk, Fate};
use support::{Dovecot, Driver, Store, build};

/// How many moments of each run are tried, unless all are.
const USUAL: usize = 3;
/// At how many of those Dovecot looks at the end.
const LOOKED_AT_BY_DOVECOT: usize = 1;

/// How both sides are made equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Backup,
    Mirror,
}

/// A run that is tried again and again from the same start.
struct Scene {
    _dovecot: Dovecot,
    way: Way,
    /// Both sides, as they are before it.
    before: [Store; 2],
    /// Where it is tried.
    tried: [Store; 2],
    /// What both sides have at the end if nothing happens.
    outcome: Contents,
}

/// What is done to one run is done to all of the process, so tests take turns.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The runs of one format at the destination: the first backup, one after changes, and a mirror after changes at both sides.
fn for_each_scene(driver: Driver, check: impl Fn(&Scene)) {
    let _alone = alone();
    for (way, is_first) in [(Way::Backup, true), (Way::Backup, false), (Way::Mirror, false)] {
        let dovecot = Dovecot::new();
        let before = [dovecot.store_of("left", Driver::Maildir), dovecot.store_of("right", driver)];
        fs::create_dir(before[1].path()).unwrap();
        build::small(&before[0]);
        if !is_first {
            dovecot.backup(&before[0], &before[1]).assert_done();
            change(&before[0]);
        }
        if way == Way::Mirror {
            change_otherwise(&before[1]);
        }
        before.iter().for_each(Store::forget_list_index);
        let tried = [dovecot.store_of("tried-left", Driver::Maildir), dovecot.store_of("tried-right", driver)];
        let mut scene = Scene { _dovecot: dovecot, way, before, tried, outcome: Contents::default() };
        scene.begin_again();
        scene.run().unwrap();
        scene.outcome = Contents::of(&scene.tried[0].location());
        assert_eq!(scene.outcome.unread, Vec::<String>::new());
        scene.assert_equal("without a crash");
        check(&scene);
    }
}

fn change(store: &Store) {
    let mut imap = store.imap();
    imap.select("INBOX");
    imap.store("1:4", "+FLAGS", "(\\Flagged fresh)");
    imap.expunge("2");
    imap.copy("3:6", "Work");
    imap.command("UNSELECT");
    imap.rename("Work", "Play");
    imap.delete("Entw&APw-rfe");
    imap.create("Another/One");
    imap.append("Another/One", "(\\Draft)", b"Subject: x\r\n\r\ny\r\n");
    imap.append("INBOX", "(\\Seen)", b"Subject: on the left\r\n\r\nleft\r\n");
    imap.logout();
}

fn change_otherwise(store: &Store) {
    let mut imap = store.imap();
    imap.select("INBOX");
    imap.store("5:6", "+FLAGS", "(\\Answered other)");
    imap.expunge("4");
    imap.append("INBOX", "()", b"Subject: on the right\r\n\r\nright\r\n");
    imap.append("Empty", "(\\Seen)", b"Subject: another on the right\r\n\r\nright\r\n");
    imap.logout();
}

impl Scene {
    /// Both sides are as before the run.
    fn begin_again(&self) {
        for (before, tried) in self.before.iter().zip(&self.tried) {
            remove(tried.path());
            copy(before.path(), tried.path());
        }
    }

    fn run(&self) -> Result<(), String> {
        let open = |store: &Store| {
            let location = Location::parse(&store.location(), None).unwrap();
            dsync_storage::open(&location, &Settings::default()).map_err(|error| error.to_string())
        };
        let [mut left, mut right] = [open(&self.tried[0])?, open(&self.tried[1])?];
        let options = SyncOptions::default();
        let report = match self.way {
            Way::Backup => sync::backup(&mut *left, &mut *right, &options, &mut Unobserved),
            Way::Mirror => sync::mirror(&mut *left, &mut *right, &options, &mut Unobserved),
        };
        let report = report.map_err(|error| error.to_string())?;
        report.problems.first().map_or(Ok(()), |problem| Err(problem.to_string()))
    }

    /// This process goes on after a crash, but the one that held locks would be dead. They keep their age.
    fn bury_owners_of_locks(&self) {
        self.tried.iter().for_each(|store| bury_owners_of_locks(store.path()));
    }

    /// The disks of both sides before a run, and what the run changes.
    fn record(&self) -> ([Disk; 2], Vec<Change>) {
        self.begin_again();
        let disks = [0, 1].map(|side: usize| Disk::of(self.tried[side].path()));
        let session = Session::begin(Plan::Record);
        self.run().unwrap();
        (disks, session.end().1)
    }

    /// How many changes a run makes.
    fn count(&self) -> usize {
        self.begin_again();
        let session = Session::begin(Plan::StopAfter(usize::MAX));
        self.run().unwrap();
        session.end().0
    }

    /// Nothing that was there before and is to be there afterwards may be away in between.
    fn assert_nothing_is_lost(&self, when: &str) {
        let wanted = self.outcome.bodies();
        for (before, tried) in self.before.iter().zip(&self.tried) {
            let before = Contents::of(&before.location());
            let now = Contents::of(&tried.location());
            // What cannot be read now is only to wait for the next run.
            if !now.unread.is_empty() {
                continue;
            }
            let found = now.bodies();
            let bodies = before.bodies();
            let lost: Vec<_> = bodies.intersection(&wanted).filter(|it| !found.contains(**it)).collect();
            let text = lost.first().map_or(String::new(), |bytes| String::from_utf8_lossy(bytes).into_owned());
            assert!(
                lost.is_empty(),
                "{when}: {} messages are lost at {}, among them {text}",
                lost.len(),
                tried.location()
            );
        }
    }

    /// Another run completes it, and after that there is nothing to do.
    fn assert_completed(&self, when: &str) {
        // A second one for what was to be repaired first.
        let first = self.run();
        if let Err(error) = first {
            self.run().unwrap_or_else(|again| panic!("{when}: {error}, then {again}"));
        }
        self.assert_equal(when);
        let count = {
            let session = Session::begin(Plan::StopAfter(usize::MAX));
            self.run().unwrap();
            session.end().0
        };
        assert_eq!(count, 0, "{when}: there is still something to do");
    }

    fn assert_equal(&self, when: &str) {
        let [left, right] = [0, 1].map(|side: usize| Contents::of(&self.tried[side].location()));
        assert_eq!((&left.unread, &right.unread), (&vec![], &vec![]), "{when}");
        let names = |contents: &Contents| contents.mailboxes.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&left), names(&right), "{when}");
        for (name, mailbox) in &left.mailboxes {
            assert_eq!(mailbox.status, right.mailboxes[name].status, "{when}: {name}");
            for (uid, message) in &mailbox.messages {
                assert_eq!(Some(message), right.mailboxes[name].messages.get(uid), "{when}: {name}, UID {uid}");
            }
            assert_eq!(mailbox.messages.len(), right.mailboxes[name].messages.len(), "{when}: {name}");
        }
    }

    /// Dovecot sees the same at both sides, and finds nothing to complain about.
    fn assert_dovecot_agrees(&self) {
        self.tried.iter().for_each(Store::adopt);
        // Files that were put back were saved just now.
        assert_same_but_for(&["date.saved.unixtime"], &self.tried[0], &self.tried[1]);
        self.tried.iter().for_each(Store::assert_no_complaints);
    }
}

fn bury_owners_of_locks(below: &Path) {
    let own = format!("{}:", std::process::id());
    for path in files_below(below) {
        let is_lock = path.extension().is_some_and(|it| it == "lock");
        let content = if is_lock { fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
        if let Some(host) = content.strip_prefix(&own) {
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            // Process numbers end far below this.
            fs::write(&path, format!("2147483646:{host}")).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        }
    }
}

fn remove(path: &Path) {
    if path.exists() {
        fs::remove_dir_all(path).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

fn is_everything_tried() -> bool {
    std::env::var_os("DSYNC_CRASHES").is_some()
}

/// Some of the moments of a run of so many changes, the first and the last among them.
fn moments(count: usize) -> Vec<usize> {
    if is_everything_tried() {
        return (0..count).collect();
    }
    let mut moments: Vec<_> = (0..USUAL).map(|number| number * count.saturating_sub(1) / (USUAL - 1)).collect();
    moments.dedup();
    moments
}

/// Says how much was tried, for those who want to know how much that is.
fn tell(scene: &Scene, what: &str, tried: usize, moments: usize) {
    let format = scene.tried[1].driver().name();
    eprintln!("{:?} into {format}: {what}: {tried} tried at {moments} moments", scene.way);
}

/// Whether Dovecot looks at the end of this one of so many tries.
fn dovecot_looks(number: usize, tries: usize) -> bool {
    number.is_multiple_of(tries.div_ceil(LOOKED_AT_BY_DOVECOT).max(1))
}

fn crash(driver: Driver) {
    for_each_scene(driver, |scene| {
        let moments = moments(scene.count());
        for (number, moment) in moments.iter().enumerate() {
            let when = format!("{:?} into {}, stopped after {moment} changes", scene.way, driver.name());
            scene.begin_again();
            let session = Session::begin(Plan::StopAfter(*moment));
            let _ = scene.run();
            drop(session);
            scene.bury_owners_of_locks();
            scene.assert_nothing_is_lost(&when);
            scene.assert_completed(&when);
            if dovecot_looks(number, moments.len()) {
                scene.assert_dovecot_agrees();
            }
        }
        tell(scene, "stops", moments.len(), moments.len());
    });
}

fn cut_power(driver: Driver) {
    for_each_scene(driver, |scene| {
        let (before, changes) = scene.record();
        let moments = moments(changes.len() + 1);
        let fates =
            |moment: usize| [Fate::Lost, Fate::Kept, Fate::Mixed(moment as u64), Fate::Mixed(!(moment as u64))];
        for (number, moment) in moments.iter().enumerate() {
            let mut disks = before.clone();
            for change in &changes[..*moment] {
                disks.iter_mut().for_each(|disk| disk.take(change));
            }
            for fate in fates(*moment) {
                let when = format!(
                    "{:?} into {}, no power after {moment} of {} changes, {fate:?}",
                    scene.way,
                    driver.name(),
                    changes.len()
                );
                for (disk, tried) in disks.iter().zip(&scene.tried) {
                    remove(tried.path());
                    fs::create_dir(tried.path()).unwrap();
                    disk.write_what_is_left(fate, tried.path());
                }
                scene.bury_owners_of_locks();
                scene.assert_nothing_is_lost(&when);
                scene.assert_completed(&when);
                if dovecot_looks(number, moments.len()) && matches!(fate, Fate::Lost | Fate::Mixed(_)) {
                    scene.assert_dovecot_agrees();
                }
            }
        }
        tell(scene, "power cuts", moments.len() * fates(0).len(), moments.len());
    });
}

fn fail(driver: Driver) {
    let errors = [Errno::ENOSPC, Errno::EIO, Errno::EDQUOT, Errno::EMFILE];
    for_each_scene(driver, |scene| {
        let moments = moments(scene.count());
        let mut tried = 0;
        for (number, moment) in moments.iter().enumerate() {
            let errors = if is_everything_tried() { &errors[..] } else { &errors[number % errors.len()..][..1] };
            for error in errors {
                let when = format!("{:?} into {}, change {moment} fails: {error}", scene.way, driver.name());
                scene.begin_again();
                let session = Session::begin(Plan::FailAfter(*moment, *error));
                let outcome = scene.run();
                drop(session);
                assert_names_the_cause(outcome, *error, &when);
                scene.bury_owners_of_locks();
                scene.assert_nothing_is_lost(&when);
                scene.assert_completed(&when);
                tried += 1;
            }
        }
        tell(scene, "errors", tried, moments.len());
        write_little(scene);
    });
}

/// A system may write less than it was asked to, and be interrupted.
fn write_little(scene: &Scene) {
    let when = format!("{:?}, half of what is written at once", scene.way);
    scene.begin_again();
    let session = Session::begin(Plan::WriteLittle);
    scene.run().unwrap_or_else(|error| panic!("{when}: {error}"));
    drop(session);
    scene.assert_equal(&when);
    scene.assert_completed(&when);
}

/// A failure that is told is told as what it was, and where. What was not needed may fail without a word.
fn assert_names_the_cause(outcome: Result<(), String>, cause: Errno, when: &str) {
    if let Err(error) = outcome {
        let cause = std::io::Error::from(cause).to_string();
        assert!(error.contains(&cause) && error.contains('/'), "{when}: {error}");
    }
}

/// Two stores in a directory, the second one below `Public`.
fn joined(directory: &Path, drivers: [&str; 2]) -> JoinedStore {
    let member = |driver: &str, prefix: Option<&str>| {
        let place = directory.join(prefix.unwrap_or("main"));
        let location = Location::parse(&format!("{driver}:{}", place.display()), None).unwrap();
        Member {
            store: dsync_storage::open(&location, &Settings::default()).unwrap(),
            prefix: prefix.and_then(|prefix| MailboxName::parse(prefix, '/')),
            has_inbox: prefix.is_none(),
            subscriptions: None,
        }
    };
    JoinedStore::new(vec![member(drivers[0], None), member(drivers[1], Some("Public"))])
}

/// The bytes of all messages, in their order.
fn bodies(store: &mut dyn MailStore) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    for (name, _) in store.tree().unwrap().into_iter().filter(|(_, node)| node.is_mailbox()) {
        let mut mailbox = store.open(&name).unwrap();
        let keys: Vec<_> = mailbox.messages().keyed().map(|(key, _)| key).collect();
        bodies.extend(keys.into_iter().map(|key| mailbox.body(key).unwrap().read_all().unwrap()));
    }
    bodies.sort();
    bodies
}

#[test]
fn a_mailbox_is_not_lost_on_its_way_to_another_store() {
    let _alone = alone();
    let name = |text: &str| MailboxName::parse(text, '/').unwrap();
    let options = SyncOptions::default();
    for drivers in [["maildir", "mdbox"], ["mdbox", "maildir"], ["sdbox", "mbox"]] {
        let directory = tempfile::tempdir().unwrap();
        let (before, tried) = (directory.path().join("before"), directory.path().join("tried"));
        let (mut other, mut third) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
        for number in 0..3 {
            other.deliver(&name("Work"), format!("Subject: {number}\n\nboth\n").as_bytes());
        }
        let mut store = joined(&before, drivers);
        sync::mirror(&mut store, &mut other, &options, &mut Unobserved).unwrap();
        // One that is only here, one that is only there, and there it has another place.
        sync::mirror(&mut store, &mut third, &options, &mut Unobserved).unwrap();
        third.deliver(&name("Work"), b"Subject: here\n\nhere\n");
        sync::mirror(&mut store, &mut third, &options, &mut Unobserved).unwrap();
        other.rename(&name("Work"), &name("Public/Work")).unwrap();
        other.deliver(&name("Public/Work"), b"Subject: there\n\nthere\n");
        drop(store);
        let try_it = |plan| {
            remove(&tried);
            copy(&before, &tried);
            let mut other = other.duplicate();
            let mut run = || sync::mirror(&mut joined(&tried, drivers), &mut other, &options, &mut Unobserved);
            let session = Session::begin(plan);
            let _ = run();
            let (changes, _) = session.end();
            bury_owners_of_locks(&tried);
            let told = run().map_or_else(|error| error.to_string(), |report| format!("{:?}", report.problems));
            let when = format!("{drivers:?}, {plan:?}: {told}");
            assert_eq!(run().unwrap().problems, [], "{when}");
            let [here, there] = [bodies(&mut joined(&tried, drivers)), bodies(&mut other)];
            assert_eq!(here, there, "{when}");
            // Both the mailbox and its copy may be there then. Neither is deleted, since nobody knows who has made it.
            assert!(here.len() == 5 || told.contains("same GUID"), "{when}");
            assert_eq!(here.iter().collect::<BTreeSet<_>>().len(), 5, "{when}");
            changes
        };
        let count = try_it(Plan::StopAfter(usize::MAX));
        let step = if is_everything_tried() { 1 } else { count / 6 + 1 };
        (0..count).step_by(step).for_each(|moment| {
            try_it(Plan::StopAfter(moment));
        });
    }
}

macro_rules! for_each_format {
    ($($name:ident: $driver:expr),*) => {$(
        mod $name {
            use super::Driver;

            #[test]
            fn a_run_that_stops_anywhere_is_completed() {
                super::crash($driver);
            }

            #[test]
            fn what_a_power_cut_leaves_is_completed() {
                super::cut_power($driver);
            }

            #[test]
            fn a_change_that_fails_or_is_made_in_pieces_harms_nothing() {
                super::fail($driver);
            }
        }
    )*};
}

for_each_format!(maildir: Driver::Maildir, mdbox: Driver::Mdbox, sdbox: Driver::Sdbox, mbox: Driver::Mbox);
