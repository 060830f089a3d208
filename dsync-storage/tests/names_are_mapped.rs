//! A store takes mailboxes of any name: what its layout cannot hold gets another name there, and comes back under its own.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dsync_core::conformance;
use dsync_core::memory::MemoryStore;
use dsync_core::model::{
    MailboxGuid, MailboxIdentity, MailboxName, MailboxNode, MailboxStatus, MailboxTree, NodeKind, Timestamp,
    TreeHistory, UidValidity,
};
use dsync_core::report::Unobserved;
use dsync_core::session::SyncOptions;
use dsync_core::store::{
    Capabilities, ErrorKind, MailStore, Mailbox, MailboxChanges, Origin, ReplacedName, StoreError,
};
use dsync_core::sync::{backup, mirror};
use dsync_storage::list::layout::{Layout, Naming};
use dsync_storage::location::Location;
use dsync_storage::maildir::MaildirStore;
use dsync_storage::names::{AlternativeCharacter, NameRules, NamedStore, NamesFile};
use dsync_storage::settings::Settings;
use proptest::prelude::*;

/// A store in memory that is as strict as a layout, and complains if it is asked for what it cannot hold.
struct Strict {
    inner: MemoryStore,
    rules: NameRules,
    /// How many renamings succeed before the power fails.
    renamings: usize,
}

impl Strict {
    fn check(&self, name: &MailboxName, becomes_mailbox: bool) -> Result<(), StoreError> {
        let refuse = |text: &str| Err(StoreError::new(ErrorKind::InvalidName, format!("{name}: {text}")));
        if !self.rules.holds(name) {
            return refuse("the layout cannot hold it");
        }
        if self.rules.mailboxes_have_children() {
            return Ok(());
        }
        let tree = self.inner.clone().tree()?;
        for (other, node) in tree.iter().filter(|(other, _)| !other.is_inbox()) {
            if node.is_mailbox() && name.is_below(other) {
                return refuse("a mailbox has no mailboxes below it");
            }
            if becomes_mailbox && !name.is_inbox() && node.kind != NodeKind::Absent && other.is_below(name) {
                return refuse("it is a directory");
            }
            if becomes_mailbox && node.kind == NodeKind::Directory && other == name {
                return refuse("it is a directory");
            }
        }
        Ok(())
    }

    fn is_flat(&self) -> bool {
        self.rules == NameRules::of(Naming { layout: Layout::MaildirPlusPlus, utf8: false }, "subscriptions")
    }

    /// What nested directories show.
    fn with_levels(&self, tree: MailboxTree) -> MailboxTree {
        let mut all = tree.clone();
        for (name, _) in tree.iter().filter(|(_, node)| node.kind != NodeKind::Absent && !self.is_flat()) {
            let mut above = name.parent();
            while let Some(level) = above {
                let absent = MailboxNode { kind: NodeKind::Absent, subscribed: false };
                let node = all.entry(level.clone()).or_insert(absent);
                if node.kind == NodeKind::Absent {
                    node.kind = NodeKind::Directory;
                }
                above = level.parent();
            }
        }
        all
    }
}

