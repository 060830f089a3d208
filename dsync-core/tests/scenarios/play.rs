//! Plays scenarios on two stores in memory.

use std::collections::BTreeSet;

use dsync_core::memory::MemoryStore;
use dsync_core::model::{
    Flags, Keyword, Keywords, MailboxIdentity, MailboxName, MailboxSelection, MessageGuid, ModSeq, NameHash,
    NodeKind, Timestamp, TreeChange, TreeEvent, Uid, UidValidity,
};
use dsync_core::report::{Report, Unobserved};
use dsync_core::session::{SessionError, SyncOptions};
use dsync_core::state::SyncState;
use dsync_core::store::MailStore;
use dsync_core::sync;

use crate::parse::{Base, Expected, Message, Mode, Run, Scenario, Step, guid, message, name};
use crate::show;

/// Later than all events that scenarios give a time in the past.
const START: i64 = 1_700_000_000;

/// By side.
const SEEDS: [u32; 2] = [1, 2];

struct World {
    stores: [MemoryStore; 2],
    level_is_directory: [bool; 2],
    clock: i64,
    /// What the last run said.
    state: SyncState,
    /// The ids of all messages; their GUIDs ascend in this order.
    ids: Vec<String>,
}

/// The outcome of every run.
pub(crate) fn play(scenario: &Scenario) -> Vec<Expected> {
    let mut world = World {
        stores: [0, 1].map(|side: usize| match scenario.holds_directories[side] {
            true => MemoryStore::with_seed(SEEDS[side]),
            false => MemoryStore::without_directories(SEEDS[side]),
        }),
        state: SyncState::default(),
        level_is_directory: scenario.level_is_directory,
        clock: START,
        ids: ids(scenario),
    };
    world.begin(scenario);
    scenario.steps.iter().filter_map(|step| world.take(step)).collect()
}

