//! Two stores, the runs between them, and everybody who watches.

use std::collections::BTreeMap;

use dsync_core::memory::MemoryStore;
use dsync_core::model::{
    MailboxName, MailboxNode, MessageGuid, MessageRecord, MessageSelection, NodeKind, Role, Timestamp,
};
use dsync_core::rehearsal::Rehearsal;
use dsync_core::report::{Counts, Problem, Report, Unobserved};
use dsync_core::session::{MirrorSession, Session, SyncOptions};
use dsync_core::state::SyncState;
use dsync_core::store::MailStore;
use dsync_core::sync;

use crate::clients::{Content, carry_out, mailboxes, messages};
use crate::generate::{Step, Work};
use crate::promises::{Promises, Seen};
use crate::wire;

/// So many runs over a connection make both sides equal: what became another mailbox comes with the second, and that nothing is to be
/// done is found out by the next.
const MOST_RUNS: usize = 4;

pub(crate) struct World {
    stores: [MemoryStore; 2],
    seen: [Seen; 2],
    promises: Promises,
    contents: Content,
    clock: i64,
    /// Whether both stores keep the GUIDs of messages.
    with_guids: bool,
    /// What the last run over a connection has left, if runs go over one.
    wire: Option<SyncState>,
}

/// Everything that can be known about a store.
#[derive(Debug, PartialEq)]
pub(crate) struct Facts {
    tree: BTreeMap<MailboxName, MailboxNode>,
    mailboxes: BTreeMap<MailboxName, (String, Vec<String>)>,
}

pub(crate) fn facts(store: &mut MemoryStore, with_guids: bool) -> Facts {
    facts_of(store, |record| {
        if !with_guids {
            record.guid = MessageGuid::new(b"any").unwrap();
            record.saved = None;
            (record.pop3_uidl, record.pop3_order) = (None, None);
        }
    })
}

/// What is the same after runs over a connection. When a message was saved is not said of one that is there, nor whether a level
/// above mailboxes is kept by itself; and a side that is told only what changed does not count what it changed itself anew.
fn facts_that_are_told(store: &mut MemoryStore) -> Facts {
    let mut facts = facts_of(store, |record| (record.saved, record.modseq) = (None, None));
    let mailboxes: Vec<_> = facts.mailboxes.keys().cloned().collect();
    for (name, node) in &mut facts.tree {
        if node.kind == NodeKind::Directory && mailboxes.iter().any(|mailbox| mailbox.is_below(name)) {
            node.kind = NodeKind::Absent;
        }
    }
    facts
}

fn facts_of(store: &mut MemoryStore, change: impl Fn(&mut MessageRecord)) -> Facts {
    let mut facts = Facts { tree: store.tree().unwrap(), mailboxes: BTreeMap::new() };
    // Whether a store keeps a level of its own that mailboxes below imply anyway, no client can tell.
    let names = mailboxes(store);
    facts.tree.retain(|name, node| {
        node.kind != NodeKind::Directory || node.subscribed || !names.iter().any(|mailbox| mailbox.is_below(name))
    });
    for mailbox in mailboxes(store) {
        let status = format!("{:?}", store.open(&mailbox).unwrap().status());
        let messages = messages(store, &mailbox).into_iter().map(|(mut record, content)| {
            change(&mut record);
            format!("{record:?} {content}")
        });
        let messages = messages.collect();
        facts.mailboxes.insert(mailbox, (status, messages));
    }
    facts
}

/// One run between two stores; `None` if it was cut off.
pub(crate) fn run(
    master: &mut MemoryStore,
    slave: &mut MemoryStore,
    full: bool,
    cut_off: Option<usize>,
) -> Option<Report> {
    let mut options = SyncOptions::default();
    options.full = full;
    run_with(master, slave, options, cut_off)
}

/// What a run would do.
fn rehearse(master: &MemoryStore, slave: &MemoryStore, full: bool) -> (Counts, Vec<Problem>) {
    let [mut master, mut slave] = [master, slave].map(|store| Rehearsal::of(Box::new(store.duplicate())));
    let mut options = SyncOptions::default();
    options.full = full;
    let report = sync::mirror(&mut master, &mut slave, &options, &mut Unobserved).unwrap();
    (report.counts, report.problems)
}