impl MailStore for Strict {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn id(&mut self) -> Result<String, StoreError> {
        self.inner.id()
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities { directories: !self.is_flat(), ..self.inner.capabilities() }
    }
    fn tree(&mut self) -> Result<MailboxTree, StoreError> {
        let tree = self.inner.tree()?;
        Ok(self.with_levels(tree))
    }
    fn tree_history(&mut self) -> Result<TreeHistory, StoreError> {
        self.inner.tree_history()
    }
    fn note_deleted(&mut self, guid: MailboxGuid) -> Result<(), StoreError> {
        self.inner.note_deleted(guid)
    }
    fn new_identity(&mut self) -> Result<MailboxIdentity, StoreError> {
        self.inner.new_identity()
    }
    fn open(&mut self, name: &MailboxName) -> Result<Box<dyn Mailbox>, StoreError> {
        assert!(self.rules.holds(name), "{name} cannot be there");
        let error = |error: StoreError| StoreError::new(ErrorKind::Io, format!("{name}: {error}"));
        self.check(name, false).map_err(error)?;
        self.inner.open(name)
    }
    fn create(&mut self, name: &MailboxName, identity: MailboxIdentity) -> Result<Box<dyn Mailbox>, StoreError> {
        self.check(name, true)?;
        self.inner.create(name, identity)
    }
    fn delete(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        assert!(self.rules.holds(name), "{name} cannot be there");
        self.inner.delete(name)
    }
    fn delete_unchanged(&mut self, name: &MailboxName, expected: &MailboxStatus) -> Result<(), StoreError> {
        self.inner.delete_unchanged(name, expected)
    }
    fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        assert!(self.rules.holds(from), "{from} cannot be there");
        self.renamings = self.renamings.checked_sub(1).ok_or(StoreError::new(ErrorKind::Io, "no power"))?;
        let is_mailbox = self.inner.tree()?.get(from).is_some_and(MailboxNode::is_mailbox);
        self.check(to, is_mailbox)?;
        self.inner.rename(from, to)
    }
    fn create_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        self.check(name, false)?;
        if self.is_flat() {
            return Err(StoreError::new(ErrorKind::Impossible, "no levels"));
        }
        self.inner.create_directory(name)
    }
    fn delete_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        self.inner.delete_directory(name)
    }
    fn set_subscribed(&mut self, name: &MailboxName, subscribed: bool) -> Result<(), StoreError> {
        assert!(self.rules.holds(name), "{name} cannot be stored");
        self.inner.set_subscribed(name, subscribed)
    }
}

fn listed(layout: Layout) -> NameRules {
    NameRules::of(Naming { layout, utf8: false }, "subscriptions")
}

fn mbox() -> NameRules {
    NameRules::of(Naming { layout: Layout::Mbox, utf8: false }, ".subscriptions")
}

fn all_rules() -> [NameRules; 4] {
    [listed(Layout::MaildirPlusPlus), listed(Layout::Fs), listed(Layout::Dbox), mbox()]
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '/').unwrap()
}

fn named(inner: &MemoryStore, rules: &NameRules, directory: &Path) -> NamedStore {
    named_until(inner, rules, directory, usize::MAX)
}

fn named_until(inner: &MemoryStore, rules: &NameRules, directory: &Path, renamings: usize) -> NamedStore {
    let strict = Strict { inner: inner.clone(), rules: rules.clone(), renamings };
    let file = NamesFile::new(directory, directory, false);
    NamedStore::new(Box::new(strict), rules.clone(), AlternativeCharacter::default(), file)
}

/// A store in memory with strict rules, and the way to open it again and again.
struct Place {
    directory: tempfile::TempDir,
    inner: MemoryStore,
    rules: NameRules,
}

impl Place {
    fn new(rules: NameRules) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), inner: MemoryStore::with_seed(7), rules }
    }

    fn open(&self) -> NamedStore {
        named(&self.inner, &self.rules, self.directory.path())
    }

    fn shown(&self) -> Vec<String> {
        mailboxes(&mut self.open())
    }

    fn stored(&self) -> Vec<String> {
        mailboxes(&mut self.inner.clone())
    }
}

fn mailboxes(store: &mut dyn MailStore) -> Vec<String> {
    let tree = store.tree().unwrap().into_iter();
    tree.filter(|(_, node)| node.is_mailbox()).map(|(name, _)| name.join('/')).collect()
}

fn source(names: &[&str]) -> MemoryStore {
    let mut store = MemoryStore::with_seed(1);
    store.deliver(&MailboxName::inbox(), b"Subject: x\n\nx\n");
    for text in names {
        store.deliver(&name(text), format!("Subject: {text}\n\n").as_bytes());
    }
    store
}

#[track_caller]
fn run_backup(from: &mut dyn MailStore, to: &mut dyn MailStore) {
    let report = backup(from, to, &SyncOptions::default(), &mut Unobserved).unwrap();
    assert_eq!(report.problems, []);
}

#[track_caller]
fn run_mirror(first: &mut dyn MailStore, second: &mut dyn MailStore) {
    let report = mirror(first, second, &SyncOptions::default(), &mut Unobserved).unwrap();
    assert_eq!(report.problems, []);
}

