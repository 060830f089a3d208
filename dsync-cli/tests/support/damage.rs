//! Ways in which a dbox can be damaged, and what each costs.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::dbox::{self, Stored};
use super::{Driver, Store};

/// One way.
pub struct Damage {
    pub name: &'static str,
    pub driver: Driver,
    /// Does it.
    pub spoil: fn(&Store) -> Harm,
}

/// What a damage did.
#[derive(Debug)]
pub struct Harm {
    /// What a message about it has to name.
    pub named: PathBuf,
    pub cost: Cost,
    /// GUIDs of messages of which a repair may make others, from what is left.
    pub remade: BTreeSet<String>,
}

/// What cannot be read any more.
#[derive(Debug)]
pub enum Cost {
    /// Clients still see everything.
    Nothing,
    /// Messages with these GUIDs.
    Messages(BTreeSet<String>),
    /// These, but only where INBOX shows them.
    InboxMessages(BTreeSet<String>),
    /// What is known of the messages of INBOX, or a part of it.
    Inbox,
    /// Where messages are, of all or of some.
    Places,
}

impl Cost {
    /// Whether a message that a mailbox shows must be read all the same.
    pub fn spares(&self, mailbox: &str, guid: &str) -> bool {
        match self {
            Self::Nothing => true,
            Self::Messages(guids) => !guids.contains(guid),
            Self::InboxMessages(guids) => mailbox != "INBOX" || !guids.contains(guid),
            Self::Inbox => mailbox != "INBOX",
            Self::Places => false,
        }
    }
}