/// The same with any options.
fn run_with(
    master: &mut MemoryStore,
    slave: &mut MemoryStore,
    options: SyncOptions,
    cut_off: Option<usize>,
) -> Option<Report> {
    let (mut first, mut second) = (Unobserved, Unobserved);
    let mut master = MirrorSession::new(master, Role::Master, true, options.clone(), &mut first);
    let mut slave = MirrorSession::new(slave, Role::Slave, true, options, &mut second);
    let mut left = cut_off.unwrap_or(usize::MAX);
    while !(master.is_finished() && slave.is_finished()) {
        let mut moved = false;
        for turn in [true, false] {
            let (from, to) = if turn { (&mut master, &mut slave) } else { (&mut slave, &mut master) };
            while let Some(message) = from.next().unwrap() {
                left = left.checked_sub(1)?;
                to.receive(message).unwrap();
                moved = true;
            }
        }
        assert!(moved, "both sides wait for the other");
    }
    Some(master.into_report().joined(slave.into_report()))
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of([MemoryStore::with_seed(1), MemoryStore::with_seed(2)])
    }

    /// Two stores of which the second, or both, do not keep GUIDs.
    pub(crate) fn without_guids(both: bool) -> Self {
        let first = if both { MemoryStore::without_guids(1) } else { MemoryStore::with_seed(1) };
        Self::of([first, MemoryStore::without_guids(2)])
    }

    /// Two stores at both ends of a connection.
    pub(crate) fn on_two_hosts() -> Self {
        Self { wire: Some(SyncState::default()), ..Self::new() }
    }

    fn of(stores: [MemoryStore; 2]) -> Self {
        let with_guids = stores.iter().all(|store| store.capabilities().keeps.guids);
        Self {
            stores,
            seen: Default::default(),
            promises: Promises::default(),
            contents: 0,
            clock: 1000,
            with_guids,
            wire: None,
        }
    }

    pub(crate) fn take(&mut self, step: &Step) {
        match step {
            Step::Client { second, same_second, work } => {
                let side = usize::from(*second);
                self.clock += if *same_second { 0 } else { 10 };
                self.stores[side].set_clock(Timestamp(self.clock));
                let done = carry_out(&mut self.stores[side], work, &mut self.contents);
                self.promises.note(side, &done);
                // What a client does itself it notices anyway.
                self.seen[side].forget_if_names_moved(work);
                self.seen[side].look(&mut self.stores[side], true);
            }
            Step::Run { begun_by_second, full, cut_off } => self.run(*begun_by_second, *full, *cut_off),
        }
    }

    fn run(&mut self, begun_by_second: bool, full: bool, cut_off: Option<usize>) {
        if self.wire.is_some() {
            return self.run_over_wire(begun_by_second, full, cut_off);
        }
        self.clock += 10;
        let before = self.stores.each_mut().map(names);
        for store in &mut self.stores {
            store.set_clock(Timestamp(self.clock));
        }
        let [first, second] = &mut self.stores;
        let (master, slave) = if begun_by_second { (second, first) } else { (first, second) };
        // Not every time, which would take as long again.
        let rehearsed = (self.clock % 40 == 0).then(|| rehearse(master, slave, full));
        let report = run(master, slave, full, cut_off);
        if let (Some(rehearsed), Some(report)) = (rehearsed, &report) {
            assert_eq!(rehearsed, (report.counts, report.problems.clone()), "what would be done is what is done");
        }
        for ((store, seen), before) in self.stores.iter_mut().zip(&mut self.seen).zip(before) {
            // Renamed mailboxes are others under their old names.
            if names(store) != before {
                seen.forget();
            }
            seen.look(store, true);
        }
        let Some(report) = report else { return };
        assert_eq!(report.problems, [], "nothing stands in the way of this run");
        self.check_equal();
        self.promises.start_anew();
        let [first, second] = &mut self.stores;
        let before = [facts(first, true), facts(second, true)];
        let report = run(first, second, false, None).unwrap();
        let counts = report.counts;
        assert_eq!(
            (report.problems, counts.mailboxes_changed, counts.mailboxes_renamed, counts.mailboxes_deleted),
            (Vec::new(), 0, 0, 0),
            "a further run has nothing to do"
        );
        assert_eq!(before, [facts(first, true), facts(second, true)], "a further run changes nothing");
    }

    /// Over a connection that breaks off, or else until nothing is to be done any more. Those of the second go on from the state of
    /// the last run.
    fn run_over_wire(&mut self, begun_by_second: bool, full: bool, cut_off: Option<usize>) {
        self.clock += 10;
        let before = self.stores.each_mut().map(names);
        self.stores.iter_mut().for_each(|store| store.set_clock(Timestamp(self.clock)));
        let mut cut_off = cut_off;
        let mut last = None;
        for _ in 0..MOST_RUNS {
            let [first, second] = &self.stores;
            let (master, slave) = if begun_by_second { (second, first) } else { (first, second) };
            let state = self.wire.clone().filter(|_| begun_by_second).unwrap_or_default();
            if state.is_empty() {
                // Nobody knows which changes in the logs the other side has seen.
                self.promises.give_up_flags();
            }
            let mut options = SyncOptions::default();
            options.full = full && state.is_empty();
            options.state = state;
            let reports = wire::run(master, slave, &options, cut_off.take());
            let is_over = reports.as_ref().is_none_or(|[master, slave]| {
                let counts = |report: &Report| {
                    let Counts { mailboxes_changed, mailboxes_renamed, mailboxes_deleted, .. } = report.counts;
                    mailboxes_changed + mailboxes_renamed + mailboxes_deleted + report.problems.len() as u64
                };
                counts(master) + counts(slave) == 0
            });
            self.wire = Some(reports.as_ref().map(|[master, _]| master.state.clone()).unwrap_or_default());
            last = reports;
            if is_over {
                break;
            }
        }
        for ((store, seen), before) in self.stores.iter_mut().zip(&mut self.seen).zip(before) {
            if names(store) != before {
                seen.forget();
            }
            seen.look(store, true);
        }
        let Some(reports) = last else { return };
        let problems: Vec<_> = reports.iter().flat_map(|report| &report.problems).collect();
        assert!(problems.is_empty(), "nothing stands in the way of this run: {problems:?}");
        self.check_equal();
        self.promises.start_anew();
    }

    /// Carries out a step; runs copy only some messages.
    pub(crate) fn take_with_selection(&mut self, step: &Step) {
        let Step::Run { begun_by_second, full, cut_off } = step else { return self.take(step) };
        let mark = |text: &str| Some(text.parse().unwrap());
        let messages = match (begun_by_second, full) {
            (false, false) => MessageSelection { mark: mark("-\\Seen"), ..Default::default() },
            (false, true) => MessageSelection { mark: mark("red"), ..Default::default() },
            (true, false) => MessageSelection { since: Some(Timestamp(self.clock - 30)), ..Default::default() },
            (true, true) => MessageSelection { max_size: Some(0), ..Default::default() },
        };
        let mut options = SyncOptions::default();
        options.full = *full;
        options.messages = messages;
        self.clock += 10;
        self.stores.iter_mut().for_each(|store| store.set_clock(Timestamp(self.clock)));
        self.seen.iter_mut().for_each(Seen::forget);
        let [first, second] = &mut self.stores;
        let (master, slave) = if *begun_by_second { (second, first) } else { (first, second) };
        let Some(report) = run_with(master, slave, options.clone(), *cut_off) else { return };
        assert_eq!(report.problems, [], "nothing stands in the way of this run");
        let before = [facts(master, true), facts(slave, true)];
        let report = run_with(master, slave, options, None).unwrap();
        // Where one side keeps no GUIDs, a full run gives it again what it does not keep.
        if self.with_guids {
            let changed = report.counts.mailboxes_changed;
            assert_eq!((report.problems, changed), (Vec::new(), 0), "a further run does nothing");
        }
        assert_eq!(before, [facts(master, true), facts(slave, true)], "a further run changes nothing");
        for (store, seen) in self.stores.iter_mut().zip(&mut self.seen) {
            seen.look(store, true);
        }
    }

    fn check_equal(&mut self) {
        let [first, second] = &mut self.stores;
        let guids = self.with_guids;
        match self.wire {
            None => assert_eq!(facts(first, guids), facts(second, guids), "both sides are equal"),
            Some(_) => assert_eq!(facts_that_are_told(first), facts_that_are_told(second), "both sides are equal"),
        }
        self.promises.check(first);
    }

    pub(crate) fn run_to_the_end(&mut self) {
        self.run(false, false, None);
    }

    /// Runs begun by either side lead to the same, but for flags where both changed them at the same modseq.
    pub(crate) fn compare_with_swapped_sides(&mut self) {
        let mut ends = Vec::new();
        for swapped in [false, true] {
            let [mut first, mut second] = self.stores.each_ref().map(MemoryStore::duplicate);
            let (master, slave) = if swapped { (&mut second, &mut first) } else { (&mut first, &mut second) };
            run(master, slave, true, None).unwrap();
            let mut end = BTreeMap::new();
            for mailbox in mailboxes(&mut first) {
                let open = first.open(&mailbox).unwrap();
                let identity = open.status().identity;
                let uid_next = open.status().uid_next;
                let uids: Vec<_> = open.messages().records().map(|r| (r.uid, r.guid.clone())).collect();
                end.insert(mailbox, (identity, uid_next, uids));
            }
            let tree = first.tree().unwrap();
            let subscribed: Vec<_> =
                tree.iter().filter(|(_, node)| node.subscribed).map(|(n, _)| n.clone()).collect();
            let directories: Vec<_> =
                tree.iter().filter(|(_, node)| node.kind == NodeKind::Directory).map(|(n, _)| n.clone()).collect();
            ends.push((end, subscribed, directories));
        }
        assert_eq!(ends[0], ends[1]);
    }
}

fn names(store: &mut MemoryStore) -> BTreeMap<MailboxName, Option<dsync_core::model::MailboxGuid>> {
    store.tree().unwrap().into_iter().map(|(name, node)| (name, node.guid())).collect()
}

impl Seen {
    fn forget_if_names_moved(&mut self, work: &Work) {
        // Without that history a mailbox that is made again is joined with the old one of the other side.
        if matches!(work, Work::Rename { .. } | Work::LoseTreeHistory) {
            self.forget();
        }
    }
}