#[test]
fn a_store_with_mapped_names_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let mut number = 0;
    for rules in all_rules() {
        // A mailbox below another has no place of its own in an mbox, but it has one.
        conformance::run(&mut || {
            number += 1;
            Box::new(named(&MemoryStore::new(), &rules, &directory.path().join(number.to_string())))
        });
    }
}

#[test]
fn real_stores_conform() {
    for parameters in ["maildir:", "maildir::LAYOUT=fs", "mbox:", "mdbox:", "sdbox:"] {
        let (driver, rest) = parameters.split_once(':').unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut number = 0;
        conformance::run(&mut || {
            number += 1;
            let text = format!("{driver}:{}/{number}{rest}", directory.path().display());
            dsync_storage::open(&Location::parse(&text, None).unwrap(), &Settings::default()).unwrap()
        });
    }
}

#[test]
fn a_maildir_takes_any_name_and_keeps_no_file_without_need() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::parse(&format!("maildir:{}/mail", directory.path().display()), None).unwrap();
    let open = || dsync_storage::open(&location, &Settings::default()).unwrap();
    run_backup(&mut source(&["a/b", "c"]), &mut *open());
    let file = directory.path().join("mail/dovecot.dsync-names");
    assert!(!file.exists());
    let mut from = source(&["a.b", "a_b", "x.y/z"]);
    from.set_subscribed(&name("a.b"), true).unwrap();
    from.set_subscribed(&name("gone.before"), true).unwrap();
    run_backup(&mut from, &mut *open());
    assert_eq!(mailboxes(&mut MaildirStore::open(&location).unwrap()), ["INBOX", "a_b", "a_b_", "x_y/z"]);
    assert_eq!(open().tree().unwrap(), from.tree().unwrap());
    let before = std::fs::read(&file).unwrap();
    assert!(String::from_utf8_lossy(&before).contains("\ta_b_\ta.b\n"));
    run_backup(&mut from, &mut *open());
    assert_eq!(std::fs::read(&file).unwrap(), before);
    run_backup(&mut source(&["c"]), &mut *open());
    assert_eq!(mailboxes(&mut MaildirStore::open(&location).unwrap()), ["INBOX", "c"]);
}

#[test]
fn a_mailbox_with_children_goes_into_an_mbox_and_comes_back() {
    let place = Place::new(mbox());
    let mut from = source(&["Work", "Work/Reports", "Work/Reports/2020", "A/b", "x.lock/y"]);
    from.set_subscribed(&name("Work/Reports"), true).unwrap();
    run_backup(&mut from, &mut place.open());
    assert_eq!(place.stored(), ["A/b", "INBOX", "Work", "Work_Reports", "Work_Reports_2020", "x_lock/y"]);
    assert!(place.inner.clone().tree().unwrap()[&name("Work_Reports")].subscribed);
    // The name of a directory becomes that of a mailbox as well.
    from.deliver(&name("A"), b"Subject: late\n\n");
    run_backup(&mut from, &mut place.open());
    assert_eq!(place.stored()[..2], ["A/b", "A_"]);
    let mut back = MemoryStore::with_seed(3);
    run_backup(&mut place.open(), &mut back);
    assert_eq!(mailboxes(&mut back), mailboxes(&mut from));
}

#[test]
fn a_level_above_what_is_joined_is_none_in_an_mbox() {
    let place = Place::new(mbox());
    let mut from = source(&["Work"]);
    for level in ["Work/Deep", "Work/Empty"] {
        from.create_directory(&name(level)).unwrap();
    }
    from.deliver(&name("Work/Deep/Below"), b"Subject: x\n\n");
    for _ in 0..2 {
        run_backup(&mut from, &mut place.open());
        let stored: Vec<_> = place.inner.clone().tree().unwrap().into_keys().map(|name| name.to_string()).collect();
        assert_eq!(stored, ["INBOX", "Work", "Work_Deep_Below", "Work_Empty"]);
        assert_eq!(place.open().tree().unwrap(), from.tree().unwrap());
    }
}