fn ids(scenario: &Scenario) -> Vec<String> {
    let mut ids = scenario.order.clone();
    let base = scenario.base.iter().flat_map(|base| match base {
        Base::Mailbox { messages, .. } => messages.as_slice(),
        _ => &[],
    });
    let later = scenario.steps.iter().filter_map(|step| match step {
        Step::Work(_, words) if words[0] == "save" => Some(&words[2]),
        Step::Work(_, words) if words[0] == "replace" => Some(&words[3]),
        _ => None,
    });
    for id in base.map(|message| &message.id).chain(later) {
        if !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    ids
}

/// The GUID of a message.
pub(crate) fn guid_of(id: &str, ids: &[String]) -> MessageGuid {
    let place = ids.iter().position(|known| known == id).unwrap();
    MessageGuid::new(format!("{:032x}", place + 1).as_bytes()).unwrap()
}

fn bytes_of(message: &Message) -> Vec<u8> {
    format!("Subject: {}\n\n{}\n", message.id, "x".repeat(message.padding)).into_bytes()
}

impl World {
    fn begin(&mut self, scenario: &Scenario) {
        for base in &scenario.base {
            self.put(base);
        }
        if scenario.base.is_empty() {
            return;
        }
        self.pass_time();
        let [first, second] = &mut self.stores;
        sync::backup(first, second, &SyncOptions::default(), &mut Unobserved).unwrap();
        self.pass_time();
        if scenario.settle {
            let [first, second] = &mut self.stores;
            sync::mirror(first, second, &SyncOptions::default(), &mut Unobserved).unwrap();
            self.pass_time();
        }
    }

    fn pass_time(&mut self) {
        self.clock += 10;
        self.set_clocks();
    }

    fn set_clocks(&mut self) {
        self.stores.iter_mut().for_each(|store| store.set_clock(Timestamp(self.clock)));
    }

    fn put(&mut self, base: &Base) {
        match base {
            Base::Mailbox { name, guid, uid_validity, messages } => {
                let identity = MailboxIdentity::new(*guid, UidValidity::new(*uid_validity).unwrap());
                self.stores[0].create_mailbox(name, identity);
                messages.iter().for_each(|message| self.save(0, name, message));
            }
            Base::Subscribed(name) => self.stores[0].set_subscribed(name, true).unwrap(),
            Base::Directory(name) => self.stores[0].create_directory(name).unwrap(),
        }
    }

    fn take(&mut self, step: &Step) -> Option<Expected> {
        match step {
            Step::Wait => self.pass_time(),
            Step::Work(side, words) => {
                self.set_clocks();
                self.work(*side, &words.iter().map(String::as_str).collect::<Vec<_>>());
            }
            Step::Run(run) => return Some(self.run(run)),
        }
        None
    }

    fn run(&mut self, run: &Run) -> Expected {
        self.pass_time();
        let exit = match self.carry_out(run) {
            Ok(report) => {
                self.state = report.state.clone();
                report.exit_status()
            }
            Err(error) => panic!("a run failed: {error}"),
        };
        self.pass_time();
        let sides = self.stores.each_mut().map(|store| show::contents(store, &self.ids));
        Expected { exit, sides }
    }

    fn carry_out(&mut self, run: &Run) -> Result<Report, SessionError> {
        let mut options = SyncOptions::default();
        let state = &self.state;
        let [mut first, mut second] = self.stores.each_mut();
        for option in &run.options {
            match option.split_once('=') {
                None if option == "full" => options.full = true,
                None if option == "reverse" => std::mem::swap(&mut first, &mut second),
                None if option == "tree-only" => options.tree_only = true,
                Some(("mailbox", pattern)) => options.mailboxes = MailboxSelection::matching(pattern),
                // What is given decides nothing, but has to be one that a run made.
                Some(("state", "none")) => {}
                Some(("state", "last")) => assert_eq!(SyncState::parse(&state.to_string()).as_ref(), Ok(state)),
                Some(("state", text)) => assert!(SyncState::parse(text).is_err(), "{text}"),
                Some(("since", date)) => options.messages.since = Some(midnight(date)),
                Some(("until", date)) => options.messages.until = Some(midnight(date)),
                Some(("max-size", bytes)) => options.messages.max_size = Some(bytes.parse().unwrap()),
                Some(("flag", mark)) => options.messages.mark = Some(mark.parse().unwrap()),
                Some(("exclude", mask)) => options.mailboxes = options.mailboxes.excluding(mask),
                Some(("guid", text)) => options.mailboxes = MailboxSelection::with_guid(guid(text)),
                _ => panic!("option {option} cannot be played"),
            }
        }
        match run.mode {
            Mode::Mirror => sync::mirror(first, second, &options, &mut Unobserved),
            Mode::OneWay => sync::merge_one_way(first, second, &options, &mut Unobserved),
            Mode::Backup => sync::backup(first, second, &options, &mut Unobserved),
        }
    }

    fn work(&mut self, side: usize, words: &[&str]) {
        let store = &mut self.stores[side];
        match *words {
            ["save", mailbox, ref rest @ ..] => self.save(side, &name(mailbox), &message(rest.iter().copied())),
            ["flags", mailbox, uid, "=", ref flags @ ..] => {
                let (flags, keywords) = marks(flags.iter().copied());
                store.set_flags(&name(mailbox), self::uid(uid), flags, keywords);
            }
            ["flags", mailbox, uid, ref changes @ ..] => change_marks(store, &name(mailbox), self::uid(uid), changes),
            ["expunge", mailbox, uid] => store.expunge(&name(mailbox), self::uid(uid)),
            ["copy", mailbox, uid, to] => assert!(store.copy(&name(mailbox), self::uid(uid), &name(to)).is_some()),
            ["move", mailbox, uid, to] => {
                assert!(store.move_message(&name(mailbox), self::uid(uid), &name(to)).is_some())
            }
            ["create", mailbox, guid, uid_validity] => self.create(side, &name(mailbox), guid, uid_validity),
            ["mkdir", mailbox] => store.create_directory(&name(mailbox)).unwrap(),
            ["delete", mailbox] => delete(store, &name(mailbox)),
            ["rename", from, to] => {
                store.rename(&name(from), &name(to)).unwrap();
                self.make_levels(side, &name(to));
            }
            ["subscribe", mailbox] => store.set_subscribed(&name(mailbox), true).unwrap(),
            ["unsubscribe", mailbox] => store.set_subscribed(&name(mailbox), false).unwrap(),
            ["raise", mailbox, what, number] => raise(store, &name(mailbox), what, number.parse().unwrap()),
            ["event", what, about, time] => store.note_tree_event(event(what, about, time.parse().unwrap())),
            ["lose-events"] => store.lose_tree_history(),
            ["lose-index", mailbox] => store.lose_index(&name(mailbox)),
            ["lose", mailbox, id] => {
                let guid = guid_of(id, &self.ids);
                lose(store, &name(mailbox), &guid);
            }
            ["replace", mailbox, uid, ref rest @ ..] => {
                let message = message(rest.iter().copied());
                let guid = guid_of(&message.id, &self.ids);
                store.replace_message(&name(mailbox), self::uid(uid), guid, &bytes_of(&message));
            }
            _ => panic!("nobody can {words:?}"),
        }
    }

    /// Flags are set afterwards, so that they are part of the history.
    fn save(&mut self, side: usize, mailbox: &MailboxName, message: &Message) {
        let store = &mut self.stores[side];
        let uid = store.append(mailbox, guid_of(&message.id, &self.ids), &bytes_of(message));
        let (flags, keywords) = marks(message.flags.iter().map(String::as_str));
        if !flags.is_empty() {
            store.change_flags(mailbox, uid, flags, Flags::NONE);
        }
        for keyword in &keywords {
            store.change_keyword(mailbox, uid, keyword, true);
        }
    }

    fn create(&mut self, side: usize, mailbox: &MailboxName, guid_text: &str, uid_validity: &str) {
        let uid_validity = UidValidity::new(uid_validity.parse().unwrap()).unwrap();
        self.stores[side].create_mailbox(mailbox, MailboxIdentity::new(guid(guid_text), uid_validity));
        self.make_levels(side, mailbox);
    }

    /// Where every level is a directory, they come into being with what is below them, and stay.
    fn make_levels(&mut self, side: usize, mailbox: &MailboxName) {
        if self.level_is_directory[side] {
            for level in std::iter::successors(mailbox.parent(), MailboxName::parent) {
                self.stores[side].create_directory(&level).unwrap();
            }
        }
    }
}

/// About the first second of a day, which is enough here.
fn midnight(date: &str) -> Timestamp {
    let numbers: Vec<i64> = date.split('-').map(|number| number.parse().unwrap()).collect();
    let [year, month, day] = numbers[..] else { panic!("{date} is no date") };
    Timestamp(((year - 1970) * 1461 / 4 + (month - 1) * 30 + day) * 86_400)
}

fn uid(text: &str) -> Uid {
    Uid::new(text.parse().unwrap()).unwrap()
}

/// Words that begin with a backslash are flags, others are keywords.
fn marks<'a>(words: impl Iterator<Item = &'a str>) -> (Flags, Keywords) {
    let (flags, keywords): (BTreeSet<&str>, BTreeSet<&str>) = words.partition(|word| word.starts_with('\\'));
    let flags = flags.into_iter().map(|word| Flags::EACH.into_iter().find(|flag| flag.to_string() == word).unwrap());
    let flags = flags.fold(Flags::NONE, |all, flag| all | flag);
    (flags, keywords.into_iter().map(|word| Keyword::new(word).unwrap()).collect())
}