/// Tries every other one, or with `DSYNC_DAMAGE=all` all of them, or that which `DSYNC_DAMAGE` names. Tests with an odd `number` try
/// those that the others leave out.
///
/// # Panics
/// If a check does, and names the damages.
pub fn for_each_damage(number: usize, check: impl Fn(&Damage) + Sync) {
    let wanted = std::env::var("DSYNC_DAMAGE").ok();
    let all = damages();
    let is_chosen = |place: usize, damage: &Damage| match wanted.as_deref() {
        None => (place + number).is_multiple_of(2),
        Some("all") => true,
        Some(wanted) => damage.title() == wanted,
    };
    let chosen: Vec<_> =
        all.iter().enumerate().filter(|(place, it)| is_chosen(*place, it)).map(|(_, it)| it).collect();
    assert!(!chosen.is_empty(), "there is no damage {wanted:?}");
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let work = || {
        while let Some(damage) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            if catch_unwind(AssertUnwindSafe(|| check(damage))).is_err() {
                eprintln!("that was DSYNC_DAMAGE={:?}", damage.title());
                failed.lock().unwrap().push(damage.title());
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} damages: {failed:#?}", failed.len(), chosen.len());
}

impl Damage {
    pub fn title(&self) -> String {
        format!("{}: {}", self.driver.name(), self.name)
    }
}

fn damages() -> Vec<Damage> {
    let mut damages = Vec::new();
    let mut add = |name, spoil: fn(&Store) -> Harm, drivers: &[Driver]| {
        damages.extend(drivers.iter().map(|driver| Damage { name, driver: *driver, spoil }));
    };
    let (both, mdbox, sdbox) = ([Driver::Mdbox, Driver::Sdbox], [Driver::Mdbox], [Driver::Sdbox]);
    add("a file of messages that ends within one", cut_within_a_message, &both);
    add("a missing file of messages", remove_a_file, &both);
    add("garbage instead of the header of a message", spoil_a_header, &both);
    add("garbage instead of the metadata of a message", spoil_metadata, &both);
    add("an empty file of messages", empty_a_file, &both);
    add("a map that points past the end of a file", cut_after_a_message, &mdbox);
    add("a map that points between two messages", move_a_place, &mdbox);
    add("reference counts that are too low", lower_counts, &mdbox);
    add("reference counts that are too high", raise_counts, &mdbox);
    add("a map log that does not end where it says", leave_the_tail, &mdbox);
    add("garbage instead of the map", |store| spoil_index(store, &map_index(store), Cost::Places), &mdbox);
    add("garbage in the log of the map", |store| spoil_log(store, &map_index(store), Cost::Places), &mdbox);
    add("a log of the map that breaks off", |store| cut_log(store, &map_index(store), Cost::Places), &mdbox);
    add("a missing map", |store| remove_index(&map_index(store), Cost::Places), &mdbox);
    add("garbage instead of an index", |store| spoil_index(store, &inbox_index(store), Cost::Inbox), &both);
    add("garbage in a log", |store| spoil_log(store, &inbox_index(store), Cost::Inbox), &both);
    add("a log that breaks off", |store| cut_log(store, &inbox_index(store), Cost::Inbox), &both);
    add("a missing index", |store| remove_index(&inbox_index(store), Cost::Inbox), &both);
    add("a message that may not be read", forbid_a_file, &sdbox);
    damages
}

/// The messages of the file in which the second message of INBOX is. It has several, if it can.
fn chosen_file(store: &Store) -> Vec<Stored> {
    let table = store.doveadm(&["-f", "tab", "fetch", "guid", "mailbox", "INBOX"]);
    let guid = table.lines().nth(2).expect("INBOX has two messages");
    let path = dbox::stored(store).into_iter().find(|it| it.guid == guid).unwrap().path;
    let messages = dbox::stored_in(&path);
    assert!(store.driver() == Driver::Sdbox || messages.len() > 2, "{}: too few messages", path.display());
    messages
}

fn harm<'a>(messages: impl IntoIterator<Item = &'a Stored>) -> Harm {
    let messages: Vec<_> = messages.into_iter().collect();
    let guids: BTreeSet<_> = messages.iter().map(|it| it.guid.clone()).collect();
    Harm { named: messages[0].path.clone(), cost: Cost::Messages(guids.clone()), remade: guids }
}

impl Harm {
    /// In an index.
    fn beside(named: PathBuf, cost: Cost) -> Self {
        Self { named, cost, remade: BTreeSet::new() }
    }
}

/// The second message of a file, or its only one.
fn second(messages: &[Stored]) -> &Stored {
    messages.get(1).unwrap_or(&messages[0])
}

fn change(store: &Store, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    // In place, so that it is the same under all names of the file.
    fs::write(path, bytes).unwrap();
    store.adopt();
}

fn cut_within_a_message(store: &Store) -> Harm {
    let messages = chosen_file(store);
    let last = messages.last().unwrap();
    change(store, &last.path, |bytes| bytes.truncate(last.offset + 30 + (last.size - 30) / 2));
    harm([last])
}

fn cut_after_a_message(store: &Store) -> Harm {
    let messages = chosen_file(store);
    change(store, &messages[0].path, |bytes| bytes.truncate(messages[1].offset));
    harm(&messages[1..])
}

fn remove_a_file(store: &Store) -> Harm {
    let messages = chosen_file(store);
    fs::remove_file(&messages[0].path).unwrap();
    let harm = harm(&messages);
    match harm.cost {
        // A file of an sdbox has another name in each mailbox.
        Cost::Messages(guids) if store.driver() == Driver::Sdbox => Harm { cost: Cost::InboxMessages(guids), ..harm },
        cost => Harm { cost, ..harm },
    }
}

fn empty_a_file(store: &Store) -> Harm {
    let messages = chosen_file(store);
    change(store, &messages[0].path, Vec::clear);
    harm(&messages)
}

fn forbid_a_file(store: &Store) -> Harm {
    use std::os::unix::fs::PermissionsExt;
    let messages = chosen_file(store);
    fs::set_permissions(&messages[0].path, fs::Permissions::from_mode(0o000)).unwrap();
    harm(&messages)
}

fn spoil_a_header(store: &Store) -> Harm {
    let messages = chosen_file(store);
    let chosen = second(&messages);
    change(store, &chosen.path, |bytes| bytes[chosen.offset..chosen.offset + 30].fill(0xa5));
    harm([chosen])
}

fn spoil_metadata(store: &Store) -> Harm {
    let messages = chosen_file(store);
    let chosen = second(&messages);
    change(store, &chosen.path, |bytes| {
        let message = &mut bytes[chosen.offset..chosen.offset + chosen.size];
        let metadata = message.windows(4).rposition(|it| it == b"\n\x01\x03\n").unwrap();
        message[metadata..].fill(0xa5);
    });
    let mut harm = harm([chosen]);
    // Dovecot goes on to the next metadata that it finds.
    harm.remade.extend(messages.get(2).map(|next| next.guid.clone()));
    harm
}

/// The map UIDs of messages that mailboxes show.
fn used(store: &Store) -> Vec<u32> {
    dbox::map(store).into_iter().filter(|(_, record)| record.references > 0).map(|(map_uid, _)| map_uid).collect()
}

fn move_a_place(store: &Store) -> Harm {
    let messages = chosen_file(store);
    let chosen = second(&messages);
    let (map_uid, record) = dbox::map(store)
        .into_iter()
        .find(|(_, it)| chosen.path.ends_with(format!("m.{}", it.file)) && it.offset == chosen.offset)
        .unwrap();
    let [offset, size] = [record.offset + 7, record.size].map(|it| u32::try_from(it).unwrap());
    let place = [record.file, offset, size].map(u32::to_le_bytes).concat();
    dbox::append_to_map(store, "map", &[(map_uid, place)], true);
    harm([chosen])
}

fn set_counts(store: &Store, count: u16) -> Harm {
    let counts: Vec<_> = used(store).into_iter().step_by(3).map(|it| (it, count.to_le_bytes().to_vec())).collect();
    dbox::append_to_map(store, "ref", &counts, true);
    Harm::beside(map_index(store), Cost::Nothing)
}

fn lower_counts(store: &Store) -> Harm {
    set_counts(store, 0)
}

fn raise_counts(store: &Store) -> Harm {
    set_counts(store, 9)
}

fn leave_the_tail(store: &Store) -> Harm {
    let (map_uid, record) = dbox::map(store).into_iter().find(|(_, it)| it.references == 1).unwrap();
    let count = u16::try_from(record.references).unwrap().to_le_bytes().to_vec();
    dbox::append_to_map(store, "ref", &[(map_uid, count)], false);
    Harm::beside(map_index(store), Cost::Nothing)
}

fn map_index(store: &Store) -> PathBuf {
    store.root_by("INDEX").join("storage/dovecot.map.index")
}

fn inbox_index(store: &Store) -> PathBuf {
    store.root_by("INDEX").join("mailboxes/INBOX/dbox-Mails/dovecot.index")
}

fn log_of(index: &Path) -> PathBuf {
    index.with_extension("index.log")
}

fn spoil_index(store: &Store, index: &Path, cost: Cost) -> Harm {
    change(store, index, |bytes| bytes.fill(0xa5));
    Harm::beside(index.to_owned(), cost)
}

fn spoil_log(store: &Store, index: &Path, cost: Cost) -> Harm {
    let log = log_of(index);
    change(store, &log, |bytes| {
        assert!(bytes.len() > 400, "{} is short", log.display());
        let middle = bytes.len() / 2;
        bytes[60..middle].fill(0xa5);
    });
    // It may be that the index has what was there.
    Harm::beside(index.to_owned(), cost)
}

fn cut_log(store: &Store, index: &Path, cost: Cost) -> Harm {
    change(store, &log_of(index), |bytes| bytes.truncate(20));
    Harm::beside(index.to_owned(), cost)
}

fn remove_index(index: &Path, cost: Cost) -> Harm {
    let name = index.file_name().unwrap().to_str().unwrap();
    for entry in fs::read_dir(index.parent().unwrap()).unwrap().map(Result::unwrap) {
        if entry.file_name().to_str().unwrap().starts_with(name) {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    Harm::beside(index.parent().unwrap().to_owned(), cost)
}