#[test]
fn a_backup_needs_no_record_of_names() {
    for rules in all_rules() {
        let place = Place::new(rules.clone());
        let mut from = source(&["a.b", "a_b", "dbox-Mails/x", "Work", "Work/Reports", "cur", "A/b.lock"]);
        run_backup(&mut from, &mut place.open());
        let stored = guids(&place.inner.clone().tree().unwrap());
        std::fs::remove_file(place.directory.path().join("dovecot.dsync-names")).unwrap();
        let report = backup(&mut from, &mut place.open(), &SyncOptions::default(), &mut Unobserved).unwrap();
        assert_eq!((report.problems.as_slice(), report.counts.messages_saved), (&[][..], 0), "{rules:?}");
        assert_eq!(guids(&place.inner.clone().tree().unwrap()), stored, "{rules:?}");
        assert_eq!(place.shown(), mailboxes(&mut from), "{rules:?}");
    }
}

#[test]
fn a_hostile_record_loses_nothing() {
    let place = Place::new(listed(Layout::MaildirPlusPlus));
    let mut from = source(&["a.b", "c", "d"]);
    run_backup(&mut from, &mut place.open());
    let guid = |text: &str| guids(&from.clone().tree().unwrap())[&name(text)].unwrap();
    for lines in [
        format!("{0}\tc\tINBOX/x\n{1}\td\tINBOX/x\n", guid("c"), guid("d")),
        format!("{0}\tc\td\n{1}\td\tc\n", guid("c"), guid("d")),
        format!("{0}\tc\td\n{0}\td\tc\n{0}\ta_b\tc\n", guid("c")),
        "\u{0}\u{1}\tc\n-\tc\td\n-\ta_b\ta.b\n".to_owned(),
    ] {
        std::fs::write(place.directory.path().join("dovecot.dsync-names"), &lines).unwrap();
        assert_eq!(place.shown().len(), 4, "{lines:?}");
        run_backup(&mut from, &mut place.open());
        assert_eq!(place.shown(), mailboxes(&mut from), "{lines:?}");
    }
}

#[test]
fn a_store_that_is_only_read_shows_original_names_and_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::parse(&format!("maildir:{}", directory.path().display()), None).unwrap();
    run_backup(&mut source(&["a.b"]), &mut *dsync_storage::open(&location, &Settings::default()).unwrap());
    let files = || {
        std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<BTreeSet<_>>()
    };
    let before = files();
    let mut store = dsync_storage::open_read_only(&location, &Settings::default()).unwrap();
    assert_eq!(mailboxes(&mut *store), ["INBOX", "a.b"]);
    store.open(&name("a.b")).unwrap();
    assert_eq!(store.open(&name("a_b")).err().map(|error| error.kind()), Some(ErrorKind::NotFound));
    let refused = store.create(&name("x.y"), MailboxIdentity::UNDECIDED).err().map(|error| error.kind());
    assert_eq!(refused, Some(ErrorKind::ReadOnly));
    let refused = store.rename(&name("a.b"), &name("x.y")).err().map(|error| error.kind());
    assert_eq!(refused, Some(ErrorKind::ReadOnly));
    assert_eq!(files(), before);
}

#[test]
fn a_mapped_mailbox_that_becomes_another_one_keeps_its_name() {
    let place = Place::new(mbox());
    run_backup(&mut source(&["Work", "Work/Reports"]), &mut place.open());
    let mut store = place.open();
    let identity = MailboxIdentity::new(MailboxGuid::new([9; 16]).unwrap(), UidValidity::new(9).unwrap());
    let mut mailbox = store.open(&name("Work/Reports")).unwrap();
    let status = mailbox.status().clone();
    let (uid_next, highest_modseq) = (status.uid_next, status.highest_modseq.unwrap());
    mailbox
        .commit(MailboxChanges { identity, uid_next, highest_modseq, ..MailboxChanges::empty(Origin::Mirrored) })
        .unwrap();
    store.open(&name("Work/Reports")).unwrap();
    assert_eq!(place.shown(), ["INBOX", "Work", "Work/Reports"]);
}