/// Each word is `+` or `-` with a flag or keyword.
fn change_marks(store: &mut MemoryStore, mailbox: &MailboxName, uid: Uid, changes: &[&str]) {
    let of = |sign: char| marks(changes.iter().filter_map(move |word| word.strip_prefix(sign)));
    let ((added, set), (removed, unset)) = (of('+'), of('-'));
    if !(added | removed).is_empty() {
        store.change_flags(mailbox, uid, added, removed);
    }
    set.iter().for_each(|keyword| store.change_keyword(mailbox, uid, keyword, true));
    unset.iter().for_each(|keyword| store.change_keyword(mailbox, uid, keyword, false));
}

fn delete(store: &mut MemoryStore, name: &MailboxName) {
    let tree = store.tree().unwrap();
    match tree.get(name).map(|node| &node.kind) {
        Some(NodeKind::Directory) => store.delete_directory(name).unwrap(),
        _ => store.delete(name).unwrap(),
    }
}

fn raise(store: &mut MemoryStore, mailbox: &MailboxName, what: &str, number: u32) {
    let mut identity = MailboxIdentity::UNDECIDED;
    let (mut uid_next, mut modseq, mut recent) = (Uid::FIRST, ModSeq::FIRST, Uid::FIRST);
    match what {
        "uidvalidity" => identity.uid_validity = UidValidity::new(number),
        "uidnext" => uid_next = Uid::new(number).unwrap(),
        "modseq" => modseq = ModSeq(number.into()),
        "recent" => recent = Uid::new(number).unwrap(),
        _ => panic!("{what} cannot be raised"),
    }
    store.raise(mailbox, identity, uid_next, modseq, recent);
}

fn event(what: &str, about: &str, time: i64) -> TreeEvent {
    let hash = NameHash::of(about);
    let change = match what {
        "deleted" => TreeChange::MailboxDeleted(guid(about)),
        "renamed" => TreeChange::Renamed(hash),
        "subscribed" => TreeChange::Subscribed(hash),
        "unsubscribed" => TreeChange::Unsubscribed(hash),
        _ => panic!("{what} is no event"),
    };
    TreeEvent { change, time: Timestamp(time) }
}

fn lose(store: &mut MemoryStore, mailbox: &MailboxName, guid: &MessageGuid) {
    let open = store.open(mailbox).unwrap();
    let record = open.messages().records().find(|record| record.guid == *guid).unwrap();
    drop(open);
    store.lose_message(mailbox, record.uid.unwrap());
}
