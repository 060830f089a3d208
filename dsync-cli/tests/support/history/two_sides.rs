//! The course of a history: work on both sides, a sync, a look at what it did, and again.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::dbox::assert_sound;
use crate::support::{Dovecot, Driver, Fingerprint, Snapshot, Store, assert_equal};

use super::file_worker::{FileWorker, Files};
use super::generator::Phase;
use super::journal::Journal;
use super::naming;
use super::outcome::{self, Kind};
use super::promises::{self, Promises};
use super::random::Random;
use super::runs::Format;
use super::side::Side;
use super::tool::Tool;
use super::view::View;
use super::worker::Worker;

const OPERATIONS_BEFORE: usize = 30;
const OPERATIONS_PER_ROUND: usize = 10;
/// At most, in addition to the others.
const FILE_OPERATIONS: usize = 8;

/// Two sides, and what was done to them.
pub struct History {
    /// Names it in what is printed.
    pub title: String,
    random: Random,
    pub dovecot: Dovecot,
    pub left: Store,
    pub right: Store,
    /// Of those sides on whose files other programs work.
    files: [Option<Files>; 2],
    /// What both sides hold when they are equal, under the names that each of them shows.
    shown: [View; 2],
    /// The same under the names that mailboxes have where every name can be held.
    pub base: View,
    journal: Journal,
    /// What Dovecot found fault with in its own work.
    own_faults: BTreeSet<String>,
}

/// What users did at either side since both were equal.
pub struct Worked {
    pub base: View,
    pub sides: [Side; 2],
}

impl History {
    pub fn new(seed: u64, formats: [&Format; 2]) -> Self {
        let dovecot = Dovecot::new();
        let [left, right] = formats;
        let mut journal = Journal::default();
        let title = format!("DSYNC_SEED={seed}, {} and {}", left.name, right.name);
        journal.note(&title);
        let files = formats.map(|format| format.files);
        let (left, right) = ((left.store)(&dovecot, "left"), (right.store)(&dovecot, "right"));
        Self {
            title,
            random: Random::from_seed(seed),
            dovecot,
            left,
            right,
            files,
            shown: Default::default(),
            base: View::default(),
            journal,
            own_faults: BTreeSet::new(),
        }
    }

    /// Makes one side by random work and the other by a backup.
    pub fn begin(&mut self, tool: Tool) {
        let mut side = Side::fresh();
        let worker = Worker { name: "base", store: &self.left };
        let random = &mut self.random;
        worker.work(random, Phase::Building, OPERATIONS_BEFORE, &mut side, &mut self.journal);
        if let Some(files) = self.files[0] {
            let worker = FileWorker { name: "base", store: &self.left, files };
            worker.work(random, FILE_OPERATIONS, &mut side, &mut self.journal);
        }
        check_account(&self.left, &side, &mut self.own_faults);
        self.dovecot.backup(&self.left, &self.right).assert_done();
        self.sync(tool);
    }

    /// Lets users work at both sides.
    pub fn work(&mut self, round: usize) -> Worked {
        // Renames and subscriptions have times of whole seconds. Those of this round shall be later ones.
        wait_for_the_next_second();
        let mut sides = self.shown.each_ref().map(Side::settled);
        let stores = [("left", &self.left), ("right", &self.right)];
        for (((name, store), files), side) in stores.into_iter().zip(self.files).zip(&mut sides) {
            let (random, name) = (&mut self.random, &format!("{name}-{round}"));
            let [through_imap, in_files] = amounts(random, files.is_some());
            if through_imap > 0 {
                let worker = Worker { name, store };
                worker.work(random, Phase::Living, through_imap, side, &mut self.journal);
            }
            // Only now, since the UIDs of what comes into being here are not known.
            if let Some(files) = files {
                FileWorker { name, store, files }.work(random, in_files, side, &mut self.journal);
            }
            if store.driver() == Driver::Mdbox && random.one_in(3) {
                self.journal.note(format_args!("{name}: purge"));
                store.doveadm(&["purge"]);
            }
            check_account(store, side, &mut self.own_faults);
        }
        for (side, shown) in sides.iter_mut().zip(&self.shown) {
            naming::use_original_names(side, &naming::originals(shown, &self.base));
        }
        Worked { base: self.base.clone(), sides }
    }

    /// Makes both sides equal, and looks whether they are.
    pub fn sync(&mut self, tool: Tool) {
        self.journal.note(format_args!("{tool:?} makes both sides equal"));
        let run = tool.run_until_done(&self.dovecot, &self.left, &self.right);
        match tool {
            Tool::Dsync | Tool::Peers => {
                run.assert_done();
                self.assert_idle(tool);
            }
            Tool::Doveadm | Tool::DsyncAndDoveadm => assert_eq!(run.code, Some(0), "{run:?}"),
        }
        if tool == Tool::DsyncAndDoveadm {
            let [left, right] = [&self.left, &self.right].map(View::of);
            let differences = outcome::differences(&left, &right);
            assert!(differences.is_empty(), "{differences:#?}");
        } else if naming::is_mapped(&self.left, &self.right) {
            naming::assert_same(&self.left, &self.right, tool.leaves_open());
        } else {
            let seen = |store| {
                let seen = Snapshot::of(store).without(tool.leaves_open());
                // Between hosts a level that is no mailbox stays where it can.
                if tool == Tool::Dsync { seen } else { seen.without_levels() }
            };
            assert_equal(&seen(&self.left), &seen(&self.right));
        }
        if tool.is_own() {
            self.assert_no_new_complaints();
        }
        self.shown = [&self.left, &self.right].map(View::of);
        // An mbox cannot hold every name.
        let is_original = if self.left.driver() == Driver::Mbox { 1 } else { 0 };
        self.base = self.shown[is_original].clone();
        if tool.is_own() {
            [&self.left, &self.right].into_iter().for_each(assert_sound);
        }
    }