#[test]
fn an_interrupted_renaming_is_completed() {
    for rules in all_rules() {
        for steps in 0..4 {
            let place = Place::new(rules.clone());
            let mut from = source(&["Work", "Work/Reports", "Work/a.lock", "Work/b.c/d", "Work_b"]);
            run_backup(&mut from, &mut place.open());
            from.rename(&name("Work"), &name("cur.rent/Job")).unwrap();
            let mut failing = named_until(&place.inner, &rules, place.directory.path(), steps);
            // It may have needed fewer.
            let _ = backup(&mut from, &mut failing, &SyncOptions::default(), &mut Unobserved);
            let report = backup(&mut from, &mut place.open(), &SyncOptions::default(), &mut Unobserved).unwrap();
            assert_eq!((report.problems.as_slice(), report.counts.messages_saved), (&[][..], 0), "{rules:?} {steps}");
            assert_eq!(place.shown(), mailboxes(&mut from), "{rules:?} {steps}");
        }
    }
}

#[test]
fn what_is_replaced_is_said_once() {
    let place = Place::new(listed(Layout::MaildirPlusPlus));
    let mut store = place.open();
    let identity = MailboxIdentity::new(MailboxGuid::new([1; 16]).unwrap(), UidValidity::new(1).unwrap());
    store.set_subscribed(&name("a.b"), true).unwrap();
    let expected = [ReplacedName { original: name("a.b"), stored: name("a_b") }];
    assert_eq!(store.replaced_names(), expected);
    drop(store.create(&name("a.b"), identity).unwrap());
    drop(store.create(&name("plain"), identity).unwrap());
    assert_eq!(store.replaced_names(), []);
}

#[test]
fn renaming_on_either_side_arrives_as_such() {
    for rules in all_rules() {
        let place = Place::new(rules.clone());
        let mut first = source(&["a.b", "dbox-Mails", "cur/x", "top", "top/x.lock", "top/y.z"]);
        run_mirror(&mut first, &mut place.open());
        run_mirror(&mut first, &mut place.open());
        assert_eq!(place.shown(), mailboxes(&mut first), "{rules:?}");
        // At the first store.
        for (from, to) in [("a.b", "c.d"), ("dbox-Mails", "plain"), ("top", "peak.lock")] {
            first.rename(&name(from), &name(to)).unwrap();
        }
        run_mirror(&mut first, &mut place.open());
        let expected = ["INBOX", "c.d", "cur/x", "peak.lock", "peak.lock/x.lock", "peak.lock/y.z", "plain"];
        assert_eq!(mailboxes(&mut first), expected, "{rules:?}");
        assert_eq!(place.shown(), expected, "{rules:?}");
        // A client of the second store, who sees the stored names.
        let mut client = place.inner.clone();
        client.set_clock(Timestamp(100));
        let stored = |end: &str| name(place.stored().iter().find(|stored| stored.ends_with(end)).unwrap());
        client.rename(&stored("d"), &name("renamed")).unwrap();
        run_mirror(&mut first, &mut place.open());
        assert!(mailboxes(&mut first).contains(&"renamed".to_owned()), "{rules:?}");
        assert_eq!(place.shown(), mailboxes(&mut first), "{rules:?}");
        client.delete(&stored("z")).unwrap();
        run_mirror(&mut first, &mut place.open());
        assert!(!mailboxes(&mut first).iter().any(|name| name.ends_with("y.z")), "{rules:?}");
        assert_eq!(place.shown(), mailboxes(&mut first), "{rules:?}");
    }
}

/// Parts that layouts have something against, among others.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[abx]",
        4 => "[ab._~/]{1,3}",
        1 => "[ab][.]lock",
        1 => Just("dbox-Mails".to_owned()),
        1 => Just(".imap".to_owned()),
        1 => Just("cur".to_owned()),
        1 => Just("inbox".to_owned()),
        1 => Just(".subscriptions".to_owned()),
        1 => Just("dovecot-uidvalidity".to_owned()),
        1 => "[é\t\u{1}ß]{1,2}",
        1 => "(x|é){240,260}",
        1 => any::<String>().prop_filter("a part", |text| !text.is_empty() && !text.contains('\0')),
    ]
}

fn any_name() -> impl Strategy<Value = MailboxName> {
    let few = prop::collection::vec(part(), 1..4);
    let many = prop::collection::vec("[ab.]", 90..260);
    prop_oneof![30 => few, 1 => many].prop_filter_map("a name", MailboxName::new)
}

/// The names as mailboxes of a store, whose messages tell them apart.
fn store_of(names: &BTreeSet<MailboxName>) -> MemoryStore {
    let mut store = MemoryStore::with_seed(1);
    store.deliver(&MailboxName::inbox(), b"\n");
    for name in names {
        store.deliver(name, name.join('\n').as_bytes());
    }
    store
}

fn guids(tree: &MailboxTree) -> BTreeMap<MailboxName, Option<MailboxGuid>> {
    tree.iter().filter(|(_, node)| node.is_mailbox()).map(|(name, node)| (name.clone(), node.guid())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_names_in_any_order_have_a_place(names in prop::collection::vec(any_name(), 1..12)) {
        for rules in all_rules() {
            let place = Place::new(rules.clone());
            let mut store = place.open();
            let mut made = BTreeSet::new();
            for (number, name) in (1..).zip(&names) {
                if !made.insert(name.clone()) {
                    continue;
                }
                let identity = MailboxIdentity::new(MailboxGuid::new([number; 16]).unwrap(), UidValidity::new(1).unwrap());
                let before = place.inner.clone().tree().unwrap();
                let mut mailbox = store.create(name, identity).unwrap();
                mailbox.commit(MailboxChanges::empty(Origin::Mirrored)).unwrap();
                let stays = guids(&before);
                let after = guids(&place.inner.clone().tree().unwrap());
                prop_assert!(stays.iter().all(|(name, guid)| after.get(name) == Some(guid)), "nothing else moves");
                prop_assert_eq!(after.len(), made.len(), "{} became one with another", name);
            }
            let shown: BTreeSet<_> = guids(&place.open().tree().unwrap()).into_keys().collect();
            prop_assert_eq!(shown, made);
            for stored in guids(&place.inner.clone().tree().unwrap()).keys() {
                prop_assert!(rules.holds(stored), "{stored}");
            }
        }
    }

    #[test]
    fn a_backup_comes_back(names in prop::collection::btree_set(any_name(), 1..12), more in prop::collection::btree_set(any_name(), 0..4)) {
        for rules in all_rules() {
            let place = Place::new(rules.clone());
            let mut from = store_of(&names);
            run_backup(&mut from, &mut place.open());
            let first = guids(&place.inner.clone().tree().unwrap());
            if rules.mailboxes_have_children() {
                for name in names.iter().filter(|name| rules.holds(name)) {
                    prop_assert!(first.contains_key(name), "{name} could be held");
                }
            }
            for name in &more {
                from.deliver(name, b"more");
            }
            run_backup(&mut from, &mut place.open());
            let second = guids(&place.inner.clone().tree().unwrap());
            prop_assert!(first.iter().all(|(name, guid)| second.get(name) == Some(guid)), "what is there stays");
            let mut back = MemoryStore::with_seed(9);
            run_backup(&mut place.open(), &mut back);
            prop_assert_eq!(guids(&back.tree().unwrap()), guids(&from.tree().unwrap()));
        }
    }

    #[test]
    fn a_mirror_follows_renamings(
        names in prop::collection::btree_set(any_name(), 2..8),
        renamings in prop::collection::vec((any::<prop::sample::Index>(), any_name()), 1..5),
    ) {
        for rules in all_rules() {
            let place = Place::new(rules.clone());
            let mut first = store_of(&names);
            run_mirror(&mut first, &mut place.open());
            let mut done = Vec::new();
            for (which, to) in &renamings {
                let present: Vec<_> = guids(&first.tree().unwrap()).into_keys().filter(|name| !name.is_inbox()).collect();
                if present.is_empty() {
                    continue;
                }
                let from = which.get(&present);
                if first.rename(from, to).is_ok() {
                    done.push((from.clone(), to.clone()));
                }
                // What was copied may only be moved, never copied again.
                let report = mirror(&mut first, &mut place.open(), &SyncOptions::default(), &mut Unobserved).unwrap();
                prop_assert_eq!(&report.problems, &[], "{:?} {:?}", done, rules);
                prop_assert_eq!(report.counts.messages_saved, 0);
                let shown = guids(&place.open().tree().unwrap());
                prop_assert_eq!(shown, guids(&first.tree().unwrap()), "{:?} {:?}", done, rules);
            }
        }
    }
}