    /// What another program makes of both sides, which are put back as they were.
    pub fn come_to(&self, tool: Tool) -> [View; 2] {
        let stores = [&self.left, &self.right];
        let before = stores.map(Store::copy_apart);
        let run = tool.run_until_done(&self.dovecot, &self.left, &self.right);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:#?}");
        let after = stores.map(View::of);
        for (store, before) in stores.into_iter().zip(before) {
            store.restore(&before);
            before.remove();
        }
        after
    }

    /// # Panics
    /// If both sides do not hold what they should.
    pub fn assert_hold(&self, expected: &[View; 2]) {
        for (store, expected) in [&self.left, &self.right].into_iter().zip(expected) {
            let [seen, expected] = [View::of(store), expected.clone()].map(without_made_up_names);
            let mut differences = outcome::differences(&seen, &expected);
            // A format that cannot hold levels without mailboxes makes mailboxes of them; the protocol does not say that.
            differences.retain(|(kind, text)| *kind != Kind::MailboxOnlyRight || !text.ends_with("[]"));
            assert!(differences.is_empty(), "{differences:#?}");
        }
    }

    /// Another run finds nothing to do.
    fn assert_idle(&self, tool: Tool) {
        if tool == Tool::Peers {
            // It takes a run to find out that a side is what it was although Dovecot wrote its indexes anew.
            tool.run(&self.dovecot, &self.left, &self.right).assert_done();
        }
        let stores = [&self.left, &self.right];
        let before = stores.map(|store| Fingerprint::of(store.path()));
        tool.run(&self.dovecot, &self.left, &self.right).assert_done();
        for (store, before) in stores.into_iter().zip(before) {
            before.assert_unchanged(store.path());
        }
    }

    fn assert_no_new_complaints(&self) {
        let complaints: Vec<_> = [&self.left, &self.right].into_iter().flat_map(Store::complaints).collect();
        let new: Vec<_> = complaints.iter().filter(|it| !self.own_faults.contains(without_path(it))).collect();
        assert!(new.is_empty(), "Dovecot complains: {new:#?}");
    }

    /// # Panics
    /// If the sync did not keep its promises.
    pub fn assert_kept(&self, worked: &Worked) {
        // The other side is equal.
        let broken = worked.promises().broken_at(&self.base);
        let lines: Vec<_> = broken.iter().map(ToString::to_string).collect();
        assert!(broken.is_empty(), "broken promises:\n{}", lines.join("\n"));
    }

    /// What can be promised if Dovecot's own program, which deletes mailboxes with messages that the other side never had,
    /// opens the right side.
    ///
    /// # Panics
    /// If a message is lost that came into being at the left in this round.
    pub fn assert_own_kept(&self, worked: &Worked, round: usize) {
        let new = format!("<left-{round}.");
        let mut lost = worked.promises().broken_at(&self.base);
        lost.retain(|broken| broken.kind == promises::Kind::MessageLost && broken.what.contains(&new));
        assert!(lost.is_empty(), "{lost:#?}");
    }
}

/// How much is done through IMAP, and how much in files.
fn amounts(random: &mut Random, has_files: bool) -> [usize; 2] {
    if !has_files {
        return [OPERATIONS_PER_ROUND, 0];
    }
    let in_files = 1 + random.below(FILE_OPERATIONS);
    random.weighted(&[(2, [OPERATIONS_PER_ROUND, in_files]), (1, [OPERATIONS_PER_ROUND, 0]), (1, [0, in_files])])
}

/// Lets Dovecot judge whether `side` is what the store holds, and takes down what it finds fault with in its own work.
fn check_account(store: &Store, side: &Side, own_faults: &mut BTreeSet<String>) {
    let copy = store.copy_apart();
    side.assert_is(&View::of(&copy));
    let complaints = [store, &copy].into_iter().flat_map(Store::complaints);
    // A MOVE within a Maildir leaves two entries for one file in the uidlist.
    let own = complaints.filter(|complaint| complaint.contains("Duplicate file entry"));
    own_faults.extend(own.map(|complaint| without_path(&complaint).to_owned()));
    copy.remove();
}

/// What has to give way to another mailbox of its name has its GUID in the name, and that is a new one in every run.
fn without_made_up_names(mut view: View) -> View {
    let name = |name: String| name.split_once("-temp-").map(|(name, _)| format!("{name}-temp")).unwrap_or(name);
    view.mailboxes = view.mailboxes.into_iter().map(|(key, mailbox)| (name(key), mailbox)).collect();
    view.subscriptions = view.subscriptions.into_iter().map(name).collect();
    view
}

fn without_path(complaint: &str) -> &str {
    complaint.rsplit('/').next().unwrap_or(complaint)
}

fn wait_for_the_next_second() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    thread::sleep(Duration::from_secs(now.as_secs() + 1) - now);
}

impl Worked {
    /// What is owed for it.
    pub fn promises(&self) -> Promises<'_> {
        Promises::new(&self.base, self.sides.each_ref())
    }
}
